//! Who offers which service where, as a blocking query.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use synod_registry::{Filter, Registration};
use synod_store::Revision;

use crate::api::Api;
use crate::extract::Params;
use crate::problem::{Kind, Problem};

/// The answer's index, to be given as `index` next time.
const INDEX: HeaderName = HeaderName::from_static("x-synod-index");
const WAIT_DEFAULT: Duration = Duration::from_secs(60);
/// Longer waits are cut to this: what sits between may have given up by then.
const WAIT_MAX: Duration = Duration::from_secs(600);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    app: Option<String>,
    service: Option<String>,
    /// The last answer's index. Without it, or with 0, the answer comes at once.
    #[serde(default)]
    index: u64,
    /// The longest wait, with its unit: `30s`, `5m`.
    wait: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    index: u64,
    services: Vec<Registration>,
}

pub(crate) async fn list(
    State(api): State<Api>,
    Params(query): Params<Query>,
) -> Result<Response, Problem> {
    let wait = query.wait.as_deref().map(parse_wait).transpose()?.unwrap_or(WAIT_DEFAULT);
    let filter = Filter { app: query.app, service: query.service };
    let listing = if query.index == 0 {
        api.registry().list(&filter).await?
    } else {
        let _permit = api.begin_wait()?;
        let since = Revision::new(query.index);
        tokio::select! {
            listing = api.registry().changed_since(&filter, since, wait.min(WAIT_MAX)) => listing?,
            () = api.tasks().cancelled() => {
                return Err(Problem::new(Kind::Busy, "the daemon is ending"));
            }
        }
    };
    let index = listing.revision.get();
    let answer = Answer { index, services: listing.registrations };
    Ok(([(INDEX, HeaderValue::from(index))], Json(answer)).into_response())
}

fn parse_wait(text: &str) -> Result<Duration, Problem> {
    humantime::parse_duration(text).map_err(|error| {
        let detail = format!("wait={text} is no duration such as 30s: {error}");
        Problem::new(Kind::BadQuery, detail)
    })
}
