//! The canonical codec of logs, peers and snapshots.
//!
//! Integers are little-endian and fixed; byte strings and lists carry a `u32` length. One value
//! has exactly one encoding, so equal values hash equally on every member. A decoder never trusts
//! a length: it reserves no more than what the input still holds.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::Bytes;

/// A value with canonical bytes.
pub trait Encode {
    /// Appends the canonical bytes to `out`.
    fn encode(&self, out: &mut Vec<u8>);
}

/// A value that can be read back from its canonical bytes.
pub trait Decode: Sized {
    /// Reads one value and advances `input` past it.
    ///
    /// # Errors
    /// When the bytes are not the canonical encoding of any value.
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// Why bytes could not be decoded, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Byte offset from the start of the input.
    pub offset: usize,
    /// What was expected there.
    pub expected: &'static str,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at byte {}", self.expected, self.offset)
    }
}

impl core::error::Error for DecodeError {}

/// The canonical bytes of `value`.
pub fn encode_to_vec(value: &impl Encode) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

/// Decodes one value that must fill `input` exactly.
///
/// # Errors
/// When the bytes are malformed or some are left over.
pub fn decode_all<T: Decode>(input: &[u8]) -> Result<T, DecodeError> {
    let mut reader = Reader::new(input);
    let value = T::decode(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

/// A cursor over bytes to decode.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    input: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// A cursor at the start of `input`.
    #[must_use]
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, offset: 0 }
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.input.len() - self.offset
    }

    /// Byte offset of the next read.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// An error at the present offset.
    #[must_use]
    pub fn error(&self, expected: &'static str) -> DecodeError {
        DecodeError { offset: self.offset, expected }
    }

    /// Takes exactly `len` bytes.
    ///
    /// # Errors
    /// When fewer are left.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.offset.checked_add(len).filter(|end| *end <= self.input.len());
        let Some(end) = end else { return Err(self.error("more bytes")) };
        let taken = &self.input[self.offset..end];
        self.offset = end;
        Ok(taken)
    }

    /// Takes a fixed-size array.
    ///
    /// # Errors
    /// When fewer than `N` bytes are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("take returned N bytes"))
    }

    /// Takes a length-prefixed byte string.
    ///
    /// # Errors
    /// When the length or the bytes are missing.
    pub fn byte_string(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = u32::decode(self)? as usize;
        self.take(len)
    }

    /// Asserts that the input is used up.
    ///
    /// # Errors
    /// When bytes are left.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.remaining() == 0 { Ok(()) } else { Err(self.error("the end")) }
    }
}

macro_rules! integers {
    ($($int:ty),*) => {$(
        impl Encode for $int {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }

        impl Decode for $int {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self::from_le_bytes(input.array()?))
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, u128);

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Decode for bool {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = input.clone();
        match u8::decode(input)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(at.error("a bool (0 or 1)")),
        }
    }
}

impl Encode for [u8] {
    fn encode(&self, out: &mut Vec<u8>) {
        let len = u32::try_from(self.len()).expect("byte strings stay below 4 GiB");
        len.encode(out);
        out.extend_from_slice(self);
    }
}

impl Encode for Bytes {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

impl Decode for Bytes {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self::from(input.byte_string()?))
    }
}

impl Encode for str {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_bytes().encode(out);
    }
}

impl Encode for String {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_bytes().encode(out);
    }
}

impl Decode for String {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = input.clone();
        let bytes = input.byte_string()?;
        core::str::from_utf8(bytes).map(Self::from).map_err(|_| at.error("UTF-8 text"))
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.encode(out);
            }
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(if bool::decode(input)? { Some(T::decode(input)?) } else { None })
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        let len = u32::try_from(self.len()).expect("lists stay below 4 Gi items");
        len.encode(out);
        for item in self {
            item.encode(out);
        }
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = u32::decode(input)? as usize;
        let mut items = Self::with_capacity(len.min(input.remaining()));
        for _ in 0..len {
            items.push(T::decode(input)?);
        }
        Ok(items)
    }
}

impl<A: Encode, B: Encode> Encode for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
}

impl<A: Decode, B: Decode> Decode for (A, B) {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok((A::decode(input)?, B::decode(input)?))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn round_trip<T: Encode + Decode + PartialEq + fmt::Debug>(value: &T, bytes: &[u8]) {
        assert_eq!(encode_to_vec(value), bytes);
        assert_eq!(&decode_all::<T>(bytes).expect("canonical bytes decode"), value);
        for cut in 0..bytes.len() {
            assert!(decode_all::<T>(&bytes[..cut]).is_err(), "cut at {cut} must not decode");
        }
    }

    #[test]
    fn golden_bytes() {
        round_trip(&0x0102_u16, &[2, 1]);
        round_trip(&true, &[1]);
        round_trip(&Bytes::from("ab"), &[2, 0, 0, 0, b'a', b'b']);
        round_trip(&Some(7_u8), &[1, 7]);
        round_trip(&vec![1_u8, 2], &[2, 0, 0, 0, 1, 2]);
    }

    #[test]
    fn malformed_bytes_name_the_place() {
        let error = decode_all::<bool>(&[2]).unwrap_err();
        assert_eq!(error, DecodeError { offset: 0, expected: "a bool (0 or 1)" });
        let error = decode_all::<u8>(&[1, 2]).unwrap_err();
        assert_eq!(error, DecodeError { offset: 1, expected: "the end" });
    }

    #[test]
    fn a_huge_length_reserves_no_memory() {
        assert!(decode_all::<Vec<u64>>(&[0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(decode_all::<Bytes>(&[0xff, 0xff, 0xff, 0xff, 1]).is_err());
    }
}
