//! Apps: planned, applied, shown, followed, restarted, taken down.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use synod_agent::service_environment;
use synod_jobs::{AppOverview, AppStatus, Apply, Plan, StatusWatch};

use crate::api::Api;
use crate::app_body::ApplyBody;
use crate::extract::{AppName, Body, ServiceName};
use crate::ndjson;
use crate::problem::Problem;

/// The services that something was begun with.
#[derive(Serialize)]
pub(crate) struct Begun {
    services: Vec<String>,
}

type Accepted = (StatusCode, Json<Begun>);

fn accepted(services: Vec<String>) -> Accepted {
    (StatusCode::ACCEPTED, Json(Begun { services }))
}

pub(crate) async fn plan(
    State(api): State<Api>,
    Body(body): Body<ApplyBody>,
) -> Result<Json<Plan>, Problem> {
    let apply = Apply::try_from(body)?;
    Ok(Json(api.jobs().plan(&apply).await?))
}

pub(crate) async fn apply(
    State(api): State<Api>,
    Body(body): Body<ApplyBody>,
) -> Result<Json<Plan>, Problem> {
    let apply = Apply::try_from(body)?;
    Ok(Json(api.jobs().apply(&apply).await?))
}

pub(crate) async fn list(State(api): State<Api>) -> Result<Json<Vec<AppOverview>>, Problem> {
    Ok(Json(api.jobs().apps().await?))
}

pub(crate) async fn status(
    State(api): State<Api>,
    AppName(app): AppName,
) -> Result<Json<AppStatus>, Problem> {
    Ok(Json(api.jobs().status(&app).await?))
}

/// Where the app's services are reached, in the variables that they themselves get.
pub(crate) async fn environment(
    State(api): State<Api>,
    AppName(app): AppName,
) -> Result<Json<BTreeMap<String, String>>, Problem> {
    let status = api.jobs().status(&app).await?;
    let addresses = api.addresses().list(Some(&app)).await?;
    let services = &status.services;
    let services = services.iter().map(|service| (service.name.as_str(), &service.ports[..]));
    Ok(Json(service_environment(&app, services, &addresses)))
}

pub(crate) async fn down(
    State(api): State<Api>,
    AppName(app): AppName,
) -> Result<Accepted, Problem> {
    let status = api.jobs().status(&app).await?;
    api.jobs().down(&app).await?;
    Ok(accepted(status.services.into_iter().map(|service| service.name).collect()))
}

pub(crate) async fn restart_all(
    State(api): State<Api>,
    AppName(app): AppName,
) -> Result<Accepted, Problem> {
    Ok(accepted(api.jobs().restart(&app, None).await?))
}

pub(crate) async fn restart(
    State(api): State<Api>,
    name: ServiceName,
) -> Result<Accepted, Problem> {
    Ok(accepted(api.jobs().restart(&name.app, Some(&name.service)).await?))
}

pub(crate) async fn stop(State(api): State<Api>, name: ServiceName) -> Result<Accepted, Problem> {
    api.jobs().stop(&name.app, &name.service).await?;
    Ok(accepted(vec![name.service]))
}

/// The status as it is, and again on each change until the app is gone.
pub(crate) async fn watch(
    State(api): State<Api>,
    AppName(app): AppName,
) -> Result<Response, Problem> {
    let permit = api.begin_wait()?;
    let mut watch = api.jobs().watch_status(&app).await?;
    let first = match watch.next().await? {
        Some(status) => status,
        // Fails for an app that is not there, naming the nearest, which the watch cannot.
        None => api.jobs().status(&app).await?,
    };
    Ok(ndjson::response(&api, permit, Statuses { first: Some(first), watch }))
}

/// How an app stands, again and again.
struct Statuses {
    first: Option<AppStatus>,
    watch: StatusWatch,
}

impl ndjson::Source for Statuses {
    type Line = AppStatus;

    async fn next(&mut self) -> Result<Option<AppStatus>, String> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.watch.next().await.map_err(|error| error.to_string()),
        }
    }
}
