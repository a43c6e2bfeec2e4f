//! References in text: `${service.api.url}` is found, resolved and checked.
//!
//! Dollars mean something only right before a brace. There, two dollars are one that is meant
//! literally: `$${x}` is the text `${x}`, and `$$${x}` is a dollar and a reference. `$HOME` and
//! `$$` stay as they are.

use crate::document::Node;
use crate::outline::{Outline, OutlineService};
use crate::reader::{ESCAPE_FORM, Reader, did_you_mean, list};
use crate::{EndpointPart, Segment, Template};

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Text as it stands.
    Literal(String),
    /// What stands between `${` and `}`.
    Reference(String),
}

/// Cuts text at its references. `None` when one is never closed.
pub(crate) fn split_references(text: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let count = rest[at..].bytes().take_while(|byte| *byte == b'$').count();
        let (dollars, after) = rest.split_at(at + count);
        if !after.starts_with('{') {
            literal.push_str(dollars);
            rest = after;
            continue;
        }
        literal.push_str(&dollars[..at + count / 2]);
        rest = after;
        if count % 2 == 1 {
            let end = after.find('}')?;
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            pieces.push(Piece::Reference(after[1..end].to_owned()));
            rest = &after[end + 1..];
        }
    }
    literal.push_str(rest);
    pieces.push(Piece::Literal(literal));
    Some(pieces)
}

/// What the references of a service's text are looked up in.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) reader: &'a Reader<'a>,
    pub(crate) outline: &'a Outline<'a>,
    pub(crate) service: &'a OutlineService<'a>,
}

impl Scope<'_> {
    /// Resolves the references of `text`, which stands in `node`.
    pub(crate) fn template(&self, node: &Node, text: &str) -> Option<Template> {
        let mut template = Template::default();
        for piece in self.reader.pieces(node, text)? {
            match piece {
                Piece::Literal(literal) => template.push_literal(&literal),
                Piece::Reference(reference) => match self.resolve(&reference) {
                    Ok(segment) => template.segments.push(segment),
                    Err((message, help)) => {
                        let span = self.reader.reference_span(node, &reference);
                        self.reader.report_at(&span, &node.path, message, Some(help));
                        return None;
                    }
                },
            }
        }
        Some(template)
    }

    fn resolve(&self, reference: &str) -> Result<Segment, (String, String)> {
        let keys: Vec<&str> = reference.split('.').collect();
        match keys.as_slice() {
            ["app", "name"] => Ok(Segment::AppName),
            ["instance", "id"] => Ok(Segment::InstanceId),
            ["instance", "slot"] => Ok(Segment::InstanceSlot),
            ["instance", "port"] => {
                let port = port_of(self.service, None)?;
                Ok(Segment::InstancePort { port })
            }
            ["instance", "port", port] => {
                let port = port_of(self.service, Some(port))?;
                Ok(Segment::InstancePort { port })
            }
            ["route", route, part] => {
                let part = part_of(part)?;
                Ok(Segment::Route { route: self.route(route)?, part })
            }
            ["service", service, part] => {
                let part = part_of(part)?;
                self.endpoint(service, None, part)
            }
            ["service", service, port, part] => {
                let part = part_of(part)?;
                self.endpoint(service, Some(port), part)
            }
            ["config" | "secret", ..] => {
                Err((format!("${{{reference}}}: not supported yet"), REFERENCE_FORMS.to_owned()))
            }
            _ => Err((
                format!("there is no reference ${{{reference}}}"),
                format!("{REFERENCE_FORMS}; {ESCAPE_FORM}"),
            )),
        }
    }

    fn endpoint(
        &self,
        service: &str,
        port: Option<&str>,
        part: EndpointPart,
    ) -> Result<Segment, (String, String)> {
        let Some(target) = self.outline.services.get(service) else {
            return Err(self.outline.unknown_service(service));
        };
        let port = port_of(target, port)?;
        Ok(Segment::Service { service: service.to_owned(), port, part })
    }

    fn route(&self, route: &str) -> Result<String, (String, String)> {
        if self.outline.routes.contains(route) {
            return Ok(route.to_owned());
        }
        let near = did_you_mean(route, self.outline.routes.iter().copied());
        let message = format!("there is no route {route:?}{near}");
        Err((message, list("the routes are", &self.outline.routes)))
    }
}

const REFERENCE_FORMS: &str = "references are ${vars.NAME}, ${app.name}, ${instance.id}, \
    ${instance.slot}, ${instance.port}, ${service.NAME.url}, ${service.NAME.PORT.url} and \
    ${route.NAME.url}, the last three also with host or port for url";

fn part_of(part: &str) -> Result<EndpointPart, (String, String)> {
    match part {
        "host" => Ok(EndpointPart::Host),
        "port" => Ok(EndpointPart::Port),
        "url" => Ok(EndpointPart::Url),
        _ => {
            let near = did_you_mean(part, ["host", "port", "url"]);
            let message = format!("there is no address part {part:?}{near}");
            Err((message, "the parts are: host, port, url".to_owned()))
        }
    }
}

/// The name of a service's port, or of its first one.
fn port_of(service: &OutlineService<'_>, port: Option<&str>) -> Result<String, (String, String)> {
    match port {
        Some(port) => service.port(port).map(|port| port.name.clone()),
        None => match service.ports.first() {
            Some(first) => Ok(first.port.name.clone()),
            None => Err((
                format!("service {:?} has no ports", service.name),
                format!("give it one: ports = {{ http = \"auto\" }} in [service.{}]", service.name),
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expect: &str) {
        let pieces = split_references(text).unwrap();
        let shown: Vec<String> = pieces
            .iter()
            .filter(|piece| **piece != Piece::Literal(String::new()))
            .map(|piece| match piece {
                Piece::Literal(literal) => literal.clone(),
                Piece::Reference(reference) => format!("<{reference}>"),
            })
            .collect();
        assert_eq!(shown.join("|"), expect, "{text:?}");
    }

    #[test]
    fn references_are_found_and_escapes_kept() {
        check("", "");
        check("a${b.c}d", "a|<b.c>|d");
        check("${a}${b}", "<a>|<b>");
        check("$HOME and $$ and {x}", "$HOME and $$ and {x}");
        check("$${HOME}", "${HOME}");
        check("$$${a}", "$|<a>");
        check("$$$${a}", "$${a}");
        check("a$b${c}", "a$b|<c>");
        assert_eq!(split_references("a ${b"), None);
    }

    proptest! {
        #[test]
        fn any_literal_survives_printing(text in "[a${}]{0,12}", tail in any::<bool>()) {
            let mut template = Template::literal(&text);
            if tail {
                template.segments.push(Segment::AppName);
            }
            let mut read = Template::default();
            for piece in split_references(&template.to_string()).unwrap() {
                match piece {
                    Piece::Literal(literal) => read.push_literal(&literal),
                    Piece::Reference(reference) => {
                        prop_assert_eq!(reference, "app.name");
                        read.segments.push(Segment::AppName);
                    }
                }
            }
            prop_assert_eq!(read, template);
        }
    }
}
