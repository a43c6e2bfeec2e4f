//! The daemon's side: assignments in, statuses and registrations out.
//!
//! One task per instance ([`instance`]) takes it through its life; this loop only tells each what
//! is wanted of its instance, and starts tasks for new ones. Everything an instance needs to
//! outlive this loop is with its shim and in its directory, so a restarted agent first takes up
//! what it finds there.

mod context;
mod instance;
mod ports;
mod registration;
mod statuses;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use synod_jobs::{Assignment, AssignmentChange, Assignments, StatusWriter};
use synod_placement::{Desired, InstanceStatus, Node, Phase};
use synod_registry::{Addresses, NODE_LEASE_TTL, NodeLease, Registry};
use synod_store::{Error as StoreError, Revision, Store};
use synod_task::{TaskKind, Tasks};
use thiserror::Error as ThisError;
use tokio::sync::{mpsc, watch};

use crate::assignment_record::AssignmentRecord;
use crate::driver::ProcessDriver;
use crate::instance_directory::InstanceDirectory;
use crate::log::SegmentLimits;
use context::Context;
use instance::{InstanceTask, Wanted};
use statuses::Statuses;

/// The most instances that one node takes; each holds a few descriptors of the daemon.
const CAPACITY: u32 = 1000;
/// Instances that ended and whose end the loop has not seen; each task sends one message.
const FINISHED_AHEAD: usize = 64;

/// Drives the instances of one node. See [`Agent::run`].
pub struct Agent {
    context: Arc<Context>,
    tasks: Tasks,
    assignments: BTreeMap<Key, Assignment>,
    running: BTreeMap<Key, Running>,
    /// Instances that ended, by when they were made: they stay ended.
    ended: BTreeMap<Key, u64>,
    finished: mpsc::Sender<Key>,
}

/// An instance's app and id.
type Key = (String, String);

/// A task that drives an instance.
struct Running {
    created_ms: u64,
    wanted: watch::Sender<Wanted>,
}

/// What an [`Agent`] needs to know.
pub struct AgentOptions {
    /// The node that this agent runs instances for.
    pub node: String,
    /// The daemon's data directory. The agent keeps `instances/` and `logs/` in it.
    pub data_dir: PathBuf,
    /// The store with the assignments.
    pub store: Arc<dyn Store>,
    /// The revision up to which the gateway follows the registry. An instance that stops is only
    /// asked to end once the gateway has seen that it drains. When the sender is gone, there is no
    /// gateway to wait for.
    pub gateway_applied: watch::Receiver<Revision>,
    /// Where the agent's tasks belong: a node of its own. Cancelling it ends the agent and leaves
    /// the instances running.
    pub tasks: Tasks,
    /// The program and first arguments that run [`crate::shim::main`].
    pub shim: Vec<OsString>,
    /// What instances inherit; the manifest's own `env` is added to it.
    pub environment: BTreeMap<String, String>,
    /// How much output a slot keeps.
    pub log_limits: SegmentLimits,
    /// How long the node's keys outlive the agent.
    pub lease_ttl: Duration,
}

