//! What services printed: asking for it, and showing it.

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Result;
use synod_agent::log::{Level, LogLine};

use crate::client::{Client, Lines};
use crate::terminal::{Terminal, Tone};

/// Starts the stream of log lines.
pub(crate) async fn open(
    client: &Client,
    app: &str,
    services: &BTreeSet<String>,
    tail: Option<usize>,
    since_ms: Option<u64>,
    follow: bool,
) -> Result<Lines> {
    let mut path = format!("/v1/apps/{app}/logs?follow={follow}");
    if !services.is_empty() {
        let services: Vec<&str> = services.iter().map(String::as_str).collect();
        path.push_str(&format!("&service={}", services.join(",")));
    }
    if let Some(tail) = tail {
        path.push_str(&format!("&tail={tail}"));
    }
    if let Some(since_ms) = since_ms {
        path.push_str(&format!("&since_ms={since_ms}"));
    }
    client.stream(&path).await
}

/// A line as people read it: when, who, how important, what.
pub(crate) fn shown(line: &LogLine, terminal: &Terminal) -> String {
    let at = UNIX_EPOCH + Duration::from_micros(line.at_us);
    let at = humantime::format_rfc3339_millis(at).to_string();
    let time = at.get(11..23).unwrap_or(&at);
    let who = format!("{}/{}", line.service, line.slot);
    let mut text = format!("{} {} ", terminal.paint(Tone::Faint, time), who);
    let level = match line.level {
        Some(Level::Error) => Some((Tone::Bad, "ERROR")),
        Some(Level::Warn) => Some((Tone::Busy, "WARN")),
        _ => None,
    };
    if let Some((tone, word)) = level {
        text.push_str(&format!("{} ", terminal.paint(tone, word)));
    }
    text.push_str(&visible(&line.text, terminal.is_colored()));
    for (name, value) in &line.fields {
        text.push_str(&terminal.paint(Tone::Faint, &visible(&format!(" {name}={value}"), false)));
    }
    text
}

/// The text with nothing in it that steers the terminal, but for colours and weights where it is
/// `colored`; those end with the text.
fn visible(text: &str, colored: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let length = sgr_len(rest).unwrap_or(character.len_utf8());
        let (part, after) = rest.split_at(length);
        match character {
            '\x1b' if length == 1 => shown.push('\u{fffd}'),
            '\x1b' if !colored => {}
            '\x1b' | '\t' => shown.push_str(part),
            _ if character.is_control() => shown.push('\u{fffd}'),
            _ => shown.push(character),
        }
        rest = after;
    }
    if shown.contains('\x1b') {
        shown.push_str("\x1b[0m");
    }
    shown
}

/// The length of the sequence that sets colours and weights at the start of `text`.
fn sgr_len(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    parameters[end..].starts_with('m').then_some("\x1b[".len() + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_colours_reach_the_terminal() {
        assert_eq!(visible("a\x1b[1;31mb\tc", true), "a\x1b[1;31mb\tc\x1b[0m");
        assert_eq!(visible("a\x1b[1;31mb\x1b[0m", false), "ab");
        for colored in [false, true] {
            assert_eq!(visible("\x1b[2Jx", colored), "\u{fffd}[2Jx");
            assert_eq!(visible("\x1b]0;t\x07", colored), "\u{fffd}]0;t\u{fffd}");
            assert_eq!(visible("\x1b[31", colored), "\u{fffd}[31");
            assert_eq!(visible("\x1b", colored), "\u{fffd}");
            assert_eq!(visible("grün\r", colored), "grün\u{fffd}");
        }
    }
}
