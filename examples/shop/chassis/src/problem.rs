//! The answer to a request that cannot be met.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

/// An error as its caller sees it: a status, and a sentence under `error`.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    error: String,
}

impl Problem {
    /// Answers `status` with the reason.
    pub fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.error }))).into_response()
    }
}
