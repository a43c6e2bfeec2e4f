//! From text to a checked app.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use crate::document::{Entry, Node, Value};
use crate::name::read_app_name;
use crate::need::check_cycles;
use crate::outline::Outline;
use crate::port::check_fixed_ports;
use crate::reader::{PROBLEMS_MAX, Reader, did_you_mean, list};
use crate::reference::Scope;
use crate::route::{check_conflicts, read_route};
use crate::section::{Keys, Section, open_map};
use crate::service::read_service;
use crate::vars::read_vars;
use crate::{App, Options, Problem};

pub(crate) const APP_KEYS: Keys = Keys {
    now: &["app", "profile", "route", "service", "vars"],
    later: &["config", "include", "namespace", "secret"],
};
pub(crate) const PROFILE_KEYS: Keys = Keys { now: &["route", "service", "vars"], later: &[] };

/// More text than this is not a manifest.
const TEXT_LEN_MAX: usize = 1 << 20;
/// Every profile is checked each time, so their number is bounded.
const PROFILES_MAX: usize = 32;

/// Reads and checks a manifest.
///
/// `path` is the manifest's absolute path: directories are resolved against its parent, by their
/// text alone, for nothing outside of `text` is looked at. Whether directories and programs
/// exist is for the caller to find out.
///
/// # Errors
///
/// All problems of the manifest in the order of its text, at most 100. A profile that was not
/// chosen is checked too, as far as its own lines go.
pub fn parse(text: &str, path: &Path, options: &Options) -> Result<App, Vec<Problem>> {
    let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let reader = Reader::new(&file, text);
    let root = match read_document(text, path) {
        Ok(root) => root,
        Err((span, message)) => {
            reader.report_at(&span, "", message, None);
            return Err(reader.into_problems());
        }
    };
    let profiles = check_profiles(&reader, &root, options.profile.as_deref());
    let mut problems = reader.into_problems();

    let mut chosen = None;
    for name in profiles.iter().map(|name| Some(*name)).chain([None]) {
        let is_chosen = name == options.profile.as_deref();
        if name.is_none() && !is_chosen {
            continue;
        }
        let result = read_app(&file, text, path, &with_profile(&root, name), options);
        if is_chosen {
            chosen = result.map_err(|found| problems.extend(found)).ok();
        } else if let Err(found) = result {
            let own = profile_spans(&root, name);
            problems.extend(found.into_iter().filter(|problem| is_within(&problem.span, &own)));
        }
    }
    problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
    problems.dedup();
    problems.truncate(PROBLEMS_MAX);
    match chosen {
        Some(app) if problems.is_empty() => Ok(app),
        _ => Err(problems),
    }
}

fn read_document(text: &str, path: &Path) -> Result<Node, (Range<usize>, String)> {
    if path.to_str().is_none() {
        return Err((0..0, format!("the manifest's path {path:?} is not UTF-8")));
    }
    if !path.is_absolute() || path.file_name().is_none() {
        return Err((0..0, format!("the manifest's path {path:?} is not that of a file, from /")));
    }
    if text.len() > TEXT_LEN_MAX {
        let message = format!("a manifest has at most {TEXT_LEN_MAX} bytes, found {}", text.len());
        return Err((0..0, message));
    }
    Node::parse(text).map_err(|error| {
        let end = text.trim_end().len();
        let span = error.span().unwrap_or(end..end);
        (span, error.message().trim().replace('\n', ", "))
    })
}

/// Reports what is wrong with the profiles as such; gives the names of those that can be laid
/// over the manifest.
fn check_profiles<'n>(reader: &Reader<'_>, root: &'n Node, chosen: Option<&str>) -> Vec<&'n str> {
    let entries = root.get("profile").and_then(|node| open_map(reader, node)).unwrap_or_default();
    let names = || entries.iter().map(|entry| entry.key.as_str());
    if entries.len() > PROFILES_MAX {
        let message = format!("at most {PROFILES_MAX} profiles, found {}", entries.len());
        reader.report_at(&entries[PROFILES_MAX].key_span, "profile", message, None);
        return Vec::new();
    }
    if let Some(chosen) = chosen
        && !names().any(|name| name == chosen)
    {
        let message = format!("there is no profile {chosen:?}{}", did_you_mean(chosen, names()));
        let help = Some(list("the profiles are", names()));
        reader.report_at(&(0..0), "profile", message, help);
    }
    let usable = |entry: &&Entry| Section::open(reader, &entry.node, &PROFILE_KEYS).is_some();
    entries.iter().filter(usable).map(|entry| entry.key.as_str()).collect()
}

/// The manifest with a profile laid over it.
fn with_profile(root: &Node, name: Option<&str>) -> Node {
    let mut merged = root.clone();
    if let Some(mut profile) = name.and_then(|name| root.get("profile")?.get(name)).cloned() {
        // The other keys are reported already; laid over the manifest they would confuse it.
        if let Value::Table(entries) = &mut profile.value {
            entries.retain(|entry| PROFILE_KEYS.now.contains(&entry.key.as_str()));
        }
        merged.merge(&profile);
    }
    merged
}

fn profile_spans(root: &Node, name: Option<&str>) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    if let Some(profile) = name.and_then(|name| root.get("profile")?.get(name)) {
        profile.collect_spans(&mut spans);
    }
    spans
}

fn is_within(span: &Range<usize>, outer: &[Range<usize>]) -> bool {
    outer.iter().any(|outer| outer.start <= span.start && span.end <= outer.end)
}

fn read_app(
    file: &str,
    text: &str,
    path: &Path,
    root: &Node,
    options: &Options,
) -> Result<App, Vec<Problem>> {
    let mut reader = Reader::new(file, text);
    let vars = read_vars(&reader, root.get("vars"), &options.vars);
    reader.set_vars(vars);
    let app = read_parts(&reader, path, root);
    match app {
        Some(app) if !reader.has_problems() => Ok(app),
        _ => Err(reader.into_problems()),
    }
}

fn read_parts(reader: &Reader<'_>, path: &Path, root: &Node) -> Option<App> {
    let section = Section::open(reader, root, &APP_KEYS)?;
    let name = section.require("app", "name the app in the first line: app = \"shop\"");
    let name = name.and_then(|node| read_app_name(reader, node));
    let service_entries = section
        .require("service", "an app has at least one service: [service.api]")
        .and_then(|node| open_map(reader, node))
        .unwrap_or_default();
    let route_entries =
        section.get("route").and_then(|node| open_map(reader, node)).unwrap_or_default();

    let outline = Outline::read(reader, service_entries, route_entries);
    let base = path.parent().unwrap_or(path);
    let mut edges = Vec::new();
    let mut services = BTreeMap::new();
    for entry in service_entries {
        let scope =
            Scope { reader, outline: &outline, service: &outline.services[entry.key.as_str()] };
        if let Some(service) = read_service(scope, entry, base, &mut edges) {
            services.insert(service.name.clone(), service);
        }
    }
    check_cycles(reader, &edges);
    check_fixed_ports(reader, &outline);

    let routes: Vec<_> = route_entries
        .iter()
        .filter_map(|entry| Some((entry, read_route(reader, &outline, entry, name.as_deref())?)))
        .collect();
    check_conflicts(reader, &routes);
    let routes = routes.into_iter().map(|(_, route)| (route.name.clone(), route)).collect();
    Some(App { name: name?, path: path.to_owned(), services, routes })
}
