//! Errors as RFC 9457 problem documents.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

/// Why a request was not done, as the client gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    pub(crate) detail: String,
}

/// What kinds of problems there are. The names of [`Facts`] are an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    AppNameTaken,
    AppNotFound,
    BadQuery,
    BeingRemoved,
    BodyTooLarge,
    Busy,
    ChangedMeanwhile,
    EndpointNotFound,
    HostNotAllowed,
    Internal,
    InvalidBody,
    MalformedBody,
    MethodNotAllowed,
    OriginNotAllowed,
    OutcomeUnknown,
    ServiceNotFound,
    StoreFull,
    StoreStopped,
    TooLarge,
    Unauthorized,
    UnreadableValue,
    Unsupported,
    UnsupportedMediaType,
}

/// What is the same for every problem of a kind.
struct Facts {
    status: StatusCode,
    name: &'static str,
    title: &'static str,
    /// The code that `synod explain` knows; else the name serves as one.
    code: Option<&'static str>,
}

impl Kind {
    fn facts(self) -> Facts {
        use StatusCode as S;
        let (status, name, title, code) = match self {
            Self::AppNameTaken => {
                (S::CONFLICT, "app-name-taken", "The app's name is taken", Some("SYN-0002"))
            }
            Self::AppNotFound => (S::NOT_FOUND, "app-not-found", "There is no such app", None),
            Self::BadQuery => (S::BAD_REQUEST, "bad-query", "The query is not understood", None),
            Self::BeingRemoved => {
                (S::CONFLICT, "app-being-removed", "The app is being taken down", None)
            }
            Self::BodyTooLarge => {
                (S::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large", None)
            }
            Self::Busy => (S::SERVICE_UNAVAILABLE, "busy", "Too much at once", None),
            Self::ChangedMeanwhile => {
                (S::CONFLICT, "changed-meanwhile", "Others changed the same", None)
            }
            Self::EndpointNotFound => {
                (S::NOT_FOUND, "endpoint-not-found", "There is no such endpoint", None)
            }
            Self::HostNotAllowed => {
                (S::FORBIDDEN, "host-not-allowed", "The host is not allowed", None)
            }
            Self::Internal => {
                (S::INTERNAL_SERVER_ERROR, "internal", "The daemon made a mistake", None)
            }
            Self::InvalidBody => {
                (S::UNPROCESSABLE_ENTITY, "invalid-body", "The body does not fit", None)
            }
            Self::MalformedBody => (S::BAD_REQUEST, "malformed-body", "The body is no JSON", None),
            Self::MethodNotAllowed => {
                (S::METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not allowed", None)
            }
            Self::OriginNotAllowed => {
                (S::FORBIDDEN, "origin-not-allowed", "The origin is not allowed", None)
            }
            Self::OutcomeUnknown => {
                (S::GATEWAY_TIMEOUT, "outcome-unknown", "The outcome is not known", None)
            }
            Self::ServiceNotFound => {
                (S::NOT_FOUND, "service-not-found", "There is no such service", None)
            }
            Self::StoreFull => (S::INSUFFICIENT_STORAGE, "store-full", "The store is full", None),
            Self::StoreStopped => {
                let title = "The store has stopped";
                (S::SERVICE_UNAVAILABLE, "store-stopped", title, Some("SYN-0009"))
            }
            Self::TooLarge => {
                (S::UNPROCESSABLE_ENTITY, "too-large", "The store cannot take that much", None)
            }
            Self::Unauthorized => (S::UNAUTHORIZED, "unauthorized", "The token is wrong", None),
            Self::UnreadableValue => {
                let title = "A value in the store cannot be read";
                (S::INTERNAL_SERVER_ERROR, "unreadable-value", title, None)
            }
            Self::Unsupported => {
                (S::UNPROCESSABLE_ENTITY, "unsupported", "That is not supported", None)
            }
            Self::UnsupportedMediaType => {
                let title = "The body's type is not understood";
                (S::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", title, None)
            }
        };
        Facts { status, name, title, code }
    }
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Facts { status, name, title, code } = self.kind.facts();
        let document = Document {
            r#type: format!("urn:synod:problem:{name}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            code: code.unwrap_or(name),
        };
        let mut response = (status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
