//! Finding the app or service that a word on the command line means.

use std::fs;
use std::path::Path;

use anyhow::Result;
use synod_jobs::AppOverview;

use crate::client::Client;
use crate::outcome::{Exit, Failure};

/// A service of an app.
pub(crate) struct Named {
    pub(crate) app: String,
    pub(crate) service: String,
}

/// The app that `word` means: a name, a manifest's path, or without a word the app of `./app.toml`
/// or the only one there is.
pub(crate) async fn app(client: &Client, word: Option<&str>) -> Result<String> {
    let apps: Vec<AppOverview> = client.get("/v1/apps").await?;
    match word {
        Some(word) => named_app(&apps, word),
        None => implied_app(&apps),
    }
}

fn named_app(apps: &[AppOverview], word: &str) -> Result<String> {
    if let Some(app) = apps.iter().find(|app| app.app == word).or_else(|| by_path(apps, word)) {
        return Ok(app.app.clone());
    }
    let known: Vec<&str> = apps.iter().map(|app| app.app.as_str()).collect();
    let hint = match known.as_slice() {
        [] => "no app runs".to_owned(),
        known => format!("there are: {}", known.join(", ")),
    };
    Err(Failure::new(Exit::NotFound, format!("there is no app {word}; {hint}")).into())
}

fn by_path<'a>(apps: &'a [AppOverview], word: &str) -> Option<&'a AppOverview> {
    let path = fs::canonicalize(word).ok()?;
    let path = if path.is_dir() { path.join("app.toml") } else { path };
    apps.iter().find(|app| app.path == path)
}

fn implied_app(apps: &[AppOverview]) -> Result<String> {
    if Path::new("app.toml").exists()
        && let Some(app) = by_path(apps, "app.toml")
    {
        return Ok(app.app.clone());
    }
    match apps {
        [only] => Ok(only.app.clone()),
        [] => Err(Failure::new(Exit::NotFound, "no app runs").into()),
        several => {
            let names: Vec<&str> = several.iter().map(|app| app.app.as_str()).collect();
            let message = format!("several apps run; name one of: {}", names.join(", "));
            Err(Failure::new(Exit::Usage, message).into())
        }
    }
}

/// Refuses a service that its app does not have. An app that is not there has none to refuse.
pub(crate) async fn expect_service(client: &Client, named: &Named) -> Result<()> {
    let apps: Vec<AppOverview> = client.get("/v1/apps").await?;
    let Some(app) = apps.iter().find(|app| app.app == named.app) else { return Ok(()) };
    let there: Vec<&str> = app.services.iter().map(|service| service.service.as_str()).collect();
    if there.contains(&named.service.as_str()) {
        return Ok(());
    }
    let (app, service) = (&named.app, &named.service);
    let message = format!("{app} has no service {service}; it has {}", there.join(", "));
    Err(Failure::new(Exit::NotFound, message).into())
}

/// The service that `word` means: `APP/SERVICE`, or a name that one app alone has.
pub(crate) async fn service(client: &Client, word: &str) -> Result<Named> {
    let apps: Vec<AppOverview> = client.get("/v1/apps").await?;
    if let Some((app, service)) = word.split_once('/') {
        return Ok(Named { app: named_app(&apps, app)?, service: service.to_owned() });
    }
    let has = |app: &&AppOverview| app.services.iter().any(|service| service.service == word);
    let found: Vec<&AppOverview> = apps.iter().filter(has).collect();
    match found.as_slice() {
        [app] => Ok(Named { app: app.app.clone(), service: word.to_owned() }),
        [] => Ok(Named { app: implied_app(&apps)?, service: word.to_owned() }),
        several => {
            let names: Vec<String> =
                several.iter().map(|app| format!("{}/{word}", app.app)).collect();
            let message = format!("several apps have {word}; name one of: {}", names.join(", "));
            Err(Failure::new(Exit::Usage, message).into())
        }
    }
}
