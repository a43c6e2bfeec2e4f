//! Appending: where records go, when they leave, and which segments can go.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use synod_base::{ClusterId, GroupId, LogIndex, Ticket};

use crate::frame::{FrameHead, FrameKind, FrameStream, framed_len, payload_of};
use crate::segment::SegmentHeader;
use crate::{DiskOp, FileName, HardState, Record};

/// What a log is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The cluster; part of every checksum.
    pub cluster: ClusterId,
    /// The group whose log it is.
    pub group: GroupId,
    /// Bytes preallocated per segment. A record that needs more gets a segment of its own size.
    pub segment_bytes: u32,
}

impl Config {
    /// The usual segment size.
    pub const SEGMENT_BYTES: u32 = 64 << 20;
}

/// Operations that make records durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Completes when all operations have.
    pub ticket: Ticket,
    /// To be executed in order.
    pub ops: Vec<DiskOp>,
}

/// A group's log.
#[derive(Debug)]
pub struct Wal {
    config: Config,
    /// Oldest first; the last is the one being written.
    segments: VecDeque<Segment>,
    /// `None` when the next record starts a segment.
    open: Option<OpenSegment>,
    last: LogIndex,
    hard_state: HardState,
    queued: Vec<DiskOp>,
    in_flight: Option<Ticket>,
    /// The ticket of the batch that is being gathered.
    gathering: Ticket,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) sequence: u64,
    pub(crate) first: LogIndex,
}

impl Segment {
    pub(crate) fn file(&self) -> FileName {
        FileName::Segment { sequence: self.sequence, first: self.first }
    }
}

/// The segment that takes records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenSegment {
    /// Where the next record goes.
    pub(crate) offset: u32,
    /// Where the batch being gathered began.
    pub(crate) batch: u32,
    /// Preallocated length.
    pub(crate) len: u32,
}

/// What recovery found, from which a log goes on.
pub(crate) struct Resume {
    pub(crate) segments: VecDeque<Segment>,
    pub(crate) open: Option<OpenSegment>,
    pub(crate) last: LogIndex,
    pub(crate) hard_state: HardState,
    pub(crate) repairs: Vec<DiskOp>,
}

