//! Reads single values and gathers what is wrong with them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use crate::Problem;
use crate::document::{Node, Value};
use crate::duration::{format_duration, parse_duration};
use crate::reference::{Piece, split_references};

/// Beyond this many problems the rest says nothing new.
pub(crate) const PROBLEMS_MAX: usize = 100;

/// What reading a manifest needs everywhere: the text, the variables and the problems so far.
///
/// A value that is wrong is reported and read as `None`, so that reading goes on and finds the
/// other problems too.
pub(crate) struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    line_starts: Vec<usize>,
    vars: BTreeMap<String, String>,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(after_breaks).collect();
        Self { file, text, line_starts, vars: BTreeMap::new(), problems: RefCell::default() }
    }

    /// The variables that `${vars.x}` is filled with from now on.
    pub(crate) fn set_vars(&mut self, vars: BTreeMap<String, String>) {
        self.vars = vars;
    }

    /// The problems so far, in the order of the text.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
        problems.dedup();
        problems
    }

    pub(crate) fn has_problems(&self) -> bool {
        !self.problems.borrow().is_empty()
    }

    /// Notes that a value is wrong.
    pub(crate) fn report(&self, node: &Node, message: impl Into<String>) {
        self.report_at(&node.span, &node.path, message, None);
    }

    /// Notes that a value is wrong and what to do about it.
    pub(crate) fn report_help(
        &self,
        node: &Node,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.report_at(&node.span, &node.path, message, Some(help.into()));
    }

    /// Notes that something is wrong at a place.
    pub(crate) fn report_at(
        &self,
        span: &Range<usize>,
        path: &str,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() >= PROBLEMS_MAX {
            return;
        }
        let (line, column) = self.position(span.start);
        problems.push(Problem {
            file: self.file.to_owned(),
            line,
            column,
            span: span.clone(),
            key: path.to_owned(),
            message: message.into(),
            help,
        });
    }

    /// A string without references once the variables are filled in.
    pub(crate) fn string(&self, node: &Node) -> Option<String> {
        let Value::String(text) = &node.value else {
            self.report(node, format!("must be a string, found {}", node.kind()));
            return None;
        };
        let mut filled = String::new();
        for piece in self.pieces(node, text)? {
            match piece {
                Piece::Literal(literal) => filled.push_str(&literal),
                Piece::Reference(reference) => {
                    self.report_at(
                        &self.reference_span(node, &reference),
                        &node.path,
                        format!("${{{reference}}} cannot be used here"),
                        Some(REFERENCE_PLACES.to_owned()),
                    );
                    return None;
                }
            }
        }
        Some(filled)
    }

    /// Text cut into literals and references, with the variables filled in.
    pub(crate) fn pieces(&self, node: &Node, text: &str) -> Option<Vec<Piece>> {
        if text.contains('\0') {
            self.report(node, "holds a NUL character, which no program can be given");
            return None;
        }
        let Some(pieces) = split_references(text) else {
            self.report_help(node, "${ without its }", ESCAPE_FORM);
            return None;
        };
        pieces.into_iter().map(|piece| self.fill(node, piece)).collect()
    }

    fn fill(&self, node: &Node, piece: Piece) -> Option<Piece> {
        let Piece::Reference(reference) = &piece else { return Some(piece) };
        let Some(name) = reference.strip_prefix("vars.") else { return Some(piece) };
        if let Some(value) = self.vars.get(name) {
            return Some(Piece::Literal(value.clone()));
        }
        let message = format!(
            "there is no variable {name:?}{}",
            did_you_mean(name, self.vars.keys().map(String::as_str))
        );
        let span = self.reference_span(node, reference);
        self.report_at(&span, &node.path, message, Some(list("[vars] has", self.vars.keys())));
        None
    }

    /// Where a reference stands inside its string. Escapes in the string may hide it, then the
    /// whole string is meant.
    pub(crate) fn reference_span(&self, node: &Node, reference: &str) -> Range<usize> {
        let written = format!("${{{reference}}}");
        let raw = self.text.get(node.span.clone()).unwrap_or_default();
        match raw.find(&written) {
            Some(at) => node.span.start + at..node.span.start + at + written.len(),
            None => node.span.clone(),
        }
    }

    /// A list's values.
    pub(crate) fn list<'n>(&self, node: &'n Node) -> Option<&'n [Node]> {
        if let Value::Array(nodes) = &node.value {
            return Some(nodes);
        }
        self.report(node, format!("must be a list, found {}", node.kind()));
        None
    }

    /// An integer within bounds.
    pub(crate) fn integer(&self, node: &Node, range: RangeInclusive<u32>) -> Option<u32> {
        let (least, most) = (range.start(), range.end());
        let Value::Integer(integer) = node.value else {
            let found = node.kind();
            self.report(node, format!("must be an integer from {least} to {most}, found {found}"));
            return None;
        };
        let value = u32::try_from(integer).ok().filter(|value| range.contains(value));
        if value.is_none() {
            self.report(node, format!("must be {least} to {most}, found {integer}"));
        }
        value
    }

    /// A string with a duration within bounds.
    pub(crate) fn duration(
        &self,
        node: &Node,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let text = match node.value {
            Value::String(_) => self.string(node)?,
            _ => {
                let message = format!("must be a duration, found {}", node.kind());
                self.report_help(node, message, DURATION_FORM);
                return None;
            }
        };
        self.duration_text(node, &text, range)
    }

    /// A part of a string as a duration within bounds.
    pub(crate) fn duration_text(
        &self,
        node: &Node,
        text: &str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let Some(duration) = parse_duration(text) else {
            self.report_help(node, format!("{text:?} is not a duration"), DURATION_FORM);
            return None;
        };
        if range.contains(&duration) {
            return Some(duration);
        }
        let least = format_duration(*range.start());
        let most = format_duration(*range.end());
        self.report(node, format!("must be {least} to {most}, found {text:?}"));
        None
    }

    /// The line and the column, both from 1, the column in characters.
    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts[line - 1];
        let before = self.text.get(start..offset).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

