//! What a person sees: messages on stderr, colour only where it shows, nothing when quiet.

use std::env;
use std::io::{IsTerminal, Write};

use clap::ValueEnum;

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// Always.
    Always,
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Never.
    Never,
}

/// A colour by its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Bad,
    Busy,
    Faint,
    Good,
    Strong,
}

/// The two streams of a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    /// Whether talk is coloured.
    color: bool,
    /// Whether data is coloured.
    data_color: bool,
    quiet: bool,
    /// Whether the talk can be redrawn in place.
    live: bool,
}

impl Terminal {
    pub(crate) fn new(choice: ColorChoice, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color = |terminal: bool| match choice {
            ColorChoice::Always => true,
            ColorChoice::Auto => terminal && !no_color,
            ColorChoice::Never => false,
        };
        let data_color = color(std::io::stdout().is_terminal());
        let color = color(terminal);
        let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { color, data_color, quiet, live: terminal && !quiet && !dumb }
    }

    /// The same for painting what goes to stdout.
    pub(crate) fn for_data(self) -> Self {
        Self { color: self.data_color, ..self }
    }

    /// Whether it paints.
    pub(crate) fn is_colored(&self) -> bool {
        self.color
    }

    /// Prints data on stdout.
    ///
    /// # Errors
    /// When stdout is closed, which ends the command in peace, or full.
    pub(crate) fn data(&self, text: &str) -> std::io::Result<()> {
        writeln!(std::io::stdout(), "{}", text.trim_end_matches('\n'))
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    pub(crate) fn is_live(&self) -> bool {
        self.live
    }

    /// Says something on stderr, unless quiet.
    pub(crate) fn say(&self, line: &str) {
        if !self.quiet {
            self.error(line);
        }
    }

    /// Says something on stderr.
    pub(crate) fn error(&self, line: &str) {
        // A closed stderr is nobody to tell.
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// Steers the terminal; only for one that is live.
    pub(crate) fn raw(&self, sequence: &str) {
        let _ = write!(std::io::stderr(), "{sequence}");
    }

    /// A line that a service printed.
    pub(crate) fn service_line(&self, service: &str, line: &str) {
        self.say(&format!("{} {line}", self.paint(Tone::Faint, &format!("{service} |"))));
    }

    /// `text` in the colour of `tone`.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.color {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Bad => "31",
            Tone::Busy => "33",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Strong => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Columns of the terminal; 100 when unknown.
    pub(crate) fn width(&self) -> usize {
        synod_sys::terminal::width().unwrap_or(100).into()
    }
}
