//! What instances printed.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use synod_agent::log::{LogLine, LogLines, LogQuery};

use crate::api::Api;
use crate::extract::{AppName, Params, is_name};
use crate::ndjson;
use crate::problem::{Kind, Problem};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    /// One service, or several between commas; all of them without it.
    service: Option<String>,
    instance: Option<String>,
    since_ms: Option<u64>,
    tail: Option<usize>,
    #[serde(default)]
    follow: bool,
}

/// The lines of an app. There need be no such app any more: logs outlive it.
pub(crate) async fn read(
    State(api): State<Api>,
    AppName(app): AppName,
    Params(query): Params<Query>,
) -> Result<Response, Problem> {
    let permit = api.begin_wait()?;
    let services: Vec<_> = query.service.iter().flat_map(|names| names.split(',')).collect();
    if let Some(bad) = services.iter().find(|name| !is_name(name)) {
        return Err(Problem::new(Kind::BadQuery, format!("service={bad:?} is not a name")));
    }
    let query = LogQuery {
        app,
        services: services.into_iter().map(str::to_owned).collect(),
        instance: query.instance,
        since_ms: query.since_ms,
        tail: query.tail,
        follow: query.follow,
    };
    let lines = api.logs().query(query).map_err(|error| {
        Problem::new(Kind::Internal, format!("the logs cannot be read: {error}"))
    })?;
    Ok(ndjson::response(&api, permit, lines))
}

impl ndjson::Source for LogLines {
    type Line = LogLine;

    async fn next(&mut self) -> Result<Option<LogLine>, String> {
        Self::next(self).await.map_err(|error| error.to_string())
    }
}
