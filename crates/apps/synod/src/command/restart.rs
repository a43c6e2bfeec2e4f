//! `synod restart` and `synod stop`.

use anyhow::Result;
use clap::Args;
use http::Method;
use serde_json::Value;

use super::Session;
use crate::client::Client;
use crate::command::named::{self, Named};
use crate::outcome::Exit;

/// Replace the instances of services.
#[derive(Debug, Args)]
pub(crate) struct RestartArgs {
    #[command(flatten)]
    which: Which,
}

/// Stop services; `up` starts them again.
#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
struct Which {
    /// The services, each as SERVICE or APP/SERVICE
    #[arg(value_name = "SERVICE", required = true)]
    services: Vec<String>,
}

pub(crate) async fn run(session: &Session, args: &RestartArgs) -> Result<Exit> {
    each(session, &args.which, "restart", "restarting").await
}

pub(crate) async fn run_stop(session: &Session, args: &StopArgs) -> Result<Exit> {
    each(session, &args.which, "stop", "stopping").await
}

async fn each(session: &Session, which: &Which, verb: &str, doing: &str) -> Result<Exit> {
    let client = Client::new(&session.data_dir.socket());
    let mut targets = Vec::new();
    for name in &which.services {
        let target = named::service(&client, name).await?;
        // All are known before anything is done to the first.
        named::expect_service(&client, &target).await?;
        targets.push(target);
    }
    for Named { app, service } in targets {
        let path = format!("/v1/apps/{app}/services/{service}/{verb}");
        let _: Value = client.call(Method::POST, &path, None::<&()>).await?;
        session.terminal.say(&format!("{doing} {app}/{service}"));
    }
    Ok(Exit::Done)
}
