//! An app as a manifest in which nothing is left to a default.

use std::fmt::Write as _;
use std::path::Path;

use crate::document::is_bare;
use crate::duration::format_duration;
use crate::health::ProbeRole;
use crate::{
    App, Kind, NeedCondition, Port, Probe, ProbeAction, Protocol, Route, Service, Template,
};

/// The app as TOML with every default written out.
///
/// Parsed as the file at [`App::path`] it gives an equal app. Directories are given relative to
/// that file where they are below it.
#[must_use]
pub fn expand(app: &App) -> String {
    let mut out = format!("app = {}\n", plain(&app.name));
    let base = app.path.parent().unwrap_or(&app.path);
    for service in app.services.values() {
        // Writing to a string cannot fail.
        let _ = write_service(&mut out, service, base);
    }
    for route in app.routes.values() {
        let _ = write_route(&mut out, route);
    }
    out
}

fn write_service(out: &mut String, service: &Service, base: &Path) -> std::fmt::Result {
    writeln!(out, "\n[service.{}]", key(&service.name))?;
    let kind = match service.kind {
        Kind::Service => "service",
        Kind::Task => "task",
    };
    writeln!(out, "kind = \"{kind}\"")?;
    writeln!(out, "run = {}", array(service.run.iter().map(template)))?;
    writeln!(out, "dir = {}", plain(&relative(&service.dir, base)))?;
    if let Some(build) = &service.build {
        let command = plain(&build.command);
        let timeout = format_duration(build.timeout);
        writeln!(out, "build = {{ command = {command}, timeout = \"{timeout}\" }}")?;
    }
    writeln!(out, "instances = {}", service.instances)?;
    if !service.ports.is_empty() {
        writeln!(out, "ports = {}", inline(service.ports.iter().map(port)))?;
    }
    let needs = service.needs.iter().map(|need| {
        let condition = match need.condition {
            NeedCondition::Done => "done",
            NeedCondition::Ready => "ready",
            NeedCondition::Started => "started",
        };
        format!("\"{}:{condition}\"", need.service)
    });
    writeln!(out, "needs = {}", array(needs))?;
    let restart = &service.restart;
    let codes = array(restart.ok_exit.iter().map(i32::to_string));
    let (min, max) = (format_duration(restart.backoff_min), format_duration(restart.backoff_max));
    let reset = format_duration(restart.reset);
    writeln!(
        out,
        "restart = {{ backoff = \"{min}..{max}\", reset = \"{reset}\", ok_exit = {codes} }}"
    )?;
    let grace = format_duration(service.stop.grace);
    let signal = plain(&service.stop.signal);
    writeln!(out, "stop = {{ signal = {signal}, grace = \"{grace}\" }}")?;

    if service.kind == Kind::Service {
        let health = &service.health;
        writeln!(out, "\n[service.{}.health]", key(&service.name))?;
        writeln!(out, "ready = {}", probe(ProbeRole::Ready, health.ready.as_ref()))?;
        writeln!(out, "live = {}", probe(ProbeRole::Live, health.live.as_ref()))?;
        writeln!(out, "start = {}", probe(ProbeRole::Start, health.start.as_ref()))?;
    }
    if !service.env.is_empty() {
        writeln!(out, "\n[service.{}.env]", key(&service.name))?;
        for (name, value) in &service.env {
            writeln!(out, "{} = {}", key(name), template(value))?;
        }
    }
    Ok(())
}

fn write_route(out: &mut String, route: &Route) -> std::fmt::Result {
    writeln!(out, "\n[route.{}]", key(&route.name))?;
    writeln!(out, "host = {}", plain(&route.host))?;
    writeln!(out, "path = {}", plain(&route.path))?;
    let targets = route.to.iter().map(|target| {
        let endpoint = format!("{}:{}", target.service, target.port);
        format!("{{ service = {}, weight = {} }}", plain(&endpoint), target.weight)
    });
    writeln!(out, "to = {}", array(targets))?;
    writeln!(out, "timeout = \"{}\"", format_duration(route.timeout))
}

fn port(port: &Port) -> String {
    let number = port.number.map_or("\"auto\"".to_owned(), |number| number.to_string());
    let protocol = match port.protocol {
        Protocol::Grpc => "grpc",
        Protocol::Http => "http",
        Protocol::Tcp => "tcp",
    };
    format!("{} = {{ port = {number}, proto = \"{protocol}\" }}", key(&port.name))
}

fn probe(role: ProbeRole, probe: Option<&Probe>) -> String {
    let Some(probe) = probe else { return "\"none\"".to_owned() };
    let check = match &probe.action {
        ProbeAction::Http { port, path } => format!("http:{port}{path}"),
        ProbeAction::Log { pattern } => format!("log:{pattern}"),
        ProbeAction::Tcp { port } => format!("tcp:{port}"),
    };
    let mut fields = vec![
        format!("check = {}", plain(&check)),
        format!("every = \"{}\"", format_duration(probe.every)),
        format!("timeout = \"{}\"", format_duration(probe.timeout)),
    ];
    if role != ProbeRole::Start {
        fields.push(format!("fails = {}", probe.fails));
    }
    fields.push(format!("grace = \"{}\"", format_duration(probe.grace)));
    inline(fields)
}

/// A directory as the manifest names it.
fn relative(dir: &Path, base: &Path) -> String {
    match dir.strip_prefix(base) {
        Ok(below) if below.as_os_str().is_empty() => ".".to_owned(),
        Ok(below) => below.to_string_lossy().into_owned(),
        Err(_) => dir.to_string_lossy().into_owned(),
    }
}

fn array(values: impl IntoIterator<Item = String>) -> String {
    let values: Vec<_> = values.into_iter().collect();
    format!("[{}]", values.join(", "))
}

fn inline(fields: impl IntoIterator<Item = String>) -> String {
    let fields: Vec<_> = fields.into_iter().collect();
    format!("{{ {} }}", fields.join(", "))
}

/// Text that holds no references.
fn plain(text: &str) -> String {
    template(&Template::literal(text))
}

fn template(template: &Template) -> String {
    quote(&template.to_string())
}

fn key(name: &str) -> String {
    if is_bare(name) { name.to_owned() } else { quote(name) }
}

/// A TOML basic string.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() => {
                out.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
