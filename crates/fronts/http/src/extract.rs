//! Taking requests apart, with problems instead of bare texts when that fails.

use axum::Json;
use axum::extract::rejection::{BytesRejection, JsonRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::{Kind, Problem};

/// The largest body that is read.
pub(crate) const BODY_BYTES_MAX: usize = 4 << 20;

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(body_problem(&rejection)),
        }
    }
}

fn body_problem(rejection: &JsonRejection) -> Problem {
    let kind = match rejection {
        JsonRejection::JsonDataError(_) => Kind::InvalidBody,
        JsonRejection::MissingJsonContentType(_) => Kind::UnsupportedMediaType,
        JsonRejection::BytesRejection(rejection) => return bytes_problem(rejection),
        _ => Kind::MalformedBody,
    };
    Problem::new(kind, rejection.body_text())
}

fn bytes_problem(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = format!("a body may have {} MiB", BODY_BYTES_MAX >> 20);
        return Problem::new(Kind::BodyTooLarge, detail);
    }
    Problem::new(Kind::MalformedBody, rejection.body_text())
}

/// The parameters of the query.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => Err(Problem::new(Kind::BadQuery, rejection.body_text())),
        }
    }
}

/// The app of the path.
pub(crate) struct AppName(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for AppName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(app) = Path::<String>::from_request_parts(parts, state).await.map_err(no_path)?;
        check_name("app", &app, Kind::AppNotFound)?;
        Ok(Self(app))
    }
}

/// The app and the service of the path.
pub(crate) struct ServiceName {
    pub(crate) app: String,
    pub(crate) service: String,
}

impl<S: Send + Sync> FromRequestParts<S> for ServiceName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((app, service)) = path.map_err(no_path)?;
        check_name("app", &app, Kind::AppNotFound)?;
        check_name("service", &service, Kind::ServiceNotFound)?;
        Ok(Self { app, service })
    }
}

/// What is no name cannot be there; and it must not become part of a key or a file's path.
fn check_name(what: &str, name: &str, kind: Kind) -> Result<(), Problem> {
    if is_name(name) {
        return Ok(());
    }
    Err(Problem::new(kind, format!("there is no {what} {name:?}: that is not a name")))
}

/// Whether this can be part of a key and of a file's path: the characters of manifest names.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(fits)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn no_path(rejection: axum::extract::rejection::PathRejection) -> Problem {
    Problem::new(Kind::EndpointNotFound, rejection.body_text())
}
