//! Where a chunked body ends, read strictly (RFC 9112 §7.1).

use crate::Refusal;
use crate::head::{is_field_byte, split_field};

/// The most bytes of chunk extensions in one body. Nobody uses them; they are dropped.
const EXTENSIONS_MAX: usize = 4 * 1024;
/// The most bytes of one trailer line, and of all.
const TRAILERS_MAX: usize = 16 * 1024;

/// Follows a chunked body through reads of any size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunked {
    state: State,
    extensions: usize,
    trailers: usize,
    line: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// `size` so far, and how many of its digits were seen.
    Size {
        size: u64,
        digits: u8,
    },
    Extension {
        size: u64,
    },
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCarriage,
    DataEnd,
    Trailer,
    TrailerEnd,
}

impl Chunked {
    pub(crate) fn new() -> Self {
        let state = State::Size { size: 0, digits: 0 };
        Self { state, extensions: 0, trailers: 0, line: Vec::new() }
    }

    /// Reads on. `Ok(Some(n))`: the body ends after `n` of these bytes; `Ok(None)`: all of them
    /// belong to it and more follow.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let mut at = 0;
        while at < bytes.len() {
            if let State::Data { left } = self.state {
                let here = u64::try_from(bytes.len() - at).unwrap_or(u64::MAX).min(left);
                at += usize::try_from(here).unwrap_or(usize::MAX);
                self.state = match left - here {
                    0 => State::DataCarriage,
                    left => State::Data { left },
                };
                continue;
            }
            let is_end = self.step(bytes[at])?;
            at += 1;
            if is_end {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// Takes one byte outside of the data; true after the last one of the body.
    fn step(&mut self, byte: u8) -> Result<bool, Refusal> {
        self.state = match (self.state, byte) {
            (State::Size { size, digits }, _) if byte.is_ascii_hexdigit() && digits < 16 => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (State::Size { size, digits: 1.. }, b'\r') => State::SizeEnd { size },
            (State::Size { size, digits: 1.. }, b';') => State::Extension { size },
            (State::Extension { size }, b'\r') => State::SizeEnd { size },
            (State::Extension { size }, _)
                if is_field_byte(byte) && self.extensions < EXTENSIONS_MAX =>
            {
                self.extensions += 1;
                State::Extension { size }
            }
            (State::SizeEnd { size: 0 }, b'\n') => State::Trailer,
            (State::SizeEnd { size }, b'\n') => State::Data { left: size },
            (State::DataCarriage, b'\r') => State::DataEnd,
            (State::DataEnd, b'\n') => State::Size { size: 0, digits: 0 },
            (State::Trailer, b'\r') => State::TrailerEnd,
            (State::Trailer, _) if byte != b'\n' && self.trailers < TRAILERS_MAX => {
                self.trailers += 1;
                self.line.push(byte);
                State::Trailer
            }
            (State::TrailerEnd, b'\n') if self.line.is_empty() => return Ok(true),
            (State::TrailerEnd, b'\n') => {
                split_field(&self.line).map_err(|_| Refusal::ChunkMalformed)?;
                self.line.clear();
                State::Trailer
            }
            _ => return Err(Refusal::ChunkMalformed),
        };
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_framing_is_exact() {
        let good = [
            "0\r\n\r\n",
            "2\r\nab\r\n0\r\n\r\n",
            "0000000000000002;a=b\r\nab\r\n0;x\r\n\r\n",
            "A\r\n0123456789\r\n00\r\nX: y\r\nZ:\r\n\r\n",
        ];
        for body in good {
            let mut whole = Chunked::new();
            let text = format!("{body}GET");
            assert_eq!(whole.advance(text.as_bytes()), Ok(Some(body.len())), "{body:?}");
            let mut bytewise = Chunked::new();
            let (last, before) = body.as_bytes().split_last().unwrap();
            for byte in before {
                assert_eq!(bytewise.advance(&[*byte]), Ok(None), "{body:?}");
            }
            assert_eq!(bytewise.advance(&[*last]), Ok(Some(1)), "{body:?}");
        }
        let bad = [
            "\r\n",
            ";a\r\n",
            "0x2\r\nab\r\n",
            "+2\r\nab\r\n",
            " 2\r\nab\r\n",
            "2 \r\nab\r\n",
            "2\nab\r\n",
            "2;a=b\nab\r\n",
            "2;a\rb\r\n",
            "2;\0\r\n",
            "2\r\nabc\r\n",
            "2\r\nab\n",
            "2\r\nab0\r\n\r\n",
            "10000000000000000\r\n",
            "0\r\n\n",
            "0\r\nX: y\n\r\n",
            "0\r\nno colon\r\n\r\n",
            "0\r\n folded: x\r\n\r\n",
            "g\r\n",
        ];
        for body in bad {
            let got = Chunked::new().advance(body.as_bytes());
            assert_eq!(got, Err(Refusal::ChunkMalformed), "{body:?}");
        }
    }

    #[test]
    fn endless_extensions_and_trailers_are_cut() {
        let extension = format!("2;{}\r\n", "a".repeat(EXTENSIONS_MAX + 1));
        assert!(Chunked::new().advance(extension.as_bytes()).is_err());
        let trailers = format!("0\r\n{}", "X: y\r\n".repeat(TRAILERS_MAX / 4 + 1));
        assert!(Chunked::new().advance(trailers.as_bytes()).is_err());
    }
}
