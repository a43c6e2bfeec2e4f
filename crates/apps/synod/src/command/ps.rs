//! `synod ps`.

use anyhow::Result;
use clap::Args;
use synod_agent::offline;
use synod_placement::ServiceState;

use super::{Output, Session, named};
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
        {
            let app = match &args.app {
                Some(word) => Some(named::app(&client, Some(word)).await?),
                None => None,
            };
            PsView::new(health, &client.apps(app.as_deref()).await?)
        }
    } else {
        PsView::default()
    };
    if args.output == Output::Json {
        session.terminal.data(&serde_json::to_string_pretty(&view)?)?;
        return Ok(Exit::Done);
    }
    if view.services.is_empty() {
        session.terminal.say(&nothing(session, view.gateway_port.is_some())?);
        return Ok(Exit::Done);
    }
    let painted = session.terminal.for_data();
    let mut lines = instance_table(&view.instances, &painted, usize::MAX);
    for service in view.services.iter().filter(|service| service.state == ServiceState::Stopped) {
        lines.push(format!("{}/{} is stopped; `synod up` starts it", service.app, service.service));
    }
    for app in view.apps.iter().filter(|app| !app.urls.is_empty()) {
        lines.extend([String::new(), app.app.clone()]);
        lines.extend(links(app, &painted));
    }
    session.terminal.data(&lines.join("\n"))?;
    for rejected in &view.rejected {
        session.terminal.say(&rejected.warning());
    }
    Ok(Exit::Done)
}

/// What to say where no instance is listed.
fn nothing(session: &Session, daemon_runs: bool) -> Result<String> {
    let mut left = if daemon_runs { Vec::new() } else { offline::apps(session.data_dir.path())? };
    left.sort();
    if left.is_empty() {
        return Ok("nothing runs; `synod up FILE` starts an app".to_owned());
    }
    let left = left.join(", ");
    Ok(format!(
        "no daemon runs, but there may be instances of {left}: `synod up FILE` takes them up, \
         `synod down` ends them"
    ))
}
