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
    let dir = session.data_dir.path();
    if !session.data_dir.store().exists() {
        if !offline::apps(dir)?.is_empty() {
            return without_daemon(session, args, "there is no store in the data directory");
        }
        if args.all {
            return Ok(Exit::Done);
        }
        return Err(Failure::new(Exit::NotFound, "no app runs").into());
    }
    let mut interrupts = Interrupts::new()?;
    // Instances may run without a daemon: the one that starts here adopts them first.
    let client = match launch::ensure(&session.data_dir, &session.terminal).await {
        Ok(client) => client,
        Err(error) => return without_daemon(session, args, &format!("{error:#}")),
    };
    let outcome = stop_named(session, &client, args, &mut interrupts).await;
    // Also a daemon that was started in vain ends.
    launch::shutdown_if_idle(&client, &session.data_dir).await?;
    outcome.map(|()| Exit::Done)
}

async fn stop_named(
    session: &Session,
    client: &Client,
    args: &DownArgs,
    interrupts: &mut Interrupts,
) -> Result<()> {
    let apps = if args.all {
        let apps: Vec<AppOverview> = client.get("/v1/apps").await?;
        apps.into_iter().map(|app| app.app).collect()
    } else {
        vec![named::app(client, args.app.as_deref()).await?]
    };
    for app in apps {
        stop_app(session, client, &app, interrupts).await?;
    }
    Ok(())
}

/// Stops the app and waits until nothing of it is left; an interrupt meanwhile kills it.
pub(crate) async fn stop_app(
    session: &Session,
    client: &Client,
    app: &str,
    interrupts: &mut Interrupts,
) -> Result<()> {
    let mut follow = Follow::open(client, app, session.terminal).await?;
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
fn without_daemon(session: &Session, args: &DownArgs, why: &str) -> Result<Exit> {
    session.terminal.error(&format!("warning: {why}"));
    session.terminal.error("stopping the instances without the daemon");
    let dir = session.data_dir.path();
    let mut stopped = 0;
    for app in apps_left(args, offline::apps(dir)?)? {
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

/// Which of the apps that have instances are meant.
fn apps_left(args: &DownArgs, there: Vec<String>) -> Result<Vec<String>> {
    if args.all {
        return Ok(there);
    }
    let named = match &args.app {
        Some(word) => Some(manifest_file::app_name(word).unwrap_or_else(|| word.clone())),
        None => manifest_file::app_name("app.toml"),
    };
    match (named, there.as_slice()) {
        (Some(app), _) if there.contains(&app) => Ok(vec![app]),
        (None, [_]) => Ok(there),
        (Some(app), _) => {
            let message = format!("no instance of {app} is there; there are: {}", there.join(", "));
            Err(Failure::new(Exit::NotFound, message).into())
        }
        (None, _) => {
            let message = format!("name one of: {}; or --all", there.join(", "));
            Err(Failure::new(Exit::Usage, message).into())
        }
    }
}

/// Ends the app's instances at once.
async fn kill(session: &Session, app: &str) -> Result<()> {
    let (dir, app) = (session.data_dir.path().to_owned(), app.to_owned());
    let kill = move || offline::stop_all(&dir, &app, Some(Duration::ZERO));
    tokio::task::spawn_blocking(kill).await??;
    Ok(())
}
