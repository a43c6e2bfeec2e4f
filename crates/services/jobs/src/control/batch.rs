//! Actions as one transaction.

use synod_placement::{Action, Desired, Instance, Job};
use synod_store::{Check, Compare, DeleteRange, KeyRange, Op, Put, SYNOD, Txn};

use crate::epoch::Epoch;
use crate::jobs::unchanged;
use crate::keys::{self, Corrupt};
use crate::mirror::{AppState, Stored};

/// What a transaction must hold for the loop to get on at all: its guards and one action.
const LEAST_OPS: usize = 8;

/// A transaction in the making.
pub(super) struct Batch {
    compares: Vec<Compare>,
    ops: Vec<Op>,
    most: usize,
}

impl Batch {
    /// An empty one, which holds only in `epoch` and only `most` operations.
    pub(super) fn new(epoch: &Epoch, most: usize) -> Self {
        Self { compares: vec![epoch.compare()], ops: Vec::new(), most: most.max(LEAST_OPS) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// The transaction; when it does not hold, it reads the epoch's key.
    pub(super) fn into_txn(self, otherwise: Op) -> Txn {
        Txn { compares: self.compares, then: self.ops, otherwise: vec![otherwise] }
    }

    /// Makes everything after this hold only while the job is as it was seen.
    pub(super) fn guard(&mut self, job: &Stored<Job>) {
        let key = keys::job(&job.value.app, &job.value.spec.name);
        self.compares.push(unchanged(key, job.revision));
    }

    /// Whether another action surely fits: each takes up to two places in each list.
    pub(super) fn has_room(&self) -> bool {
        self.ops.len().max(self.compares.len()) + 3 <= self.most
    }

    /// Takes in one action on a service of `app`.
    pub(super) fn act(
        &mut self,
        app: &str,
        service: &str,
        state: &AppState,
        action: Action,
    ) -> Result<(), Corrupt> {
        match action {
            Action::Create(instance) => {
                let range = KeyRange::key(keys::instance(app, &instance.id));
                let compare = Compare { keyspace: SYNOD, range, check: Check::Absent };
                self.compares.push(compare);
                self.write(&instance)
            }
            Action::Hold { id, waits } => {
                self.edit(app, state, &id, |instance| instance.waits = waits)
            }
            Action::Remove { id } => {
                self.guard_instance(app, state, &id);
                self.delete(KeyRange::key(keys::instance(app, &id)));
                self.delete(KeyRange::key(keys::status(app, &id)));
                Ok(())
            }
            Action::RemoveJob => {
                self.delete(KeyRange::key(keys::job(app, service)));
                Ok(())
            }
            Action::Run { id, node } => self.edit(app, state, &id, |instance| {
                instance.desired = Desired::Run;
                instance.node = Some(node);
                instance.waits.clear();
            }),
            Action::Stop { id } => {
                self.edit(app, state, &id, |instance| instance.desired = Desired::Stop)
            }
        }
    }

    /// Deletes all that is left of an app whose jobs are gone.
    pub(super) fn remove_app(&mut self, app: &str, state: &AppState) {
        if let Some(record) = &state.record {
            self.compares.push(unchanged(keys::app(app), record.revision));
        }
        self.delete(KeyRange::key(keys::app(app)));
        self.delete(KeyRange::prefix(keys::statuses(app)));
    }

    fn edit(
        &mut self,
        app: &str,
        state: &AppState,
        id: &str,
        edit: impl FnOnce(&mut Instance),
    ) -> Result<(), Corrupt> {
        self.guard_instance(app, state, id);
        let Some(old) = state.instances.get(id) else { return Ok(()) };
        let mut instance = (*old.value).clone();
        edit(&mut instance);
        self.write(&instance)
    }

    fn guard_instance(&mut self, app: &str, state: &AppState, id: &str) {
        if let Some(old) = state.instances.get(id) {
            self.compares.push(unchanged(keys::instance(app, id), old.revision));
        }
    }

    fn write(&mut self, instance: &Instance) -> Result<(), Corrupt> {
        let key = keys::instance(&instance.app, &instance.id);
        let value = keys::encode(&key, instance)?;
        self.ops.push(Op::Put(Put::new(SYNOD, key, value)));
        Ok(())
    }

    fn delete(&mut self, range: KeyRange) {
        self.ops.push(Op::Delete(DeleteRange::new(SYNOD, range)));
    }
}
