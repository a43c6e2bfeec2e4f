//! One request's way: sanitize → route → pick → send → answer.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use synod_routing::{Cause, ClusterId, Host, Listener, Protocol, Refusal, without_params};
use tokio::time::Instant;

use crate::answer::answer;
use crate::body::{InFlight, Progress, RequestBody, ResponseBody, Upstream};
use crate::link::Upgrade;
use crate::pool::{Lease, Unavailable, Want};
use crate::sanitize::{
    X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, sanitize, strip_response,
};
use crate::serve::Downstream;
use crate::snapshot::{Picked, Snapshot};
use crate::tunnel;

/// How many endpoints are tried before a request is given up, while none has seen any of it.
const ENDPOINTS_MAX: usize = 3;

/// Serves one request.
pub(crate) async fn forward(
    downstream: Arc<Downstream>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let in_flight =
        InFlight { link: downstream.link.clone(), _held: downstream.counters.requested() };
    let version = request.version();
    let answered = handle(&downstream, request, in_flight).await;
    let response = answered.unwrap_or_else(|cause| {
        tracing::debug!(listener = &*downstream.listener, %cause, "request not served");
        answer(&cause, version)
    });
    // After an accepted upgrade this changes nothing.
    if let Some(link) = &downstream.link {
        link.answer_upgrade(Upgrade::Declined);
    }
    downstream.counters.answered(response.status());
    response
}

async fn handle(
    downstream: &Downstream,
    request: Request<Incoming>,
    in_flight: InFlight,
) -> Result<Response<ResponseBody>, Cause> {
    let mut is_websocket = false;
    if let Some(link) = &downstream.link {
        if let Some(refusal) = link.head_refusal(link.next_request()) {
            return Err(refusal.into());
        }
        is_websocket = link.is_upgrade_asked();
    }
    let (mut parts, body) = request.into_parts();
    let limits = downstream.shared.options.limits;
    let host = sanitize(&mut parts, limits)?;
    let snapshot = downstream.shared.snapshot.load_full();
    let way = route(&snapshot, downstream, &parts, &host)?;
    let upgrade = match parts.extensions.remove::<OnUpgrade>() {
        upgrade @ Some(_) if is_websocket => upgrade,
        _ => None,
    };
    let mut outbound = Outbound::new(parts, body, host, downstream, upgrade.is_some());
    let deadline = way.timeout.map(|timeout| (Instant::now() + timeout, timeout));

    let answered = {
        let exchange = pin!(outbound.exchange(&snapshot, way.cluster, downstream));
        match deadline {
            None => exchange.await,
            Some((at, after)) => downstream.alarm.before(at, exchange).await.unwrap_or_else(|| {
                let service = snapshot.config.cluster(way.cluster).service.clone();
                Err(Cause::Timeout { service, after })
            }),
        }
    };
    let (response, lease) = answered.map_err(|cause| match &downstream.link {
        // The endpoint's failure is then only the echo of the client's.
        Some(link) => link.body_refusal().map_or(cause, Cause::Refused),
        None => cause,
    })?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return switch(downstream, &snapshot, way.cluster, response, upgrade);
    }
    let (mut parts, body) = response.into_parts();
    parts.version = Version::HTTP_11;
    strip_response(&mut parts.headers);
    let deadline = deadline.map(|(at, _)| at);
    let body = Upstream::new(body, lease, outbound.progress, deadline, in_flight);
    Ok(Response::from_parts(parts, ResponseBody::Upstream(body)))
}

/// Where a request goes.
struct Way {
    cluster: ClusterId,
    timeout: Option<Duration>,
}

fn route(
    snapshot: &Snapshot,
    downstream: &Downstream,
    parts: &Parts,
    host: &HeaderValue,
) -> Result<Way, Cause> {
    let path = without_params(parts.uri.path());
    let host = Host::parse(host.to_str().map_err(|_| Refusal::HostInvalid)?)?;
    let no_route =
        || Cause::NoRoute { host: host.name().to_owned(), path: path.clone().into_owned() };
    let Some(Listener::Http(table)) = snapshot.config.listener(&downstream.listener) else {
        return Err(no_route());
    };
    let route = table.find(host.name(), &path).ok_or_else(no_route)?;
    let cluster = route.pick(downstream.shared.random()).ok_or_else(no_route)?;
    Ok(Way { cluster, timeout: route.timeout })
}

/// A request on its way out, kept so that it can be sent again while that is safe.
struct Outbound {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    host: HeaderValue,
    body: Option<RequestBody>,
    progress: Progress,
    is_upgrade: bool,
}

impl Outbound {
    fn new(
        parts: Parts,
        body: Incoming,
        host: HeaderValue,
        downstream: &Downstream,
        is_upgrade: bool,
    ) -> Self {
        let mut headers = parts.headers;
        headers.insert(X_FORWARDED_FOR, downstream.peer.clone());
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
        headers.insert(X_FORWARDED_HOST, host.clone());
        let (body, progress) = RequestBody::new(body);
        let body = Some(body);
        Self { method: parts.method, uri: parts.uri, headers, host, body, progress, is_upgrade }
    }

    /// Whether the request may be sent although the endpoint may have seen it (RFC 9110 §9.2.2).
    fn is_repeatable(&self) -> bool {
        self.progress.is_empty()
            && !self.is_upgrade
            && matches!(
                self.method,
                Method::DELETE
                    | Method::GET
                    | Method::HEAD
                    | Method::OPTIONS
                    | Method::PUT
                    | Method::TRACE
            )
    }

