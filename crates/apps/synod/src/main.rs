//! The synod binary: command line and daemon.
//!
//! One binary plays every part: the command line that people type, the daemon that outlives it,
//! and the shim between the daemon and each instance. `main` only reads the command line and
//! hands over; the shim is told apart first, since it must stay single-threaded.

mod builds;
mod client;
mod command;
mod daemon;
mod data_dir;
mod follow;
mod launch;
mod log_lines;
mod manifest_file;
mod outcome;
mod terminal;
mod view;

use std::process::ExitCode;

use clap::Parser;

use crate::command::Cli;
use crate::outcome::{Exit, exit_of};
use crate::terminal::Terminal;

fn main() -> ExitCode {
    // Before anything starts a thread.
    if std::env::args_os().nth(1).is_some_and(|word| word == "shim") {
        return synod_agent::shim::main();
    }
    let cli = Cli::parse();
    let terminal = Terminal::new(cli.color, cli.quiet);
    let exit = match command::run(cli, terminal) {
        Ok(exit) => exit,
        // Whoever read the data has read enough.
        Err(error) if is_broken_pipe(&error) => Exit::Done,
        Err(error) => {
            terminal.error(&format!("{} {error:#}", terminal.paint(terminal::Tone::Bad, "error:")));
            exit_of(&error)
        }
    };
    ExitCode::from(exit.code())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}
