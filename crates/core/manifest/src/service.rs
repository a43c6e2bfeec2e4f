//! `[service.<name>]`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::defaults;
use crate::document::{Entry, Node, Value};
use crate::health::read_health;
use crate::lifecycle::{read_build, read_restart, read_stop};
use crate::name::check_name;
use crate::need::{Edge, read_needs};
use crate::path::resolve;
use crate::reference::Scope;
use crate::section::{Keys, Section, open_map};
use crate::vars::read_scalar;
use crate::words::{WordsError, split_words};
use crate::{Kind, Port, Service, Template};

pub(crate) const SERVICE_KEYS: Keys = Keys {
    now: &[
        "build",
        "dir",
        "env",
        "health",
        "instances",
        "kind",
        "needs",
        "ports",
        "restart",
        "run",
        "stop",
    ],
    later: &[
        "args",
        "files",
        "ignore",
        "image",
        "isolate",
        "lost_after",
        "mesh",
        "overlap",
        "place",
        "pull",
        "reload",
        "resources",
        "schedule",
        "singleton",
        "timezone",
        "update",
        "url",
        "volumes",
        "watch",
    ],
};

/// Variables that every instance is given by Synod itself.
const RESERVED_ENV: [&str; 4] = ["SYNOD_APP", "SYNOD_INSTANCE", "SYNOD_SERVICE", "SYNOD_SLOT"];

/// Reads a service and adds what it waits for. `base` is the directory of the manifest.
pub(crate) fn read_service<'a>(
    scope: Scope<'a>,
    entry: &'a Entry,
    base: &Path,
    edges: &mut Vec<Edge<'a>>,
) -> Option<Service> {
    let reader = scope.reader;
    let named = check_name(reader, entry, "service");
    let section = Section::open(reader, &entry.node, &SERVICE_KEYS)?;
    let kind = scope.service.kind;

    let run = match section.get("run") {
        Some(node) => read_run(scope, node),
        // A service that wants one of these lacks nothing else.
        None if section.names_later(&["image", "url"]) => None,
        None => section.require("run", RUN_FORM).and(None),
    };
    let dir = section.get("dir").map_or(Some(base.to_owned()), |node| read_dir(scope, node, base));
    let build = section.get("build").map(|node| read_build(reader, node));
    let instances = section
        .get("instances")
        .map_or(Some(defaults::INSTANCES), |node| read_instances(scope, node));
    if let (Kind::Task, Some(node)) = (kind, section.get("ports")) {
        let help = "leave ports out, or make it a service";
        reader.report_help(node, "a task takes no requests, so it has no ports", help);
    }
    check_fixed_port_alone(scope, instances);
    let needs =
        section.get("needs").map_or(Some(Vec::new()), |node| read_needs(scope, node, edges));
    let env = section.get("env").map_or(Some(BTreeMap::new()), |node| read_env(scope, node));
    let health = match section.get("health") {
        Some(node) => read_health(reader, node, scope.service),
        None => Some(defaults::health(scope.service)),
    };
    let restart = match section.get("restart") {
        Some(node) => read_restart(reader, node, kind),
        None => Some(defaults::restart(kind)),
    };
    let stop = match section.get("stop") {
        Some(node) => read_stop(reader, node),
        None => Some(defaults::stop()),
    };
    let ports: Vec<Port> = scope.service.ports.iter().map(|own| own.port.clone()).collect();
    named.then_some(())?;
    Some(Service {
        name: entry.key.clone(),
        kind,
        run: run?,
        dir: dir?,
        build: build.map_or(Some(None), |build| build.map(Some))?,
        instances: instances?,
        ports,
        needs: needs?,
        env: env?,
        health: health?,
        restart: restart?,
        stop: stop?,
    })
}

const RUN_FORM: &str =
    "the program and its arguments: run = \"./server --fast\" or run = [\"./server\", \"--fast\"]";

fn read_run(scope: Scope<'_>, node: &Node) -> Option<Vec<Template>> {
    let reader = scope.reader;
    let words: Option<Vec<Template>> = match &node.value {
        Value::Array(nodes) => {
            let read = |node: &Node| match &node.value {
                Value::String(text) => scope.template(node, text),
                _ => reader.string(node).map(|text| Template::literal(&text)),
            };
            let words: Vec<_> = nodes.iter().map(read).collect();
            words.into_iter().collect()
        }
        Value::String(text) => match split_words(text) {
            Ok(words) => words.iter().map(|word| scope.template(node, word)).collect(),
            Err(error) => {
                let help = match error {
                    WordsError::Operator(_) => SHELL_FORM,
                    WordsError::OpenQuote(_) | WordsError::TrailingBackslash => RUN_FORM,
                };
                reader.report_help(node, error.to_string(), help);
                None
            }
        },
        _ => {
            let message = format!("must be a string or a list, found {}", node.kind());
            reader.report_help(node, message, RUN_FORM);
            None
        }
    };
    let words = words?;
    if words.first().is_none_or(|program| program.segments.is_empty()) {
        reader.report_help(node, "the program is empty", RUN_FORM);
        return None;
    }
    Some(words)
}

const SHELL_FORM: &str =
    "for a shell write run = [\"sh\", \"-c\", \"...\"]; quote the word to pass it on as it is";

fn read_dir(scope: Scope<'_>, node: &Node, base: &Path) -> Option<PathBuf> {
    let dir = scope.reader.string(node)?;
    if dir.is_empty() {
        scope.reader.report_help(node, "is empty", "\".\" is the directory of the manifest");
        return None;
    }
    Some(resolve(base, &dir))
}

fn read_instances(scope: Scope<'_>, node: &Node) -> Option<u32> {
    if let Value::Table(_) = node.value {
        let help = "write a number: instances = 2";
        scope.reader.report_help(node, "a range of instances: not supported yet", help);
        return None;
    }
    scope.reader.integer(node, defaults::INSTANCES_RANGE)
}

fn check_fixed_port_alone(scope: Scope<'_>, instances: Option<u32>) {
    let Some(instances) = instances.filter(|instances| *instances > 1) else { return };
    for own in &scope.service.ports {
        if let Some(number) = own.port.number {
            let message = format!("{instances} instances cannot share port {number}");
            scope.reader.report_help(own.node, message, "write \"auto\", or instances = 1");
        }
    }
}

fn read_env(scope: Scope<'_>, node: &Node) -> Option<BTreeMap<String, Template>> {
    let mut env = Some(BTreeMap::new());
    for entry in open_map(scope.reader, node)? {
        let valid = check_env_name(scope, entry);
        let value = match &entry.node.value {
            Value::String(text) => scope.template(&entry.node, text),
            _ => read_scalar(scope.reader, &entry.node).map(|text| Template::literal(&text)),
        };
        match (&mut env, value) {
            (Some(env), Some(value)) if valid => {
                env.insert(entry.key.clone(), value);
            }
            _ => env = None,
        }
    }
    env
}

fn check_env_name(scope: Scope<'_>, entry: &Entry) -> bool {
    let key = entry.key.as_str();
    let message = if key.is_empty() || key.contains(['=', '\0']) {
        format!("{key:?} cannot be the name of a variable")
    } else if RESERVED_ENV.contains(&key) {
        "is set by Synod for every instance".to_owned()
    } else {
        return true;
    };
    scope.reader.report_at(&entry.key_span, &entry.node.path, message, None);
    false
}
