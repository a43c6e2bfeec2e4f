//! Everything that must hold before a change lands, one step after the other.
//!
//! A failed step does not stop the ones after it: one run shows all there is to repair.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::layers;

/// One step's command: arguments for cargo, and the environment it needs.
struct Step {
    name: &'static str,
    args: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
    /// The cargo subcommand that must be installed, and how to get it.
    tool: Option<(&'static str, &'static str)>,
}

const fn step(name: &'static str, args: &'static [&'static str]) -> Step {
    Step { name, args, env: &[], tool: None }
}

const FMT: Step = Step {
    tool: Some(("fmt", "rustup component add rustfmt")),
    ..step("fmt", &["fmt", "--all", "--", "--check"])
};
const CLIPPY: Step = Step {
    tool: Some(("clippy", "rustup component add clippy")),
    ..step(
        "clippy",
        &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
    )
};
const DENY: Step = Step {
    tool: Some(("deny", "cargo install --locked cargo-deny")),
    ..step(
        "deny",
        &["deny", "--locked", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"],
    )
};
const TEST: Step = step("test", &["test", "--workspace", "--locked"]);
const DOC: Step = Step {
    env: &[("RUSTDOCFLAGS", "-D warnings")],
    ..step("doc", &["doc", "--workspace", "--no-deps", "--locked"])
};

/// The example app as its users run it: built for release, brought up, ordered from, taken down.
const SHOP: Step = step(
    "shop",
    &[
        "run",
        "--release",
        "--locked",
        "--",
        "test",
        "examples/shop/app.toml",
        "--",
        "python3",
        "examples/shop/smoke.py",
    ],
);

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Failed,
    Passed,
    Skipped,
}

/// Runs every step, prints a summary, and fails if any step did.
pub(crate) fn run(root: &Path, all: bool) -> ExitCode {
    let is_ci = env::var_os("CI").is_some_and(|value| value == "true");
    let run_cargo = |step: Step| (step.name, timed(|| cargo_step(root, &step, is_ci)));
    let mut steps = vec![
        run_cargo(FMT),
        ("layers", timed(|| layers_step(root))),
        run_cargo(DENY),
        run_cargo(CLIPPY),
        run_cargo(TEST),
        (SHOP.name, timed(|| shop_step(root, is_ci))),
    ];
    if all {
        steps.push(run_cargo(DOC));
    }
    eprintln!("\nverify:");
    for (name, (ended, took)) in &steps {
        eprintln!("  {name:<8}{:<9}{}", word(*ended), minutes(*took));
    }
    let total = steps.iter().map(|(_, (_, took))| *took).sum();
    eprintln!("  {:<17}{}", "in all", minutes(total));
    match steps.iter().any(|(_, (ended, _))| *ended == Ended::Failed) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

/// The cargo that runs us.
pub(crate) fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn timed(step: impl FnOnce() -> Ended) -> (Ended, Duration) {
    let start = Instant::now();
    let ended = step();
    (ended, start.elapsed())
}

fn layers_step(root: &Path) -> Ended {
    eprintln!("\n== layers");
    match layers::check_workspace(root) {
        Ok(summary) => {
            eprintln!("{summary}");
            Ended::Passed
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            Ended::Failed
        }
    }
}

/// Runs the shop on a daemon of its own.
fn shop_step(root: &Path, is_ci: bool) -> Ended {
    let python = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    if !python.is_ok_and(|status| status.success()) {
        eprintln!("\n== shop: python3 IS NOT INSTALLED, and the shop's shipping needs it");
        return without_tool(is_ci);
    }
    let state = env::temp_dir().join(format!("synod-verify-{}", std::process::id()));
    let own = [("SYNOD_DATA_DIR", state.as_os_str()), ("SYNOD_GATEWAY_PORT", "0".as_ref())];
    let ended = cargo_step_in(root, &SHOP, is_ci, &own);
    if let Err(error) = std::fs::remove_dir_all(&state) {
        eprintln!("error: {} was not removed: {error}", state.display());
    }
    ended
}

fn cargo_step(root: &Path, step: &Step, is_ci: bool) -> Ended {
    cargo_step_in(root, step, is_ci, &[])
}

fn cargo_step_in(root: &Path, step: &Step, is_ci: bool, env: &[(&str, &OsStr)]) -> Ended {
    eprintln!("\n== {}: cargo {}", step.name, step.args.join(" "));
    if let Some((tool, remedy)) = step.tool
        && !has_tool(root, tool)
    {
        eprintln!("== {}: cargo {tool} IS NOT INSTALLED; get it with: {remedy}", step.name);
        return without_tool(is_ci);
    }
    let status = Command::new(cargo())
        .args(step.args)
        .envs(step.env.iter().copied())
        .envs(env.iter().copied())
        .current_dir(root)
        .stdin(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Ended::Passed,
        Ok(_) => Ended::Failed,
        Err(error) => {
            eprintln!("error: cannot run cargo: {error}");
            Ended::Failed
        }
    }
}

/// At a desk a missing tool is a nuisance, in CI a hole.
fn without_tool(is_ci: bool) -> Ended {
    if is_ci { Ended::Failed } else { Ended::Skipped }
}

fn has_tool(root: &Path, tool: &str) -> bool {
    let mut command = Command::new(cargo());
    command.args([tool, "--version"]).current_dir(root);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn word(ended: Ended) -> &'static str {
    match ended {
        Ended::Failed => "FAILED",
        Ended::Passed => "passed",
        Ended::Skipped => "SKIPPED",
    }
}

fn minutes(took: Duration) -> String {
    format!("{:5.1} min", took.as_secs_f64() / 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_fails_in_ci_only() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let missing = Step { tool: Some(("no-such-tool", "nothing")), ..FMT };
        assert_eq!(cargo_step(root, &missing, true), Ended::Failed);
        assert_eq!(cargo_step(root, &missing, false), Ended::Skipped);
    }

    #[test]
    fn minutes_are_shown_with_one_decimal() {
        assert_eq!(minutes(Duration::from_secs(90)), "  1.5 min");
    }
}
