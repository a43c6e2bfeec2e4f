//! One line of JSON per thing that happened, on standard output.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

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

fn line(level: &str, message: &str, fields: Value) {
    let mut line = json!({ "ts": now_ms(), "level": level, "msg": message });
    if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
        line.extend(fields);
    }
    // Nobody is left to tell when standard output is gone, and serving matters more than logging.
    let _ = writeln!(std::io::stdout(), "{line}");
}
