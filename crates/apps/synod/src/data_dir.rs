//! Where one daemon keeps everything it has: its store, instances, logs and socket.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The directory of one daemon. Independent directories are independent daemons.
#[derive(Clone, Debug)]
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    /// The given directory, or `$XDG_STATE_HOME/synod`, or `~/.local/state/synod`.
    pub(crate) fn resolve(given: Option<PathBuf>) -> Result<Self> {
        let path = match given {
            Some(path) => path,
            None => default_dir()?,
        };
        let path = std::path::absolute(&path)
            .with_context(|| format!("cannot make {} absolute", path.display()))?;
        Ok(Self(path))
    }

    /// Makes the directory, readable by this user alone.
    pub(crate) fn create(&self) -> Result<()> {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .with_context(|| format!("cannot make the data directory {}", self.0.display()))?;
        std::fs::set_permissions(&self.0, std::fs::Permissions::from_mode(0o700))
            .with_context(|| format!("cannot restrict {} to its owner", self.0.display()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    /// The admin API's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("api.sock")
    }

    /// What the daemon itself prints.
    pub(crate) fn daemon_log(&self) -> PathBuf {
        self.0.join("daemon.log")
    }

    /// Held by the running daemon.
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("daemon.lock")
    }

    /// What was built from what.
    pub(crate) fn builds(&self) -> PathBuf {
        self.0.join("builds")
    }

    /// The TCP listener's bearer token.
    pub(crate) fn token(&self) -> PathBuf {
        self.0.join("api.token")
    }
}

fn default_dir() -> Result<PathBuf> {
    let non_empty = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(state) = non_empty("XDG_STATE_HOME") {
        return Ok(state.join("synod"));
    }
    if let Some(home) = non_empty("HOME") {
        return Ok(home.join(".local/state/synod"));
    }
    bail!("neither XDG_STATE_HOME nor HOME is set; name a directory with --data-dir");
}
