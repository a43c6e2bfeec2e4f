//! Frames: the unit that is written, checked and read back, in segments and in snapshots.
//!
//! ```text
//!  0 checksum  u64   over everything after it, padding included; seeded with the frame's place
//!  8 len       u32   payload bytes
//! 12 kind      u8
//! 13 version   u8    of the payload's format
//! 14 reserved  u16   zero
//! 16 group     u32
//! 20 batch     u32   offset at which the batch that holds the frame began; all before was durable
//! 24 index     u64
//! 32 term      u64
//! 40 payload, then zeros up to a multiple of 8
//! ```
//!
//! The seed is made of cluster, file and offset, so bytes that are intact but lie in the wrong
//! place (a misdirected write, a leftover of an older file) do not pass.

use alloc::vec::Vec;

use synod_base::{ClusterId, Encode, GroupId, LogIndex, Term, checksum};

/// Bytes before a frame's payload.
pub const FRAME_HEADER_LEN: usize = 40;

/// Frames begin at multiples of this.
const ALIGNMENT: usize = 8;

/// The newest payload version of every kind.
const VERSION: u8 = 1;

/// What a frame holds. The numbers are part of the format; 6 (log truncation), 7 (stream bodies)
/// and 8 (record of acknowledged batches) are reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// Opens a segment.
    SegmentHeader = 1,
    /// Seals a segment: nothing follows, and the next segment does.
    SegmentTrailer = 2,
    /// A log entry.
    Entry = 3,
    /// Term and vote.
    HardState = 4,
    /// The snapshot at the frame's index is durable.
    SnapshotMarker = 5,
    /// Opens a snapshot.
    SnapshotHeader = 16,
    /// A part of a snapshot.
    SnapshotChunk = 17,
    /// Closes a snapshot: without it the snapshot is not whole.
    SnapshotTrailer = 18,
}

impl FrameKind {
    fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::SegmentHeader,
            2 => Self::SegmentTrailer,
            3 => Self::Entry,
            4 => Self::HardState,
            5 => Self::SnapshotMarker,
            16 => Self::SnapshotHeader,
            17 => Self::SnapshotChunk,
            18 => Self::SnapshotTrailer,
            _ => return None,
        })
    }
}

/// Everything a frame says about its payload, except where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// What the payload is.
    pub kind: FrameKind,
    /// The group it belongs to.
    pub group: GroupId,
    /// Offset in the same file at which the frame's batch began.
    pub batch: u32,
    /// The log index that it is about.
    pub index: LogIndex,
    /// The term that it is about.
    pub term: Term,
}

/// A frame read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it says of itself.
    pub head: FrameHead,
    /// The payload, without padding.
    pub payload: &'a [u8],
    /// Offset of the frame after it.
    pub end: usize,
}

/// Why no frame could be read at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing but zeros, or no bytes at all: nothing was written there.
    Blank,
    /// The bytes are not a frame written at this place.
    Broken,
    /// An intact frame of a kind or version that this release does not know.
    Unsupported {
        /// Its kind.
        kind: u8,
        /// Its version.
        version: u8,
    },
}

/// The file that frames belong to: together with an offset, a frame's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameStream {
    cluster: ClusterId,
    class: u8,
    file: u64,
}

impl FrameStream {
    /// The segment with this sequence number.
    #[must_use]
    pub fn segment(cluster: ClusterId, sequence: u64) -> Self {
        Self { cluster, class: 1, file: sequence }
    }

    /// The snapshot at this index.
    #[must_use]
    pub fn snapshot(cluster: ClusterId, index: LogIndex) -> Self {
        Self { cluster, class: 2, file: index.get() }
    }

