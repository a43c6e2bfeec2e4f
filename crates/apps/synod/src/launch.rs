//! Starting a daemon that outlives the command, and finding one that runs.

use std::fmt;
use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use synod_sys::lock::LockFile;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::client::Client;
use crate::data_dir::DataDir;
use crate::outcome::{Exit, Failure, exit_of};
use crate::terminal::Terminal;

/// How long a directory that is held by a process which does not answer is waited for.
const HELD_MAX: Duration = Duration::from_secs(10);
/// How long a daemon that was asked to end may take: each of its parts has its own deadline.
const ENDING_MAX: Duration = Duration::from_secs(45);
/// How long to wait before a daemon is started once more.
const AGAIN: Duration = Duration::from_millis(50);
/// How often to look whether a daemon that ends is gone.
const LOOK: Duration = Duration::from_millis(5);

/// The line that a starting daemon prints on its stdout, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Report {
    /// It could not start.
    Failed {
        /// The exit code that the command should end with.
        exit: u8,
        /// Why.
        message: String,
    },
    /// Another process holds the data directory.
    Held {
        /// Which, and what to do.
        message: String,
    },
    /// It answers on its socket.
    Ready,
}

/// What `GET /v1/version` answers.
#[derive(Debug, Deserialize)]
pub(crate) struct DaemonVersion {
    pub(crate) version: String,
}

/// Another process holds the data directory.
#[derive(Debug)]
pub(crate) struct DirectoryHeld(pub(crate) String);

impl fmt::Display for DirectoryHeld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DirectoryHeld {}

/// What `POST /v1/shutdown` answers.
#[derive(Debug, Deserialize)]
struct Stopping {
    stopping: bool,
}

/// A client of the running daemon, which is started when there is none.
pub(crate) async fn ensure(data_dir: &DataDir, terminal: &Terminal) -> Result<Client> {
    let client = Client::new(&data_dir.socket());
    let give_up = Instant::now() + HELD_MAX;
    loop {
        if client.is_up().await {
            warn_of_other_version(&client, terminal).await;
            return Ok(client);
        }
        match start(data_dir).await {
            Ok(()) => return Ok(client),
            // Another command starts a daemon at this moment, or one that was killed or is about
            // to end still holds the directory.
            Err(error) if error.is::<DirectoryHeld>() && Instant::now() < give_up => {
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn warn_of_other_version(client: &Client, terminal: &Terminal) {
    let ours = env!("CARGO_PKG_VERSION");
    let Ok(DaemonVersion { version }) = client.get("/v1/version").await else { return };
    if version != ours {
        terminal.say(&format!(
            "the daemon is synod {version}, this is {ours}; `synod daemon restart` finishes the \
             upgrade and keeps every instance running [SYN-0012]"
        ));
    }
}

/// Starts a daemon and waits until it answers.
pub(crate) async fn start(data_dir: &DataDir) -> Result<()> {
    data_dir.create()?;
    let log_path = data_dir.daemon_log();
    let log = File::options()
        .append(true)
        .create(true)
        .open(&log_path)
        .with_context(|| format!("cannot open {}", log_path.display()))?;
    let program = std::env::current_exe().context("the path of this program is not known")?;
    let mut command = Command::new(program);
    command
        .args(["daemon", "run", "--detached", "--data-dir"])
        .arg(data_dir.path())
        .current_dir(data_dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log);
    // It outlives this directory and this terminal.
    synod_sys::spawn::detach(command.as_std_mut());
    let mut child = command.spawn().context("the daemon could not be started")?;
    let stdout = child.stdout.take().expect("stdout is piped");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).await.context("the daemon's report was lost")?;
    match serde_json::from_str(&line) {
        Ok(Report::Ready) => Ok(()),
        Ok(Report::Held { message }) => Err(DirectoryHeld(message).into()),
        Ok(Report::Failed { exit, message }) => Err(Failure::new(exit_from(exit), message).into()),
        Err(_) => {
            let message = format!(
                "the daemon ended before it was ready; its messages are in {} [SYN-0005]",
                log_path.display()
            );
            Err(Failure::new(Exit::Unreachable, message).into())
        }
    }
}

/// Ends a daemon that has no app left, and waits until it is gone. One that was started in the
/// foreground stays.
pub(crate) async fn shutdown_if_idle(client: &Client, data_dir: &DataDir) -> Result<()> {
    let asked = client.call(http::Method::POST, "/v1/shutdown?if_idle=true", None::<&()>).await;
    match asked {
        Ok(Stopping { stopping: true }) => wait_until_gone(data_dir).await,
        Ok(Stopping { stopping: false }) => Ok(()),
        // Someone else has ended it already.
        Err(error) if exit_of(&error) == Exit::Unreachable => Ok(()),
        Err(error) => Err(error),
    }
}

/// Waits until no daemon holds the data directory.
pub(crate) async fn wait_until_gone(data_dir: &DataDir) -> Result<()> {
    // The kernel lets go of the lock once the daemon is gone, and not a moment before. It is asked
    // now and then: a thread that waits for it could not be given up.
    let give_up = Instant::now() + ENDING_MAX;
    while let Some(holder) = LockFile::holder(&data_dir.lock())? {
        if Instant::now() > give_up {
            let message = format!("the daemon, {holder}, does not end [SYN-0005]");
            return Err(Failure::new(Exit::Unreachable, message).into());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

fn exit_from(code: u8) -> Exit {
    [Exit::Usage, Exit::NotFound, Exit::Conflict, Exit::Unreachable, Exit::Denied]
        .into_iter()
        .find(|exit| exit.code() == code)
        .unwrap_or(Exit::Failed)
}
