//! One HTTP/1.1 request head, read strictly.
//!
//! The proxy's HTTP library parses heads too, and forgives more than is safe between two parsers:
//! it takes bare line feeds, repeated lengths, `Transfer-Encoding` beside `Content-Length`, and
//! requests without a host. What passes here leaves no two readings of where the request ends and
//! whom it is for (RFC 9112 §3, §5, §6; RFC 9110 §5.6.2).

use crate::find::find;
use crate::{Host, Refusal};

/// What a head says about the bytes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How the body is framed.
    pub body: BodyLength,
    /// Asks to speak WebSocket from here on: the bytes after the head belong to the next request
    /// only if the answer is not 101.
    pub is_websocket: bool,
}

/// How a request body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// In chunks.
    Chunked,
    /// Exactly this many bytes; 0 for no body.
    Exactly(u64),
}

/// How much a head may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most header lines.
    pub headers_max: usize,
    /// The most bytes of request line and header section together.
    pub head_size_max: usize,
}

impl Default for Limits {
    /// 100 headers, 64 KiB.
    fn default() -> Self {
        Self { headers_max: 100, head_size_max: 64 * 1024 }
    }
}

/// Reads a head: the request line, the header lines and the empty line, each ending in CR LF.
///
/// # Errors
/// The first rule that the head breaks.
pub fn inspect_head(head: &[u8], limits: Limits) -> Result<Head, Refusal> {
    if head.len() > limits.head_size_max {
        return Err(Refusal::HeadersTooLarge);
    }
    let mut lines = Lines(head);
    let start = RequestLine::parse(lines.next().ok_or(Refusal::RequestLineInvalid)??)?;
    let mut fields = Fields::default();
    let mut count = 0;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            return fields.finish(&start);
        }
        count += 1;
        if count > limits.headers_max {
            return Err(Refusal::TooManyHeaders);
        }
        fields.add(line)?;
    }
    Err(Refusal::RequestLineInvalid)
}

/// Lines without their CR LF; an error where one ends otherwise.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = Result<&'a [u8], Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = find(b'\n', self.0)?;
        let line = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Some(line.strip_suffix(b"\r").ok_or(Refusal::BareLineFeed))
    }
}

struct RequestLine<'a> {
    is_get: bool,
    is_http_1_0: bool,
    /// The host of an absolute target, with its scheme's port.
    host: Option<(Host<'a>, u16)>,
}

impl<'a> RequestLine<'a> {
    fn parse(line: &'a [u8]) -> Result<Self, Refusal> {
        let mut words = line.split(|&byte| byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Refusal::RequestLineInvalid);
        };
        if method.is_empty() || !method.iter().all(|&byte| is_token(byte)) {
            return Err(Refusal::RequestLineInvalid);
        }
        let is_http_1_0 = match version {
            b"HTTP/1.0" => true,
            b"HTTP/1.1" => false,
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                return Err(Refusal::VersionUnsupported);
            }
            _ => return Err(Refusal::RequestLineInvalid),
        };
        if method == b"CONNECT" {
            return Err(Refusal::ConnectMethod);
        }
        let host = check_target(method, target)?;
        Ok(Self { is_get: method == b"GET", is_http_1_0, host })
    }
}

/// Checks the four forms of RFC 9112 §3.2 and returns the host of an absolute one.
fn check_target<'a>(method: &[u8], target: &'a [u8]) -> Result<Option<(Host<'a>, u16)>, Refusal> {
    if target.contains(&b'#') {
        return Err(Refusal::Fragment);
    }
    if !target.iter().all(u8::is_ascii_graphic) {
        return Err(Refusal::TargetInvalid);
    }
    if target == b"*" {
        let is_allowed = method == b"OPTIONS";
        return if is_allowed { Ok(None) } else { Err(Refusal::TargetInvalid) };
    }
    if matches!(target.first(), Some(b'/' | b'\\')) {
        return Ok(None);
    }
    let text = std::str::from_utf8(target).map_err(|_| Refusal::TargetInvalid)?;
    let (scheme, rest) = text.split_once("://").ok_or(Refusal::TargetInvalid)?;
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "http" => 80,
        "https" => 443,
        _ => return Err(Refusal::TargetInvalid),
    };
    let authority = rest.split(['/', '?', '\\']).next().unwrap_or_default();
    Host::parse(authority).map(|host| Some((host, default_port)))
}

