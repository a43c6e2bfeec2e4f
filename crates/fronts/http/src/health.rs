//! The daemon itself: how it is, which version, and its end.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::api::Api;
use crate::extract::Params;
use crate::problem::Problem;

/// How the daemon is. Whoever gets this answer has reached one that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The daemon's version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// The node it runs instances on.
    pub node: String,
    /// The gateway's port.
    pub gateway_port: u16,
    /// When it started, in milliseconds since the Unix epoch.
    pub started_ms: u64,
}

/// An object of the store that the gateway does not apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Which.
    pub object: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The daemon, and what it cannot make true.
#[derive(Serialize)]
pub(crate) struct HealthAnswer {
    #[serde(flatten)]
    health: Health,
    rejected: Vec<Rejected>,
}

pub(crate) async fn health(State(api): State<Api>) -> Json<HealthAnswer> {
    Json(HealthAnswer { health: api.health().clone(), rejected: api.rejected() })
}

#[derive(Serialize)]
pub(crate) struct Version {
    version: String,
}

pub(crate) async fn version(State(api): State<Api>) -> Json<Version> {
    Json(Version { version: api.health().version.clone() })
}

/// When to end.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShutdownQuery {
    /// Only a daemon that was started for an app and has none any more.
    #[serde(default)]
    if_idle: bool,
}

/// Whether the daemon ends.
#[derive(Serialize)]
pub(crate) struct Shutdown {
    stopping: bool,
}

pub(crate) async fn shutdown(
    State(api): State<Api>,
    Params(query): Params<ShutdownQuery>,
) -> Result<(StatusCode, Json<Shutdown>), Problem> {
    let stopping = !query.if_idle || (api.ends_when_idle() && api.jobs().apps().await?.is_empty());
    if stopping {
        tracing::info!("shutdown was asked for");
        api.request_shutdown();
    }
    Ok((StatusCode::ACCEPTED, Json(Shutdown { stopping })))
}
