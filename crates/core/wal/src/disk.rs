//! Disk operations as data, and the names of a data directory's files.

use alloc::vec::Vec;
use core::fmt;

use synod_base::LogIndex;

/// One operation on the data directory. Operations of one list are executed in order; a failed one
/// ends the member, so none ever has to be undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskOp {
    /// Makes an empty file, replacing what has its name, and preallocates `len` zero bytes.
    Create {
        /// The file.
        file: FileName,
        /// Its length in bytes; zero for a file that grows as it is written.
        len: u64,
    },
    /// Unlinks a file. One that is not there is fine.
    Remove {
        /// The file.
        file: FileName,
    },
    /// Renames a file over whatever has the new name.
    Rename {
        /// The name before.
        from: FileName,
        /// The name after.
        to: FileName,
    },
    /// Waits until every earlier write to the file is durable.
    Sync {
        /// The file.
        file: FileName,
    },
    /// Waits until every earlier creation, renaming and removal is durable.
    SyncDirectory,
    /// Writes bytes in place.
    Write {
        /// The file.
        file: FileName,
        /// Where the first byte goes.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// A file of the data directory. Drafts are files being made: they get their real name only once
/// they are whole and synced, so a crash leaves nothing half made behind a real name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileName {
    /// Says which cluster and format version the directory holds.
    Format,
    /// A format file being made.
    FormatDraft,
    /// A segment of the log.
    Segment {
        /// Position in the row of segments, dense.
        sequence: u64,
        /// The index of the first entry that it may hold.
        first: LogIndex,
    },
    /// A segment being made.
    SegmentDraft {
        /// Position in the row of segments, dense.
        sequence: u64,
        /// The index of the first entry that it may hold.
        first: LogIndex,
    },
    /// A snapshot of the state after the entry with this index.
    Snapshot(LogIndex),
    /// A snapshot being made.
    SnapshotDraft(LogIndex),
}

impl FileName {
    /// Whether the file is one being made, worthless after a restart.
    #[must_use]
    pub fn is_draft(self) -> bool {
        match self {
            Self::FormatDraft | Self::SegmentDraft { .. } | Self::SnapshotDraft(_) => true,
            Self::Format | Self::Segment { .. } | Self::Snapshot(_) => false,
        }
    }

    /// Reads a name as [`Display`](fmt::Display) writes it; `None` for a file that is not ours.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (stem, draft) = match name.strip_suffix(".draft") {
            Some(stem) => (stem, true),
            None => (name, false),
        };
        if stem == "synod.format" {
            return Some(if draft { Self::FormatDraft } else { Self::Format });
        }
        if let Some(middle) = stem.strip_prefix("snapshot-") {
            let index = LogIndex::new(parse_hex(middle.strip_suffix(".snap")?)?);
            return Some(if draft { Self::SnapshotDraft(index) } else { Self::Snapshot(index) });
        }
        let (sequence, first) = stem.strip_prefix("wal-")?.strip_suffix(".log")?.split_once('-')?;
        let (sequence, first) = (parse_hex(sequence)?, LogIndex::new(parse_hex(first)?));
        Some(if draft {
            Self::SegmentDraft { sequence, first }
        } else {
            Self::Segment { sequence, first }
        })
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format | Self::FormatDraft => write!(f, "synod.format")?,
            Self::Segment { sequence, first } | Self::SegmentDraft { sequence, first } => {
                write!(f, "wal-{sequence:016x}-{:016x}.log", first.get())?;
            }
            Self::Snapshot(index) | Self::SnapshotDraft(index) => {
                write!(f, "snapshot-{:016x}.snap", index.get())?;
            }
        }
        if self.is_draft() { write!(f, ".draft") } else { Ok(()) }
    }
}

/// Exactly sixteen lower-case hexadecimal digits, so that each file has one name.
fn parse_hex(digits: &str) -> Option<u64> {
    let canonical = digits.len() == 16
        && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if canonical { u64::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn names_read_back_and_foreign_ones_do_not() {
        let index = LogIndex::new(0xab);
        for name in [
            FileName::Format,
            FileName::FormatDraft,
            FileName::Segment { sequence: 7, first: index },
            FileName::SegmentDraft { sequence: 7, first: index },
            FileName::Snapshot(index),
            FileName::SnapshotDraft(index),
        ] {
            assert_eq!(FileName::parse(&name.to_string()), Some(name));
        }
        for foreign in ["lock", "wal-7-ab.log", "snapshot-00000000000000AB.snap", "wal-", ""] {
            assert_eq!(FileName::parse(foreign), None, "{foreign}");
        }
    }
}
