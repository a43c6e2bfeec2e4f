//! The rows of `ps`. Their JSON field names are an interface: programs read them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use synod_jobs::{AppState, AppStatus, InstanceReport, ServiceStatus};
use synod_manifest::Kind;
use synod_placement::{Desired, JobSummary, Phase, ServiceState};

use crate::client::{Health, Rejected};

/// Everything that runs.
#[derive(Debug, Default, Serialize)]
pub(crate) struct PsView {
    /// The gateway's port on loopback; none without a daemon.
    pub(crate) gateway_port: Option<u16>,
    pub(crate) apps: Vec<AppRow>,
    pub(crate) services: Vec<JobSummary>,
    pub(crate) instances: Vec<InstanceRow>,
    /// What the gateway does not apply.
    pub(crate) rejected: Vec<Rejected>,
}

/// An app.
#[derive(Debug, Serialize)]
pub(crate) struct AppRow {
    pub(crate) app: String,
    pub(crate) path: PathBuf,
    pub(crate) state: AppState,
    /// Where people look at it: its routes, by name.
    pub(crate) urls: BTreeMap<String, String>,
}

/// An instance.
#[derive(Debug, Serialize)]
pub(crate) struct InstanceRow {
    pub(crate) app: String,
    pub(crate) service: String,
    pub(crate) id: String,
    pub(crate) slot: u32,
    /// One word: waiting, starting, unready, ready, done, draining, stopping, failed, exited.
    pub(crate) state: &'static str,
    /// Whether it takes requests; of a task, whether it is done.
    pub(crate) ready: bool,
    /// Why it is not further.
    pub(crate) reason: Option<String>,
    pub(crate) pid: Option<u32>,
    pub(crate) node: Option<String>,
    pub(crate) ports: BTreeMap<String, u16>,
    pub(crate) created_ms: u64,
    pub(crate) started_ms: Option<u64>,
    /// Failures in a row before this instance.
    pub(crate) failures: u32,
    pub(crate) version: String,
    /// Where the gateway offers the service.
    pub(crate) url: Option<String>,
}

/// How far an app is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Services that are not, with the reason.
    pub(crate) open: Vec<(String, String)>,
}

impl PsView {
    pub(crate) fn new(health: Health, apps: &[AppStatus]) -> Self {
        let gateway_port = health.gateway_port;
        Self {
            services: apps
                .iter()
                .flat_map(|app| app.services.iter().map(|service| service.summary.clone()))
                .collect(),
            rejected: health.rejected,
            gateway_port: Some(gateway_port),
            apps: apps.iter().map(|app| AppRow::new(app, gateway_port)).collect(),
            instances: apps.iter().flat_map(|app| InstanceRow::of_app(app, gateway_port)).collect(),
        }
    }
}

impl AppRow {
    pub(crate) fn new(status: &AppStatus, gateway_port: u16) -> Self {
        let shown = status.routes.values().filter(|route| !route.host.starts_with("*."));
        let urls = shown
            .map(|route| {
                (route.name.clone(), format!("http://{}:{gateway_port}{}", route.host, route.path))
            })
            .collect();
        Self { app: status.app.clone(), path: status.path.clone(), state: status.state, urls }
    }
}

impl InstanceRow {
    /// The instances of an app, in the order of services and slots.
    pub(crate) fn of_app(status: &AppStatus, gateway_port: u16) -> Vec<Self> {
        let rows = status.services.iter().flat_map(|service| {
            let app = &status.app;
            service
                .instances
                .iter()
                .map(move |report| Self::new(app, service, report, gateway_port))
        });
        rows.collect()
    }

    fn new(app: &str, service: &ServiceStatus, report: &InstanceReport, gateway_port: u16) -> Self {
        let InstanceReport { instance, status } = report;
        let (state, reason) = stand(service.kind, report);
        let offered =
            service.ports.iter().any(|port| port.protocol != synod_manifest::Protocol::Tcp);
        let name = &service.name;
        Self {
            app: app.to_owned(),
            service: name.clone(),
            id: instance.id.clone(),
            slot: instance.slot,
            state,
            ready: matches!(state, "done" | "ready"),
            reason,
            pid: status.as_ref().and_then(|status| status.pid),
            node: instance.node.clone(),
            ports: status.as_ref().map(|status| status.ports.clone()).unwrap_or_default(),
            created_ms: instance.created_ms,
            started_ms: status.as_ref().and_then(|status| status.started_ms),
            failures: instance.failures,
            version: instance.version.clone(),
            url: offered.then(|| format!("http://{name}.{app}.localhost:{gateway_port}")),
        }
    }
}

/// How an instance stands, in one word, and why it is not further.
fn stand(kind: Kind, report: &InstanceReport) -> (&'static str, Option<String>) {
    let InstanceReport { instance, status } = report;
    let Some(status) = status else {
        return match instance.desired {
            Desired::Hold => ("waiting", Some(instance.waits.join("; "))),
            Desired::Run => ("starting", None),
            Desired::Stop => ("stopping", None),
        };
    };
    let exit = status.exit.as_ref();
    let cause = exit.map(|exit| exit.cause.to_string());
    match status.phase {
        Phase::Starting => ("starting", status.reason.clone()),
        Phase::Running if status.ready => ("ready", None),
        Phase::Running if kind == Kind::Task => ("running", None),
        Phase::Running => ("unready", status.reason.clone()),
        Phase::Draining => ("draining", status.reason.clone()),
        Phase::Stopping => ("stopping", status.reason.clone()),
        Phase::Exited if exit.is_some_and(|exit| exit.failure) => ("failed", cause),
        Phase::Exited if kind == Kind::Task && instance.desired == Desired::Run => ("done", None),
        Phase::Exited => ("exited", cause),
    }
}

impl Tally {
    pub(crate) fn of(status: &AppStatus) -> Self {
        let mut tally = Self::default();
        for service in &status.services {
            let state = service.summary.state;
            if matches!(state, ServiceState::Done | ServiceState::Ready | ServiceState::Stopped) {
                continue;
            }
            let reason = service.summary.reason.clone().unwrap_or_else(|| state.to_string());
            tally.open.push((service.name.clone(), reason));
        }
        tally
    }
}