impl Wal {
    /// A log without any entry, for an empty directory.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::resume(
            config,
            Resume {
                segments: VecDeque::new(),
                open: None,
                last: LogIndex::ZERO,
                hard_state: HardState::default(),
                repairs: Vec::new(),
            },
        )
    }

    pub(crate) fn resume(config: Config, resume: Resume) -> Self {
        Self {
            config,
            segments: resume.segments,
            open: resume.open,
            last: resume.last,
            hard_state: resume.hard_state,
            queued: resume.repairs,
            in_flight: None,
            gathering: Ticket::ZERO.next(),
        }
    }

    /// The newest entry, durable or not.
    #[must_use]
    pub fn last_index(&self) -> LogIndex {
        self.last
    }

    /// The first entry that the log still holds or will hold.
    #[must_use]
    pub fn first_index(&self) -> LogIndex {
        self.segments.front().map_or(LogIndex::ZERO.next(), |segment| segment.first)
    }

    /// Term and vote, durable or not.
    #[must_use]
    pub fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// Whether everything appended is durable.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.in_flight.is_none() && self.queued.is_empty()
    }

    /// Has operations executed before anything that is appended from now on.
    pub fn precede(&mut self, ops: Vec<DiskOp>) {
        self.queued.extend(ops);
    }

    /// Appends a record; it is durable when the ticket completes.
    ///
    /// # Panics
    /// When an entry's index does not follow the one before.
    pub fn append(&mut self, record: Record<'_>) -> Ticket {
        let (kind, index, term) = match record {
            Record::Entry { index, term, .. } => {
                assert!(index == self.last.next(), "entry {index} follows entry {}", self.last);
                (FrameKind::Entry, index, term)
            }
            Record::HardState(state) => (FrameKind::HardState, self.last, state.term),
            Record::SnapshotMarker { index, term } => (FrameKind::SnapshotMarker, index, term),
        };
        match record {
            Record::Entry { payload, .. } => {
                self.reserve(framed_len(payload.len()));
                self.last = index;
                self.push_frame(kind, index, term, |out| out.extend_from_slice(payload));
            }
            Record::HardState(state) => {
                self.reserve(SegmentHeader::max_framed_len());
                self.hard_state = state;
                self.push_frame(kind, index, term, payload_of(&state));
            }
            Record::SnapshotMarker { .. } => {
                self.reserve(framed_len(0));
                self.push_frame(kind, index, term, |_| ());
            }
        }
        self.gathering
    }

    /// The next batch, unless one is in flight or there is nothing to do.
    pub fn next_batch(&mut self) -> Option<Batch> {
        if self.in_flight.is_some() || self.queued.is_empty() {
            return None;
        }
        let mut ops = mem::take(&mut self.queued);
        if let Some(DiskOp::Write { file, .. }) = ops.last() {
            let file = *file;
            ops.push(DiskOp::Sync { file });
        }
        let ticket = self.gathering;
        self.gathering = ticket.next();
        self.in_flight = Some(ticket);
        if let Some(open) = &mut self.open {
            open.batch = open.offset;
        }
        Some(Batch { ticket, ops })
    }

    /// The batch in flight is durable.
    ///
    /// # Panics
    /// When it is not the one in flight.
    pub fn on_durable(&mut self, ticket: Ticket) {
        assert!(self.in_flight == Some(ticket), "ticket {ticket} is the one in flight");
        self.in_flight = None;
    }

    /// Forgets segments that hold no entry after `index`, and answers what removes their files.
    /// The caller has a durable snapshot at or after `index`.
    pub fn remove_until(&mut self, index: LogIndex) -> Vec<DiskOp> {
        let mut ops = Vec::new();
        while self.segments.len() > 1 && self.segments[1].first <= index.next() {
            let segment = self.segments.pop_front().expect("there are two");
            ops.push(DiskOp::Remove { file: segment.file() });
        }
        if !ops.is_empty() {
            ops.push(DiskOp::SyncDirectory);
        }
        ops
    }

    /// Makes room for a frame and, behind it, for the trailer.
    fn reserve(&mut self, frame_len: usize) {
        let fits = self.open.is_some_and(|open| {
            open.offset as usize + frame_len + framed_len(0) <= open.len as usize
        });
        if !fits {
            self.seal();
            self.start_segment(frame_len);
        }
    }

    /// Ends the open segment. It is synced before its successor gets its name: whoever finds the
    /// successor knows that every byte here was durable.
    fn seal(&mut self) {
        if self.open.is_none() {
            return;
        }
        let (last, term) = (self.last, self.hard_state.term);
        self.push_frame(FrameKind::SegmentTrailer, last, term, |_| ());
        let file = self.segments.back().expect("an open segment is the last").file();
        self.queued.push(DiskOp::Sync { file });
        self.open = None;
    }

    fn start_segment(&mut self, frame_len: usize) {
        let least = SegmentHeader::max_framed_len() + frame_len + framed_len(0);
        let len = u32::try_from(least.max(self.config.segment_bytes as usize))
            .expect("a record stays below 4 GiB");
        let sequence = self.segments.back().map_or(1, |segment| segment.sequence + 1);
        let first = self.last.next();
        let header = SegmentHeader {
            cluster: self.config.cluster,
            sequence,
            first,
            len,
            hard_state: self.hard_state,
        };
        let head = self.head(FrameKind::SegmentHeader, 0, first, self.hard_state.term);
        let mut bytes = Vec::new();
        FrameStream::segment(self.config.cluster, sequence).encode(
            &mut bytes,
            0,
            &head,
            payload_of(&header),
        );
        let offset = u32::try_from(bytes.len()).expect("a header is small");
        let (from, to) =
            (FileName::SegmentDraft { sequence, first }, FileName::Segment { sequence, first });
        self.queued.extend([
            DiskOp::Create { file: from, len: u64::from(len) },
            DiskOp::Write { file: from, offset: 0, bytes },
            DiskOp::Sync { file: from },
            DiskOp::Rename { from, to },
            DiskOp::SyncDirectory,
        ]);
        self.segments.push_back(Segment { sequence, first });
        self.open = Some(OpenSegment { offset, batch: offset, len });
    }

    fn push_frame(
        &mut self,
        kind: FrameKind,
        index: LogIndex,
        term: synod_base::Term,
        payload: impl FnOnce(&mut Vec<u8>),
    ) {
        let open = self.open.expect("room was reserved");
        let segment = *self.segments.back().expect("an open segment is the last");
        let head = self.head(kind, open.batch, index, term);
        let stream = FrameStream::segment(self.config.cluster, segment.sequence);
        let bytes = tail_write(&mut self.queued, segment.file(), open.offset);
        let before = bytes.len();
        stream.encode(bytes, u64::from(open.offset), &head, payload);
        let added = bytes.len() - before;
        let added = u32::try_from(added).expect("a record stays below 4 GiB");
        self.open = Some(OpenSegment { offset: open.offset + added, ..open });
    }

    fn head(
        &self,
        kind: FrameKind,
        batch: u32,
        index: LogIndex,
        term: synod_base::Term,
    ) -> FrameHead {
        FrameHead { kind, group: self.config.group, batch, index, term }
    }
}

/// The buffer of the write that ends at `offset` of `file`: the last operation, or a new one.
fn tail_write(ops: &mut Vec<DiskOp>, file: FileName, offset: u32) -> &mut Vec<u8> {
    let continues = matches!(ops.last(), Some(DiskOp::Write { file: last, offset: start, bytes })
        if *last == file && start + bytes.len() as u64 == u64::from(offset));
    if !continues {
        ops.push(DiskOp::Write { file, offset: u64::from(offset), bytes: vec![] });
    }
    match ops.last_mut() {
        Some(DiskOp::Write { bytes, .. }) => bytes,
        _ => unreachable!("the last operation is the write above"),
    }
}
