//! A record: one line of text in a segment.
//!
//! ```text
//! 1764000000123456 o web-0-7 listening on 40123
//! └ µs since 1970  │ └ instance └ what was printed, as it was, up to its line break
//!                  └ stream; a `+` behind it: the line goes on in the next record
//! ```
//!
//! A record is whole once its line break is there; what has none yet is not read.

use serde::{Deserialize, Serialize};

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// Synod itself, about the instance's log.
    Synod,
}

/// The most bytes of a printed line that one record holds; longer ones are cut into several.
pub(crate) const LINE_BYTES_MAX: usize = 64 << 10;

/// A record, borrowing from the segment's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// Microseconds since the Unix epoch.
    pub(crate) at_us: u64,
    pub(crate) stream: Stream,
    /// Whether the printed line goes on in the next record.
    pub(crate) continues: bool,
    pub(crate) instance: &'a str,
    pub(crate) line: &'a [u8],
}

impl<'a> Record<'a> {
    /// Appends the record with its line break.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(!self.line.contains(&b'\n'), "a record is one line");
        let stream = match self.stream {
            Stream::Stderr => 'e',
            Stream::Stdout => 'o',
            Stream::Synod => 's',
        };
        let mark = if self.continues { "+" } else { "" };
        let head = format!("{} {stream}{mark} {} ", self.at_us, self.instance);
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(self.line);
        out.push(b'\n');
    }

    /// Reads a record without its line break; `None` for what is none, such as the rest of one that
    /// was cut off.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut parts = bytes.splitn(4, |&byte| byte == b' ');
        let mut text = || std::str::from_utf8(parts.next()?).ok();
        let at_us = text()?.parse().ok()?;
        let (stream, continues) = match text()? {
            "e" => (Stream::Stderr, false),
            "e+" => (Stream::Stderr, true),
            "o" => (Stream::Stdout, false),
            "o+" => (Stream::Stdout, true),
            "s" => (Stream::Synod, false),
            _ => return None,
        };
        let instance = text()?;
        let line = parts.next()?;
        Some(Self { at_us, stream, continues, instance, line })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_format_stays_what_it_is() {
        let record = Record {
            at_us: 1_764_000_000_123_456,
            stream: Stream::Stdout,
            continues: true,
            instance: "web-0-7",
            line: b"listening on  40123",
        };
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert_eq!(bytes, b"1764000000123456 o+ web-0-7 listening on  40123\n");
    }

    #[test]
    fn what_is_no_record_is_told() {
        for bytes in [&b""[..], b"12", b"12 o web-0-1", b"x o web-0-1 y", b"1 q web-0-1 y", b"\xff"]
        {
            assert_eq!(Record::parse(bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn records_survive_encoding(
            at_us: u64,
            stream in prop_oneof![
                Just((Stream::Stderr, false)), Just((Stream::Stdout, true)),
                Just((Stream::Synod, false)), Just((Stream::Stdout, false)),
            ],
            instance in "[a-z][a-z0-9-]{0,20}",
            line in proptest::collection::vec(any::<u8>().prop_filter("line", |b| *b != b'\n'), 0..80),
        ) {
            let (stream, continues) = stream;
            let record = Record { at_us, stream, continues, instance: &instance, line: &line };
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            prop_assert_eq!(bytes.pop(), Some(b'\n'));
            prop_assert_eq!(Record::parse(&bytes), Some(record));
        }
    }
}
