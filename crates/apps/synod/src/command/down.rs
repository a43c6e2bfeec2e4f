//! `synod down`.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use http::Method;
use serde_json::Value;
use synod_agent::offline;
use synod_jobs::AppOverview;

use super::{Session, named};
use crate::client::Client;
use crate::follow::{Follow, Interrupts};
use crate::outcome::{Exit, Failure};
use crate::{launch, manifest_file};

/// Stop an app, or all of them.
#[derive(Debug, Args)]
pub(crate) struct DownArgs {
    /// The app's name, or its manifest [default: the app of ./app.toml, or the only one]
    #[arg(value_name = "APP|FILE")]
    app: Option<String>,

    /// Stop every app
    #[arg(long, conflicts_with = "app")]
    all: bool,
}

pub(crate) async fn run(session: &Session, args: &DownArgs) -> Result<Exit> {
    if !session.data_dir.store().exists() {
        if args.all {
            return Ok(Exit::Done);
        }
        return Err(Failure::new(Exit::NotFound, "no app runs").into());
    }
    // Instances may run without a daemon: the one that starts here adopts them first.
    let client = match launch::ensure(&session.data_dir, &session.terminal).await {
        Ok(client) => client,
        Err(error) => return without_daemon(session, args, &error),
    };
    let outcome = stop_named(session, &client, args).await;
    // Also a daemon that was started in vain ends.
    launch::shutdown_if_idle(&client, &session.data_dir).await?;
    outcome.map(|()| Exit::Done)
}

async fn stop_named(session: &Session, client: &Client, args: &DownArgs) -> Result<()> {
    let apps = if args.all {
        let apps: Vec<AppOverview> = client.get("/v1/apps").await?;
        apps.into_iter().map(|app| app.app).collect()
    } else {
        vec![named::app(client, args.app.as_deref()).await?]
    };
    for app in apps {
        stop_app(session, client, &app).await?;
    }
    Ok(())
}

/// Stops the app and waits until nothing of it is left; an interrupt meanwhile kills it.
pub(crate) async fn stop_app(session: &Session, client: &Client, app: &str) -> Result<()> {
    let mut follow = Follow::open(client, app, session.terminal).await?;
    let mut interrupts = Interrupts::new()?;
    let _: Value = client.call(Method::DELETE, &format!("/v1/apps/{app}"), None::<&()>).await?;
    let gone = async {
        tokio::select! {
            biased;
            () = interrupts.next() => {
                session.terminal.say("killing");
                tokio::select! {
                    biased;
                    () = interrupts.next() => {
                        Err(Failure::new(Exit::Interrupted, "gave up waiting").into())
                    }
                    gone = async {
                        kill(session, app).await?;
                        follow.until_gone().await
                    } => gone,
                }
            }
            gone = follow.until_gone() => gone,
        }
    };
    gone.await?;
    session.terminal.say(&format!("{app} is down"));
    Ok(())
}

/// Stops instances through their shims, where no daemon can start.
fn without_daemon(session: &Session, args: &DownArgs, error: &anyhow::Error) -> Result<Exit> {
    session.terminal.error(&format!("warning: {error:#}"));
    session.terminal.error("stopping the instances without the daemon");
    let dir = session.data_dir.path();
    let apps = match &args.app {
        Some(word) => vec![manifest_file::app_name(word).unwrap_or_else(|| word.clone())],
        None => offline::apps(dir)?,
    };
    let mut stopped = 0;
    for app in apps {
        let ended = offline::stop_all(dir, &app, None)?;
        stopped += ended.iter().filter(|instance| instance.was_running).count();
    }
    session.terminal.say(&format!(
        "{stopped} instance{} stopped; a daemon that starts again on this directory may start them \
         again",
        if stopped == 1 { "" } else { "s" }
    ));
    Ok(Exit::Done)
}

/// Ends the app's instances at once.
async fn kill(session: &Session, app: &str) -> Result<()> {
    let (dir, app) = (session.data_dir.path().to_owned(), app.to_owned());
    let kill = move || offline::stop_all(&dir, &app, Some(Duration::ZERO));
    tokio::task::spawn_blocking(kill).await??;
    Ok(())
}
