//! `synod test`.

use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use tokio::process::Command;

use super::Session;
use crate::builds::When;
use crate::client::Client;
use crate::follow::{Follow, Interrupts, Reached};
use crate::manifest_file::ManifestArgs;
use crate::outcome::{Exit, Failure};
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
    let client = super::up::start(session, app, When::Changed, Some(ORPHAN_AFTER)).await?;
    let outcome = ready_and_run(session, &client, &name, args).await;
    // Whatever came of it, nothing stays running.
    super::down::stop_app(session, &client, &name).await?;
    launch::shutdown_if_idle(&client, &session.data_dir).await?;
    exit_as(outcome?)
}

/// The command's end, or nothing when the user ended the wait.
async fn ready_and_run(
    session: &Session,
    client: &Client,
    app: &str,
    args: &TestArgs,
) -> Result<Option<ExitStatus>> {
    let mut follow = Follow::open(client, app, session.terminal).await?;
    if follow.until_settled(args.wait).await? != Reached::Settled {
        return Ok(None);
    }
    let environment = client.environment(app).await?;
    let mut interrupts = Interrupts::new()?;
    let program = &args.command[0];
    let mut child = Command::new(program)
        .args(&args.command[1..])
        .envs(environment)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run {program}"))?;
    tokio::select! {
        status = child.wait() => Ok(Some(status.context("the command was lost")?)),
        () = interrupts.next() => Ok(None),
    }
}

fn exit_as(status: Option<ExitStatus>) -> Result<Exit> {
    use std::os::unix::process::ExitStatusExt;
    let Some(status) = status else { return Ok(Exit::Interrupted) };
    match (status.code(), status.signal()) {
        (Some(code), _) => Ok(Exit::Command(u8::try_from(code).unwrap_or(1))),
        (None, signal) => {
            let signal = signal.unwrap_or_default();
            Err(Failure::new(Exit::Failed, format!("the command died of signal {signal}")).into())
        }
    }
}
