//! `synod daemon …`: the process that outlives the command line.

use anyhow::Result;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::{Output, Session, block_on};
use crate::client::Client;
use crate::daemon::RunArgs;
use crate::launch;
use crate::outcome::{Exit, Failure};

/// Look after the daemon.
#[derive(Debug, Args)]
pub(crate) struct DaemonArgs {
    #[command(subcommand)]
    verb: DaemonVerb,
}

#[derive(Debug, Subcommand)]
enum DaemonVerb {
    /// Run the daemon in the foreground
    Run(RunArgs),
    /// Start the daemon, unless one runs
    Start,
    /// Say whether a daemon runs, and where
    Status {
        /// How to print
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// End the daemon; instances keep running and the next daemon adopts them
    Stop,
    /// End the daemon and start this version, with the usual ports; instances keep running
    Restart,
}

pub(crate) fn run(session: &Session, args: &DaemonArgs) -> Result<Exit> {
    match &args.verb {
        DaemonVerb::Run(args) => crate::daemon::run(&session.data_dir, args),
        DaemonVerb::Start => block_on(start(session)),
        DaemonVerb::Status { output } => block_on(status(session, *output)),
        DaemonVerb::Stop => block_on(stop(session)),
        DaemonVerb::Restart => block_on(async {
            stop(session).await?;
            start(session).await
        }),
    }
}

async fn start(session: &Session) -> Result<Exit> {
    launch::ensure(&session.data_dir, &session.terminal).await?;
    session.terminal.say(&format!("the daemon runs on {}", session.data_dir.path().display()));
    Ok(Exit::Done)
}

async fn status(session: &Session, output: Output) -> Result<Exit> {
    let client = Client::new(&session.data_dir.socket());
    let dir = session.data_dir.path().display();
    if !client.is_up().await {
        let message = format!("no daemon runs on {dir}");
        if output == Output::Json {
            let status = json!({ "running": false, "data_dir": dir.to_string() });
            session.terminal.data(&status.to_string())?;
            return Ok(Exit::NotFound);
        }
        return Err(Failure::new(Exit::NotFound, message).into());
    }
    let health: Value = client.get("/v1/health").await?;
    if output == Output::Json {
        let status = json!({ "running": true, "data_dir": dir.to_string(), "health": health });
        session.terminal.data(&status.to_string())?;
        return Ok(Exit::Done);
    }
    session.terminal.data(&format!("directory  {dir}"))?;
    for name in ["version", "pid", "node", "gateway_port"] {
        let value = &health[name];
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let name = name.trim_end_matches("_port");
        session.terminal.data(&format!("{name:10} {value}"))?;
    }
    Ok(Exit::Done)
}

async fn stop(session: &Session) -> Result<Exit> {
    let client = Client::new(&session.data_dir.socket());
    if !client.is_up().await {
        session.terminal.say("no daemon runs");
        return Ok(Exit::Done);
    }
    let _: Value = client.call(Method::POST, "/v1/shutdown", None::<&()>).await?;
    launch::wait_until_gone(&session.data_dir).await?;
    session.terminal.say("the daemon has ended; instances keep running");
    Ok(Exit::Done)
}
