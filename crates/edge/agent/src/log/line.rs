//! A line as it is shown: who printed it, when, and what a structured one says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::record::{Record, Stream};

/// A line of an instance's output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was printed, in microseconds since the Unix epoch.
    pub at_us: u64,
    /// The service.
    pub service: String,
    /// The slot.
    pub slot: u32,
    /// The instance.
    pub instance: String,
    /// Where it came from.
    pub stream: Stream,
    /// What was printed; of a structured line, its message. Bytes that are no UTF-8 are replaced.
    pub text: String,
    /// How important a structured line says that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// What else a structured line says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Value>,
    /// Whether it was too long and goes on in the slot's next line of the same stream.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continues: bool,
}

/// How important a line is, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// For following every step.
    Trace,
    /// For finding faults.
    Debug,
    /// What happens.
    Info,
    /// Something is odd.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    /// The level that a word of common logging libraries means.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "trace" | "verbose" => Self::Trace,
            "debug" | "dbug" => Self::Debug,
            "info" | "information" | "notice" => Self::Info,
            "warn" | "warning" => Self::Warn,
            "alert" | "critical" | "crit" | "emergency" | "error" | "err" | "fatal" | "panic" => {
                Self::Error
            }
            _ => return None,
        })
    }

    /// The level of a value: a word, or a number as pino and bunyan write them.
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(word) => Self::parse(word),
            Value::Number(number) => Some(match number.as_u64()? {
                0..20 => Self::Trace,
                20..30 => Self::Debug,
                30..40 => Self::Info,
                40..50 => Self::Warn,
                _ => Self::Error,
            }),
            _ => None,
        }
    }
}

impl LogLine {
    pub(crate) fn new(service: &str, slot: u32, record: &Record<'_>) -> Self {
        let mut line = Self {
            at_us: record.at_us,
            service: service.to_owned(),
            slot,
            instance: record.instance.to_owned(),
            stream: record.stream,
            text: String::from_utf8_lossy(record.line).into_owned(),
            level: None,
            fields: BTreeMap::new(),
            continues: record.continues,
        };
        line.take_apart();
        line
    }

    /// Takes a line that is a JSON object with a message apart. Any other stays as it is.
    fn take_apart(&mut self) {
        if !self.text.starts_with('{') {
            return;
        }
        let Ok(mut fields) = serde_json::from_str::<BTreeMap<String, Value>>(&self.text) else {
            return;
        };
        let message = ["message", "msg"]
            .into_iter()
            .find(|key| fields.get(*key).is_some_and(Value::is_string));
        let Some(Value::String(message)) = message.and_then(|key| fields.remove(key)) else {
            return;
        };
        for key in ["level", "severity", "lvl"] {
            if let Some(level) = fields.get(key).and_then(Level::of) {
                fields.remove(key);
                self.level = Some(level);
                break;
            }
        }
        self.text = message;
        self.fields = fields;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(printed: &str) -> LogLine {
        let record = Record {
            at_us: 7,
            stream: Stream::Stdout,
            continues: false,
            instance: "web-0-1",
            line: printed.as_bytes(),
        };
        LogLine::new("web", 0, &record)
    }

    #[test]
    fn a_json_object_with_a_message_is_taken_apart() {
        let line = read(r#"{"level":"WARN","msg":"slow","took_ms":812,"at":{"x":1}}"#);
        assert_eq!((line.text.as_str(), line.level), ("slow", Some(Level::Warn)));
        assert_eq!(line.fields["took_ms"], 812);
        assert_eq!(line.fields.len(), 2);
        let line = read(r#"{"severity":50,"message":"gone"}"#);
        assert_eq!((line.text.as_str(), line.level), ("gone", Some(Level::Error)));
        assert!(line.fields.is_empty());
    }

    #[test]
    fn anything_else_stays_as_it_was_printed() {
        for printed in ["plain", "{not json}", r#"{"level":"info"}"#, r#"["msg"]"#, ""] {
            let line = read(printed);
            assert_eq!((line.text.as_str(), line.level), (printed, None));
            assert!(line.fields.is_empty());
        }
        let odd = read(r#"{"level":"purple","msg":"hello"}"#);
        assert_eq!((odd.level, &odd.fields["level"]), (None, &Value::from("purple")));
    }
}
