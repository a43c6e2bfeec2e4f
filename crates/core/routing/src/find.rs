//! Finds a byte, eight at a time.
//!
//! Heads are searched for their line ends twice, so that this is worth more than
//! `iter().position`, which takes one byte after the other.

/// The place of the first `byte` in `bytes`.
pub(crate) fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let wanted = LOW * u64::from(byte);
    let (chunks, rest) = bytes.as_chunks::<8>();
    for (index, chunk) in chunks.iter().enumerate() {
        // A byte is 0 where it is the wanted one. Subtracting borrows from the high bit of the
        // lowest such byte; bytes above it may be marked by mistake, those below it never are.
        let differs = u64::from_le_bytes(*chunk) ^ wanted;
        let marks = differs.wrapping_sub(LOW) & !differs & HIGH;
        if marks != 0 {
            return Some(index * 8 + marks.trailing_zeros() as usize / 8);
        }
    }
    let place = rest.iter().position(|&other| other == byte)?;
    Some(chunks.len() * 8 + place)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_looking_at_each_byte(
            bytes in prop::collection::vec(prop_oneof![0u8..4, 126u8..130, 252u8..=255], 0..40),
            byte in prop_oneof![0u8..4, 126u8..130, 252u8..=255],
        ) {
            let place = bytes.iter().position(|&other| other == byte);
            prop_assert_eq!(find(byte, &bytes), place);
        }
    }
}
