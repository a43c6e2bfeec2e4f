//! What is wrong with a manifest, and where.

use std::fmt;
use std::ops::Range;

/// One thing that is wrong with a manifest.
///
/// `Display` gives one line such as
/// `app.toml:12:1: service.api.helth: unknown key, did you mean "health"?`;
/// [`Problem::render`] adds the line of the manifest and the help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problem {
    /// The manifest as people know it, see [`Options::shown_as`](crate::Options::shown_as).
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The bytes of the text that are meant.
    pub span: Range<usize>,
    /// The key's path, such as `service.api.health`. Empty when the text is not TOML at all.
    pub key: String,
    /// What is wrong: lower case, no final stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl Problem {
    /// The problem with the line of `text` it is about, a mark under the place, and the help.
    ///
    /// `text` is the text that was parsed; with another one the mark may miss its place.
    #[must_use]
    pub fn render(&self, text: &str) -> String {
        let mut out = self.to_string();
        out.push('\n');
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        if let Some(line) = text.lines().nth(self.line - 1) {
            let lead: String = line.chars().take(self.column - 1).map(blank).collect();
            let marks = "^".repeat(self.marked_characters(text, line));
            let line: String = line.chars().map(visible).collect();
            out.push_str(&format!("{margin} |\n{number} | {line}\n{margin} | {lead}{marks}\n"));
        }
        if let Some(help) = &self.help {
            out.push_str(&format!("{margin} = help: {help}\n"));
        }
        out
    }

    /// How many characters to mark: the span, cut at the end of its first line.
    fn marked_characters(&self, text: &str, line: &str) -> usize {
        let meant = text.get(self.span.clone()).unwrap_or_default();
        let on_first_line = meant.lines().next().unwrap_or_default().chars().count();
        let left_on_line = line.chars().count().saturating_sub(self.column - 1);
        on_first_line.min(left_on_line).max(1)
    }
}

/// Keeps tabs, so that the mark stands under its place whatever the width of a tab.
fn blank(character: char) -> char {
    if character == '\t' { '\t' } else { ' ' }
}

/// A manifest must not be able to steer the terminal it is shown on.
fn visible(character: char) -> char {
    if character.is_control() && character != '\t' { '\u{fffd}' } else { character }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str, span: Range<usize>, column: usize) -> String {
        Problem {
            file: "app.toml".into(),
            line: 1,
            column,
            span,
            key: String::new(),
            message: "wrong".into(),
            help: None,
        }
        .render(text)
    }

    #[test]
    fn a_tab_before_the_mark_stays_a_tab() {
        assert_eq!(problem("\tx = 1", 1..2, 2), "app.toml:1:2: wrong\n  |\n1 | \tx = 1\n  | \t^\n");
    }

    #[test]
    fn a_mark_ends_with_its_line() {
        assert_eq!(
            problem("x = [\n1]", 4..8, 5),
            "app.toml:1:5: wrong\n  |\n1 | x = [\n  |     ^\n"
        );
    }

    #[test]
    fn control_characters_are_not_passed_on() {
        assert!(problem("x = \"\u{1b}[2J\"", 0..1, 1).contains("\"\u{fffd}[2J\""));
    }
}
