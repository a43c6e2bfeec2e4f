//! Reading the log back after a start.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use synod_base::{Decode, LogIndex, Term, decode_all};
use thiserror::Error as ThisError;

use crate::frame::{Flaw, Frame, FrameKind, FrameStream};
use crate::segment::{End, SegmentBytes, SegmentHeader};
use crate::wal::{OpenSegment, Resume, Segment};
use crate::{Config, DiskOp, FileName, HardState, Wal};

/// Why the log cannot be read back. Nothing was changed on disk.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum RecoverError {
    /// Bytes that were durable are not what was written.
    #[error(
        "{file} is damaged at byte {offset}: {what}; restore the data directory from a backup, \
         or move it away to start without its data"
    )]
    Damaged {
        /// The file.
        file: FileName,
        /// Where.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// The log ends before the snapshot that was cut from it.
    #[error(
        "the log ends at entry {last}, before the snapshot at entry {base}: its newest segment is \
         missing; restore it from a backup"
    )]
    EndsEarly {
        /// The newest entry found.
        last: LogIndex,
        /// The snapshot's entry.
        base: LogIndex,
    },
    /// An entry is missing between two others.
    #[error(
        "{file} holds entry {found} at byte {offset} where entry {expected} must be; restore the \
         data directory from a backup"
    )]
    Hole {
        /// The file.
        file: FileName,
        /// Where.
        offset: u64,
        /// The entry that must come.
        expected: LogIndex,
        /// The entry that is there.
        found: LogIndex,
    },
    /// A segment is missing.
    #[error(
        "the log segment with entry {index} is missing (before {before}); restore it from a backup"
    )]
    MissingSegment {
        /// The first entry that it must hold.
        index: LogIndex,
        /// The segment after it.
        before: FileName,
    },
    /// An intact record that a newer release wrote.
    #[error(
        "{file} holds a record of kind {kind} version {version} at byte {offset}, which this \
         release does not know; start the release that wrote it"
    )]
    Unsupported {
        /// The file.
        file: FileName,
        /// Where.
        offset: u64,
        /// The record's kind.
        kind: u8,
        /// The record's version.
        version: u8,
    },
}

/// An entry read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its index.
    pub index: LogIndex,
    /// The term that made it.
    pub term: Term,
    /// Its bytes.
    pub payload: &'a [u8],
}

/// The log, ready for more, and what it remembers besides entries.
#[derive(Debug)]
pub struct Recovered {
    /// Goes on where the durable log ends. Its first batch also repairs the tail on disk.
    pub wal: Wal,
    /// Term and vote.
    pub hard_state: HardState,
    /// The newest snapshot said to be durable.
    pub marker: Option<LogIndex>,
}

/// Reads the log back: hand it each segment that it asks for, then [`finish`](Self::finish).
#[derive(Debug)]
pub struct Recovery {
    config: Config,
    base: LogIndex,
    /// Older segments, needed only to be removed later.
    skipped: VecDeque<Segment>,
    wanted: VecDeque<Segment>,
    read: Vec<Segment>,
    last: Option<LogIndex>,
    hard_state: HardState,
    marker: Option<LogIndex>,
    open: Option<OpenSegment>,
    repairs: Vec<DiskOp>,
}

impl Recovery {
    /// A recovery from the directory's `files`, of the entries after `base`, the index of the
    /// snapshot that the state starts from (zero for none).
    ///
    /// # Errors
    /// When the files' names show that a needed segment is missing.
    pub fn new(config: Config, base: LogIndex, files: &[FileName]) -> Result<Self, RecoverError> {
        let mut segments: Vec<Segment> = Vec::new();
        let mut repairs = Vec::new();
        for file in files {
            match *file {
                FileName::Segment { sequence, first } => segments.push(Segment { sequence, first }),
                FileName::SegmentDraft { .. } => repairs.push(DiskOp::Remove { file: *file }),
                _ => (),
            }
        }
        segments.sort_by_key(|segment| segment.sequence);
        let needed = needed_from(&segments, base);
        let run = dense_run(&segments);
        if run > needed {
            let before = segments[run];
            let index = segments[needed].first;
            return Err(RecoverError::MissingSegment { index, before: before.file() });
        }
        if let Some(oldest) = segments.get(needed).filter(|oldest| oldest.first > base.next()) {
            let (index, before) = (base.next(), oldest.file());
            return Err(RecoverError::MissingSegment { index, before });
        }
        // Removals are not ordered by the disk: what lies before a gap is a leftover of a cut.
        repairs.extend(segments[..run].iter().map(|old| DiskOp::Remove { file: old.file() }));
        Ok(Self {
            config,
            base,
            skipped: segments[run..needed].iter().copied().collect(),
            wanted: segments[needed..].iter().copied().collect(),
            read: Vec::new(),
            last: None,
            hard_state: HardState::default(),
            marker: None,
            open: None,
            repairs,
        })
    }

    /// The segment to read next, if any.
    #[must_use]
    pub fn next_file(&self) -> Option<FileName> {
        self.wanted.front().map(Segment::file)
    }

