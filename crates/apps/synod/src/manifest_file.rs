//! Reading a manifest from disk, and showing what is wrong with it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use synod_manifest::{App, Options};

use crate::outcome::{Exit, Failure};
use crate::terminal::Terminal;

/// A manifest and how to read it.
#[derive(Clone, Debug, Args)]
pub(crate) struct ManifestArgs {
    /// The manifest
    #[arg(value_name = "FILE", default_value = "app.toml")]
    pub(crate) file: PathBuf,

    /// Use the overrides of `[profile.NAME]`
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// Set a variable of `[vars]`
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = parse_var)]
    pub(crate) vars: Vec<(String, String)>,
}

fn parse_var(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// Reads and checks the manifest. Every problem has been shown when this fails.
pub(crate) fn read(args: &ManifestArgs, terminal: &Terminal) -> Result<App> {
    let path = fs::canonicalize(&args.file).map_err(|error| unreadable(&args.file, &error))?;
    let path = if path.is_dir() { path.join("app.toml") } else { path };
    let bytes = fs::read(&path).map_err(|error| unreadable(&path, &error))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let (file, at) = (shown(&args.file), error.utf8_error().valid_up_to());
        let message = format!("{file} is not UTF-8 text from byte {at} on [SYN-0001]");
        Failure::new(Exit::Usage, message)
    })?;
    let options =
        Options { profile: args.profile.clone(), vars: args.vars.iter().cloned().collect() };
    let app = synod_manifest::parse(&text, &path, &options).map_err(|problems| {
        for problem in &problems {
            terminal.error(&synod_manifest::render(problem, &text, &shown(&args.file)));
        }
        let count = problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        Failure::new(Exit::Usage, format!("{} has {count} {noun} [SYN-0001]", shown(&args.file)))
    })?;
    check_dirs(&app, terminal)?;
    Ok(app)
}

/// The name of the app in the manifest at `path`, if there is a good one.
pub(crate) fn app_name(path: &str) -> Option<String> {
    let path = fs::canonicalize(path).ok()?;
    let path = if path.is_dir() { path.join("app.toml") } else { path };
    let text = fs::read_to_string(&path).ok()?;
    let app = synod_manifest::parse(&text, &path, &Options::default()).ok()?;
    Some(app.name)
}

/// Refuses services whose directory is not there; every one has been shown then.
fn check_dirs(app: &App, terminal: &Terminal) -> Result<()> {
    let missing: Vec<_> = app.services.values().filter(|service| !service.dir.is_dir()).collect();
    for service in &missing {
        let (name, dir) = (&service.name, service.dir.display());
        terminal.error(&format!("service.{name}.dir: {dir} is not a directory"));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("{} names directories that are not there [SYN-0001]", app.path.display());
    Err(Failure::new(Exit::Usage, message).into())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let exit = match error.kind() {
        std::io::ErrorKind::NotFound => Exit::NotFound,
        std::io::ErrorKind::PermissionDenied => Exit::Denied,
        _ => Exit::Failed,
    };
    let remedy = if exit == Exit::NotFound { "; name the manifest to use" } else { "" };
    Failure::new(exit, format!("cannot read the manifest {}: {error}{remedy}", path.display()))
}
