//! The body of plan and apply.

use std::collections::BTreeMap;

use serde::Deserialize;
use synod_jobs::Apply;
use synod_manifest::App;

use crate::extract::is_name;
use crate::problem::{Kind, Problem};

/// A checked manifest, to be planned or applied.
///
/// The command line has checked the file. What others rely on without looking again is checked
/// here once more, since anybody may send anything: names become keys and paths of files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplyBody {
    app: App,
    #[serde(default)]
    builds: BTreeMap<String, String>,
    #[serde(default)]
    orphan_after_ms: Option<u64>,
    /// Reserved: take an app's name over from another manifest.
    #[serde(default)]
    force: bool,
}

impl TryFrom<ApplyBody> for Apply {
    type Error = Problem;

    fn try_from(body: ApplyBody) -> Result<Self, Problem> {
        let ApplyBody { app, builds, orphan_after_ms, force } = body;
        if force {
            let detail = "force is not supported yet: take the other app down first";
            return Err(Problem::new(Kind::Unsupported, detail));
        }
        check(&app).map_err(|detail| Problem::new(Kind::InvalidBody, detail))?;
        Ok(Self { app, builds, orphan_after_ms })
    }
}

fn check(app: &App) -> Result<(), String> {
    check_name("app", &app.name)?;
    for (name, service) in &app.services {
        check_name("service", name)?;
        check_same("service", name, &service.name)?;
        for port in &service.ports {
            check_name("port", &port.name)?;
        }
        for need in &service.needs {
            check_there(app, &need.service, &format!("service {name} needs"))?;
        }
        if !service.dir.is_absolute() {
            return Err(format!("the dir of service {name} must be an absolute path"));
        }
        if service.run.is_empty() {
            return Err(format!("service {name} must run something"));
        }
    }
    for (name, route) in &app.routes {
        check_name("route", name)?;
        check_same("route", name, &route.name)?;
        for target in &route.to {
            check_there(app, &target.service, &format!("route {name} leads to"))?;
        }
    }
    Ok(())
}

fn check_name(what: &str, name: &str) -> Result<(), String> {
    if is_name(name) {
        return Ok(());
    }
    Err(format!("{name:?} is no {what} name: use lower-case letters, digits and hyphens"))
}

fn check_same(what: &str, key: &str, name: &str) -> Result<(), String> {
    if key == name {
        return Ok(());
    }
    Err(format!("{what} {key} calls itself {name:?}"))
}

fn check_there(app: &App, service: &str, who: &str) -> Result<(), String> {
    if app.services.contains_key(service) {
        return Ok(());
    }
    Err(format!("{who} {service:?}, which is no service of the app"))
}
