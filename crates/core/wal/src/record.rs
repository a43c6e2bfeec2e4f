//! What can be appended to the log.

use alloc::vec::Vec;

use synod_base::{Decode, DecodeError, Encode, LogIndex, MemberId, Reader, Term};

/// A record to append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// A log entry. Its index must follow the one before.
    Entry {
        /// Its index.
        index: LogIndex,
        /// The term that made it.
        term: Term,
        /// Its bytes.
        payload: &'a [u8],
    },
    /// Term and vote, which must be durable before the member acts on them.
    HardState(HardState),
    /// The snapshot at this index is durable.
    SnapshotMarker {
        /// The last entry that the snapshot holds.
        index: LogIndex,
        /// That entry's term.
        term: Term,
    },
}

/// What a member must never forget besides its entries (Raft §5.1, figure 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The newest term that it has seen.
    pub term: Term,
    /// Whom it voted for in that term.
    pub vote: Option<MemberId>,
}

impl Encode for HardState {
    fn encode(&self, out: &mut Vec<u8>) {
        self.term.encode(out);
        self.vote.encode(out);
    }
}

impl Decode for HardState {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { term: Term::decode(input)?, vote: Option::decode(input)? })
    }
}
