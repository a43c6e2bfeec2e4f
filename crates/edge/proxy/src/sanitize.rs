//! Gives a parsed request one spelling, for routing and for forwarding alike.
//!
//! HTTP/1.1 requests have passed the inspector, HTTP/2 requests the library's checks; what is left
//! is common to both: path, host, and which headers go on. The decisions are `core/routing`'s.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Uri, Version};
use synod_routing::{
    HeaderRule, Host, Limits, Nomination, Refusal, header_rule, nomination, normalize,
};

pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(crate) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Checks the request's host and path, rewrites its target to one spelling, and removes the
/// headers that end here. Returns the host as it was given; the Host header is left as it is.
pub(crate) fn sanitize(parts: &mut Parts, limits: Limits) -> Result<HeaderValue, Refusal> {
    if parts.method == Method::CONNECT {
        return Err(Refusal::ConnectMethod);
    }
    if parts.headers.len() > limits.headers_max {
        return Err(Refusal::TooManyHeaders);
    }
    let host = host(parts)?;
    rewrite_target(parts)?;
    strip_request(&mut parts.headers)?;
    Ok(host)
}

/// The one host of the request.
fn host(parts: &Parts) -> Result<HeaderValue, Refusal> {
    let mut values = parts.headers.get_all(header::HOST).iter();
    let given = values.next();
    if values.next().is_some() {
        return Err(Refusal::HostRepeated);
    }
    // The inspector has compared an absolute target's with the header.
    let authority = parts.uri.authority().filter(|_| parts.version == Version::HTTP_2);
    let Some(authority) = authority else {
        return given.cloned().ok_or(Refusal::HostMissing);
    };
    let host = Host::parse(authority.as_str())?;
    if let Some(given) = given {
        let given = given.to_str().map_err(|_| Refusal::HostInvalid)?;
        if !Host::parse(given)?.is_same_origin(&host, 80) {
            return Err(Refusal::HostMismatch);
        }
    }
    HeaderValue::from_str(authority.as_str()).map_err(|_| Refusal::HostInvalid)
}

/// Leaves an origin-form target with a normal path.
fn rewrite_target(parts: &mut Parts) -> Result<(), Refusal> {
    let path = parts.uri.path();
    if path == "*" && parts.method == Method::OPTIONS {
        return Ok(());
    }
    let normal = normalize(path)?;
    if matches!(normal, std::borrow::Cow::Borrowed(_)) && parts.uri.authority().is_none() {
        return Ok(());
    }
    let target = match parts.uri.query() {
        Some(query) => format!("{normal}?{query}"),
        None => normal.into_owned(),
    };
    let target = PathAndQuery::try_from(target).map_err(|_| Refusal::TargetInvalid)?;
    parts.uri = Uri::from(target);
    Ok(())
}

fn strip_request(headers: &mut HeaderMap) -> Result<(), Refusal> {
    strip_nominated(headers)?;
    let keeps_trailers = accepts_trailers(headers);
    strip(headers, |rule| rule != HeaderRule::Keep);
    if keeps_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    Ok(())
}

/// Removes from an answer what ends here. A nomination that may not be is ignored: the answer's
/// framing was already read.
pub(crate) fn strip_response(headers: &mut HeaderMap) {
    while strip_nominated(headers).is_err() {
        headers.remove(header::CONNECTION);
    }
    strip(headers, |rule| {
        matches!(rule, HeaderRule::Connection | HeaderRule::HopByHop | HeaderRule::Te)
    });
}

/// Removes what `Connection` names.
fn strip_nominated(headers: &mut HeaderMap) -> Result<(), Refusal> {
    if !headers.contains_key(header::CONNECTION) {
        return Ok(());
    }
    let mut nominated = Vec::new();
    for value in headers.get_all(header::CONNECTION) {
        let value = value.to_str().map_err(|_| Refusal::HeaderInvalid)?;
        for token in value.split(',') {
            if nomination(token)? == Nomination::Strip {
                nominated.push(token.trim_matches([' ', '\t']).to_ascii_lowercase());
            }
        }
    }
    for name in nominated {
        // `TE` is nominated as a rule and judged by its own.
        if name != "te" {
            headers.remove(name.as_str());
        }
    }
    Ok(())
}

fn strip(headers: &mut HeaderMap, ends_here: impl Fn(HeaderRule) -> bool) {
    // Most requests have nothing to remove, or a single `Connection`.
    while let Some(name) = headers.keys().find(|name| ends_here(header_rule(name.as_str()))) {
        let name = name.clone();
        headers.remove(&name);
    }
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers.get_all(header::TE).iter().any(|value| {
        let mut codings = value.as_bytes().split(|&byte| byte == b',');
        codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    })
}
