//! What is on disk of an instance: `instances/<app>/<id>/` in the data directory.
//!
//! | file | written by | what |
//! |---|---|---|
//! | `assignment.json` | agent | what it started, enough to take it up again or clean up after it |
//! | `start.json` | shim | its process and the instance's |
//! | `exit.json` | shim | how the instance ended; synced, so that nothing is lost without a daemon |
//! | `shim.sock` | shim | where it is spoken to |
//! | `shim.log` | shim | what went wrong in the shim itself; empty as a rule |

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use synod_placement::ExitCause;
use synod_sys::file::{Durability, replace};
use synod_sys::process::Process;

/// The directory of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InstanceDirectory {
    path: PathBuf,
}

impl InstanceDirectory {
    /// The directory of an instance in a data directory. It need not exist.
    pub(crate) fn new(data_dir: &Path, app: &str, id: &str) -> Self {
        Self { path: data_dir.join("instances").join(app).join(id) }
    }

    /// A directory that exists.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Every instance's directory in a data directory.
    pub(crate) fn all(data_dir: &Path) -> io::Result<Vec<Self>> {
        let mut found = Vec::new();
        for app in directories(&data_dir.join("instances"))? {
            found.extend(directories(&app)?.into_iter().map(Self::at));
        }
        Ok(found)
    }

    /// Every instance's directory of an app.
    pub(crate) fn of_app(data_dir: &Path, app: &str) -> io::Result<Vec<Self>> {
        let found = directories(&data_dir.join("instances").join(app))?;
        Ok(found.into_iter().map(Self::at).collect())
    }

    /// The names of the apps that have instances.
    pub(crate) fn apps(data_dir: &Path) -> io::Result<Vec<String>> {
        let found = directories(&data_dir.join("instances"))?;
        let name = |path: PathBuf| Some(path.file_name()?.to_str()?.to_owned());
        Ok(found.into_iter().filter_map(name).collect())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path.join("shim.sock")
    }

    pub(crate) fn shim_log(&self) -> PathBuf {
        self.path.join("shim.log")
    }

    pub(crate) fn create(&self) -> io::Result<()> {
        fs::create_dir_all(&self.path)
    }

    /// Removes it and all that is in it.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // The app's directory goes with its last instance.
        if let Some(app) = self.path.parent() {
            let _ = fs::remove_dir(app);
        }
        Ok(())
    }

    pub(crate) fn write_assignment<T: Serialize>(&self, assignment: &T) -> io::Result<()> {
        self.write("assignment.json", assignment, Durability::Volatile)
    }

    pub(crate) fn assignment<T: DeserializeOwned>(&self) -> io::Result<Option<T>> {
        self.read("assignment.json")
    }

    /// A power cut ends the processes too, so this record need not outlive one.
    pub(crate) fn write_start(&self, start: &StartRecord) -> io::Result<()> {
        self.write("start.json", start, Durability::Volatile)
    }

    pub(crate) fn start(&self) -> io::Result<Option<StartRecord>> {
        self.read("start.json")
    }

    pub(crate) fn write_exit(&self, exit: &ExitRecord) -> io::Result<()> {
        self.write("exit.json", exit, Durability::Durable)
    }

    pub(crate) fn exit(&self) -> io::Result<Option<ExitRecord>> {
        self.read("exit.json")
    }

    fn write<T: Serialize>(&self, name: &str, record: &T, how: Durability) -> io::Result<()> {
        replace(&self.path.join(name), &serde_json::to_vec(record)?, how)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        match fs::read(self.path.join(name)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What a shim started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StartRecord {
    /// The protocol that the shim speaks.
    pub(crate) protocol: u32,
    pub(crate) shim: ProcessRecord,
    pub(crate) instance: ProcessRecord,
    /// Milliseconds since the Unix epoch.
    pub(crate) started_ms: u64,
}

/// A process, as records name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessRecord {
    pub(crate) pid: u32,
    pub(crate) start: u64,
}

impl From<Process> for ProcessRecord {
    fn from(process: Process) -> Self {
        Self { pid: process.pid, start: process.start }
    }
}

impl From<ProcessRecord> for Process {
    fn from(record: ProcessRecord) -> Self {
        Self { pid: record.pid, start: record.start }
    }
}

/// How an instance ended, as its shim saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExitRecord {
    pub(crate) cause: ExitCause,
    /// Whether it was asked to end, so that its end is no failure.
    pub(crate) asked: bool,
    /// Milliseconds since the Unix epoch.
    pub(crate) at_ms: u64,
}

fn directories(parent: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}
