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
    text.push_str(&visible(&line.text));
    for (name, value) in &line.fields {
        text.push_str(&terminal.paint(Tone::Faint, &visible(&format!(" {name}={value}"))));
    }
    text
}

/// A service must not be able to steer the terminal beyond colours.
fn visible(text: &str) -> String {
    let keep = |c: char| if c.is_control() && !matches!(c, '\t' | '\x1b') { '\u{fffd}' } else { c };
    text.chars().map(keep).collect()
}
