//! Ending instances without a daemon: by speaking to their shims.
//!
//! What the store says is not changed by this. A daemon that comes back finds the instances ended
//! as they were asked to, and starts others if their jobs still say so.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use synod_sys::process::Process;
use synod_sys::socket::ShortPath;

use crate::assignment_record::AssignmentRecord;
use crate::instance_directory::InstanceDirectory;
use crate::shim::protocol::{PROTOCOL, Reply, Request, Role, StopReason};

/// How long past its grace an instance may take to be gone before its shim is killed too.
const OVERTIME: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(10);

/// An instance that no longer runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// The instance's id.
    pub instance: String,
    /// Whether it was running.
    pub was_running: bool,
}

/// The apps that have instances on this node, running or not.
///
/// # Errors
/// When the data directory can't be read.
pub fn apps(data_dir: &Path) -> io::Result<Vec<String>> {
    InstanceDirectory::apps(data_dir)
}

/// Ends every instance of an app, each with its own grace or at most `grace`, and waits until
/// nothing of them is left. Works with and without a daemon; blocks.
///
/// # Errors
/// When the data directory can't be read, or a process can't be ended; the others are.
pub fn stop_all(data_dir: &Path, app: &str, grace: Option<Duration>) -> io::Result<Vec<Stopped>> {
    let mut stops = Vec::new();
    for directory in InstanceDirectory::of_app(data_dir, app)? {
        // All are asked before any is waited for, also those whose record can't be read.
        let link = ask(&directory, grace).ok();
        let record = directory.assignment::<AssignmentRecord>();
        stops.push((directory, record, link));
    }
    let mut stopped = Vec::new();
    let mut failed = None;
    for (directory, record, link) in stops {
        let own_grace = record.as_ref().ok().and_then(Option::as_ref);
        let own_grace = own_grace.map_or(Duration::ZERO, |record| record.service.stop.grace);
        let was_running = link.is_some();
        if let Some(link) = link {
            wait(&link, grace.unwrap_or(own_grace) + OVERTIME);
            wait_for_shim(&directory);
        }
        match record.and_then(|record| record.map(|record| end(&record, &directory)).transpose()) {
            Ok(ended) => {
                stopped.extend(ended.map(|instance| Stopped { instance, was_running }));
            }
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(stopped), Err)
}

/// Sees to it that nothing is left of an instance; returns its id.
fn end(record: &AssignmentRecord, directory: &InstanceDirectory) -> io::Result<String> {
    record.clear(directory)?;
    Ok(record.instance.clone())
}

fn ask(directory: &InstanceDirectory, grace: Option<Duration>) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(ShortPath::new(&directory.socket())?.path())?;
    let grace_ms = grace.map(|grace| grace.as_millis().try_into().unwrap_or(u64::MAX));
    let hello = Request::Hello { protocol: PROTOCOL, role: Role::Daemon };
    for request in [hello, Request::Stop { grace_ms, reason: StopReason::Asked }] {
        let mut line = serde_json::to_vec(&request)?;
        line.push(b'\n');
        stream.write_all(&line)?;
    }
    Ok(stream)
}

/// Reads until the shim says that its instance has ended, or leaves, or does neither for too long.
fn wait(stream: &UnixStream, patience: Duration) {
    let deadline = Instant::now() + patience;
    let mut lines = BufReader::new(stream);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return;
        }
        let mut line = String::new();
        match lines.read_line(&mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if let Ok(Reply::Status { status } | Reply::Hello { status, .. }) =
            serde_json::from_str(&line)
            && status.exit.is_some()
        {
            return;
        }
    }
}

/// A shim whose instance ended leaves once it has written that down.
fn wait_for_shim(directory: &InstanceDirectory) {
    let Ok(Some(started)) = directory.start() else { return };
    let shim = Process::from(started.shim);
    let deadline = Instant::now() + OVERTIME;
    while shim.is_running() && Instant::now() < deadline {
        thread::sleep(LOOK);
    }
}
