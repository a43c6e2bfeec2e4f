//! Who may ask: `Host`, `Origin` and the token of each request.
//!
//! A page in a browser can send requests to loopback ports, and by DNS rebinding even under a name
//! of its own. It can choose neither the `Host` nor the `Origin` that its browser sends, so
//! checking both keeps it out; the token keeps out other users of the machine.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN};
use http::uri::{Authority, Uri};

use crate::problem::{Kind, Problem};
use crate::token::Token;

/// What a listener asks of every request.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    /// The listener's port, which the host must name; `None` for a unix socket, which has none.
    pub(crate) port: Option<u16>,
    /// The token; `None` where the socket's mode keeps strangers out.
    pub(crate) token: Option<Token>,
}

/// Lets a request pass, or answers why not.
pub(crate) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            // Its target and headers may hold secrets of whoever sent it here by mistake.
            tracing::debug!(reason = problem.detail, "refused a request");
            problem.into_response()
        }
    }
}

impl Guard {
    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        self.check_host(uri, headers)?;
        self.check_origin(headers)?;
        self.check_token(headers)
    }

    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let refused = |detail: &str| Err(Problem::new(Kind::HostNotAllowed, detail));
        let Ok(Some(host)) = single(headers, &HOST) else {
            return refused("a request needs exactly one Host header");
        };
        // In the absolute form the target names the host too (RFC 9112 §3.2.2).
        let target = uri.authority().map(Authority::as_str);
        for named in [Some(host), target].into_iter().flatten() {
            if !self.is_ours(named) {
                return refused("the host must be localhost, 127.0.0.1 or [::1] with our port");
            }
        }
        Ok(())
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let allowed = match single(headers, &ORIGIN) {
            Ok(None) => true,
            Ok(Some(origin)) => {
                origin.strip_prefix("http://").is_some_and(|origin| self.is_ours(origin))
            }
            Err(Ambiguous) => false,
        };
        if allowed {
            return Ok(());
        }
        Err(Problem::new(Kind::OriginNotAllowed, "pages of other origins may not use this API"))
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(token) = &self.token else { return Ok(()) };
        let given = single(headers, &AUTHORIZATION).ok().flatten();
        let given = given.and_then(|given| given.split_once(' '));
        match given {
            Some((scheme, given))
                if scheme.eq_ignore_ascii_case("bearer") && token.matches(given.as_bytes()) =>
            {
                Ok(())
            }
            _ => Err(Problem::new(
                Kind::Unauthorized,
                "send the daemon's token as `Authorization: Bearer <token>`",
            )),
        }
    }

    /// Whether `<host>[:<port>]` names this machine, and this listener.
    fn is_ours(&self, named: &str) -> bool {
        let Ok(authority) = named.parse::<Authority>() else { return false };
        if named.contains('@') {
            return false;
        }
        let host = authority.host().to_ascii_lowercase();
        let is_loopback = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]")
            || host.strip_suffix(".localhost").is_some_and(|name| !name.is_empty());
        // Browsers leave out the port of the scheme.
        let port = match authority.port() {
            Some(port) => port.as_str().parse().ok(),
            None => Some(80),
        };
        is_loopback && self.port.is_none_or(|ours| port == Some(ours))
    }
}

/// A header that must not be repeated was, or is no text.
struct Ambiguous;

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Ambiguous> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (values.next(), value.to_str()) {
        (None, Ok(text)) => Ok(Some(text)),
        _ => Err(Ambiguous),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn tcp() -> Guard {
        Guard { port: Some(7979), token: Token::new(SECRET) }
    }

    fn unix() -> Guard {
        Guard { port: None, token: None }
    }

    fn check(guard: &Guard, target: &str, headers: &[(&str, &str)]) -> Option<Kind> {
        let mut request = Request::get(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).expect("a well-formed request").into_parts();
        guard.check(&head.uri, &head.headers).err().map(|problem| problem.kind)
    }

    /// What the guard of the TCP listener says to these hosts and origins with the right token.
    fn with_token(headers: &[(&str, &str)]) -> Option<Kind> {
        let bearer = format!("Bearer {SECRET}");
        let all: Vec<_> = headers.iter().copied().chain([("authorization", &*bearer)]).collect();
        check(&tcp(), "/", &all)
    }

    #[test]
    fn loopback_names_with_our_port_pass() {
        for host in
            ["localhost:7979", "127.0.0.1:7979", "[::1]:7979", "a.localhost:7979", "LocalHost:7979"]
        {
            assert_eq!(with_token(&[("host", host)]), None, "{host}");
        }
        assert_eq!(check(&unix(), "/", &[("host", "localhost")]), None);
        assert_eq!(check(&unix(), "/", &[("host", "localhost:1")]), None);
    }

    #[test]
    fn other_hosts_are_refused() {
        for host in [
            "localhost",
            "localhost:80",
            "localhost:79790",
            "evil.example:7979",
            "localhost.evil.example:7979",
            "evillocalhost:7979",
            ".localhost:7979",
            "x@localhost:7979",
            "127.0.0.2:7979",
            "[::2]:7979",
            "::1",
            "",
        ] {
            assert_eq!(with_token(&[("host", host)]), Some(Kind::HostNotAllowed), "{host:?}");
        }
        assert_eq!(with_token(&[]), Some(Kind::HostNotAllowed));
        let twice = [("host", "localhost:7979"), ("host", "localhost:7979")];
        assert_eq!(with_token(&twice), Some(Kind::HostNotAllowed));
        assert_eq!(check(&unix(), "/", &[("host", "evil.example")]), Some(Kind::HostNotAllowed));
    }

    #[test]
    fn the_target_counts_as_a_host_too() {
        let host = [("host", "localhost")];
        assert_eq!(check(&unix(), "http://localhost/", &host), None);
        assert_eq!(check(&unix(), "http://evil.example/", &host), Some(Kind::HostNotAllowed));
    }

    #[test]
    fn only_our_own_origin_passes() {
        let host = ("host", "localhost:7979");
        assert_eq!(with_token(&[host, ("origin", "http://localhost:7979")]), None);
        for origin in [
            "null",
            "http://localhost:3000",
            "https://localhost:7979",
            "http://evil.example",
            "http://localhost:7979.evil.example",
            "",
        ] {
            let refused = with_token(&[host, ("origin", origin)]);
            assert_eq!(refused, Some(Kind::OriginNotAllowed), "{origin:?}");
        }
    }

    #[test]
    fn the_token_is_asked_for_after_host_and_origin() {
        let host = ("host", "localhost:7979");
        let bearer = format!("bearer {SECRET}");
        assert_eq!(check(&tcp(), "/", &[host, ("authorization", &bearer)]), None);
        for wrong in [SECRET, "Bearer", "Bearer ", "Basic abc", "Bearer wrong"] {
            let refused = check(&tcp(), "/", &[host, ("authorization", wrong)]);
            assert_eq!(refused, Some(Kind::Unauthorized), "{wrong}");
        }
        assert_eq!(check(&tcp(), "/", &[host]), Some(Kind::Unauthorized));
        assert_eq!(check(&tcp(), "/", &[]), Some(Kind::HostNotAllowed));
    }
}
