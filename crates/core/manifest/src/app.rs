//! The checked app: what the rest of Synod works with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Template;

/// An app with every default filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// The app's name: a DNS label.
    pub name: String,
    /// The absolute path of the manifest.
    pub path: PathBuf,
    /// The services by name.
    pub services: BTreeMap<String, Service>,
    /// The routes by name.
    pub routes: BTreeMap<String, Route>,
}

/// Something to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The service's name: a DNS label.
    pub name: String,
    /// Runs on, or to completion.
    pub kind: Kind,
    /// The program and its arguments. A program without a slash is looked up in `PATH`; one with
    /// a slash is relative to `dir`.
    pub run: Vec<Template>,
    /// The absolute working directory.
    pub dir: PathBuf,
    /// The command that makes the program.
    pub build: Option<Build>,
    /// How many instances.
    pub instances: u32,
    /// The ports in the order of the manifest; the first is the default one.
    pub ports: Vec<Port>,
    /// What must hold before an instance starts.
    pub needs: Vec<Need>,
    /// The environment that is added to the daemon's.
    pub env: BTreeMap<String, Template>,
    /// When an instance is up to its work.
    pub health: Health,
    /// What follows an exit.
    pub restart: Restart,
    /// How an instance is asked to end.
    pub stop: Stop,
}

/// Runs on, or to completion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Runs until stopped; an exit is a failure.
    #[default]
    Service,
    /// Runs to completion; a good exit is success.
    Task,
}

/// A command that makes a service's program, run in its directory by `sh -c`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// The shell command.
    pub command: String,
    /// When to give up.
    pub timeout: Duration,
}

/// A port that a service listens on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The port's name.
    pub name: String,
    /// The number, or `None` for a free one per instance.
    pub number: Option<u16>,
    /// What is spoken there.
    pub protocol: Protocol,
}

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// HTTP/2 cleartext with prior knowledge.
    Grpc,
    /// HTTP/1.1.
    #[default]
    Http,
    /// Bytes.
    Tcp,
}

/// A condition on another service before an instance starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// The other service.
    pub service: String,
    /// What must hold of it.
    pub condition: NeedCondition,
}

/// What must hold of a needed service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NeedCondition {
    /// The task ended well.
    Done,
    /// Every wanted instance is ready.
    Ready,
    /// Every wanted instance runs.
    Started,
}

/// When an instance is up to its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Takes requests while it passes.
    pub ready: Option<Probe>,
    /// Is restarted when it fails.
    pub live: Option<Probe>,
    /// Must pass once before `ready` and `live` are asked.
    pub start: Option<Probe>,
}

/// A question to an instance, asked again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The question.
    pub action: ProbeAction,
    /// From one question to the next.
    pub every: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How many failures in a row count as a failure.
    pub fails: u32,
    /// How long after the start failures do not count. For `start`: the deadline to pass.
    pub grace: Duration,
}

/// How a probe asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeAction {
    /// `GET path` on the port answers 200 to 399.
    Http {
        /// The port's name.
        port: String,
        /// The path, with its leading slash.
        path: String,
    },
    /// A line that matches has been printed since the start. Ends asking once it passed.
    Log {
        /// The regular expression.
        pattern: String,
    },
    /// A connection to the port is accepted.
    Tcp {
        /// The port's name.
        port: String,
    },
}

/// What follows an exit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// The wait before the first restart; it doubles with each further failure.
    pub backoff_min: Duration,
    /// The longest wait.
    pub backoff_max: Duration,
    /// Running this long counts as well again: the next wait is the first one.
    pub reset: Duration,
    /// Exit codes that are good. A service that exits well is restarted without counting it as
    /// failed.
    pub ok_exit: Vec<i32>,
}

/// How an instance is asked to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// The signal's name without `SIG`.
    pub signal: String,
    /// From the signal to the kill.
    pub grace: Duration,
}

/// A way through the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The route's name.
    pub name: String,
    /// The host it answers to: exact, or `*.` and a suffix.
    pub host: String,
    /// The path prefix it answers to, by whole segments.
    pub path: String,
    /// Where requests go, by weight.
    pub to: Vec<RouteTarget>,
    /// How long a whole request may take.
    pub timeout: Duration,
}

/// One destination of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTarget {
    /// The service.
    pub service: String,
    /// The port's name.
    pub port: String,
    /// Its share among the route's targets. All zero is refused.
    pub weight: u32,
}
