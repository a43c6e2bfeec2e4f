//! `synod services`.

use anyhow::{Context, Result};
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};
use synod_registry::Registration;

use super::{Output, Session, named};
use crate::client::Client;
use crate::outcome::Exit;
use crate::view::Table;

/// Show who offers which service where.
#[derive(Debug, Args)]
pub(crate) struct ServicesArgs {
    /// Only this app
    #[arg(long, value_name = "APP")]
    app: Option<String>,

    /// How to print
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Deserialize)]
struct Listing {
    services: Vec<Registration>,
}

pub(crate) async fn run(session: &Session, args: &ServicesArgs) -> Result<Exit> {
    let client = Client::new(&session.data_dir.socket());
    let filter = match &args.app {
        Some(word) => format!("?app={}", named::app(&client, Some(word)).await?),
        None => String::new(),
    };
    let value: Value = client.get(&format!("/v1/services{filter}")).await?;
    if args.output == Output::Json {
        session.terminal.data(&serde_json::to_string_pretty(&value)?)?;
        return Ok(Exit::Done);
    }
    let listing: Listing = serde_json::from_value(value).context("the list is not understood")?;
    let mut table = Table::new(["SERVICE", "INSTANCE", "HEALTH", "ADDRESS", "NODE"]);
    for row in &listing.services {
        let addresses: Vec<String> =
            row.ports.values().map(|port| format!("{}:{}", row.address, port.number)).collect();
        table.row([
            format!("{}/{}", row.app, row.service).into(),
            row.instance.as_str().into(),
            json!(row.health).as_str().unwrap_or_default().into(),
            addresses.join(" ").into(),
            row.node.as_str().into(),
        ]);
    }
    let lines = table.lines(&session.terminal.for_data(), usize::MAX);
    session.terminal.data(&lines.join("\n"))?;
    Ok(Exit::Done)
}
