//! Text with typed references, such as `${service.api.url}`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Text with references that are filled in when an instance starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// The parts, in order.
    pub segments: Vec<Segment>,
}

impl Template {
    /// Text as it stands, without references.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        let mut template = Self::default();
        template.push_literal(text);
        template
    }

    /// The text when there are no references in it.
    #[must_use]
    pub fn as_literal(&self) -> Option<&str> {
        match self.segments.as_slice() {
            [] => Some(""),
            [Segment::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Adds text and keeps to one literal between references, so that equal texts are equal
    /// templates.
    pub(crate) fn push_literal(&mut self, text: &str) {
        match self.segments.last_mut() {
            _ if text.is_empty() => {}
            Some(Segment::Literal(last)) => last.push_str(text),
            _ => self.segments.push(Segment::Literal(text.to_owned())),
        }
    }
}

/// The text as a manifest has it: what is meant literally is escaped.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut literal = String::new();
        for segment in &self.segments {
            if let Segment::Literal(text) = segment {
                literal.push_str(text);
                continue;
            }
            write_escaped(f, &literal, true)?;
            literal.clear();
            write!(f, "{segment}")?;
        }
        write_escaped(f, &literal, false)
    }
}

/// Doubles the dollars that stand before a brace, or before the `${` of a reference that follows.
fn write_escaped(f: &mut fmt::Formatter<'_>, text: &str, reference_next: bool) -> fmt::Result {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let count = rest[at..].bytes().take_while(|byte| *byte == b'$').count();
        let (dollars, after) = rest.split_at(at + count);
        let brace_next = if after.is_empty() { reference_next } else { after.starts_with('{') };
        f.write_str(dollars)?;
        f.write_str(&dollars[dollars.len() - if brace_next { count } else { 0 }..])?;
        rest = after;
    }
    f.write_str(rest)
}

/// A part of a template. `${vars.x}` is not among them: variables are filled in while parsing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Segment {
    /// `${app.name}`.
    AppName,
    /// `${instance.id}`.
    InstanceId,
    /// `${instance.port}` or `${instance.port.<name>}`: the instance's own port.
    InstancePort {
        /// The port's name.
        port: String,
    },
    /// `${instance.slot}`, from 0.
    InstanceSlot,
    /// Text as it stands.
    Literal(String),
    /// `${route.<name>.url|host|port}`: a stable loopback address of the route.
    Route {
        /// The route.
        route: String,
        /// The part of the address.
        part: EndpointPart,
    },
    /// `${service.<name>.url|host|port}` or `${service.<name>.<port>.url|host|port}`: a stable
    /// loopback address, balanced over the service's ready instances.
    Service {
        /// The service.
        service: String,
        /// The port's name.
        port: String,
        /// The part of the address.
        part: EndpointPart,
    },
}

/// The reference as a manifest has it. A literal is given as it stands, without escapes.
impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AppName => f.write_str("${app.name}"),
            Self::InstanceId => f.write_str("${instance.id}"),
            Self::InstancePort { port } => write!(f, "${{instance.port.{port}}}"),
            Self::InstanceSlot => f.write_str("${instance.slot}"),
            Self::Literal(text) => f.write_str(text),
            Self::Route { route, part } => write!(f, "${{route.{route}.{part}}}"),
            Self::Service { service, port, part } => {
                write!(f, "${{service.{service}.{port}.{part}}}")
            }
        }
    }
}

/// A part of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointPart {
    /// The host, always an IP address.
    Host,
    /// The port number.
    Port,
    /// Scheme, host and port; for a route also its path.
    Url,
}

impl fmt::Display for EndpointPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Port => "port",
            Self::Url => "url",
        })
    }
}
