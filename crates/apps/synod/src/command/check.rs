//! `synod check FILE`.

use anyhow::Result;
use clap::Args;

use super::Session;
use crate::manifest_file::{self, ManifestArgs};
use crate::outcome::Exit;

/// Check a manifest without running anything.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    manifest: ManifestArgs,

    /// Print the manifest with every default filled in
    #[arg(long)]
    expanded: bool,
}

pub(crate) fn run(session: &Session, args: &CheckArgs) -> Result<Exit> {
    let app = manifest_file::read(&args.manifest, &session.terminal)?;
    if args.expanded {
        session.terminal.data(&synod_manifest::expand(&app))?;
        return Ok(Exit::Done);
    }
    let (services, routes) = (app.services.len(), app.routes.len());
    session.terminal.say(&format!(
        "{} is good: app {}, {services} service{}, {routes} route{}",
        args.manifest.file.display(),
        app.name,
        if services == 1 { "" } else { "s" },
        if routes == 1 { "" } else { "s" },
    ));
    Ok(Exit::Done)
}
