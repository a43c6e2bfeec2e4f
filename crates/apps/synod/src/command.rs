//! The command line: its words, and which module does what each asks.

mod check;
mod daemon;
mod down;
mod explain;
mod logs;
mod named;
mod ps;
mod restart;
mod services;
mod test;
mod up;

use std::future::Future;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};

use crate::data_dir::DataDir;
use crate::outcome::Exit;
use crate::terminal::{ColorChoice, Terminal};

/// Runs a team's microservices: one binary, one file, on a laptop and on a fleet.
#[derive(Debug, Parser)]
#[command(name = "synod", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Where the daemon keeps its state; each directory is an independent daemon
    #[arg(long, global = true, env = "SYNOD_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// When to colour [any non-empty NO_COLOR turns it off]
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: ColorChoice,

    /// Say nothing but data and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage or manifest, 3 not found, \
    4 conflict, 5 unreachable or timeout, 6 denied, 130 interrupted.";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start an app, or bring a running one to what its manifest says
    Up(up::UpArgs),
    /// Stop an app, or all of them
    Down(down::DownArgs),
    /// Show what runs
    Ps(ps::PsArgs),
    /// Show what services printed
    Logs(logs::LogsArgs),
    /// Replace the instances of services
    Restart(restart::RestartArgs),
    /// Stop services; `up` starts them again
    Stop(restart::StopArgs),
    /// Start an app, run a command against it, stop the app; exits as the command did
    Test(test::TestArgs),
    /// Check a manifest without running anything
    Check(check::CheckArgs),
    /// Show who offers which service where
    Services(services::ServicesArgs),
    /// Look after the daemon
    Daemon(daemon::DaemonArgs),
    /// Explain an error code, such as SYN-0003
    Explain(explain::ExplainArgs),
}

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For programs
    Json,
    /// For people
    #[default]
    Table,
}

/// What every command works with.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) data_dir: DataDir,
    pub(crate) terminal: Terminal,
}

/// Runs the command.
pub(crate) fn run(cli: Cli, terminal: Terminal) -> Result<Exit> {
    let data_dir = DataDir::resolve(cli.data_dir)?;
    let session = Session { data_dir, terminal };
    match cli.verb {
        Verb::Check(args) => check::run(&session, &args),
        Verb::Explain(args) => explain::run(&session, &args),
        Verb::Daemon(args) => daemon::run(&session, &args),
        Verb::Up(args) => block_on(up::run(&session, &args)),
        Verb::Down(args) => block_on(down::run(&session, &args)),
        Verb::Ps(args) => block_on(ps::run(&session, &args)),
        Verb::Logs(args) => block_on(logs::run(&session, &args)),
        Verb::Restart(args) => block_on(restart::run(&session, &args)),
        Verb::Stop(args) => block_on(restart::run_stop(&session, &args)),
        Verb::Services(args) => block_on(services::run(&session, &args)),
        Verb::Test(args) => block_on(test::run(&session, &args)),
    }
}

/// Runs a command's future on a runtime of its own.
fn block_on(future: impl Future<Output = Result<Exit>>) -> Result<Exit> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime could not start")?
        .block_on(future)
}