impl AgentOptions {
    /// The usual: shims are this program with the argument `shim`, and instances inherit this
    /// process's environment as far as it is UTF-8.
    #[must_use]
    pub fn new(
        node: impl Into<String>,
        data_dir: impl Into<PathBuf>,
        store: Arc<dyn Store>,
        gateway_applied: watch::Receiver<Revision>,
        tasks: Tasks,
    ) -> Self {
        let text = |(key, value): (OsString, OsString)| {
            Some((key.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            node: node.into(),
            data_dir: data_dir.into(),
            store,
            gateway_applied,
            tasks,
            shim: vec![this_program().into(), "shim".into()],
            environment: std::env::vars_os().filter_map(text).collect(),
            log_limits: SegmentLimits::default(),
            lease_ttl: NODE_LEASE_TTL,
        }
    }
}

/// Why an agent ended.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The data directory can't be used.
    #[error("{path} cannot be used", path = .path.display())]
    DataDir {
        /// What in it.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The registry refused.
    #[error(transparent)]
    Registry(#[from] synod_registry::Error),
    /// The store has stopped or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Agent {
    /// Runs instances until the store stops. What runs then goes on under its shims.
    ///
    /// Cancel safety: may be dropped at any time; the next run takes up what it finds.
    ///
    /// # Errors
    /// When the data directory can't be used, or the store fails or stops.
    pub async fn run(mut options: AgentOptions) -> Result<(), Error> {
        // Shims have other working directories.
        options.data_dir = std::path::absolute(&options.data_dir)
            .map_err(|source| Error::DataDir { path: options.data_dir, source })?;
        make_directories(&options.data_dir)?;
        let tasks = options.tasks.clone();
        let _end = CancelOnDrop(tasks.clone());
        let store = options.store.clone();
        let lease = Arc::new(NodeLease::grant(store.clone(), options.lease_ttl).await?);
        let (found, mut assignments) = Assignments::open(store.clone(), &options.node).await?;
        let writer = assignments.writer();
        let statuses = Arc::new(Statuses::default());

        let kept = lease.clone();
        tasks.spawn(TaskKind::new("node-lease"), async move { kept.keep_alive().await });
        let node = announce(options.node.clone(), lease.clone(), writer.clone());
        tasks.spawn(TaskKind::new("node-record"), node);
        let written = statuses.clone();
        tasks.spawn(TaskKind::new("statuses"), async move { written.run(&writer).await });
        let mut book = Addresses::new(store.clone()).watch(None).await?;
        let (addresses, known) = watch::channel(Arc::new(book.entries().clone()));
        tasks.spawn(TaskKind::new("addresses"), async move {
            loop {
                match book.next().await {
                    Ok(_) => addresses.send_replace(Arc::new(book.entries().clone())),
                    Err(error) => return Err::<(), _>(error),
                };
            }
        });

        let (finished, mut ends) = mpsc::channel(FINISHED_AHEAD);
        let context = Arc::new(Context {
            node: options.node,
            logs: options.data_dir.join("logs"),
            data_dir: options.data_dir,
            driver: ProcessDriver::new(options.shim),
            registry: Registry::new(store),
            lease,
            statuses,
            addresses: known,
            gateway_applied: options.gateway_applied,
            environment: options.environment,
            log_limits: options.log_limits,
            ports: Arc::default(),
        });
        let mut agent = Self {
            context,
            tasks,
            assignments: BTreeMap::new(),
            running: BTreeMap::new(),
            ended: BTreeMap::new(),
            finished,
        };
        agent.begin(found)?;
        loop {
            // Ends first: an instance may be followed by another of its id.
            tokio::select! {
                biased;
                ended = ends.recv() => {
                    agent.on_finished(&ended.expect("the agent keeps a sender"));
                }
                changes = assignments.next() => {
                    for change in changes? {
                        agent.on_change(change);
                    }
                }
            }
        }
    }

    /// Takes up what is assigned and what is found on disk.
    fn begin(&mut self, assigned: Vec<Assignment>) -> Result<(), Error> {
        for assignment in assigned {
            let key = (assignment.instance.app.clone(), assignment.instance.id.clone());
            self.assignments.insert(key, assignment);
        }
        let instances = self.context.data_dir.join("instances");
        let failed = |source| Error::DataDir { path: instances, source };
        for directory in InstanceDirectory::all(&self.context.data_dir).map_err(failed)? {
            self.take_up(&directory);
        }
        let keys: Vec<Key> = self.assignments.keys().cloned().collect();
        for key in keys {
            self.settle(&key);
        }
        Ok(())
    }

    /// Takes up an instance that was started before.
    fn take_up(&mut self, directory: &InstanceDirectory) {
        let record = match directory.assignment::<AssignmentRecord>() {
            Ok(Some(record)) => record,
            // Written before anything is started, so nothing was.
            Ok(None) => return remove(directory),
            Err(error) => {
                let path = directory.path().display();
                tracing::error!(%path, %error, "an instance's record can't be read; it is left");
                return;
            }
        };
        let key = (record.app.clone(), record.instance.clone());
        let assignment = self.assignments.get(&key);
        let assignment = assignment.filter(|one| one.instance.created_ms == record.created_ms);
        let before = assignment.and_then(|assignment| assignment.status.clone());
        let wanted = match assignment.map(|assignment| assignment.instance.desired) {
            Some(Desired::Run) => Wanted::Run,
            _ => Wanted::Stop,
        };
        let task = self.task(&key, record.created_ms, wanted, before);
        self.spawn(key, async move { task.run_found(record).await });
    }

    fn on_change(&mut self, change: AssignmentChange) {
        let key = match change {
            AssignmentChange::Removed { app, id } => {
                let key = (app, id);
                self.assignments.remove(&key);
                key
            }
            AssignmentChange::Set(assignment) => {
                let key = (assignment.instance.app.clone(), assignment.instance.id.clone());
                self.assignments.insert(key.clone(), assignment);
                key
            }
        };
        self.settle(&key);
    }

    fn on_finished(&mut self, key: &Key) {
        if let Some(task) = self.running.remove(key) {
            self.ended.insert(key.clone(), task.created_ms);
        }
        self.settle(key);
    }

    /// Makes an instance's task and directory match its assignment.
    fn settle(&mut self, key: &Key) {
        let assignment = self.assignments.get(key);
        let created_ms = assignment.map(|assignment| assignment.instance.created_ms);
        if let Some(task) = self.running.get(key) {
            // The record of this very instance says what is wanted; without it, that it ends.
            let same = created_ms == Some(task.created_ms);
            let desired = assignment.filter(|_| same).map(|one| one.instance.desired);
            if desired.is_none_or(|desired| desired == Desired::Stop) {
                task.wanted.send_if_modified(|wanted| {
                    std::mem::replace(wanted, Wanted::Stop) != Wanted::Stop
                });
            }
            return;
        }
        let has_ended = self.ended.get(key).copied();
        let is_another = has_ended.is_some() && has_ended != created_ms;
        if is_another {
            self.ended.remove(key);
            remove(&InstanceDirectory::new(&self.context.data_dir, &key.0, &key.1));
        }
        let Some(assignment) = assignment.cloned() else { return };
        // What was last written may be of the one before it.
        let before = assignment.status.clone().filter(|_| !is_another);
        let over = before.as_ref().is_some_and(|status| status.phase == Phase::Exited);
        if self.ended.contains_key(key) || over || assignment.instance.desired == Desired::Hold {
            return;
        }
        let wanted = match assignment.instance.desired {
            Desired::Stop => Wanted::Stop,
            Desired::Hold | Desired::Run => Wanted::Run,
        };
        let was_started = before.as_ref().is_some_and(|status| status.pid.is_some());
        let task = self.task(key, assignment.instance.created_ms, wanted, before);
        self.spawn(key.clone(), async move {
            // It ran, and its directory is gone: instances never start twice.
            if was_started { task.run_lost().await } else { task.run_new(assignment).await }
        });
    }

    fn task(
        &mut self,
        key: &Key,
        created_ms: u64,
        wanted: Wanted,
        before: Option<InstanceStatus>,
    ) -> InstanceTask {
        let (wanted, receiver) = watch::channel(wanted);
        self.running.insert(key.clone(), Running { created_ms, wanted });
        let (app, id) = key;
        InstanceTask::new(self.context.clone(), app, id, created_ms, receiver, before)
    }

    fn spawn(&self, key: Key, task: impl Future<Output = ()> + Send + 'static) {
        // The loop learns of the end also when the task panics.
        let end = SendOnDrop { finished: self.finished.clone(), key, tasks: self.tasks.clone() };
        self.tasks.spawn(TaskKind::new("instance"), async move {
            let _end = end;
            task.await;
        });
    }
}

/// Cancels a node of the task tree when the agent's future ends or is dropped.
struct CancelOnDrop(Tasks);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

struct SendOnDrop {
    finished: mpsc::Sender<Key>,
    key: Key,
    tasks: Tasks,
}

impl Drop for SendOnDrop {
    fn drop(&mut self) {
        let key = std::mem::take(&mut self.key);
        let Err(mpsc::error::TrySendError::Full(key)) = self.finished.try_send(key) else { return };
        if self.tasks.is_cancelled() {
            return;
        }
        let finished = self.finished.clone();
        self.tasks.spawn(TaskKind::new("instance-end"), async move {
            let _ = finished.send(key).await;
        });
    }
}

/// Keeps the node's record under its lease, also when that is replaced.
async fn announce(name: String, lease: Arc<NodeLease>, writer: StatusWriter) {
    let containment = synod_sys::cgroup::containment().to_string();
    let attributes = BTreeMap::from([
        ("arch".to_owned(), std::env::consts::ARCH.to_owned()),
        ("containment".to_owned(), containment),
        ("os".to_owned(), std::env::consts::OS.to_owned()),
    ]);
    let node = Node { name, eligible: true, capacity: CAPACITY, attributes };
    let mut current = lease.subscribe();
    loop {
        let id = *current.borrow_and_update();
        while let Err(error) = writer.write_node(id, &node).await {
            tracing::warn!(%error, node = node.name, "the node's record was not written");
            tokio::time::sleep(context::STORE_AGAIN).await;
            if current.has_changed().unwrap_or(false) {
                break;
            }
        }
        if current.changed().await.is_err() {
            return;
        }
    }
}

fn remove(directory: &InstanceDirectory) {
    if let Err(error) = directory.remove() {
        let path = directory.path().display();
        tracing::warn!(%path, %error, "an instance's directory was not removed");
    }
}

fn make_directories(data_dir: &Path) -> Result<(), Error> {
    for name in ["instances", "logs"] {
        let path = data_dir.join(name);
        let made = fs::create_dir_all(&path)
            .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o700)));
        made.map_err(|source| Error::DataDir { path, source })?;
    }
    Ok(())
}

/// This program, also after its file was replaced by a newer one.
fn this_program() -> PathBuf {
    if cfg!(target_os = "linux") {
        return "/proc/self/exe".into();
    }
    std::env::current_exe().unwrap_or_else(|_| "synod".into())
}
