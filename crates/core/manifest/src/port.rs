//! `service.ports`: names, numbers and protocols.

use std::collections::BTreeMap;

use crate::document::{Node, Value};
use crate::name::check_name;
use crate::outline::Outline;
use crate::reader::{Reader, did_you_mean};
use crate::section::{Keys, Section, open_map};
use crate::{Port, Protocol};

pub(crate) const PORT_KEYS: Keys = Keys { now: &["port", "proto"], later: &[] };

/// A port and where it is declared.
pub(crate) struct OutlinePort<'a> {
    pub(crate) port: Port,
    pub(crate) node: &'a Node,
}

/// Reads the table of ports.
pub(crate) fn read_ports<'a>(reader: &Reader<'_>, node: &'a Node) -> Vec<OutlinePort<'a>> {
    let mut ports = Vec::new();
    for entry in open_map(reader, node).unwrap_or_default() {
        check_name(reader, entry, "port");
        let (number, protocol) = read_port(reader, &entry.node);
        let port = Port { name: entry.key.clone(), number, protocol };
        ports.push(OutlinePort { port, node: &entry.node });
    }
    ports
}

/// Reads a port; what is wrong is reported and read as the default.
fn read_port(reader: &Reader<'_>, node: &Node) -> (Option<u16>, Protocol) {
    if !matches!(node.value, Value::Table(_)) {
        return (read_number(reader, node), Protocol::default());
    }
    let Some(section) = Section::open(reader, node, &PORT_KEYS) else {
        return (None, Protocol::default());
    };
    let number = section.get("port").and_then(|node| read_number(reader, node));
    let protocol = section.get("proto").and_then(|node| read_protocol(reader, node));
    (number, protocol.unwrap_or_default())
}

fn read_number(reader: &Reader<'_>, node: &Node) -> Option<u16> {
    match &node.value {
        Value::Integer(_) => {
            let number = reader.integer(node, 1..=u32::from(u16::MAX))?;
            u16::try_from(number).ok()
        }
        Value::String(_) => {
            let text = reader.string(node)?;
            if text != "auto" {
                let message = format!("must be \"auto\" or a port number, found {text:?}");
                reader.report_help(node, message, "\"auto\" gives each instance a free port");
            }
            None
        }
        _ => {
            let found = node.kind();
            reader.report(node, format!("must be \"auto\" or a port number, found {found}"));
            None
        }
    }
}

fn read_protocol(reader: &Reader<'_>, node: &Node) -> Option<Protocol> {
    let text = reader.string(node)?;
    match text.as_str() {
        "grpc" => return Some(Protocol::Grpc),
        "http" => return Some(Protocol::Http),
        "tcp" => return Some(Protocol::Tcp),
        "udp" => reader.report_help(node, "\"udp\": not supported yet", PROTOCOLS),
        other => {
            let near = did_you_mean(other, ["grpc", "http", "tcp"]);
            reader.report_help(node, format!("there is no protocol {other:?}{near}"), PROTOCOLS);
        }
    }
    None
}

const PROTOCOLS: &str = "the protocols are: grpc, http, tcp";

/// Reports two ports with one fixed number: they could never run on one machine.
pub(crate) fn check_fixed_ports(reader: &Reader<'_>, outline: &Outline<'_>) {
    let mut ports: Vec<_> = outline
        .services
        .values()
        .flat_map(|service| service.ports.iter().map(|own| (service.name, own)))
        .collect();
    ports.sort_by_key(|(_, own)| own.node.span.start);
    let mut taken: BTreeMap<u16, (&str, &str)> = BTreeMap::new();
    for (service, own) in ports {
        let Some(number) = own.port.number else { continue };
        if let Some((first_service, first_port)) = taken.get(&number) {
            let message = format!(
                "port {number} is taken by port {first_port:?} of service {first_service:?}"
            );
            let help = "give one of them another number or \"auto\"";
            reader.report_help(own.node, message, help);
        }
        taken.entry(number).or_insert((service, &own.port.name));
    }
}
