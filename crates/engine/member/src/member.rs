//! Opening and shutting down a member.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

use synod_base::{ClusterId, MemberId};
use synod_replica::{DiskJob, Identity, RecoveryReport, Replica};
use synod_sys::lock::{self, LockFile};
use synod_task::Tasks;
use thiserror::Error as ThisError;

use crate::clock::Clock;
use crate::core_thread::{CoreThread, Disk};
use crate::directory::Directory;
use crate::mailbox::{Mailbox, Message};
use crate::store::MemberStore;
use crate::writer::{self, Files};

/// Where and how a member runs.
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    /// The directory with its data. It is made unless it exists, for this user only.
    pub data_dir: PathBuf,
    /// Bounds and sizes.
    pub replica: synod_replica::Options,
    /// Where watches run as tasks.
    pub tasks: Tasks,
}

impl Options {
    /// The usual bounds, and a task tree of the member's own.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            replica: synod_replica::Options::default(),
            tasks: Tasks::new(),
        }
    }
}

/// Why a member can't be opened. Nothing was changed in its data.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory can't be made or read.
    #[error("the data directory {path} can't be opened", path = .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The data is damaged, or of a newer release.
    #[error("the data directory {path} can't be opened", path = .path.display())]
    Data {
        /// The directory.
        path: PathBuf,
        /// Which file, where, and what to do.
        #[source]
        source: synod_replica::OpenError,
    },
    /// Another process has the directory open, or the lock can't be taken.
    #[error(transparent)]
    Lock(#[from] lock::Error),
    /// The system has no randomness or no thread to give.
    #[error("a member can't be started")]
    System(#[source] io::Error),
}

/// A running member. Dropping it shuts it down and waits for what is on its way to disk.
#[derive(Debug)]
pub struct Member {
    mailbox: Mailbox,
    tasks: Tasks,
    threads: Vec<JoinHandle<()>>,
    report: RecoveryReport,
    identity: Identity,
    /// Held until the threads have ended.
    _lock: LockFile,
}

impl Member {
    /// Opens the data directory and starts the member. Blocks while the state is read back.
    ///
    /// # Errors
    /// When the directory is in use, damaged, of a newer release, or can't be read or written.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let Options { data_dir, replica, tasks } = options;
        let in_directory = |source| OpenError::Directory { path: data_dir.clone(), source };
        make_directory(&data_dir).map_err(in_directory)?;
        let lock = LockFile::acquire(&data_dir.join("lock"))?;
        let clock = Clock::new();
        let fresh = fresh_identity().map_err(OpenError::System)?;
        let directory = Directory::new(&data_dir).map_err(in_directory)?;
        let (replica, outputs) = Replica::open(clock.now(), replica, fresh, &directory)
            .map_err(|source| OpenError::Data { path: data_dir.clone(), source })?;
        let (report, identity) = (replica.recovery_report().clone(), replica.identity());
        for file in &report.damaged {
            tracing::warn!(%file, "a damaged snapshot was done without");
        }
        if let Some(file) = report.missing {
            tracing::warn!(%file, "a lost snapshot was done without");
        }

        let (mailbox, messages) = Mailbox::new();
        let (log, log_jobs) = mpsc::channel();
        let (snapshot, snapshot_jobs) = mpsc::channel();
        let disk = Disk { log, snapshot };
        let core = CoreThread::new(replica, clock, mailbox.clone(), messages, disk);
        let writer = |jobs: mpsc::Receiver<DiskJob>| {
            let (files, mailbox) = (Files::new(data_dir.clone()), mailbox.clone());
            move || writer::run(files, &jobs, &mailbox)
        };
        let core_end = EndGuard(mailbox.clone());
        let threads = vec![
            thread("synod-log", writer(log_jobs))?,
            thread("synod-snapshot", writer(snapshot_jobs))?,
            thread("synod-core", move || {
                // Outlives the core: when the end is told, the state is freed and the writers have
                // no more jobs, so that whoever shuts down does not wait for that on a runtime.
                let _end = core_end;
                core.run(outputs);
            })?,
        ];
        Ok(Self { mailbox, tasks: tasks.child(), threads, report, identity, _lock: lock })
    }

    /// The port to this member.
    #[must_use]
    pub fn store(&self) -> MemberStore {
        MemberStore::new(self.mailbox.clone(), self.tasks.clone())
    }

    /// What was found when the directory was opened.
    #[must_use]
    pub fn recovery_report(&self) -> &RecoveryReport {
        &self.report
    }

    /// Whose data the directory holds.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Completes with the reason once the member stops by itself, as it does when its disk fails,
    /// or is shut down. Cancel safe.
    pub fn stopped(&self) -> impl Future<Output = String> + Send + use<> {
        let mailbox = self.mailbox.clone();
        async move { mailbox.ended().await }
    }

    /// Stops taking requests, finishes those taken, ends the watches, and closes the directory.
    pub async fn shutdown(mut self) {
        self.mailbox.close();
        self.mailbox.post(Message::Shutdown);
        self.mailbox.ended().await;
        self.tasks.cancel();
        // The threads have nothing left to do but return.
        self.join();
    }

    fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // A panic was printed, and handles tell it: nothing is left to do about it here.
            let _ = thread.join();
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.mailbox.close();
        self.mailbox.post(Message::Shutdown);
        self.join();
        self.tasks.cancel();
    }
}

/// Wakes those who wait for the core thread's end, also when it panics.
struct EndGuard(Mailbox);

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Makes the directory durably, and those above it: its data would be lost with any of the names.
fn make_directory(path: &Path) -> io::Result<()> {
    let missing =
        path.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists());
    let parents: Vec<&Path> = missing.filter_map(Path::parent).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // From the top down: a name is worth nothing before those above it are there to stay.
    parents.into_iter().rev().try_for_each(synod_sys::file::sync_directory)
}

fn fresh_identity() -> io::Result<Identity> {
    let number = || synod_sys::random::bytes().map(u64::from_le_bytes);
    Ok(Identity { cluster: ClusterId::new(number()?), member: MemberId::new(number()?) })
}

fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    builder.spawn(body).map_err(OpenError::System)
}