    /// Appends a frame to `out`, to be written at `offset` of the file.
    ///
    /// # Panics
    /// When the payload is 4 GiB or more, or `offset` is no multiple of 8.
    pub fn encode(
        &self,
        out: &mut Vec<u8>,
        offset: u64,
        head: &FrameHead,
        payload: impl FnOnce(&mut Vec<u8>),
    ) {
        assert!(offset.is_multiple_of(ALIGNMENT as u64), "frames are aligned");
        let start = out.len();
        out.resize(start + FRAME_HEADER_LEN, 0);
        payload(out);
        let len = out.len() - start - FRAME_HEADER_LEN;
        let len32 = u32::try_from(len).expect("a payload stays below 4 GiB");
        out.resize(start + framed_len(len), 0);
        let frame = &mut out[start..];
        frame[8..12].copy_from_slice(&len32.to_le_bytes());
        frame[12] = head.kind as u8;
        frame[13] = VERSION;
        frame[16..20].copy_from_slice(&head.group.get().to_le_bytes());
        frame[20..24].copy_from_slice(&head.batch.to_le_bytes());
        frame[24..32].copy_from_slice(&head.index.get().to_le_bytes());
        frame[32..40].copy_from_slice(&head.term.get().to_le_bytes());
        let sum = checksum(self.seed(offset), &frame[8..]);
        frame[..8].copy_from_slice(&sum.to_le_bytes());
    }

    /// Reads the frame at the start of `bytes`, which lie at `offset` of the file. The frame's
    /// `end` is relative to `bytes`.
    ///
    /// # Errors
    /// When there is none.
    pub fn decode<'a>(&self, bytes: &'a [u8], offset: u64) -> Result<Frame<'a>, Flaw> {
        let Some(header) = bytes.first_chunk::<FRAME_HEADER_LEN>() else {
            return Err(if bytes.iter().all(|byte| *byte == 0) {
                Flaw::Blank
            } else {
                Flaw::Broken
            });
        };
        let len = u32_at(header, 8) as usize;
        let (kind, version) = (header[12], header[13]);
        if kind == 0 && header.iter().all(|byte| *byte == 0) {
            return Err(Flaw::Blank);
        }
        let end = framed_len(len);
        if kind == 0 || version == 0 || header[14..16] != [0, 0] || end > bytes.len() {
            return Err(Flaw::Broken);
        }
        if checksum(self.seed(offset), &bytes[8..end]) != u64_at(header, 0) {
            return Err(Flaw::Broken);
        }
        let Some(kind) = FrameKind::from_number(kind).filter(|_| version == VERSION) else {
            return Err(Flaw::Unsupported { kind, version });
        };
        let head = FrameHead {
            kind,
            group: GroupId::new(u32_at(header, 16)),
            batch: u32_at(header, 20),
            index: LogIndex::new(u64_at(header, 24)),
            term: Term::new(u64_at(header, 32)),
        };
        Ok(Frame { head, payload: &bytes[FRAME_HEADER_LEN..FRAME_HEADER_LEN + len], end })
    }

    /// How many bytes the frame takes whose first [`FRAME_HEADER_LEN`] bytes these are. Nothing is
    /// checked: only [`decode`](Self::decode) of that many bytes tells whether it is true.
    #[must_use]
    pub fn claimed_len(header: &[u8; FRAME_HEADER_LEN]) -> usize {
        framed_len(u32_at(header, 8) as usize)
    }

    /// Where the frame claims that its batch began, unchecked as in
    /// [`claimed_len`](Self::claimed_len).
    pub(crate) fn claimed_batch(header: &[u8; FRAME_HEADER_LEN]) -> u32 {
        u32_at(header, 20)
    }

    fn seed(&self, offset: u64) -> u64 {
        let mut place = [0; 17];
        place[0] = self.class;
        place[1..9].copy_from_slice(&self.file.to_le_bytes());
        place[9..].copy_from_slice(&offset.to_le_bytes());
        checksum(self.cluster.get(), &place)
    }
}

/// Bytes that a payload takes with header and padding.
pub(crate) fn framed_len(payload_len: usize) -> usize {
    (FRAME_HEADER_LEN + payload_len).next_multiple_of(ALIGNMENT)
}

/// Appends the canonical bytes of `value`: a payload writer for [`FrameStream::encode`].
pub(crate) fn payload_of(value: &impl Encode) -> impl FnOnce(&mut Vec<u8>) {
    move |out| value.encode(out)
}

fn u32_at(bytes: &[u8; FRAME_HEADER_LEN], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8; FRAME_HEADER_LEN], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests;
