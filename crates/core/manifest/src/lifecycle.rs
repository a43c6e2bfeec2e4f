//! `service.build`, `service.restart` and `service.stop`: before, after and at the end of a run.

use std::time::Duration;

use crate::defaults;
use crate::document::{Node, Value};
use crate::reader::{Reader, did_you_mean, list};
use crate::section::{Keys, Section};
use crate::{Build, Kind, Restart, Stop};

pub(crate) const BUILD_KEYS: Keys = Keys { now: &["command", "timeout"], later: &[] };
pub(crate) const RESTART_KEYS: Keys =
    Keys { now: &["backoff", "ok_exit", "reset"], later: &["move_after"] };
pub(crate) const STOP_KEYS: Keys = Keys { now: &["grace", "signal"], later: &["pre"] };

/// The signals that a program may be asked to end with.
const SIGNALS: [&str; 9] = ["ABRT", "ALRM", "HUP", "INT", "KILL", "QUIT", "TERM", "USR1", "USR2"];

/// Reads a command, or a table with one.
pub(crate) fn read_build(reader: &Reader<'_>, node: &Node) -> Option<Build> {
    if let Value::String(_) = node.value {
        let command = read_command(reader, node)?;
        return Some(Build { command, timeout: defaults::BUILD_TIMEOUT });
    }
    let Value::Table(_) = node.value else {
        let message = format!("must be a command or a table, found {}", node.kind());
        reader.report_help(node, message, BUILD_FORM);
        return None;
    };
    let section = Section::open(reader, node, &BUILD_KEYS)?;
    let command = section.require("command", BUILD_FORM);
    let command = command.and_then(|node| read_command(reader, node));
    let timeout = match section.get("timeout") {
        Some(node) => reader.duration(node, defaults::BUILD_TIMEOUT_RANGE),
        None => Some(defaults::BUILD_TIMEOUT),
    };
    Some(Build { command: command?, timeout: timeout? })
}

const BUILD_FORM: &str = "a shell command, or { command = \"...\", timeout = \"10m\" }";

fn read_command(reader: &Reader<'_>, node: &Node) -> Option<String> {
    let command = reader.string(node)?;
    if command.trim().is_empty() {
        reader.report(node, "the command is empty");
        return None;
    }
    Some(command)
}

/// Reads what follows an exit.
pub(crate) fn read_restart(reader: &Reader<'_>, node: &Node, kind: Kind) -> Option<Restart> {
    let section = Section::open(reader, node, &RESTART_KEYS)?;
    let default = defaults::restart(kind);
    let backoff = match section.get("backoff") {
        Some(node) => read_backoff(reader, node),
        None => Some((default.backoff_min, default.backoff_max)),
    };
    let reset = match section.get("reset") {
        Some(node) => reader.duration(node, defaults::RESET_RANGE),
        None => Some(default.reset),
    };
    let ok_exit = match section.get("ok_exit") {
        Some(node) => read_ok_exit(reader, node, kind),
        None => Some(default.ok_exit),
    };
    let (backoff_min, backoff_max) = backoff?;
    Some(Restart { backoff_min, backoff_max, reset: reset?, ok_exit: ok_exit? })
}

/// Reads `"1s..60s"`, or `"1s"` for a wait that never grows.
fn read_backoff(reader: &Reader<'_>, node: &Node) -> Option<(Duration, Duration)> {
    let text = reader.string(node)?;
    let (min_text, max_text) = text.split_once("..").unwrap_or((&text, &text));
    let min = reader.duration_text(node, min_text, defaults::BACKOFF_RANGE)?;
    let max = reader.duration_text(node, max_text, defaults::BACKOFF_RANGE)?;
    if min > max {
        let help = format!("write \"{max_text}..{min_text}\"");
        reader.report_help(node, "the first wait is longer than the longest", help);
        return None;
    }
    Some((min, max))
}

/// Reads the good exit codes, sorted and each once.
fn read_ok_exit(reader: &Reader<'_>, node: &Node, kind: Kind) -> Option<Vec<i32>> {
    let nodes = reader.list(node)?;
    if nodes.is_empty() && kind == Kind::Task {
        reader.report(node, "a task without a good exit code is never done");
        return None;
    }
    let codes: Vec<_> =
        nodes.iter().map(|node| reader.integer(node, defaults::EXIT_CODE_RANGE)).collect();
    let mut codes =
        codes.into_iter().map(|code| i32::try_from(code?).ok()).collect::<Option<Vec<i32>>>()?;
    codes.sort_unstable();
    codes.dedup();
    Some(codes)
}

/// Reads how an instance is asked to end.
pub(crate) fn read_stop(reader: &Reader<'_>, node: &Node) -> Option<Stop> {
    let section = Section::open(reader, node, &STOP_KEYS)?;
    let default = defaults::stop();
    let signal = match section.get("signal") {
        Some(node) => read_signal(reader, node),
        None => Some(default.signal),
    };
    let grace = match section.get("grace") {
        Some(node) => reader.duration(node, defaults::STOP_GRACE_RANGE),
        None => Some(default.grace),
    };
    Some(Stop { signal: signal?, grace: grace? })
}

fn read_signal(reader: &Reader<'_>, node: &Node) -> Option<String> {
    let signal = reader.string(node)?;
    if SIGNALS.contains(&signal.as_str()) {
        return Some(signal);
    }
    let upper = signal.to_ascii_uppercase();
    let near = did_you_mean(upper.strip_prefix("SIG").unwrap_or(&upper), SIGNALS);
    let message = format!("there is no signal {signal:?}{near}");
    reader.report_help(node, message, list("the signals are", SIGNALS));
    None
}
