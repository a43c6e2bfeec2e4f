//! Automation for the people who work on Synod: `cargo xtask layers`, `cargo xtask verify` and
//! `cargo xtask bench-gateway`.
//!
//! The first two only read; what they check and why is written in `docs/ARCHITECTURE.md`.

mod bench_gateway;
mod layers;
mod verify;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Automation for people who work on Synod")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures what a request costs the gateway, beside nginx and Envoy where installed.
    BenchGateway(bench_gateway::Options),
    /// Checks the direction of dependencies and the purity of the cores.
    Layers,
    /// Runs everything that must hold before a change lands: formatting, lints, layers, licences,
    /// tests.
    Verify {
        /// Also builds the documentation, with warnings as errors.
        #[arg(long)]
        all: bool,
    },
}

fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let root = workspace_root()?;
    match command {
        Command::BenchGateway(options) => {
            bench_gateway::run(&root, options)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Layers => {
            println!("{}", layers::check_workspace(&root)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Verify { all } => Ok(verify::run(&root, *all)),
    }
}

/// The folder above this package's, which cargo names when it runs us.
fn workspace_root() -> anyhow::Result<PathBuf> {
    let package = env::var_os("CARGO_MANIFEST_DIR").context("run this as `cargo xtask`")?;
    let package = PathBuf::from(package);
    Ok(package.parent().context("xtask lies in the workspace's folder")?.to_path_buf())
}
