//! Streams of newline-delimited JSON.

use std::future::Future;
use std::io;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Serialize;
use synod_task::Tasks;
use tokio::sync::OwnedSemaphorePermit;

use crate::api::Api;

/// Where the values of a stream come from.
pub(crate) trait Source: Send + 'static {
    /// What a line says.
    type Line: Serialize;

    /// The next line; `None` once all has been said.
    fn next(&mut self) -> impl Future<Output = Result<Option<Self::Line>, String>> + Send;
}

struct State<S> {
    source: S,
    tasks: Tasks,
    /// Given back when the client has had enough.
    _permit: OwnedSemaphorePermit,
}

/// Answers with one line per value. When the source fails or the daemon ends, the body is cut off
/// without its end, so that the client does not take it for whole.
pub(crate) fn response<S: Source>(api: &Api, permit: OwnedSemaphorePermit, source: S) -> Response {
    let state = State { source, tasks: api.tasks().clone(), _permit: permit };
    let lines = stream::unfold(Some(state), async |state| {
        let mut state = state?;
        match next(&mut state).await {
            Ok(Some(line)) => Some((Ok(line), Some(state))),
            Ok(None) => None,
            Err(error) => {
                tracing::debug!(%error, "a stream was cut off");
                Some((Err(error), None))
            }
        }
    });
    let mut response = Body::from_stream(lines).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn next<S: Source>(state: &mut State<S>) -> io::Result<Option<Bytes>> {
    let value = tokio::select! {
        // First, so that a source that never pauses does not hold up the end.
        biased;
        () = state.tasks.cancelled() => return Err(io::Error::other("the daemon is ending")),
        value = state.source.next() => value.map_err(io::Error::other)?,
    };
    let Some(value) = value else { return Ok(None) };
    let mut line = serde_json::to_vec(&value)?;
    line.push(b'\n');
    Ok(Some(line.into()))
}
