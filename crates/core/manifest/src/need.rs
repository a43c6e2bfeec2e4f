//! `service.needs`: what must hold before an instance starts.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::Node;
use crate::outline::Outline;
use crate::reader::{Reader, did_you_mean};
use crate::reference::Scope;
use crate::{Kind, Need, NeedCondition};

/// One service waits for another.
pub(crate) struct Edge<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: String,
    pub(crate) node: &'a Node,
}

/// Reads the list of needs and adds its edges.
pub(crate) fn read_needs<'a>(
    scope: Scope<'a>,
    node: &'a Node,
    edges: &mut Vec<Edge<'a>>,
) -> Option<Vec<Need>> {
    let items = scope.reader.list(node)?;
    let mut needs = Vec::<Need>::new();
    for item in items {
        let Some(need) = read_need(scope.reader, scope.outline, item) else { continue };
        if needs.iter().any(|other| other.service == need.service) {
            scope.reader.report(item, format!("{:?} is needed twice", need.service));
            continue;
        }
        edges.push(Edge { from: scope.service.name, to: need.service.clone(), node: item });
        needs.push(need);
    }
    // One that is missing here has been reported.
    (needs.len() == items.len()).then_some(needs)
}

fn read_need(reader: &Reader<'_>, outline: &Outline<'_>, node: &Node) -> Option<Need> {
    let text = reader.string(node)?;
    let (name, condition) = match text.split_once(':') {
        Some((name, condition)) => (name, Some(condition)),
        None => (text.as_str(), None),
    };
    let Some(service) = outline.services.get(name) else {
        let (message, help) = outline.unknown_service(name);
        reader.report_help(node, message, help);
        return None;
    };
    let condition = match (condition, service.kind) {
        (None, Kind::Service) => NeedCondition::Ready,
        (None, Kind::Task) => NeedCondition::Done,
        (Some("started"), _) => NeedCondition::Started,
        (Some("ready"), Kind::Service) => NeedCondition::Ready,
        (Some("done"), Kind::Task) => NeedCondition::Done,
        (Some("ready"), Kind::Task) => {
            let help = format!("write \"{name}:done\" to wait for its end");
            reader.report_help(node, format!("{name:?} is a task, which is never ready"), help);
            return None;
        }
        (Some("done"), Kind::Service) => {
            let message = format!("{name:?} is a service, which is never done");
            let help = format!("write \"{name}:ready\", or kind = \"task\" in [service.{name}]");
            reader.report_help(node, message, help);
            return None;
        }
        (Some(other), _) => {
            let near = did_you_mean(other, ["done", "ready", "started"]);
            let message = format!("there is no condition {other:?}{near}");
            reader.report_help(node, message, "the conditions are: done, ready, started");
            return None;
        }
    };
    Some(Need { service: name.to_owned(), condition })
}

/// Reports services that wait for each other, once per edge that closes a circle.
pub(crate) fn check_cycles(reader: &Reader<'_>, edges: &[Edge<'_>]) {
    let mut needs: BTreeMap<&str, Vec<&Edge<'_>>> = BTreeMap::new();
    for edge in edges {
        needs.entry(edge.from).or_default().push(edge);
    }
    let mut finished: BTreeSet<&str> = BTreeSet::new();
    for start in needs.keys() {
        // A walk with its own stack, since the chain may be as long as the manifest.
        let mut path: Vec<(&str, usize)> = vec![(start, 0)];
        while let Some((service, next)) = path.last_mut() {
            let service = *service;
            let edge = needs.get(service).and_then(|edges| edges.get(*next)).copied();
            *next += 1;
            let Some(edge) = edge.filter(|_| !finished.contains(service)) else {
                finished.insert(service);
                path.pop();
                continue;
            };
            match path.iter().position(|(on_path, _)| *on_path == edge.to) {
                Some(at) => report_cycle(reader, &path[at..], edge),
                None => path.push((edge.to.as_str(), 0)),
            }
        }
    }
}

fn report_cycle(reader: &Reader<'_>, cycle: &[(&str, usize)], edge: &Edge<'_>) {
    let names = cycle.iter().map(|(name, _)| *name).chain([edge.to.as_str()]);
    let path: Vec<_> = names.collect();
    let message = match cycle {
        [_] => format!("{:?} waits for itself", edge.to),
        _ => format!("these wait for each other: {}", path.join(" -> ")),
    };
    reader.report_help(edge.node, message, "leave out one of these needs");
}
