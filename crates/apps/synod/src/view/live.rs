//! The table that redraws itself while an app starts; a line per change where it can't.

use std::collections::BTreeMap;

use synod_jobs::AppStatus;

use super::{AppRow, InstanceRow, instance_table, links};
use crate::terminal::Terminal;

/// What is on the screen.
pub(crate) struct Live {
    terminal: Terminal,
    gateway_port: u16,
    /// Lines of the table drawn last.
    drawn: usize,
    /// The state last said of each instance, where nothing can be redrawn.
    said: BTreeMap<String, &'static str>,
}

impl Live {
    pub(crate) fn new(terminal: Terminal, gateway_port: u16) -> Self {
        Self { terminal, gateway_port, drawn: 0, said: BTreeMap::new() }
    }

    /// Shows how the app stands now.
    pub(crate) fn show(&mut self, status: &AppStatus) {
        let rows = InstanceRow::of_app(status, self.gateway_port);
        if self.terminal.is_live() {
            self.redraw(&rows, status);
        } else {
            self.say_changes(&rows);
        }
    }

    /// Leaves the table, with the app's links, as the last thing said.
    pub(crate) fn finish(&mut self, status: &AppStatus) {
        let rows = InstanceRow::of_app(status, self.gateway_port);
        let app = AppRow::new(status, self.gateway_port);
        self.erase();
        let mut lines = instance_table(&rows, &self.terminal, usize::MAX);
        if !app.urls.is_empty() {
            lines.push(String::new());
            lines.extend(links(&app, &self.terminal));
        }
        self.terminal.say(&lines.join("\n"));
    }

    /// Takes the table away.
    pub(crate) fn clear(&mut self) {
        self.erase();
    }

    /// Says something above the table.
    pub(crate) fn say(&mut self, text: &str) {
        self.erase();
        self.terminal.say(text);
    }

    fn redraw(&mut self, rows: &[InstanceRow], status: &AppStatus) {
        let mut lines = instance_table(rows, &self.terminal, self.terminal.width());
        let app = AppRow::new(status, self.gateway_port);
        if status.is_settled() && !rows.is_empty() && !app.urls.is_empty() {
            lines.push(String::new());
            lines.extend(links(&app, &self.terminal));
        }
        // A table taller than the screen can't be redrawn in place: show what fits.
        let rows_that_fit = synod_sys::terminal::height().map_or(24, usize::from).max(3) - 2;
        lines.truncate(rows_that_fit);
        self.erase();
        self.terminal.say(&lines.join("\n"));
        self.drawn = lines.len();
    }

    fn erase(&mut self) {
        if self.drawn > 0 {
            // Up to the table's first line, then clear to the end of the screen.
            self.terminal.raw(&format!("\x1b[{}F\x1b[J", self.drawn));
            self.drawn = 0;
        }
    }

    fn say_changes(&mut self, rows: &[InstanceRow]) {
        for row in rows {
            // Only what the instance does is news, not each new reason for the same wait.
            if self.said.insert(row.id.clone(), row.state) != Some(row.state) {
                let reason = row.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                self.terminal.say(&format!("{}/{} {}{reason}", row.app, row.id, row.state));
            }
        }
        self.said.retain(|id, _| rows.iter().any(|row| row.id == *id));
    }
}
