//! Splits a command into words the way a shell does, and nothing else of a shell.

/// Why a command cannot be split.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WordsError {
    /// The quote that is never closed.
    #[error("the quote {0} is never closed")]
    OpenQuote(char),
    /// A word that only a shell understands.
    #[error("{0:?} needs a shell, and run is not given to one")]
    Operator(String),
    /// A backslash with nothing after it.
    #[error("the last backslash has nothing to escape")]
    TrailingBackslash,
}

/// Words that stand alone in shell commands and mean something there.
const OPERATORS: [&str; 10] = ["&", "&&", "<", ">", ">>", "2>", "2>&1", ";", "|", "||"];

/// Splits at blanks. `'...'` keeps everything, `"..."` keeps everything but `\"` and `\\`, and
/// outside of quotes a backslash keeps the next character.
pub(crate) fn split_words(text: &str) -> Result<Vec<String>, WordsError> {
    let mut words = Vec::new();
    let mut characters = text.chars().peekable();
    loop {
        while characters.next_if(|character| character.is_whitespace()).is_some() {}
        if characters.peek().is_none() {
            return Ok(words);
        }
        words.push(next_word(&mut characters)?);
    }
}

fn next_word(
    characters: &mut std::iter::Peekable<std::str::Chars<'_>>,
) -> Result<String, WordsError> {
    let mut word = String::new();
    let mut is_plain = true;
    while let Some(character) = characters.next_if(|character| !character.is_whitespace()) {
        is_plain &= !matches!(character, '\'' | '"' | '\\');
        match character {
            '\'' => loop {
                match characters.next().ok_or(WordsError::OpenQuote('\''))? {
                    '\'' => break,
                    other => word.push(other),
                }
            },
            '"' => loop {
                match characters.next().ok_or(WordsError::OpenQuote('"'))? {
                    '"' => break,
                    '\\' => match characters.next().ok_or(WordsError::OpenQuote('"'))? {
                        escaped @ ('"' | '\\') => word.push(escaped),
                        other => word.extend(['\\', other]),
                    },
                    other => word.push(other),
                }
            },
            '\\' => word.push(characters.next().ok_or(WordsError::TrailingBackslash)?),
            other => word.push(other),
        }
    }
    let means_shell = OPERATORS.contains(&word.as_str()) || word.ends_with(';');
    if is_plain && means_shell { Err(WordsError::Operator(word)) } else { Ok(word) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, words: &[&str]) {
        assert_eq!(split_words(text).unwrap(), words, "{text:?}");
    }

    #[test]
    fn words_are_split_like_in_a_shell() {
        check("", &[]);
        check("  \t ", &[]);
        check("python3 -u  server.py", &["python3", "-u", "server.py"]);
        check("a 'b  c' \"d e\"", &["a", "b  c", "d e"]);
        check("a'b'\"c\"d", &["abcd"]);
        check("a '' \"\"", &["a", "", ""]);
        check(r#"a\ b "\"\\\n" '\'"#, &["a b", r#""\\n"#, r"\"]);
        check("echo '&&' \\; \"|\"", &["echo", "&&", ";", "|"]);
    }

    #[test]
    fn what_only_a_shell_can_do_is_refused() {
        for text in ["a && b", "a | b", "a > b", "a; b", "a ; b", "a &"] {
            assert!(matches!(split_words(text), Err(WordsError::Operator(_))), "{text:?}");
        }
    }

    #[test]
    fn open_ends_are_refused() {
        assert_eq!(split_words("a 'b"), Err(WordsError::OpenQuote('\'')));
        assert_eq!(split_words("a \"b\\"), Err(WordsError::OpenQuote('"')));
        assert_eq!(split_words("a\\"), Err(WordsError::TrailingBackslash));
    }
}
