//! Bytes of the configuration that decides how entries apply.

use alloc::vec::Vec;

use synod_base::{Decode, DecodeError, Encode, Reader};

use crate::codec::command::{decode_duration, encode_duration};
use crate::{Config, Held, HistoryBudget, Limits};

impl Config {
    /// What all members must agree on; `held` is each member's own.
    pub(crate) fn encode_agreed(&self, out: &mut Vec<u8>) {
        (self.limits.ops_max as u64).encode(out);
        (self.limits.keyspaces_max as u64).encode(out);
        self.history.bytes.encode(out);
        encode_duration(self.history.age, out);
        self.history.revisions_min.encode(out);
    }

    pub(crate) fn decode_agreed(input: &mut Reader<'_>, held: Held) -> Result<Self, DecodeError> {
        let limits = Limits { ops_max: size(input)?, keyspaces_max: size(input)? };
        let history = HistoryBudget {
            bytes: u64::decode(input)?,
            age: decode_duration(input)?,
            revisions_min: u64::decode(input)?,
        };
        Ok(Self { limits, history, held })
    }
}

/// A count kept as 64 bits.
pub(crate) fn size(input: &mut Reader<'_>) -> Result<usize, DecodeError> {
    let at = input.clone();
    usize::try_from(u64::decode(input)?).map_err(|_| at.error("a count that fits this machine"))
}