/// The fields that frame or route a request, as met so far.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    content_length: Option<&'a [u8]>,
    transfer_encoding: Option<&'a [u8]>,
    is_upgrade_nominated: bool,
    upgrade: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn add(&mut self, line: &'a [u8]) -> Result<(), Refusal> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(Refusal::ObsoleteFold);
        }
        let (name, value) = split_field(line)?;
        if name.eq_ignore_ascii_case(b"host") {
            if self.host.replace(value).is_some() {
                return Err(Refusal::HostRepeated);
            }
        } else if name.eq_ignore_ascii_case(b"content-length") {
            if self.content_length.replace(value).is_some() {
                return Err(Refusal::ContentLengthInvalid);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.transfer_encoding.replace(value).is_some() {
                return Err(Refusal::TransferEncodingInvalid);
            }
        } else if name.eq_ignore_ascii_case(b"connection") {
            let mut tokens = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
            self.is_upgrade_nominated |= tokens.any(|t| t.eq_ignore_ascii_case(b"upgrade"));
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            // Two lines are one list, and a list is never exactly `websocket`.
            self.upgrade = Some(if self.upgrade.is_some() { b"" } else { value });
        }
        Ok(())
    }

    fn finish(self, start: &RequestLine<'_>) -> Result<Head, Refusal> {
        let body = body_length(start.is_http_1_0, self.transfer_encoding, self.content_length)?;
        let host = self.host.ok_or(Refusal::HostMissing)?;
        let host = std::str::from_utf8(host).map_err(|_| Refusal::HostInvalid)?;
        let host = Host::parse(host)?;
        if let Some((target, default_port)) = &start.host
            && !host.is_same_origin(target, *default_port)
        {
            return Err(Refusal::HostMismatch);
        }
        let is_websocket = start.is_get
            && !start.is_http_1_0
            && body == BodyLength::Exactly(0)
            && self.is_upgrade_nominated
            && self.upgrade.is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"));
        Ok(Head { body, is_websocket })
    }
}

/// How the body is framed. Exactly one row matches:
///
/// | transfer-encoding | content-length | version | |
/// |---|---|---|---|
/// | given | given | any | refused: two lengths |
/// | `chunked` | none | 1.1 | chunked |
/// | any other, or 1.0 | none | | refused |
/// | none | one number | any | that many bytes |
/// | none | anything else | any | refused |
/// | none | none | any | no body |
fn body_length(
    is_http_1_0: bool,
    transfer_encoding: Option<&[u8]>,
    content_length: Option<&[u8]>,
) -> Result<BodyLength, Refusal> {
    match (transfer_encoding, content_length) {
        (Some(_), Some(_)) => Err(Refusal::ConflictingLengths),
        (Some(coding), None) if !is_http_1_0 && coding.eq_ignore_ascii_case(b"chunked") => {
            Ok(BodyLength::Chunked)
        }
        (Some(_), None) => Err(Refusal::TransferEncodingInvalid),
        (None, Some(digits)) => decimal(digits).map(BodyLength::Exactly),
        (None, None) => Ok(BodyLength::Exactly(0)),
    }
}

fn decimal(digits: &[u8]) -> Result<u64, Refusal> {
    // 19 digits always fit; the largest u64 means "no end" to some parsers.
    if digits.is_empty() || digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::ContentLengthInvalid);
    }
    Ok(digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// Splits `name: value` and checks both. Also what a trailer line must satisfy.
pub(crate) fn split_field(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let colon = find(b':', line).ok_or(Refusal::HeaderInvalid)?;
    let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
    let is_valid = !name.is_empty()
        && name.iter().all(|&byte| is_token(byte))
        // To the end even after a bad one, which the processor does for many bytes at once.
        && value.iter().fold(true, |valid, &byte| valid & is_field_byte(byte));
    if is_valid { Ok((name, value)) } else { Err(Refusal::HeaderInvalid) }
}

/// Without the spaces and tabs around it. Other white space is not trimmed but refused.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Visible characters, space, tab, and bytes from 0x80, which have no agreed meaning.
pub(crate) fn is_field_byte(byte: u8) -> bool {
    (byte == b'\t') | ((byte >= b' ') & (byte != 0x7f))
}

/// A character of a method or header name (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    const TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            let letter = byte as u8;
            table[byte] = letter.is_ascii_alphanumeric()
                || matches!(
                    letter,
                    b'!' | b'#'
                        | b'$'
                        | b'%'
                        | b'&'
                        | b'\''
                        | b'*'
                        | b'+'
                        | b'-'
                        | b'.'
                        | b'^'
                        | b'_'
                        | b'`'
                        | b'|'
                        | b'~'
                );
            byte += 1;
        }
        table
    };
    TOKEN[usize::from(byte)]
}

#[cfg(test)]
mod tests;
