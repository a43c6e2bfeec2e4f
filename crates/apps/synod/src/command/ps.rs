//! `synod ps`.

use anyhow::Result;
use clap::Args;
use synod_agent::offline;

use super::{Output, Session};
use crate::client::{Client, Health};
use crate::outcome::Exit;
use crate::view::{PsView, instance_table, links};

/// Show what runs.
#[derive(Debug, Args)]
pub(crate) struct PsArgs {
    /// Only this app
    #[arg(value_name = "APP")]
    app: Option<String>,

    /// How to print
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(crate) async fn run(session: &Session, args: &PsArgs) -> Result<Exit> {
    let client = Client::new(&session.data_dir.socket());
    let view = if client.is_up().await {
        let health: Health = client.get("/v1/health").await?;
        PsView::new(health, &client.apps(args.app.as_deref()).await?)
    } else {
        PsView::default()
    };
    if args.output == Output::Json {
        println!("{}", serde_json::to_string_pretty(&view)?);
        return Ok(Exit::Done);
    }
    if view.instances.is_empty() {
        session.terminal.say(&nothing(session, view.gateway_port.is_some())?);
        return Ok(Exit::Done);
    }
    println!("{}", instance_table(&view.instances, &session.terminal, usize::MAX).join("\n"));
    for app in view.apps.iter().filter(|app| !app.urls.is_empty()) {
        println!("\n{}\n{}", app.app, links(app, &session.terminal).join("\n"));
    }
    for rejected in &view.rejected {
        session.terminal.say(&rejected.warning());
    }
    Ok(Exit::Done)
}

/// What to say where no instance is listed.
fn nothing(session: &Session, daemon_runs: bool) -> Result<String> {
    let left = if daemon_runs { Vec::new() } else { offline::apps(session.data_dir.path())? };
    if left.is_empty() {
        return Ok("nothing runs; `synod up FILE` starts an app".to_owned());
    }
    let left = left.join(", ");
    Ok(format!(
        "no daemon runs, but there may be instances of {left}: `synod up FILE` takes them up, \
         `synod down` ends them"
    ))
}
