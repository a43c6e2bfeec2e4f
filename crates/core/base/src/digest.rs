//! Checksums of frames, and the incremental digest of a keyspace.

use core::fmt;

use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

use crate::{Decode, DecodeError, Encode, Reader};

/// A 64-bit checksum of `bytes`. The seed binds the bytes to their place (a file, an offset, an
/// index), so that intact bytes in the wrong place do not pass.
#[must_use]
pub fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, seed)
}

/// An order-free digest of a set of items: the sum of their 128-bit hashes modulo 2^128.
///
/// Adding and removing cost one hash each, whatever the set's size. It finds divergence between
/// members that mean well; it is no defence against one that forges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Digest(u128);

impl Digest {
    /// Adds one item by its canonical bytes.
    pub fn add(&mut self, item: &[u8]) {
        self.0 = self.0.wrapping_add(xxh3_128(item));
    }

    /// Removes one item that was added with the same bytes.
    pub fn remove(&mut self, item: &[u8]) {
        self.0 = self.0.wrapping_sub(xxh3_128(item));
    }

    /// Joins another digest's items.
    pub fn merge(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Encode for Digest {
    fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for Digest {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(u128::decode(input)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_removal_undoes() {
        let mut one = Digest::default();
        one.add(b"a");
        one.add(b"b");
        let mut two = Digest::default();
        two.add(b"b");
        two.add(b"c");
        two.add(b"a");
        assert_ne!(one, two);
        two.remove(b"c");
        assert_eq!(one, two);
    }
}
