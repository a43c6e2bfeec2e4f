//! Canonical bytes of everything that goes into the log and into snapshots.
//!
//! Tags are fixed for good; a new variant takes a new one. Each type has golden bytes in its
//! test.

mod command;
mod config;
mod kv;
mod range;
mod txn;

use alloc::vec::Vec;

use synod_base::{DecodeError, Reader};

/// Reads a list with `item`. Reserves no more than the input can hold, when an item takes at
/// least `item_len_min` bytes.
pub(crate) fn list<T>(
    input: &mut Reader<'_>,
    item_len_min: usize,
    mut item: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    use synod_base::Decode;
    let at = input.clone();
    let len = u32::decode(input)? as usize;
    if len > input.remaining() / item_len_min {
        return Err(at.error("a list no longer than the input"));
    }
    (0..len).map(|_| item(input)).collect()
}

/// An enum of unit variants, each with its tag.
macro_rules! unit_enum {
    ($name:ty, $expected:literal, { $($variant:ident = $tag:literal),* $(,)? }) => {
        impl synod_base::Encode for $name {
            fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
                out.push(match self { $(Self::$variant => $tag),* });
            }
        }

        impl synod_base::Decode for $name {
            fn decode(
                input: &mut synod_base::Reader<'_>,
            ) -> Result<Self, synod_base::DecodeError> {
                let at = input.clone();
                match u8::decode(input)? {
                    $($tag => Ok(Self::$variant),)*
                    _ => Err(at.error($expected)),
                }
            }
        }
    };
}
pub(crate) use unit_enum;

/// Asserts that `value` has exactly these bytes and that no prefix of them decodes.
#[cfg(test)]
pub(crate) fn assert_golden<T>(value: &T, hex: &str)
where
    T: synod_base::Encode + synod_base::Decode + PartialEq + core::fmt::Debug,
{
    use alloc::string::String;
    let bytes = synod_base::encode_to_vec(value);
    let found: String = bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect();
    let wanted: String = hex.split_whitespace().collect();
    assert_eq!(found, wanted, "the bytes of {value:?}");
    assert_eq!(&synod_base::decode_all::<T>(&bytes).expect("canonical bytes decode"), value);
    for cut in 0..bytes.len() {
        assert!(synod_base::decode_all::<T>(&bytes[..cut]).is_err(), "cut at {cut} decodes");
    }
}
