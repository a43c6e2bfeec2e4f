//! Randomness from the kernel.

use std::io;

/// `N` unpredictable bytes.
///
/// # Errors
/// When the kernel has no randomness to give, which a booted system always has.
pub fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// `bytes` of randomness as lower-case hexadecimal, twice as many characters.
///
/// # Errors
/// As [`bytes`].
pub fn hex(bytes: usize) -> io::Result<String> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut raw = vec![0; bytes];
    fill(&mut raw)?;
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    Ok(raw.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect())
}

#[cfg(target_os = "linux")]
fn fill(out: &mut [u8]) -> io::Result<()> {
    let mut rest = out;
    while !rest.is_empty() {
        let read = rustix::rand::getrandom(&mut *rest, rustix::rand::GetRandomFlags::empty())?;
        rest = &mut rest[read..];
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn fill(out: &mut [u8]) -> io::Result<()> {
    use std::io::Read;
    std::fs::File::open("/dev/urandom")?.read_exact(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(bytes::<16>().unwrap(), bytes::<16>().unwrap());
        let (one, other) = (hex(8).unwrap(), hex(8).unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 16);
        assert!(one.chars().all(|c| c.is_ascii_hexdigit()));
    }
}
