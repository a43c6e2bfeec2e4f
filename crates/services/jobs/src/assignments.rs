//! What should run on a node: at first all of it, then each change.

use std::collections::BTreeMap;
use std::sync::Arc;

use synod_placement::{Instance, InstanceStatus, Job};
use synod_store::{Error as StoreError, Store, Watch};

use crate::mirror::{Mirror, Scope, is_compacted};
use crate::{AppRecord, StatusWriter};

/// An instance that is assigned to a node, with all that is needed to run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The instance. Its `desired` says what to do.
    pub instance: Arc<Instance>,
    /// The job, as it is now.
    pub job: Arc<Job>,
    /// The app, as it is now.
    pub app: Arc<AppRecord>,
    /// The last status written of it, as it was when the assignments were opened or last changed.
    pub status: Option<InstanceStatus>,
}

impl Assignment {
    /// Whether `job` is what the instance was made to run. When not, the instance is about to be
    /// replaced: one that does not run yet need not be started.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.instance.version == self.job.version
            && self.instance.restart_nonce == self.job.restart_nonce
    }

    fn is_same(&self, other: &Self) -> bool {
        self.instance == other.instance && self.job == other.job && self.app == other.app
    }
}

/// A change of what should run on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssignmentChange {
    /// The instance's record is gone: if it runs, it should stop.
    Removed {
        /// The app.
        app: String,
        /// The instance.
        id: String,
    },
    /// The instance is new here, or it, its job or its app changed.
    Set(Assignment),
}

/// Follows what should run on a node. Instances that are held are assigned to no node yet.
///
/// What the agent owes in return: an instance that should stop is waited for until its status says
/// [`Exited`](synod_placement::Phase::Exited), also if it was never started here.
pub struct Assignments {
    store: Arc<dyn Store>,
    node: String,
    mirror: Mirror,
    watch: Watch,
    known: BTreeMap<(String, String), Assignment>,
}

impl Assignments {
    /// All that is assigned to `node` now, and what follows the changes from there on.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open(
        store: Arc<dyn Store>,
        node: &str,
    ) -> Result<(Vec<Assignment>, Self), StoreError> {
        let (mirror, watch) = Mirror::follow(&*store, Scope::All).await?;
        let (node, known) = (node.to_owned(), BTreeMap::new());
        let mut assignments = Self { store, node, mirror, watch, known };
        assignments.known = assignments.read();
        Ok((assignments.known.values().cloned().collect(), assignments))
    }

    /// The next changes, never none. When the watch was overtaken by compaction, everything is
    /// read again and what differs is returned.
    ///
    /// Changes of statuses alone are not reported. An app in which a value cannot be read stays
    /// as it was until it can.
    ///
    /// Cancel safety: nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// When the store stopped.
    pub async fn next(&mut self) -> Result<Vec<AssignmentChange>, StoreError> {
        loop {
            let changes = self.changes();
            if !changes.is_empty() {
                return Ok(changes);
            }
            match self.watch.next().await {
                Ok(batch) => {
                    self.mirror.revision = batch.revision;
                    for event in &batch.events {
                        self.mirror.on_event(event);
                    }
                }
                Err(error) if is_compacted(&error) => {
                    let fresh = Mirror::follow(&*self.store, Scope::All).await?;
                    (self.mirror, self.watch) = fresh;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes what the agent knows back.
    #[must_use]
    pub fn writer(&self) -> StatusWriter {
        StatusWriter::new(self.store.clone())
    }

    fn changes(&mut self) -> Vec<AssignmentChange> {
        let now = self.read();
        let mut changes = Vec::new();
        for (app, id) in self.known.keys().filter(|key| !now.contains_key(key)) {
            changes.push(AssignmentChange::Removed { app: app.clone(), id: id.clone() });
        }
        for (key, assignment) in &now {
            if !self.known.get(key).is_some_and(|known| known.is_same(assignment)) {
                changes.push(AssignmentChange::Set(assignment.clone()));
            }
        }
        self.known = now;
        changes
    }

    fn read(&self) -> BTreeMap<(String, String), Assignment> {
        let mut now = BTreeMap::new();
        for (app, state) in &self.mirror.apps {
            if !state.corrupt.is_empty() {
                let of_app = self.known.iter().filter(|((known, _), _)| known == app);
                now.extend(of_app.map(|(key, assignment)| (key.clone(), assignment.clone())));
                continue;
            }
            let here = state.instances.values().map(|instance| &instance.value);
            for instance in here.filter(|instance| instance.node.as_ref() == Some(&self.node)) {
                // Written in one transaction with the instance, or before it.
                let Some(job) = state.jobs.get(&instance.service) else { continue };
                let Some(record) = &state.record else { continue };
                let assignment = Assignment {
                    instance: instance.clone(),
                    job: job.value.clone(),
                    app: record.value.clone(),
                    status: state.statuses.get(&instance.id).cloned(),
                };
                now.insert((app.clone(), instance.id.clone()), assignment);
            }
        }
        now
    }
}
