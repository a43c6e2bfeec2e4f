//! What a request costs our gateway beside nginx and Envoy.
//!
//! All stand before the same endpoint on the loopback interface, each with one thread that moves
//! bytes, kept connections on both sides and no access log, and get the same load in turns:
//! `A B C A B C ..`. CPU time per request and the ratio to nginx are what to trust; latency depends
//! on what else the machine does. A proxy that is not installed is left out, and that is said.
//!
//! Endpoint, load and our proxy are roles of the program `request_cost`, a bench of `synod-proxy`.

mod child;
mod contender;
mod figures;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

use child::Child;
use contender::{Contender, Workplace};
use figures::{Figures, table};

/// What one load may take.
const LOAD_DEADLINE: Duration = Duration::from_secs(150);
/// What a program may take to be at its port.
const START_DEADLINE: Duration = Duration::from_secs(20);

/// How much is measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often each proxy gets its turn; the medians of all turns are shown.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
    /// Requests per turn, over 32 connections.
    #[arg(long, default_value_t = 60_000, value_parser = clap::value_parser!(u32).range(100..=2_000_000))]
    requests: u32,
    /// The profile that our proxy is built with.
    #[arg(long, default_value = "release")]
    profile: String,
    /// Another build of `request_cost` to compare ours with: before and after a change.
    #[arg(long)]
    beside: Option<PathBuf>,
}

/// Measures and prints.
pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    let request_cost = build(root, &options.profile)?;
    let place = Workplace::new()?;
    let endpoint = Child::start_and_read(&request_cost, &["upstream"])?;
    let mut contenders = vec![
        Contender::role("relay", &request_cost, endpoint.line())?,
        Contender::role("proxy", &request_cost, endpoint.line())?,
    ];
    if let Some(other) = &options.beside {
        contenders.push(Contender::beside(other, endpoint.line())?);
    }
    for (name, start) in [
        ("nginx", contender::nginx as fn(&Workplace, &Path, &str) -> anyhow::Result<Contender>),
        ("envoy", contender::envoy),
    ] {
        match find_program(name) {
            Some(program) => contenders.push(start(&place, &program, endpoint.line())?),
            None => eprintln!("SKIPPED: {name} is not on PATH; install it to see it compared"),
        }
    }
    let mut measured = vec![Vec::new(); contenders.len()];
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        for (contender, turns) in contenders.iter().zip(&mut measured) {
            turns.push(load(&request_cost, contender, options.requests)?);
        }
    }
    let names = contenders.iter().map(|contender| contender.name.as_str());
    let rows: Vec<_> = names.zip(measured.iter().map(Vec::as_slice)).collect();
    println!("{}", table(&rows));
    Ok(())
}

fn build(root: &Path, profile: &str) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(root)
        .args(["bench", "--locked", "--package", "synod-proxy", "--bench", "request_cost"])
        .args(["--no-run", "--message-format", "json-render-diagnostics", "--profile", profile])
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cargo cannot be started")?;
    ensure!(built.status.success(), "request_cost cannot be built; see above");
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_bench = message["target"]["name"] == "request_cost";
        is_bench.then(|| message["executable"].as_str().map(PathBuf::from)).flatten()
    };
    let messages = String::from_utf8_lossy(&built.stdout);
    messages.lines().find_map(executable).context("cargo did not name the built request_cost")
}

fn load(request_cost: &Path, contender: &Contender, requests: u32) -> anyhow::Result<Figures> {
    let (requests, pid) = (requests.to_string(), contender.pid().to_string());
    let mut load =
        Child::start_and_read(request_cost, &["load", &contender.address, &requests, &pid])
            .with_context(|| format!("{} does not bear the load", contender.name))?;
    load.wait(LOAD_DEADLINE)?;
    Figures::parse(load.line())
}

/// The file that a shell would run, or one where Debian puts what only root starts.
fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}
