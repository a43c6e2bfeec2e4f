//! Reading a manifest from disk, and showing what is wrong with it.

use std::fs;
use std::path::Path;

use anyhow::Result;
use synod_manifest::{App, Options};

use crate::command::ManifestArgs;
use crate::outcome::{Exit, Failure};
use crate::terminal::Terminal;

/// Reads and checks the manifest. Every problem has been shown when this fails.
pub(crate) fn read(args: &ManifestArgs, terminal: &Terminal) -> Result<App> {
    let path = fs::canonicalize(&args.file).map_err(|error| unreadable(&args.file, &error))?;
    let path = if path.is_dir() { path.join("app.toml") } else { path };
    let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
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
    check_dirs(&app)?;
    Ok(app)
}

fn check_dirs(app: &App) -> Result<()> {
    for service in app.services.values() {
        if !service.dir.is_dir() {
            let (name, dir) = (&service.name, service.dir.display());
            let message = format!("service.{name}.dir: {dir} is not a directory [SYN-0001]");
            return Err(Failure::new(Exit::Usage, message).into());
        }
    }
    Ok(())
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
    Failure::new(exit, format!("cannot read the manifest {}: {error}", path.display()))
}
