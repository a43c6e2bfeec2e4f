//! Tables for people: aligned columns, no frames, nothing to select around when copying.
//!
//! Our own few lines rather than a table library: cells are painted after they are measured, which
//! the libraries need a terminal stack of their own for.

use super::{AppRow, InstanceRow};
use crate::terminal::{Terminal, Tone};

const GAP: usize = 2;

/// Rows of cells under a head. The last column is not padded.
pub(crate) struct Table<const N: usize> {
    head: [&'static str; N],
    rows: Vec<[Cell; N]>,
}

/// Text and how it is painted.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    tone: Option<Tone>,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), tone: None }
    }
}

impl<const N: usize> Table<N> {
    pub(crate) fn new(head: [&'static str; N]) -> Self {
        Self { head, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: [Cell; N]) {
        self.rows.push(cells);
    }

    /// The table as lines, each cut at `width` characters.
    pub(crate) fn lines(&self, terminal: &Terminal, width: usize) -> Vec<String> {
        let head = self.head.map(|text| Cell { text: text.to_owned(), tone: Some(Tone::Faint) });
        let rows: Vec<&[Cell; N]> = std::iter::once(&head).chain(&self.rows).collect();
        let mut widths = [0; N];
        for row in &rows {
            for (widest, cell) in widths.iter_mut().zip(row.iter()) {
                *widest = cell.text.chars().count().max(*widest);
            }
        }
        rows.into_iter().map(|row| line(row, &widths, terminal, width)).collect()
    }
}

fn line<const N: usize>(
    row: &[Cell; N],
    widths: &[usize; N],
    terminal: &Terminal,
    width: usize,
) -> String {
    let mut line = String::new();
    let mut left = width;
    for (number, (cell, widest)) in row.iter().zip(widths).enumerate() {
        let text = cut(&cell.text, left);
        let length = text.chars().count();
        let padding = if number + 1 == N { 0 } else { (widest + GAP - length).min(left - length) };
        left -= length + padding;
        line.push_str(&cell.tone.map_or_else(|| text.clone(), |tone| terminal.paint(tone, &text)));
        line.push_str(&" ".repeat(padding));
    }
    line.trim_end().to_owned()
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    if width == 0 { kept } else { kept + "…" }
}

/// Instances as a table; every state is a word, colour only repeats it.
pub(crate) fn instance_table(
    rows: &[InstanceRow],
    terminal: &Terminal,
    width: usize,
) -> Vec<String> {
    let mut table = Table::new(["INSTANCE", "STATE", "PID", "PORTS", "WHERE OR WHY"]);
    for row in rows {
        let ports: Vec<String> = row.ports.values().map(ToString::to_string).collect();
        let note = match (&row.reason, &row.url) {
            (Some(reason), _) => reason.clone(),
            (None, Some(url)) if row.ready => url.clone(),
            _ => String::new(),
        };
        table.row([
            format!("{}/{}", row.app, row.id).into(),
            Cell { text: row.state.to_owned(), tone: Some(tone(row.state)) },
            row.pid.map(|pid| pid.to_string()).unwrap_or_default().into(),
            ports.join(" ").into(),
            note.into(),
        ]);
    }
    table.lines(terminal, width)
}

fn tone(state: &str) -> Tone {
    match state {
        "done" | "ready" => Tone::Good,
        "exited" | "failed" => Tone::Bad,
        _ => Tone::Busy,
    }
}

/// Where to look at an app, a line each.
pub(crate) fn links(app: &AppRow, terminal: &Terminal) -> Vec<String> {
    let width = app.urls.keys().map(String::len).max().unwrap_or(0);
    let line = |(name, url): (&String, &String)| {
        format!("  {} {url}", terminal.paint(Tone::Faint, &format!("{name:width$}")))
    };
    app.urls.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::ColorChoice;

    #[test]
    fn columns_align_whatever_the_colour_and_long_lines_are_cut() {
        let mut table = Table::new(["A", "BB", "C"]);
        let good = |text: &str| Cell { text: text.into(), tone: Some(Tone::Good) };
        table.row(["x".into(), good("ready"), "why not".into()]);
        table.row(["longer".into(), good("no"), "because".into()]);
        let plain = Terminal::new(ColorChoice::Never, false);
        let lines = table.lines(&plain, 100);
        assert_eq!(lines, ["A       BB     C", "x       ready  why not", "longer  no     because"]);
        assert_eq!(table.lines(&plain, 18)[1], "x       ready  wh…");
        let painted = Terminal::new(ColorChoice::Always, false);
        assert_eq!(table.lines(&painted, 100)[1], "x       \x1b[32mready\x1b[0m  why not");
    }
}
