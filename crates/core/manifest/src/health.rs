//! `service.health`: the probes.

use std::fmt;

use crate::defaults;
use crate::document::{Node, Value};
use crate::outline::OutlineService;
use crate::path::check_request_path;
use crate::reader::{Reader, did_you_mean};
use crate::section::{Keys, Section};
use crate::{Health, Kind, Probe, ProbeAction, Protocol};

pub(crate) const HEALTH_KEYS: Keys = Keys { now: &["live", "ready", "start"], later: &[] };
pub(crate) const PROBE_KEYS: Keys =
    Keys { now: &["check", "every", "fails", "grace", "timeout"], later: &[] };
/// A start probe has to pass once before its grace is over; how often it fails is no matter.
pub(crate) const START_PROBE_KEYS: Keys =
    Keys { now: &["check", "every", "grace", "timeout"], later: &[] };

/// What a probe decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeRole {
    Live,
    Ready,
    Start,
}

impl fmt::Display for ProbeRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "live",
            Self::Ready => "ready",
            Self::Start => "start",
        })
    }
}

/// Reads the probes of a service.
pub(crate) fn read_health(
    reader: &Reader<'_>,
    node: &Node,
    service: &OutlineService<'_>,
) -> Option<Health> {
    if service.kind == Kind::Task {
        let help = "a task is done when it exits; leave health out";
        reader.report_help(node, "a task has no health", help);
        return None;
    }
    let section = Section::open(reader, node, &HEALTH_KEYS)?;
    let default = defaults::health(service);
    let read = |role: ProbeRole, default: Option<Probe>| match section.get(&role.to_string()) {
        Some(node) => read_probe(reader, node, service, role),
        None => Some(default),
    };
    let ready = read(ProbeRole::Ready, default.ready);
    let live = read(ProbeRole::Live, default.live);
    let start = read(ProbeRole::Start, default.start);
    Some(Health { ready: ready?, live: live?, start: start? })
}

/// Reads a probe. The outer `None` is a problem, the inner one a probe that is turned off.
fn read_probe(
    reader: &Reader<'_>,
    node: &Node,
    service: &OutlineService<'_>,
    role: ProbeRole,
) -> Option<Option<Probe>> {
    if let Value::String(_) = node.value {
        let text = reader.string(node)?;
        if text == "none" {
            return Some(None);
        }
        let action = read_check(reader, node, service, role)?;
        return Some(Some(defaults::probe(role, action)));
    }
    let keys = if role == ProbeRole::Start { &START_PROBE_KEYS } else { &PROBE_KEYS };
    if !matches!(node.value, Value::Table(_)) {
        let message = format!("must be a check or a table, found {}", node.kind());
        reader.report_help(node, message, CHECK_FORMS);
        return None;
    }
    let section = Section::open(reader, node, keys)?;
    let action = section
        .require("check", CHECK_FORMS)
        .and_then(|node| read_check(reader, node, service, role));
    let duration = |key, range| section.get(key).map(|node| reader.duration(node, range));
    let every = duration("every", defaults::PROBE_EVERY_RANGE);
    let timeout = duration("timeout", defaults::PROBE_TIMEOUT_RANGE);
    let grace = duration("grace", defaults::PROBE_GRACE_RANGE);
    let fails = match role {
        ProbeRole::Start => None,
        ProbeRole::Live | ProbeRole::Ready => section.get("fails"),
    };
    let fails = fails.map(|node| reader.integer(node, defaults::PROBE_FAILS_RANGE));
    let mut probe = defaults::probe(role, action?);
    probe.every = every.unwrap_or(Some(probe.every))?;
    probe.timeout = timeout.unwrap_or(Some(probe.timeout))?;
    probe.grace = grace.unwrap_or(Some(probe.grace))?;
    probe.fails = fails.unwrap_or(Some(probe.fails))?;
    Some(Some(probe))
}

