//! One line of JSON per thing that happened, on standard output. `fields` is always an object.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;

/// Something happened as it should.
pub fn info(message: &str, fields: Value) {
    line("info", message, fields);
}

/// Something went wrong, and the service deals with it.
pub fn warn(message: &str, fields: Value) {
    line("warn", message, fields);
}

/// Something went wrong, and a person has to deal with it.
pub fn error(message: &str, fields: Value) {
    line("error", message, fields);
}

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[derive(Serialize)]
struct Line<'a> {
    ts: u64,
    level: &'a str,
    msg: &'a str,
    #[serde(flatten)]
    fields: Value,
}

fn line(level: &str, msg: &str, fields: Value) {
    let line = serde_json::to_string(&Line { ts: now_ms(), level, msg, fields });
    let line = line.expect("the fields of a line are an object");
    // Nobody is left to tell when standard output is gone, and serving matters more than logging.
    let _ = writeln!(std::io::stdout(), "{line}");
}
