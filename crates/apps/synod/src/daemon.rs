//! The daemon: every part of one machine's Synod in one process, started in order and stopped in
//! the reverse one.
//!
//! It decides nothing. It opens the member, hands its port to the loop, the gateway, the agent and
//! the admin API, and waits for a reason to end: a signal, a request, or a part that cannot go on.

mod gateway_port;
mod parts;
mod start_failure;

use std::io::Write;
use std::process;

use anyhow::{Context, Result};
use clap::Args;
use tokio::runtime::Runtime;

use crate::data_dir::DataDir;
use crate::launch::{DirectoryHeld, Report};
use crate::outcome::{Exit, exit_of};
use parts::Parts;

/// Threads that move requests: more than a few only pay where there are many cores.
const DATA_PLANE_THREADS_MAX: usize = 4;

/// How the daemon listens.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    /// The gateway's port; 0 takes a free one [default: 8080, or a free one when it is taken]
    #[arg(long, value_name = "PORT", env = "SYNOD_GATEWAY_PORT")]
    pub(crate) gateway_port: Option<u16>,

    /// Also serve the admin API on this loopback port, for holders of the token in api.token;
    /// 0 takes a free one
    #[arg(long, value_name = "PORT", env = "SYNOD_API_PORT")]
    pub(crate) api_port: Option<u16>,

    /// Leave the terminal, report on stdout, and end when the last app is gone
    #[arg(long, hide = true)]
    pub(crate) detached: bool,
}

/// Runs the daemon until it is asked to end.
pub(crate) fn run(data_dir: &DataDir, args: &RunArgs) -> Result<Exit> {
    log_to_stderr();
    let outcome = serve(data_dir, args);
    if let Err(error) = &outcome
        && args.detached
    {
        let message = format!("{error:#}");
        tell(&match error.is::<DirectoryHeld>() {
            true => Report::Held { message },
            false => Report::Failed { exit: exit_of(error).code(), message },
        });
    }
    outcome
}

fn serve(data_dir: &DataDir, args: &RunArgs) -> Result<Exit> {
    synod_sys::signal::ignore_write_signals();
    // Fewer open files than wished for is no reason not to start.
    if let Err(error) = synod_sys::limit::raise_open_files() {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    data_dir.create()?;
    let _lock = start_failure::lock(data_dir)?;
    let control = runtime(1, "synod-control")?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let data_plane = runtime(cores.min(DATA_PLANE_THREADS_MAX), "synod-data")?;
    control.block_on(async {
        let mut parts = Parts::start(data_dir, args, data_plane.handle()).await?;
        if args.detached {
            tell(&Report::Ready);
        } else {
            eprintln!("{}", parts.greeting());
        }
        tracing::info!(pid = process::id(), gateway_port = parts.gateway_port(), "started");
        let ended = parts.until_end().await;
        parts.stop().await;
        ended
    })?;
    Ok(Exit::Done)
}

fn runtime(threads: usize, name: &str) -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .enable_all()
        .build()
        .context("the runtime could not start")
}

/// Tells the command that started this daemon how it went.
fn tell(report: &Report) {
    let line = serde_json::to_string(report).expect("a report is plain text");
    // Whoever asked may be gone already.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn log_to_stderr() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("SYNOD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .finish();
    // Fails only where one is set already, which then serves as well.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
