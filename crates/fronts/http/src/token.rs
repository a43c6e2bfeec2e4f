//! The secret that opens the TCP listener.

use std::fmt;

/// The secret that opens the TCP listener, in `Authorization: Bearer <token>`.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// The fewest bytes a token may have. Sixteen random ones in hexadecimal have as many.
    pub const LEN_MIN: usize = 32;

    /// A token; `None` when it is too short, or not of visible ASCII and so not fit for a header.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Option<Self> {
        let secret = secret.into();
        let fits =
            secret.len() >= Self::LEN_MIN && secret.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then_some(Self(secret))
    }

    /// Whether `given` is the token, in a time that does not tell how much of it is right.
    pub(crate) fn matches(&self, given: &[u8]) -> bool {
        let ours = self.0.as_bytes();
        let differing = ours.iter().zip(given).fold(0, |all, (a, b)| all | (a ^ b));
        ours.len() == given.len() && differing == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_matches() {
        let secret = "0123456789abcdef0123456789abcdef";
        let token = Token::new(secret).expect("long enough");
        assert!(token.matches(secret.as_bytes()));
        for wrong in ["", &secret[1..], "0123456789abcdef0123456789abcdeg", &format!("{secret}0")] {
            assert!(!token.matches(wrong.as_bytes()), "{wrong}");
        }
        assert_eq!(format!("{token:?}"), "Token(***)");
    }

    #[test]
    fn weak_and_unprintable_tokens_are_refused() {
        for bad in ["", "short", "0123456789abcdef 0123456789abcdef", &"ä".repeat(32)] {
            assert!(Token::new(bad).is_none(), "{bad}");
        }
    }
}