    /// Takes the whole content of [`next_file`](Self::next_file) and answers its entries after the
    /// base, in order.
    ///
    /// # Errors
    /// When the segment is damaged or does not continue the one before.
    ///
    /// # Panics
    /// When no segment was asked for.
    pub fn on_segment<'a>(&mut self, bytes: &'a [u8]) -> Result<Vec<Entry<'a>>, RecoverError> {
        let segment = self.wanted.pop_front().expect("a segment was asked for");
        let stream = FrameStream::segment(self.config.cluster, segment.sequence);
        let has_successor = !self.wanted.is_empty();
        let content = SegmentBytes { file: segment.file(), stream, bytes, has_successor };
        let (header, offset) = self.open_header(segment, &content)?;
        if self.read.is_empty() {
            self.hard_state = header.hard_state;
        }
        let (frames, end) = content.frames(offset)?;
        let mut entries = Vec::new();
        for (offset, frame) in frames {
            entries.extend(self.on_frame(content.file, offset, &frame)?);
        }
        self.on_end(content.file, end, header.len);
        self.read.push(segment);
        Ok(entries)
    }

    /// Ends the recovery once every segment was read.
    ///
    /// # Errors
    /// When the log ends before its base.
    ///
    /// # Panics
    /// When a segment is still asked for.
    pub fn finish(mut self) -> Result<Recovered, RecoverError> {
        assert!(self.wanted.is_empty(), "every segment was read");
        let last = self.last.unwrap_or(LogIndex::ZERO);
        if last < self.base {
            return Err(RecoverError::EndsEarly { last, base: self.base });
        }
        let mut segments = self.skipped;
        segments.extend(self.read);
        // A process that was killed leaves the newest bytes and names in the kernel's cache: what
        // was read is not yet durable, and the state about to be served rests on it.
        if let Some(newest) = segments.back() {
            self.repairs.push(DiskOp::Sync { file: newest.file() });
        }
        self.repairs.push(DiskOp::SyncDirectory);
        let (open, repairs, hard_state) = (self.open, self.repairs, self.hard_state);
        let resume = Resume { segments, open, last, hard_state, repairs };
        let wal = Wal::resume(self.config, resume);
        Ok(Recovered { wal, hard_state, marker: self.marker })
    }

    fn open_header(
        &mut self,
        segment: Segment,
        content: &SegmentBytes<'_>,
    ) -> Result<(SegmentHeader, usize), RecoverError> {
        let file = content.file;
        let damaged = |what| RecoverError::Damaged { file, offset: 0, what };
        let frame = content.frame_at(0).map_err(|flaw| match flaw {
            Flaw::Blank | Flaw::Broken => damaged("no intact segment header"),
            Flaw::Unsupported { kind, version } => {
                RecoverError::Unsupported { file, offset: 0, kind, version }
            }
        })?;
        let header: SegmentHeader = decode_payload(file, 0, &frame)?;
        if frame.head.kind != FrameKind::SegmentHeader
            || (header.sequence, header.first) != (segment.sequence, segment.first)
        {
            return Err(damaged("the segment header does not match the file's name"));
        }
        if content.bytes.len() < header.len as usize {
            return Err(damaged("the file is shorter than its header says"));
        }
        let expected = self.last.map(LogIndex::next);
        match expected {
            Some(expected) if expected != header.first => {
                Err(RecoverError::Hole { file, offset: 0, expected, found: header.first })
            }
            Some(_) => Ok((header, frame.end)),
            None => {
                let before = header.first.get().checked_sub(1);
                self.last = Some(LogIndex::new(before.ok_or(damaged("its first entry is 0"))?));
                Ok((header, frame.end))
            }
        }
    }

    fn on_frame<'a>(
        &mut self,
        file: FileName,
        offset: usize,
        frame: &Frame<'a>,
    ) -> Result<Option<Entry<'a>>, RecoverError> {
        let (index, term) = (frame.head.index, frame.head.term);
        match frame.head.kind {
            FrameKind::Entry => {
                let expected = self.last.expect("the header set it").next();
                if index != expected {
                    let offset = offset as u64;
                    return Err(RecoverError::Hole { file, offset, expected, found: index });
                }
                self.last = Some(index);
                let entry = Entry { index, term, payload: frame.payload };
                return Ok(Some(entry).filter(|entry| entry.index > self.base));
            }
            FrameKind::HardState => self.hard_state = decode_payload(file, offset, frame)?,
            FrameKind::SnapshotMarker => self.marker = self.marker.max(Some(index)),
            FrameKind::SegmentHeader
            | FrameKind::SegmentTrailer
            | FrameKind::SnapshotChunk
            | FrameKind::SnapshotHeader
            | FrameKind::SnapshotTrailer => {
                let what = "a record of a kind that does not belong there";
                return Err(RecoverError::Damaged { file, offset: offset as u64, what });
            }
        }
        Ok(None)
    }

    fn on_end(&mut self, file: FileName, end: End, len: u32) {
        let open_at = |offset: usize| {
            let offset = u32::try_from(offset).expect("a segment stays below 4 GiB");
            Some(OpenSegment { offset, batch: offset, len })
        };
        match end {
            End::Clean { offset } => self.open = open_at(offset),
            End::Sealed => self.open = None,
            End::Torn { offset, dirty_until } => {
                // Left in place, a whole record of the torn batch could later be taken for the
                // successor of a new one.
                let zeros = vec![0; dirty_until - offset];
                self.repairs.push(DiskOp::Write { file, offset: offset as u64, bytes: zeros });
                self.open = open_at(offset);
            }
        }
    }
}

/// The position of the last segment that starts at or before the entry after `base`.
fn needed_from(segments: &[Segment], base: LogIndex) -> usize {
    segments.iter().rposition(|segment| segment.first <= base.next()).unwrap_or(0)
}

/// The position from which sequence numbers are dense up to the newest segment.
fn dense_run(segments: &[Segment]) -> usize {
    let gap = segments.windows(2).rposition(|pair| pair[0].sequence + 1 != pair[1].sequence);
    gap.map_or(0, |gap| gap + 1)
}

fn decode_payload<T: Decode>(
    file: FileName,
    offset: usize,
    frame: &Frame<'_>,
) -> Result<T, RecoverError> {
    decode_all(frame.payload).map_err(|error| {
        let offset = (offset + crate::FRAME_HEADER_LEN + error.offset) as u64;
        RecoverError::Damaged { file, offset, what: error.expected }
    })
}
