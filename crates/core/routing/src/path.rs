//! One spelling per path, before anything is matched and before anything is forwarded.
//!
//! The trouble: `/a/../admin`, `/a/%2e%2e/admin`, `//admin`, `/a\..\admin`, `/a/..;x/admin` and
//! `/%61dmin` all reach `/admin` in some back end, so a rule for `/admin` must see that path. The
//! remedy is to rewrite once and use the result everywhere: percent-encoded unreserved characters
//! are decoded and other escapes get upper-case digits (RFC 3986 §6.2.2), `\` becomes `/`, runs of
//! slashes become one, and dot segments are resolved without leaving the root (§5.2.4), where a
//! segment's `;parameters` do not hide its dots. What has no safe reading is refused: `%2F`,
//! `%5C`, `%00`, a broken escape, a fragment.
//!
//! Parameters of other segments are forwarded but do not count when matching: [`without_params`].

use std::borrow::Cow;

use crate::Refusal;

/// The one spelling of `path` (without its query). Borrowed when it is normal already.
///
/// # Errors
/// `EscapeForbidden`, `EscapeInvalid`, `Fragment` or `TargetInvalid`.
pub fn normalize(path: &str) -> Result<Cow<'_, str>, Refusal> {
    if is_plain(path.as_bytes()) {
        return Ok(Cow::Borrowed(path));
    }
    if !matches!(path.as_bytes().first(), Some(b'/' | b'\\')) {
        return Err(Refusal::TargetInvalid);
    }
    let text = decode(path)?;
    let mut out = String::with_capacity(text.len());
    let mut segments = text.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment.split(';').next().unwrap_or_default() {
            // An empty name with parameters is a segment of its own, not a doubled slash.
            "" if segment.is_empty() => {}
            "." => {}
            ".." => out.truncate(out.rfind('/').unwrap_or(0)),
            _ => {
                out.push('/');
                out.push_str(segment);
                continue;
            }
        }
        if is_last {
            out.push('/');
        }
    }
    Ok(if out == path { Cow::Borrowed(path) } else { Cow::Owned(out) })
}

/// The path as rules compare it: every segment without its `;parameters`, and without the segments
/// that held nothing else, which some back ends skip.
#[must_use]
pub fn without_params(path: &str) -> Cow<'_, str> {
    if !path.contains(';') {
        return Cow::Borrowed(path);
    }
    let mut out = String::with_capacity(path.len());
    let names = path.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
    for name in names.filter(|name| !name.is_empty()) {
        out.push('/');
        out.push_str(name);
    }
    if path.ends_with('/') || out.is_empty() {
        out.push('/');
    }
    Cow::Owned(out)
}

/// Whether `path` lies at or below `prefix`, by whole segments: `/a` covers `/a`, `/a/` and
/// `/a/b` but not `/ab`.
#[must_use]
pub fn is_below(path: &str, prefix: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether nothing in the path needs a second look. One pass, no branches that miss.
fn is_plain(path: &[u8]) -> bool {
    let mut before = 0;
    for &byte in path {
        let is_safe = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'~' | b'=' | b',' | b'@' | b':' | b'+' | b'!')
            || (byte == b'/' && before != b'/')
            || (byte == b'.' && before != b'/');
        if !is_safe {
            return false;
        }
        before = byte;
    }
    path.first() == Some(&b'/')
}

fn decode(path: &str) -> Result<String, Refusal> {
    let mut out = String::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => match (rest.next().and_then(hex), rest.next().and_then(hex)) {
                (Some(high), Some(low)) => push_escape(&mut out, high << 4 | low)?,
                _ => return Err(Refusal::EscapeInvalid),
            },
            b'\\' => out.push('/'),
            b'#' => return Err(Refusal::Fragment),
            b'?' | 0..=b' ' | 0x7f.. => return Err(Refusal::TargetInvalid),
            _ => out.push(char::from(byte)),
        }
    }
    Ok(out)
}

fn push_escape(out: &mut String, byte: u8) -> Result<(), Refusal> {
    match byte {
        0 | b'/' | b'\\' => return Err(Refusal::EscapeForbidden),
        b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
        _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
        _ => {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    Ok(())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests;
