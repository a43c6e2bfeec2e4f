//! `synod test`.

use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use synod_jobs::AppOverview;
use tokio::process::Command;

use super::Session;
use crate::builds::When;
use crate::client::Client;
use crate::follow::{Follow, Interrupts, Reached};
use crate::manifest_file::ManifestArgs;
use crate::outcome::{Exit, Failure, exit_of};
use crate::{launch, manifest_file};

/// Instances end so long after a daemon that is gone, so that a test cut off leaves nothing.
const ORPHAN_AFTER: Duration = Duration::from_secs(15);

/// Start an app, run a command against it, stop the app.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    #[command(flatten)]
    manifest: ManifestArgs,

    /// How long to wait until everything is ready
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = humantime::parse_duration)]
    wait: Duration,

    /// The command, with <NAME>_URL of every service in its environment
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

pub(crate) async fn run(session: &Session, args: &TestArgs) -> Result<Exit> {
    let app = manifest_file::read(&args.manifest, &session.terminal)?;
    let name = app.name.clone();
    refuse_running(session, &name).await?;
    let mut interrupts = Interrupts::new()?;
    let orphans = Some(ORPHAN_AFTER);
    let client = super::up::start(session, app, When::Changed, orphans, &mut interrupts).await?;
    let outcome = ready_and_run(session, &client, &name, args, &mut interrupts).await;
    // Whatever came of it, nothing stays running.
    let stopped = super::down::stop_app(session, &client, &name, &mut interrupts).await;
    let ended = launch::shutdown_if_idle(&client, &session.data_dir).await;
    let exit = exit_as(&outcome?);
    match stopped.and(ended) {
        // Someone else has taken it down already.
        Err(error) if matches!(exit_of(&error), Exit::NotFound | Exit::Unreachable) => Ok(exit),
        Err(error) => Err(error),
        Ok(()) => Ok(exit),
    }
}

/// A test ends its app; one that someone works with is not its own.
async fn refuse_running(session: &Session, app: &str) -> Result<()> {
    let client = Client::new(&session.data_dir.socket());
    if !client.is_up().await {
        return Ok(());
    }
    let apps: Vec<AppOverview> = client.get("/v1/apps").await?;
    if apps.iter().all(|running| running.app != app) {
        return Ok(());
    }
    let message = format!(
        "{app} is running, and a test would end it; nothing was changed. Use another --data-dir \
         for the test, or `synod down {app}` first"
    );
    Err(Failure::new(Exit::Conflict, message).into())
}

/// How the command of a test ended.
enum Ended {
    Exited(ExitStatus),
    Gone,
    Interrupted,
}

async fn ready_and_run(
    session: &Session,
    client: &Client,
    app: &str,
    args: &TestArgs,
    interrupts: &mut Interrupts,
) -> Result<Ended> {
    let mut follow = Follow::open(client, app, session.terminal).await?;
    let left = "it is taken down again, and the command was not run";
    match follow.until_settled(interrupts, args.wait, left).await? {
        Reached::Settled => {}
        Reached::Gone => return Ok(Ended::Gone),
        Reached::Interrupted => return Ok(Ended::Interrupted),
    }
    let environment = client.environment(app).await?;
    let program = &args.command[0];
    let mut child = Command::new(program)
        .args(&args.command[1..])
        .envs(environment)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run {program}"))?;
    tokio::select! {
        biased;
        () = interrupts.next() => Ok(Ended::Interrupted),
        status = child.wait() => Ok(Ended::Exited(status.context("the command was lost")?)),
    }
}

/// As a shell would: the command's code, or 128 and the signal that ended it.
fn exit_as(ended: &Ended) -> Exit {
    use std::os::unix::process::ExitStatusExt;
    match ended {
        Ended::Exited(status) => {
            let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
            Exit::Command(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
        }
        Ended::Gone => Exit::Failed,
        Ended::Interrupted => Exit::Interrupted,
    }
}
