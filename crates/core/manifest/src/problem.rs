//! What is wrong with a manifest, and where.

use std::fmt;
use std::ops::Range;

/// One thing that is wrong with a manifest.
///
/// `Display` gives one line such as
/// `app.toml:12:1: service.api.helth: unknown key, did you mean "health"?`;
/// [`render`] adds the line of the manifest and the help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problem {
    /// The name of the manifest, without its directory.
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
        write!(f, "{}:", self.file)?;
        self.write_after_file(f)
    }
}

/// The problem with the line of `text` it is about, a mark under the place, and the help.
///
/// `text` is the text that was parsed; with another one the mark may miss its place. `shown` is
/// the file as its user calls it.
#[must_use]
pub fn render(problem: &Problem, text: &str, shown: &str) -> String {
    let mut out = format!("{shown}:");
    // Writing to a string cannot fail.
    let _ = problem.write_after_file(&mut out);
    let number = problem.line.to_string();
    let margin = " ".repeat(number.len());
    if let Some(line) = text.lines().nth(problem.line - 1) {
        let lead: String = line.chars().take(problem.column - 1).map(blank).collect();
        let marks = "^".repeat(problem.marked_characters(text, line));
        let line: String = line.chars().map(visible).collect();
        out.push_str(&format!("\n{margin} |\n{number} | {line}\n{margin} | {lead}{marks}"));
    }
    if let Some(help) = &problem.help {
        out.push_str(&format!("\n{margin} = help: {help}"));
    }
    out
}

impl Problem {
    fn write_after_file(&self, out: &mut impl fmt::Write) -> fmt::Result {
        write!(out, "{}:{}: ", self.line, self.column)?;
        if !self.key.is_empty() {
            write!(out, "{}: ", self.key)?;
        }
        out.write_str(&self.message)
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
        let problem = Problem {
            file: "app.toml".into(),
            line: 1,
            column,
            span,
            key: String::new(),
            message: "wrong".into(),
            help: None,
        };
        render(&problem, text, "x/app.toml")
    }

    #[test]
    fn a_tab_before_the_mark_stays_a_tab() {
        assert_eq!(problem("\tx = 1", 1..2, 2), "x/app.toml:1:2: wrong\n  |\n1 | \tx = 1\n  | \t^");
    }

    #[test]
    fn a_mark_ends_with_its_line() {
        assert_eq!(
            problem("x = [\n1]", 4..8, 5),
            "x/app.toml:1:5: wrong\n  |\n1 | x = [\n  |     ^"
        );
    }

    #[test]
    fn control_characters_are_not_passed_on() {
        assert!(problem("x = \"\u{1b}[2J\"", 0..1, 1).contains("\"\u{fffd}[2J\""));
    }
}
