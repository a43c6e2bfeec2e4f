//! A segment's header, and reading a segment's frames back.
//!
//! The tricky decision of recovery, as a table. *Later* is an intact frame behind the flaw.
//!
//! | segment | at the flaw | later frame's batch began | verdict |
//! |---|---|---|---|
//! | sealed by a successor | anything but the trailer | - | damaged |
//! | newest | zeros to the end | - | the clean end |
//! | newest | zeros or broken | behind the flaw | damaged |
//! | newest | zeros or broken | at or before the flaw, or none | torn: cut here |

use alloc::vec::Vec;

use synod_base::{ClusterId, Decode, DecodeError, Encode, LogIndex, Reader};

use crate::frame::{Flaw, Frame, FrameKind, FrameStream, framed_len};
use crate::{FileName, HardState, RecoverError};

const MAGIC: [u8; 8] = *b"SYNODWAL";

/// The first frame's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) cluster: ClusterId,
    pub(crate) sequence: u64,
    pub(crate) first: LogIndex,
    /// Preallocated length of the file.
    pub(crate) len: u32,
    /// Term and vote before the segment, so that older segments can go.
    pub(crate) hard_state: HardState,
}

impl SegmentHeader {
    /// Bytes of the longest header frame.
    pub(crate) fn max_framed_len() -> usize {
        framed_len(8 + 8 + 8 + 8 + 4 + 8 + 1 + 8)
    }
}

impl Encode for SegmentHeader {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        self.cluster.encode(out);
        self.sequence.encode(out);
        self.first.encode(out);
        self.len.encode(out);
        self.hard_state.encode(out);
    }
}

impl Decode for SegmentHeader {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = input.clone();
        if input.array()? != MAGIC {
            return Err(at.error("the magic of a segment"));
        }
        Ok(Self {
            cluster: ClusterId::decode(input)?,
            sequence: u64::decode(input)?,
            first: LogIndex::decode(input)?,
            len: u32::decode(input)?,
            hard_state: HardState::decode(input)?,
        })
    }
}

/// Where a segment's intact frames end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing follows but zeros.
    Clean { offset: usize },
    /// The trailer ends it.
    Sealed,
    /// A write that was never acknowledged left these bytes.
    Torn { offset: usize, dirty_until: usize },
}

/// A segment's bytes and where they come from.
#[derive(Clone, Copy)]
pub(crate) struct SegmentBytes<'a> {
    pub(crate) file: FileName,
    pub(crate) stream: FrameStream,
    pub(crate) bytes: &'a [u8],
    /// A later segment exists, so every byte up to the trailer was durable.
    pub(crate) has_successor: bool,
}

impl<'a> SegmentBytes<'a> {
    /// The frame at `offset`, with its end relative to the segment.
    pub(crate) fn frame_at(&self, offset: usize) -> Result<Frame<'a>, Flaw> {
        let mut frame = self.stream.decode(&self.bytes[offset..], offset as u64)?;
        frame.end += offset;
        Ok(frame)
    }

    /// The frames from `offset` on, up to and without the trailer, and how they end.
    pub(crate) fn frames(
        &self,
        mut offset: usize,
    ) -> Result<(Vec<(usize, Frame<'a>)>, End), RecoverError> {
        let mut frames = Vec::new();
        loop {
            match self.frame_at(offset) {
                Ok(frame) if frame.head.kind == FrameKind::SegmentTrailer => {
                    return Ok((frames, End::Sealed));
                }
                Ok(frame) => {
                    frames.push((offset, frame));
                    offset = frame.end;
                }
                Err(Flaw::Unsupported { kind, version }) => {
                    let (file, offset) = (self.file, offset as u64);
                    return Err(RecoverError::Unsupported { file, offset, kind, version });
                }
                Err(Flaw::Blank | Flaw::Broken) => return Ok((frames, self.judge(offset)?)),
            }
        }
    }

    fn judge(&self, flaw: usize) -> Result<End, RecoverError> {
        let damaged =
            |what| Err(RecoverError::Damaged { file: self.file, offset: flaw as u64, what });
        if self.has_successor {
            return damaged("no intact record where a sealed segment must have one");
        }
        let Some(last_dirty) = self.bytes[flaw..].iter().rposition(|byte| *byte != 0) else {
            return Ok(End::Clean { offset: flaw });
        };
        let dirty_until = flaw + last_dirty + 1;
        // Frames begin at multiples of 8, so these are all the places where one can lie.
        // What does not even claim to prove anything is not checked: a checksum costs the length
        // that it claims.
        let proof = (flaw + 8..dirty_until).step_by(8).find(|offset| {
            let header = self.bytes[*offset..].first_chunk();
            let claim = header.map_or(0, FrameStream::claimed_batch) as usize;
            (flaw + 1..=*offset).contains(&claim) && self.frame_at(*offset).is_ok()
        });
        match proof {
            Some(_) => damaged("a broken record although a later one proves that it was durable"),
            None => Ok(End::Torn { offset: flaw, dirty_until }),
        }
    }
}
