//! Instances: what the control plane wants of them, and what the agent says of them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One run of a service in a slot. Immutable but for `desired` and `waits`: a restart is a new
/// instance in the same slot. Written by the control plane only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Unique over time and over all apps: `<service>-<slot>-<serial>`.
    pub id: String,
    /// The app.
    pub app: String,
    /// The service.
    pub service: String,
    /// The slot, from 0.
    pub slot: u32,
    /// The job's version that it runs.
    pub version: String,
    /// The job's `restart_nonce` that it runs.
    pub restart_nonce: u64,
    /// The node it is placed on; `None` while no node fits.
    pub node: Option<String>,
    /// What should become of it.
    pub desired: Desired,
    /// Why it is not started yet, a reason a line; empty once `desired` is `Run`.
    pub waits: Vec<String>,
    /// Failures in a row in this slot before this instance.
    pub failures: u32,
    /// Milliseconds since the Unix epoch before which it does not start (back-off).
    pub not_before_ms: u64,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// How the instance before it in this slot ended.
    pub previous: Option<Exit>,
}

impl Instance {
    /// The number that ends its id. Of two instances of a slot the later one has the greater.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.id.rsplit('-').next().and_then(|serial| serial.parse().ok()).unwrap_or(0)
    }
}

/// What should become of an instance. Moves only forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Desired {
    /// Nothing yet: `waits` says why.
    Hold,
    /// It should run.
    Run,
    /// It should take no new requests, then end: draining, TERM, grace, KILL.
    Stop,
}

/// How an instance stands. Written by its node's agent only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// The instance.
    pub id: String,
    /// How far it is.
    pub phase: Phase,
    /// Whether it takes requests.
    pub ready: bool,
    /// Why it is not ready, or how a probe fails, in one line.
    pub reason: Option<String>,
    /// The process id while it runs.
    pub pid: Option<u32>,
    /// The number of each of its ports, by name.
    pub ports: BTreeMap<String, u16>,
    /// When it was started, in milliseconds since the Unix epoch.
    pub started_ms: Option<u64>,
    /// How it ended.
    pub exit: Option<Exit>,
}

/// How far an instance is. Moves only forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The agent prepares it.
    Starting,
    /// The process runs.
    Running,
    /// It takes no new requests and is about to be asked to end.
    Draining,
    /// It was asked to end.
    Stopping,
    /// It ended, or could not be started.
    Exited,
}

/// How an instance ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Why.
    pub cause: ExitCause,
    /// Whether it counts as a failure: not when it was asked to end or exited well.
    pub failure: bool,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// Why an instance ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitCause {
    /// It exited with this code.
    Code(i32),
    /// The kernel killed it for want of memory.
    OutOfMemory,
    /// A probe failed; which, and its last answer.
    Probe(String),
    /// Its shim was killed, and it with it.
    ShimLost,
    /// It died of this signal.
    Signal(i32),
    /// It could not be started.
    StartFailed(String),
}

impl fmt::Display for ExitCause {
    /// Follows the name of what ended, as in `order-0-7 exited with code 3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::OutOfMemory => f.write_str("was killed for want of memory"),
            Self::Probe(answer) => write!(f, "failed a probe: {answer}"),
            Self::ShimLost => f.write_str("lost its shim"),
            Self::Signal(signal) => write!(f, "died of signal {signal}"),
            Self::StartFailed(reason) => write!(f, "could not be started: {reason}"),
        }
    }
}
