//! What a shim and whoever speaks to it say: lines of JSON.
//!
//! The one that connects says hello first, with the protocol it speaks. The daemon that started the
//! shim need not: its connection is the shim's standard input. A shim speaks one protocol for its
//! whole life; a daemon speaks its own and the one before, so that it can take up the shims of the
//! release before it.

use serde::{Deserialize, Serialize};

use crate::instance_directory::{ExitRecord, ProcessRecord};

/// The protocol that this release's shims speak.
pub(crate) const PROTOCOL: u32 = 1;

/// Whether a daemon of this release can speak to a shim of that protocol.
pub(crate) fn is_supported(protocol: u32) -> bool {
    protocol == PROTOCOL || protocol + 1 == PROTOCOL
}

/// To a shim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Request {
    /// What happened is known: a shim whose instance has ended need not stay to tell it.
    Forget,
    /// The first line on a new connection.
    Hello { protocol: u32, role: Role },
    /// Sends the instance's process group a signal.
    Signal { signal: i32 },
    /// Asks for the status.
    Status,
    /// Ends the instance. A second time it only shortens the grace.
    Stop {
        /// From the signal to the kill; `None` for the spec's.
        grace_ms: Option<u64>,
        reason: StopReason,
    },
}

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    /// A daemon, for as long as it lives: it is told of every change, and while it is connected
    /// the instance is no orphan.
    Daemon,
    /// Someone with a question.
    Visitor,
}

/// Why an instance should end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StopReason {
    /// It is wanted no more.
    Asked,
    /// A probe failed; which, and its last answer.
    Probe(String),
}

/// From a shim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Reply {
    /// To a hello.
    Hello { protocol: u32, status: ShimStatus },
    /// What was asked can't be done.
    Refused { reason: String },
    /// How the instance stands now.
    Status { status: ShimStatus },
}

/// How a shim's instance stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShimStatus {
    /// The instance's id.
    pub(crate) instance: String,
    pub(crate) shim: ProcessRecord,
    /// Its process while it runs.
    pub(crate) process: Option<ProcessRecord>,
    /// When it was started, in milliseconds since the Unix epoch.
    pub(crate) started_ms: u64,
    /// Whether it was asked to end.
    pub(crate) stopping: bool,
    /// How it ended; there once nothing of it is left.
    pub(crate) exit: Option<ExitRecord>,
    /// Lines it printed that could not be written.
    pub(crate) dropped_lines: u64,
    /// Why lines can't be written now.
    pub(crate) log_trouble: Option<String>,
}

#[cfg(test)]
mod tests {
    use synod_placement::ExitCause;

    use super::*;

    /// A daemon of the next release says and reads exactly this.
    #[test]
    fn the_lines_of_this_protocol_stay_what_they_are() {
        let probe = StopReason::Probe("live: x".into());
        let requests = [
            (Request::Forget, r#"{"type":"forget"}"#),
            (
                Request::Hello { protocol: 1, role: Role::Daemon },
                r#"{"type":"hello","protocol":1,"role":"daemon"}"#,
            ),
            (Request::Signal { signal: 1 }, r#"{"type":"signal","signal":1}"#),
            (Request::Status, r#"{"type":"status"}"#),
            (
                Request::Stop { grace_ms: None, reason: StopReason::Asked },
                r#"{"type":"stop","grace_ms":null,"reason":"asked"}"#,
            ),
            (
                Request::Stop { grace_ms: Some(5), reason: probe },
                r#"{"type":"stop","grace_ms":5,"reason":{"probe":"live: x"}}"#,
            ),
        ];
        for (request, line) in requests {
            assert_eq!(serde_json::to_string(&request).unwrap(), line);
            assert_eq!(serde_json::from_str::<Request>(line).unwrap(), request);
        }
        let status = ShimStatus {
            instance: "web-0-1".into(),
            shim: ProcessRecord { pid: 2, start: 3 },
            process: Some(ProcessRecord { pid: 4, start: 5 }),
            started_ms: 6,
            stopping: false,
            exit: Some(ExitRecord { cause: ExitCause::Code(7), asked: true, at_ms: 8 }),
            dropped_lines: 9,
            log_trouble: None,
        };
        let line = r#"{"type":"hello","protocol":1,"status":{"instance":"web-0-1","shim":{"pid":2,"start":3},"process":{"pid":4,"start":5},"started_ms":6,"stopping":false,"exit":{"cause":{"code":7},"asked":true,"at_ms":8},"dropped_lines":9,"log_trouble":null}}"#;
        let reply = Reply::Hello { protocol: 1, status };
        assert_eq!(serde_json::to_string(&reply).unwrap(), line);
        assert_eq!(serde_json::from_str::<Reply>(line).unwrap(), reply);
    }

    #[test]
    fn this_protocol_and_the_one_before_are_spoken() {
        assert!(is_supported(PROTOCOL) && is_supported(PROTOCOL - 1));
        assert!(!is_supported(PROTOCOL + 1));
    }
}