const DURATION_FORM: &str = r#"a number with its unit, such as "250ms", "5s", "1m30s" or "1h""#;
const REFERENCE_PLACES: &str = "only run and env take references to what is known later; \
    write $${ for a dollar and a brace that are meant literally";
pub(crate) const ESCAPE_FORM: &str = "write $${ for a dollar and a brace that are meant literally";

/// `, did you mean "x"?` for the candidate that is near enough, nothing when none is.
pub(crate) fn did_you_mean<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> String {
    // Longer words are no slips of the pen, and comparing them takes time.
    const WORD_MAX: usize = 64;
    const CANDIDATES_MAX: usize = 1000;
    if word.len() > WORD_MAX {
        return String::new();
    }
    let near = |candidate: &'c str| {
        let distance = strsim::osa_distance(word, candidate);
        let allowed = (word.len().max(candidate.len()) + 1) / 3;
        (distance <= allowed).then_some((distance, candidate))
    };
    let candidates = candidates.into_iter().take(CANDIDATES_MAX);
    match candidates.filter_map(near).min() {
        Some((_, nearest)) => format!(", did you mean {nearest:?}?"),
        None => String::new(),
    }
}

/// `label: a, b` or `label: none`.
pub(crate) fn list<T: AsRef<str>>(label: &str, words: impl IntoIterator<Item = T>) -> String {
    let mut out = format!("{label}: ");
    for (index, word) in words.into_iter().enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        out.push_str(word.as_ref());
    }
    if out.ends_with(": ") {
        out.push_str("none");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let reader = Reader::new("app.toml", "a\näö = 1\n");
        assert_eq!(reader.position(0), (1, 1));
        assert_eq!(reader.position(2), (2, 1));
        assert_eq!(reader.position(6), (2, 3));
        assert_eq!(reader.position(99), (3, 1));
    }

    #[test]
    fn only_near_words_are_suggested() {
        assert_eq!(did_you_mean("helth", ["dir", "health"]), ", did you mean \"health\"?");
        assert_eq!(did_you_mean("prots", ["ports", "stop"]), ", did you mean \"ports\"?");
        assert_eq!(did_you_mean("colour", ["dir", "env", "run"]), "");
        assert_eq!(did_you_mean(&"x".repeat(70), ["x"]), "");
    }
}