    /// Sends the request to an endpoint of the cluster and waits for the head of its answer.
    ///
    /// An endpoint that takes no connection is passed over. A request that went out on a used
    /// connection and met its end is sent once more on a new one, if no endpoint saw it or it is
    /// repeatable.
    async fn exchange(
        &mut self,
        snapshot: &Snapshot,
        cluster: ClusterId,
        downstream: &Downstream,
    ) -> Result<(Response<Incoming>, Lease), Cause> {
        let is_repeatable = self.is_repeatable();
        let mut want = if is_repeatable { Want::Any } else { Want::Sound };
        let mut endpoints_left =
            snapshot.config.cluster(cluster).endpoints.len().min(ENDPOINTS_MAX);
        let mut picked = snapshot.pick(cluster)?;
        loop {
            let mut lease = match picked.bucket.lease(want).await {
                Ok(lease) => lease,
                Err(unavailable) => {
                    let cause = unavailable_cause(&picked, &unavailable);
                    tracing::debug!(%cause, "endpoint passed over");
                    endpoints_left = endpoints_left.saturating_sub(1);
                    if endpoints_left == 0 {
                        return Err(cause);
                    }
                    picked = snapshot.pick(cluster)?;
                    continue;
                }
            };
            let may_repeat = lease.is_reused() && want != Want::New;
            let request = self.request(&picked, may_repeat && is_repeatable)?;
            let mut error = match lease.send(request).await {
                Ok(response) => return Ok((response, lease)),
                Err(error) => error,
            };
            let cause = failure(&picked, error.error());
            let ends_connection = is_connection_end(error.error());
            match error.take_message() {
                Some(request) if may_repeat => self.take_back(request),
                None if may_repeat && is_repeatable && ends_connection => {}
                _ => return Err(cause),
            }
            downstream.counters.retried();
            want = Want::New;
        }
    }

    /// The request as the endpoint is to get it. The headers are given away unless `keep`.
    fn request(&mut self, to: &Picked<'_>, keep: bool) -> Result<Request<RequestBody>, Cause> {
        let body = self.body.take().unwrap_or_else(RequestBody::empty);
        let is_unsized = !http_body::Body::is_end_stream(&body)
            && http_body::Body::size_hint(&body).exact().is_none();
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        let headers = if keep { self.headers.clone() } else { std::mem::take(&mut self.headers) };
        *request.headers_mut() = headers;
        if to.bucket.protocol() == Protocol::Http2 {
            request.headers_mut().remove(header::HOST);
            *request.uri_mut() = self.absolute_uri()?;
            *request.version_mut() = Version::HTTP_2;
            return Ok(request);
        }
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        if !headers.contains_key(header::HOST) {
            headers.insert(header::HOST, self.host.clone());
        }
        if is_unsized {
            // Without it the library drops the body of a GET.
            headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        if headers.contains_key(header::TE) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
        }
        if self.is_upgrade {
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        Ok(request)
    }

    /// The request was not sent at all.
    fn take_back(&mut self, request: Request<RequestBody>) {
        let (parts, body) = request.into_parts();
        self.headers = parts.headers;
        self.body = Some(body);
    }

    fn absolute_uri(&self) -> Result<Uri, Cause> {
        let mut parts = self.uri.clone().into_parts();
        parts.scheme = Some(Scheme::HTTP);
        let authority = Authority::try_from(self.host.as_bytes());
        parts.authority = Some(authority.map_err(|_| Refusal::HostInvalid)?);
        Uri::from_parts(parts).map_err(|_| Refusal::TargetInvalid.into())
    }
}

fn unavailable_cause(picked: &Picked<'_>, unavailable: &Unavailable) -> Cause {
    let (service, instance) = (picked.cluster.service.clone(), picked.instance.to_owned());
    match unavailable {
        Unavailable::Overloaded => Cause::Overloaded { service, instance },
        Unavailable::Connect(_) | Unavailable::Handshake(_) => {
            Cause::ConnectFailed { service, instance, reason: unavailable.to_string() }
        }
    }
}

fn failure(picked: &Picked<'_>, error: &hyper::Error) -> Cause {
    let mut reason = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        reason = format!("{reason}: {source}");
    }
    let (service, instance) = (picked.cluster.service.clone(), picked.instance.to_owned());
    Cause::UpstreamFailed { service, instance, reason }
}

/// Whether the connection ended rather than the answer being unreadable.
fn is_connection_end(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error);
    let is_io = source.is_some_and(<dyn std::error::Error>::is::<std::io::Error>);
    error.is_canceled() || error.is_closed() || error.is_incomplete_message() || is_io
}

/// Answers a granted upgrade and joins the two connections.
fn switch(
    downstream: &Downstream,
    snapshot: &Snapshot,
    cluster: ClusterId,
    mut response: Response<Incoming>,
    upgrade: Option<OnUpgrade>,
) -> Result<Response<ResponseBody>, Cause> {
    let (Some(client), Some(link)) = (upgrade, &downstream.link) else {
        return Err(Cause::UpstreamFailed {
            service: snapshot.config.cluster(cluster).service.clone(),
            instance: "the instance".into(),
            reason: "it switched protocols unasked".into(),
        });
    };
    let endpoint = hyper::upgrade::on(&mut response);
    tunnel::join(&downstream.tunnels, client, endpoint, downstream.counters.requested());
    link.answer_upgrade(Upgrade::Accepted);
    let (mut parts, _) = response.into_parts();
    strip_response(&mut parts.headers);
    parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    parts.headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    Ok(Response::from_parts(parts, ResponseBody::Own(None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_small_futures() {
        fn size<F: std::future::Future>(
            _: impl Fn(Arc<Downstream>, Request<Incoming>) -> F,
        ) -> usize {
            std::mem::size_of::<F>()
        }
        let size = size(forward);
        assert!(size <= 4096, "a request's future takes {size} bytes");
    }
}
