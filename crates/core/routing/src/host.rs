//! The host a request is for: `host[:port]` and nothing else.
//!
//! Back ends disagree on user info, odd ports and doubled hosts, so only the plain form passes
//! (RFC 9110 §7.2, RFC 3986 §3.2.2): a name of letters, digits, `-`, `.`, `_` and `~`, an IPv4
//! address, or an IPv6 address in brackets; then optionally a port from 0 to 65535.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use crate::Refusal;

/// A checked host, as routes compare it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host<'a> {
    name: Cow<'a, str>,
    port: Option<u16>,
}

impl<'a> Host<'a> {
    /// Checks the value of a Host header or an authority.
    ///
    /// # Errors
    /// `HostInvalid` for anything but `host[:port]`.
    pub fn parse(text: &'a str) -> Result<Self, Refusal> {
        let (name, port) = split_port(text)?;
        let name = name.strip_suffix('.').unwrap_or(name);
        if !is_valid_name(name) {
            return Err(Refusal::HostInvalid);
        }
        let name = if name.bytes().fold(false, |any, byte| any | byte.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        };
        Ok(Self { name, port })
    }

    /// The name or address in lower case, without a final dot; IPv6 in brackets.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port, where one is given.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether both mean the same origin, a missing port being `default_port`.
    #[must_use]
    pub fn is_same_origin(&self, other: &Host<'_>, default_port: u16) -> bool {
        self.name == other.name
            && self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
    }
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), Refusal> {
    let after_name = if text.starts_with('[') {
        text.find(']').ok_or(Refusal::HostInvalid)? + 1
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (name, rest) = text.split_at(after_name);
    if rest.is_empty() {
        return Ok((name, None));
    }
    let digits = rest.strip_prefix(':').ok_or(Refusal::HostInvalid)?;
    if digits.is_empty() {
        return Err(Refusal::HostInvalid);
    }
    // `u16::from_str` takes a plus sign, which is not a digit.
    let port = digits.bytes().try_fold(0u16, |port, byte| {
        let digit = byte.is_ascii_digit().then(|| u16::from(byte - b'0'))?;
        port.checked_mul(10)?.checked_add(digit)
    });
    port.map(|port| (name, Some(port))).ok_or(Refusal::HostInvalid)
}

fn is_valid_name(name: &str) -> bool {
    if let Some(inner) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().is_ok();
    }
    !name.is_empty()
        && name.len() <= 255
        // To the end even after a bad one, which the processor does for many bytes at once.
        && name.bytes().fold(true, |valid, byte| {
            let is_mark = (byte == b'-') | (byte == b'.') | (byte == b'_') | (byte == b'~');
            valid & (byte.is_ascii_alphanumeric() | is_mark)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_host_and_port_pass() {
        type Row = (&'static str, Option<(&'static str, Option<u16>)>);
        let rows: &[Row] = &[
            ("a", Some(("a", None))),
            ("Shop.LOCALHOST:8080", Some(("shop.localhost", Some(8080)))),
            ("a.b.", Some(("a.b", None))),
            ("127.0.0.1:80", Some(("127.0.0.1", Some(80)))),
            ("[::1]", Some(("[::1]", None))),
            ("[::1]:443", Some(("[::1]", Some(443)))),
            ("a_b", Some(("a_b", None))),
            ("", None),
            (".", None),
            (":80", None),
            ("a:", None),
            ("a:8x", None),
            ("a:+8", None),
            ("a:65536", None),
            ("a:1:2", None),
            ("a@b", None),
            ("a/b", None),
            ("a,b", None),
            ("a b", None),
            ("a%2eb", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[a]", None),
            ("é", None),
        ];
        for (text, want) in rows {
            let got = Host::parse(text).ok();
            let got = got.as_ref().map(|host| (host.name(), host.port()));
            assert_eq!(got, *want, "{text:?}");
        }
    }

    #[test]
    fn missing_port_means_the_default_one() {
        let plain = Host::parse("a").unwrap();
        assert!(plain.is_same_origin(&Host::parse("A:80").unwrap(), 80));
        assert!(!plain.is_same_origin(&Host::parse("a:81").unwrap(), 80));
        assert!(!plain.is_same_origin(&Host::parse("b").unwrap(), 80));
    }
}
