//! The first look at a manifest: which services, ports and routes there are.
//!
//! References point in any direction, so the names are gathered before anything refers to them.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::{Entry, Node};
use crate::port::{OutlinePort, read_ports};
use crate::reader::{Reader, did_you_mean, list};
use crate::{Kind, Port, Protocol};

/// The names of a manifest.
#[derive(Default)]
pub(crate) struct Outline<'a> {
    pub(crate) services: BTreeMap<&'a str, OutlineService<'a>>,
    pub(crate) routes: BTreeSet<&'a str>,
}

/// What others may refer to of a service.
pub(crate) struct OutlineService<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: Kind,
    /// In the order of the manifest. Those with mistakes are among them, so that a reference to
    /// one is not a second mistake.
    pub(crate) ports: Vec<OutlinePort<'a>>,
}

impl<'a> Outline<'a> {
    /// Reads the names, kinds and ports.
    pub(crate) fn read(reader: &Reader<'_>, services: &'a [Entry], routes: &'a [Entry]) -> Self {
        let outline = |entry: &'a Entry| {
            let name = entry.key.as_str();
            let kind = entry.node.get("kind").map_or(Kind::Service, |node| read_kind(reader, node));
            let ports = entry.node.get("ports").map(|node| read_ports(reader, node));
            (name, OutlineService { name, kind, ports: ports.unwrap_or_default() })
        };
        Self {
            services: services.iter().map(outline).collect(),
            routes: routes.iter().map(|entry| entry.key.as_str()).collect(),
        }
    }

    /// The message and the help for a service that is not there.
    pub(crate) fn unknown_service(&self, name: &str) -> (String, String) {
        let near = did_you_mean(name, self.services.keys().copied());
        let message = format!("there is no service {name:?}{near}");
        (message, list("the services are", self.services.keys()))
    }
}

impl OutlineService<'_> {
    /// A port by name, or the message and the help for one that is not there.
    pub(crate) fn port(&self, name: &str) -> Result<&Port, (String, String)> {
        let names = || self.ports.iter().map(|own| own.port.name.as_str());
        match self.ports.iter().find(|own| own.port.name == name) {
            Some(own) => Ok(&own.port),
            None => {
                let near = did_you_mean(name, names());
                let message = format!("service {:?} has no port {name:?}{near}", self.name);
                Err((message, list("its ports are", names())))
            }
        }
    }

    /// The first port that one of `protocols` is spoken on.
    pub(crate) fn first_port(&self, protocols: &[Protocol]) -> Option<&Port> {
        let mut ports = self.ports.iter().map(|own| &own.port);
        ports.find(|port| protocols.contains(&port.protocol))
    }
}

fn read_kind(reader: &Reader<'_>, node: &Node) -> Kind {
    let Some(text) = reader.string(node) else { return Kind::Service };
    match text.as_str() {
        "service" => return Kind::Service,
        "task" => return Kind::Task,
        "daemon" => reader.report_help(node, "\"daemon\": not supported yet", KINDS),
        other => {
            let near = did_you_mean(other, ["service", "task"]);
            reader.report_help(node, format!("there is no kind {other:?}{near}"), KINDS);
        }
    }
    Kind::Service
}

const KINDS: &str = "\"service\" runs on, \"task\" runs to completion";
