//! Which headers of a message go on, decided by name.
//!
//! Hop-by-hop headers speak of one connection and end there (RFC 9110 §7.6.1). What `Connection`
//! nominates ends there too, with two exceptions that attacks are built on: nominating a header
//! that routes or frames the request is refused, and nominating one that carries identity is
//! ignored, so that a client cannot have the gateway strip what the back end trusts.

use crate::Refusal;
use crate::find::find;

/// What becomes of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderRule {
    /// Nominates others and is then removed.
    Connection,
    /// Removed from requests, as we set it ourselves.
    Forwarding,
    /// Removed: it speaks of this connection only.
    HopByHop,
    /// Goes on.
    Keep,
    /// Goes on as `trailers`, or not at all.
    Te,
    /// Removed from requests: `a_b` and `a-b` are one variable to CGI-style back ends.
    Underscore,
}

/// What becomes of the header `name`, in lower case.
#[must_use]
pub fn header_rule(name: &str) -> HeaderRule {
    match name {
        "connection" => HeaderRule::Connection,
        "te" => HeaderRule::Te,
        "forwarded" | "x-forwarded-for" | "x-forwarded-host" | "x-forwarded-port"
        | "x-forwarded-proto" | "x-real-ip" => HeaderRule::Forwarding,
        "keep-alive"
        | "proxy-authenticate"
        | "proxy-authorization"
        | "proxy-connection"
        | "transfer-encoding"
        | "upgrade"
        | "http2-settings" => HeaderRule::HopByHop,
        _ if find(b'_', name.as_bytes()).is_some() => HeaderRule::Underscore,
        _ => HeaderRule::Keep,
    }
}

/// What becomes of a header that `Connection` nominates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nomination {
    /// Nothing: an option of the connection itself, or a header that may not be lost.
    Ignore,
    /// It is removed.
    Strip,
}

/// What becomes of the header that a token of `Connection` names.
///
/// # Errors
/// `NominationForbidden` when the header routes or frames the message.
pub fn nomination(token: &str) -> Result<Nomination, Refusal> {
    let token = token.trim_matches([' ', '\t']).to_ascii_lowercase();
    match token.as_str() {
        "host" | "content-length" | "content-type" | "content-encoding" | "transfer-encoding"
        | "trailer" => Err(Refusal::NominationForbidden),
        "" | "close" | "keep-alive" | "upgrade" => Ok(Nomination::Ignore),
        "authorization" | "cookie" | "forwarded" | "origin" | "via" => Ok(Nomination::Ignore),
        name if name.starts_with("x-forwarded-") => Ok(Nomination::Ignore),
        _ => Ok(Nomination::Strip),
    }
}

/// Whether a trailer may go on: none that frames, routes or authenticates (RFC 9110 §6.5.1).
#[must_use]
pub fn is_trailer_allowed(name: &str) -> bool {
    let is_framing_or_routing = matches!(
        name,
        "age"
            | "authorization"
            | "cache-control"
            | "content-encoding"
            | "content-length"
            | "content-range"
            | "content-type"
            | "cookie"
            | "expect"
            | "host"
            | "max-forwards"
            | "range"
            | "set-cookie"
            | "trailer"
    );
    !is_framing_or_routing && header_rule(name) == HeaderRule::Keep
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_one_connection_end_there() {
        for name in ["keep-alive", "proxy-connection", "proxy-authorization", "upgrade"] {
            assert_eq!(header_rule(name), HeaderRule::HopByHop, "{name}");
        }
        for name in ["x-forwarded-for", "forwarded", "x-real-ip"] {
            assert_eq!(header_rule(name), HeaderRule::Forwarding, "{name}");
        }
        for name in ["authorization", "content-length", "host", "trailer", "x-id"] {
            assert_eq!(header_rule(name), HeaderRule::Keep, "{name}");
        }
        assert_eq!(header_rule("x_id"), HeaderRule::Underscore);
    }

    #[test]
    fn nominations_cannot_strip_identity_or_framing() {
        use Nomination::{Ignore, Strip};
        let rows = [
            ("X-Id", Ok(Strip)),
            (" x-id\t", Ok(Strip)),
            ("te", Ok(Strip)),
            ("Close", Ok(Ignore)),
            ("Upgrade", Ok(Ignore)),
            ("", Ok(Ignore)),
            ("Authorization", Ok(Ignore)),
            ("X-Forwarded-For", Ok(Ignore)),
            ("cookie", Ok(Ignore)),
            ("Host", Err(Refusal::NominationForbidden)),
            ("content-length", Err(Refusal::NominationForbidden)),
            ("Transfer-Encoding", Err(Refusal::NominationForbidden)),
        ];
        for (token, want) in rows {
            assert_eq!(nomination(token), want, "{token:?}");
        }
    }

    #[test]
    fn trailers_neither_frame_nor_route() {
        for name in ["content-length", "transfer-encoding", "host", "x-forwarded-for", "a_b"] {
            assert!(!is_trailer_allowed(name), "{name}");
        }
        assert!(is_trailer_allowed("grpc-status"));
    }
}
