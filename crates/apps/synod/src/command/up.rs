//! `synod up`.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use http::Method;
use synod_jobs::{AppOverview, Apply, Change, Plan, Row, Target};
use synod_manifest::App;

use super::Session;
use crate::builds::{self, When};
use crate::client::Client;
use crate::follow::{Follow, Interrupts, Reached};
use crate::manifest_file::ManifestArgs;
use crate::outcome::Exit;
use crate::{launch, manifest_file};

/// Start an app, or bring a running one to what its manifest says.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    manifest: ManifestArgs,

    /// Only print what would change
    #[arg(long)]
    plan: bool,

    /// Leave the app running and return once it is ready
    #[arg(long, short)]
    detach: bool,

    /// Run every build, changed or not
    #[arg(long)]
    build: bool,

    /// With --detach: how long to wait until everything is ready
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = humantime::parse_duration)]
    wait: Duration,
}

pub(crate) async fn run(session: &Session, args: &UpArgs) -> Result<Exit> {
    let app = manifest_file::read(&args.manifest, &session.terminal)?;
    if args.plan {
        return plan(session, &app).await;
    }
    let when = if args.build { When::Always } else { When::Changed };
    let name = app.name.clone();
    let mut interrupts = Interrupts::new()?;
    let client = start(session, app, when, None, &mut interrupts).await?;
    let mut follow = Follow::open(&client, &name, session.terminal).await?;
    if args.detach {
        let left = "what runs goes on running; `synod down` stops it";
        return match follow.until_settled(&mut interrupts, args.wait, left).await? {
            Reached::Settled => Ok(Exit::Done),
            Reached::Interrupted => Ok(Exit::Interrupted),
            Reached::Gone => Ok(Exit::Failed),
        };
    }
    if follow.until_interrupted(&mut interrupts).await? == Reached::Gone {
        return Ok(Exit::Done);
    }
    session.terminal.say("stopping; Ctrl-C again kills");
    super::down::stop_app(session, &client, &name, &mut interrupts).await?;
    launch::shutdown_if_idle(&client, &session.data_dir).await?;
    Ok(Exit::Interrupted)
}

async fn plan(session: &Session, app: &App) -> Result<Exit> {
    // Without a store there never was a daemon; with one, only a daemon can tell what is known.
    let plan = if session.data_dir.store().exists() {
        let client = launch::ensure(&session.data_dir, &session.terminal).await?;
        let builds = builds::digests(app)?;
        let apply = Apply { app: app.clone(), builds, orphan_after_ms: None };
        let plan: Result<Plan> = client.call(Method::POST, "/v1/plan", Some(&apply)).await;
        launch::shutdown_if_idle(&client, &session.data_dir).await?;
        plan?
    } else {
        all_new(app)
    };
    let mut text = plan.to_string();
    for (service, command) in builds::stale(app, &session.data_dir)? {
        text.push_str(&format!(
            "\n  build {service} first, and replace it if that changes it: {command}"
        ));
    }
    session.terminal.data(&text)?;
    Ok(Exit::Done)
}

/// What `up` does where there is no daemon yet.
fn all_new(app: &App) -> Plan {
    let row = |target, name: &String| Row { target, name: name.clone(), change: Change::Create };
    let services = app.services.keys().map(|name| row(Target::Service, name));
    let routes = app.routes.keys().map(|name| row(Target::Route, name));
    Plan { app: app.name.clone(), rows: services.chain(routes).collect() }
}

/// Builds and applies the app.
pub(crate) async fn start(
    session: &Session,
    app: App,
    when: When,
    orphan_after: Option<Duration>,
    interrupts: &mut Interrupts,
) -> Result<Client> {
    session.data_dir.create()?;
    let Session { data_dir, terminal } = session;
    let builds = builds::build_all(&app, data_dir, when, terminal, interrupts).await?;
    let client = launch::ensure(&session.data_dir, &session.terminal).await?;
    let orphan_after_ms =
        orphan_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    let apply = Apply { app, builds, orphan_after_ms };
    let plan: Plan = client.call(Method::POST, "/v1/apply", Some(&apply)).await?;
    session.terminal.say(&plan.to_string());
    warn_of_renamed(session, &client, &apply.app).await?;
    Ok(client)
}

/// The app of this file may have had another name before; that one runs on.
async fn warn_of_renamed(session: &Session, client: &Client, app: &App) -> Result<()> {
    let apps: Vec<AppOverview> = client.get("/v1/apps").await?;
    for other in apps.iter().filter(|other| other.path == app.path && other.app != app.name) {
        let name = &other.app;
        session.terminal.say(&format!(
            "warning: {name}, an earlier name of this app, still runs; `synod down {name}` ends it"
        ));
    }
    Ok(())
}