fn read_check(
    reader: &Reader<'_>,
    node: &Node,
    service: &OutlineService<'_>,
    role: ProbeRole,
) -> Option<ProbeAction> {
    let text = reader.string(node)?;
    let (word, argument) = match text.split_once(':') {
        Some((word, argument)) => (word, Some(argument)),
        None => (text.as_str(), None),
    };
    match (word, argument) {
        ("http", Some(argument)) => read_http(reader, node, service, argument),
        ("log", Some(pattern)) => read_log(reader, node, role, pattern),
        ("tcp", port) => {
            let port = find_port(reader, node, service, port)?;
            Some(ProbeAction::Tcp { port })
        }
        ("exec" | "grpc", _) => {
            reader.report_help(node, format!("{word:?} checks: not supported yet"), CHECK_FORMS);
            None
        }
        ("http" | "log", None) => {
            let message = format!("{word:?} needs something after a colon");
            reader.report_help(node, message, CHECK_FORMS);
            None
        }
        _ => {
            let near = did_you_mean(word, ["http", "log", "none", "tcp"]);
            reader.report_help(node, format!("there is no check {text:?}{near}"), CHECK_FORMS);
            None
        }
    }
}

const CHECK_FORMS: &str = "checks are \"http:/path\", \"http:PORT/path\", \"tcp\", \"tcp:PORT\", \
    \"log:REGEX\", and \"none\" alone for no probe; PORT is the name of a port";

fn read_http(
    reader: &Reader<'_>,
    node: &Node,
    service: &OutlineService<'_>,
    argument: &str,
) -> Option<ProbeAction> {
    let Some(slash) = argument.find('/') else {
        reader.report_help(node, "an http check needs a path", CHECK_FORMS);
        return None;
    };
    let (port, path) = argument.split_at(slash);
    if path.starts_with("//") {
        let help = "leave the host out, it is the instance's own: \"http:/healthz\"";
        reader.report_help(node, "an http check takes a path, not an address", help);
        return None;
    }
    if !check_request_path(path) {
        let help = "a path is visible ASCII; encode the rest as %XX, and leave # out";
        reader.report_help(node, format!("{path:?} is not a path"), help);
        return None;
    }
    if port.is_empty() {
        let Some(port) = service.first_port(&[Protocol::Http]) else {
            let help = format!("give [service.{}] a port that speaks http", service.name);
            reader.report_help(node, "there is no http port to ask", help);
            return None;
        };
        return Some(ProbeAction::Http { port: port.name.clone(), path: path.to_owned() });
    }
    let port = find_port(reader, node, service, Some(port))?;
    let speaks_http = service.port(&port).is_ok_and(|port| port.protocol == Protocol::Http);
    if !speaks_http {
        let help = format!("write \"tcp:{port}\", or proto = \"http\" for the port");
        reader.report_help(node, format!("port {port:?} does not speak http"), help);
        return None;
    }
    Some(ProbeAction::Http { port, path: path.to_owned() })
}

fn read_log(
    reader: &Reader<'_>,
    node: &Node,
    role: ProbeRole,
    pattern: &str,
) -> Option<ProbeAction> {
    if role == ProbeRole::Live {
        let help = "use a log check for ready or start";
        reader.report_help(node, "a log line does not show that the service still lives", help);
        return None;
    }
    if pattern.is_empty() {
        reader.report_help(node, "the pattern is empty", CHECK_FORMS);
        return None;
    }
    if let Err(error) = regex_lite::Regex::new(pattern) {
        let message = format!("{pattern:?} is not a regular expression: {error}");
        reader.report(node, message);
        return None;
    }
    Some(ProbeAction::Log { pattern: pattern.to_owned() })
}

/// A port by name, or the first one.
fn find_port(
    reader: &Reader<'_>,
    node: &Node,
    service: &OutlineService<'_>,
    name: Option<&str>,
) -> Option<String> {
    let found = match name {
        Some(name) => service.port(name).map(|port| port.name.clone()),
        None => service.ports.first().map(|first| first.port.name.clone()).ok_or_else(|| {
            let help = format!("give [service.{}] a port, or use a log check", service.name);
            ("there is no port to ask".to_owned(), help)
        }),
    };
    found.map_err(|(message, help)| reader.report_help(node, message, help)).ok()
}
