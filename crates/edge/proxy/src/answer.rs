//! Answers of the proxy's own: RFC 9457 problem details that name the cause.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode, Version};
use serde::Serialize;
use synod_routing::Cause;

use crate::body::ResponseBody;

const X_SYNOD_CAUSE: HeaderName = HeaderName::from_static("x-synod-cause");

/// RFC 9457, with the cause as a word for programs.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    cause: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    instances: &'a [String],
}

/// The answer that tells `cause`. A refused HTTP/1 request ends its connection.
pub(crate) fn answer(cause: &Cause, version: Version) -> Response<ResponseBody> {
    let (service, instances) = match cause {
        Cause::NoEndpoints { service, absent } => (Some(service.as_str()), absent.as_slice()),
        Cause::ConnectFailed { service, .. }
        | Cause::Overloaded { service, .. }
        | Cause::Timeout { service, .. }
        | Cause::UpstreamFailed { service, .. } => (Some(service.as_str()), [].as_slice()),
        _ => (None, [].as_slice()),
    };
    let problem = Problem {
        r#type: "about:blank",
        title: cause.title(),
        status: cause.status(),
        detail: cause.to_string(),
        cause: cause.code(),
        service,
        instances,
    };
    let mut body = serde_json::to_vec(&problem).expect("text and numbers have a JSON form");
    body.push(b'\n');
    let mut response = Response::new(ResponseBody::Own(Some(Bytes::from(body))));
    *response.status_mut() = StatusCode::from_u16(cause.status()).expect("causes have valid codes");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(X_SYNOD_CAUSE, HeaderValue::from_static(cause.code()));
    match cause.status() {
        405 => drop(headers.insert(
            ALLOW,
            HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE"),
        )),
        503 => drop(headers.insert(RETRY_AFTER, HeaderValue::from_static("1"))),
        _ => {}
    }
    if matches!(cause, Cause::Refused(_)) && version < Version::HTTP_2 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
