//! `synod logs`.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Args;
use synod_agent::log::LogLine;

use super::{Output, Session, named};
use crate::client::Client;
use crate::follow::Interrupts;
use crate::log_lines;
use crate::outcome::{Exit, Failure};
use crate::terminal::Terminal;

/// Show what services printed.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The services [default: all of the app]
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,

    /// The app [default: the one that has the services, of ./app.toml, or the only one]
    #[arg(long, value_name = "APP")]
    app: Option<String>,

    /// Go on with what is printed from now on
    #[arg(long, short)]
    follow: bool,

    /// Only the last lines
    #[arg(long, value_name = "LINES")]
    tail: Option<usize>,

    /// Only what was printed in the last while, such as 10m
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    since: Option<Duration>,

    /// How to print; json is one object a line
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(crate) async fn run(session: &Session, args: &LogsArgs) -> Result<Exit> {
    let client = Client::new(&session.data_dir.socket());
    let (app, services) = which(&client, args).await?;
    let since_ms = args.since.map(ago_ms).transpose()?;
    let mut lines =
        log_lines::open(&client, &app, &services, args.tail, since_ms, args.follow).await?;
    let mut interrupts = Interrupts::new()?;
    loop {
        tokio::select! {
            biased;
            () = interrupts.next() => return Ok(Exit::Interrupted),
            line = lines.next::<LogLine>() => match line? {
                Some(line) => print(&line, args.output, &session.terminal)?,
                None => return Ok(Exit::Done),
            },
        }
    }
}

async fn which(client: &Client, args: &LogsArgs) -> Result<(String, BTreeSet<String>)> {
    let mut app = match &args.app {
        Some(app) => Some(named::app(client, Some(app)).await?),
        None => None,
    };
    let mut services = BTreeSet::new();
    for word in &args.services {
        let found = match &app {
            Some(app) if !word.contains('/') => {
                named::Named { app: app.clone(), service: word.clone() }
            }
            _ => named::service(client, word).await?,
        };
        // The logs of an app that is gone can still be read.
        named::expect_service(client, &found).await?;
        if app.as_ref().is_some_and(|app| *app != found.app) {
            return Err(Failure::new(Exit::Usage, "logs are shown of one app at a time").into());
        }
        app = Some(found.app);
        services.insert(found.service);
    }
    match app {
        Some(app) => Ok((app, services)),
        None => Ok((named::app(client, None).await?, services)),
    }
}

fn ago_ms(ago: Duration) -> Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    let then = now.saturating_sub(ago);
    u64::try_from(then.as_millis()).context("the clock is far ahead")
}

fn print(line: &LogLine, output: Output, terminal: &Terminal) -> Result<()> {
    match output {
        Output::Json => terminal.data(&serde_json::to_string(line)?)?,
        Output::Table => terminal.data(&log_lines::shown(line, &terminal.for_data()))?,
    }
    Ok(())
}
