//! `[route.<name>]`.

use std::collections::BTreeMap;

use crate::defaults;
use crate::document::{Entry, Node, Value};
use crate::name::{check_name, is_host};
use crate::outline::{Outline, OutlineService};
use crate::path::read_route_path;
use crate::reader::Reader;
use crate::section::{Keys, Section};
use crate::{Kind, Protocol, Route, RouteTarget};

pub(crate) const ROUTE_KEYS: Keys = Keys {
    now: &["host", "path", "timeout", "to"],
    later: &["auth", "methods", "rate", "strip", "tls"],
};
pub(crate) const TARGET_KEYS: Keys = Keys { now: &["service", "weight"], later: &[] };

/// What the gateway can speak to.
const ROUTABLE: [Protocol; 2] = [Protocol::Grpc, Protocol::Http];
/// So that the sum of the weights stays far from the end of a `u32`.
const TARGETS_MAX: usize = 100;

/// Reads a route. `app` is the app's name where that is known.
pub(crate) fn read_route(
    reader: &Reader<'_>,
    outline: &Outline<'_>,
    entry: &Entry,
    app: Option<&str>,
) -> Option<Route> {
    let named = check_name(reader, entry, "route");
    let section = Section::open(reader, &entry.node, &ROUTE_KEYS)?;
    let host = match section.get("host") {
        Some(node) => read_host(reader, node),
        None => app.map(defaults::route_host),
    };
    let path = match section.get("path") {
        Some(node) => read_path(reader, node),
        None => Some(defaults::ROUTE_PATH.to_owned()),
    };
    let to = section.require("to", TO_FORM).and_then(|node| read_to(reader, outline, node));
    let timeout = match section.get("timeout") {
        Some(node) => reader.duration(node, defaults::ROUTE_TIMEOUT_RANGE),
        None => Some(defaults::ROUTE_TIMEOUT),
    };
    named.then_some(())?;
    let name = entry.key.clone();
    Some(Route { name, host: host?, path: path?, to: to?, timeout: timeout? })
}

const TO_FORM: &str = "to = \"api\", to = \"api:http\", or a list such as \
    [{ service = \"api\", weight = 90 }, { service = \"canary\", weight = 10 }]";

fn read_host(reader: &Reader<'_>, node: &Node) -> Option<String> {
    // Host names are the same in either case, RFC 4343 §3.
    let host = reader.string(node)?.to_ascii_lowercase();
    if is_host(&host) {
        return Some(host);
    }
    let help = "a host name without scheme and port; \"*.example.org\" stands for all below it";
    reader.report_help(node, format!("{host:?} is not a host name"), help);
    None
}

fn read_path(reader: &Reader<'_>, node: &Node) -> Option<String> {
    let path = reader.string(node)?;
    match read_route_path(&path) {
        Ok(path) => Some(path),
        Err(reason) => {
            reader.report(node, format!("{path:?} {reason}"));
            None
        }
    }
}

fn read_to(reader: &Reader<'_>, outline: &Outline<'_>, node: &Node) -> Option<Vec<RouteTarget>> {
    let nodes = match &node.value {
        Value::Array(nodes) => nodes,
        Value::String(_) => {
            return read_endpoint(reader, outline, node, defaults::ROUTE_WEIGHT)
                .map(|target| vec![target]);
        }
        _ => {
            let message = format!("must be a service or a list, found {}", node.kind());
            reader.report_help(node, message, TO_FORM);
            return None;
        }
    };
    if nodes.is_empty() || nodes.len() > TARGETS_MAX {
        let message = format!("must have 1 to {TARGETS_MAX} services, found {}", nodes.len());
        reader.report_help(node, message, TO_FORM);
        return None;
    }
    let read: Vec<_> = nodes.iter().map(|node| read_target(reader, outline, node)).collect();
    let targets = read.into_iter().collect::<Option<Vec<_>>>()?;
    for (index, target) in targets.iter().enumerate() {
        let is_same =
            |other: &RouteTarget| other.service == target.service && other.port == target.port;
        if targets[..index].iter().any(is_same) {
            let message = format!("\"{}:{}\" is listed twice", target.service, target.port);
            reader.report_help(&nodes[index], message, "add the weights up");
        }
    }
    if targets.iter().all(|target| target.weight == 0) {
        reader.report(node, "all weights are 0, so no request could go anywhere");
        return None;
    }
    Some(targets)
}

fn read_target(reader: &Reader<'_>, outline: &Outline<'_>, node: &Node) -> Option<RouteTarget> {
    match node.value {
        Value::String(_) => read_endpoint(reader, outline, node, defaults::ROUTE_WEIGHT),
        Value::Table(_) => {
            let section = Section::open(reader, node, &TARGET_KEYS)?;
            let weight = section.get("weight").map_or(Some(defaults::ROUTE_WEIGHT), |node| {
                reader.integer(node, defaults::ROUTE_WEIGHT_RANGE)
            });
            let endpoint = section.require("service", TO_FORM)?;
            let target = read_endpoint(reader, outline, endpoint, 0)?;
            Some(RouteTarget { weight: weight?, ..target })
        }
        _ => {
            let message = format!("must be a service or a table, found {}", node.kind());
            reader.report_help(node, message, TO_FORM);
            None
        }
    }
}

/// Reads `"service"` or `"service:port"`.
fn read_endpoint(
    reader: &Reader<'_>,
    outline: &Outline<'_>,
    node: &Node,
    weight: u32,
) -> Option<RouteTarget> {
    let text = reader.string(node)?;
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text.as_str(), None),
    };
    let found = match outline.services.get(name) {
        Some(service) => find_port(service, port),
        None => Err(outline.unknown_service(name)),
    };
    match found {
        Ok(port) => Some(RouteTarget { service: name.to_owned(), port, weight }),
        Err((message, help)) => {
            reader.report_help(node, message, help);
            None
        }
    }
}

/// The name of the port requests go to: by default the first one that the gateway can speak to.
fn find_port(service: &OutlineService<'_>, port: Option<&str>) -> Result<String, (String, String)> {
    let name = service.name;
    if service.kind == Kind::Task {
        let message = format!("{name:?} is a task, which takes no requests");
        return Err((message, "name a service".to_owned()));
    }
    let port = match port {
        Some(port) => Some(service.port(port)?),
        None => service.first_port(&ROUTABLE),
    };
    match port {
        Some(port) if ROUTABLE.contains(&port.protocol) => Ok(port.name.clone()),
        Some(port) => {
            let message = format!("port {:?} of service {name:?} speaks tcp", port.name);
            Err((message, "the gateway routes to http and grpc ports".to_owned()))
        }
        None => {
            let message = format!("service {name:?} has no http or grpc port");
            let help = format!("give it one: ports = {{ http = \"auto\" }} in [service.{name}]");
            Err((message, help))
        }
    }
}

/// Reports routes that answer to the same host and path.
pub(crate) fn check_conflicts(reader: &Reader<'_>, routes: &[(&Entry, Route)]) {
    let mut taken: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (entry, route) in routes {
        let key = (route.host.as_str(), route.path.as_str());
        if let Some(first) = taken.get(&key) {
            let message = format!("route {first:?} answers to {}{} already", key.0, key.1);
            let node = entry.node.get("path").or(entry.node.get("host")).unwrap_or(&entry.node);
            reader.report_help(node, message, "give one of them another host or path");
        }
        taken.entry(key).or_insert(&route.name);
    }
}
