//! What a node's agent writes: statuses of its instances, and the node itself.

use std::sync::Arc;

use synod_placement::{InstanceStatus, Node};
use synod_store::{
    Check, Compare, Error as StoreError, KeyRange, LeaseId, Op, Ordering, Put, Revision, SYNOD,
    Store, Txn,
};
use thiserror::Error as ThisError;

use crate::keys::{self, Corrupt};

/// The status of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusUpdate {
    /// The instance's app.
    pub app: String,
    /// How it stands.
    pub status: InstanceStatus,
}

/// Why an agent could not write.
#[derive(Clone, Debug, ThisError)]
#[non_exhaustive]
pub enum WriteError {
    /// The value has no form in the store.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes what a node's agent knows. Cheap to clone.
#[derive(Clone)]
pub struct StatusWriter {
    store: Arc<dyn Store>,
}

impl StatusWriter {
    /// Writes to `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Writes the statuses, in one transaction as far as the store allows. One whose instance is
    /// gone is passed over, so that no status outlives its instance.
    ///
    /// Cancel safety: when dropped, some may be written.
    ///
    /// # Errors
    /// When the store fails; some may be written.
    pub async fn write(&self, updates: &[StatusUpdate]) -> Result<(), WriteError> {
        let most = self.store.capabilities().max_ops.max(1);
        for chunk in updates.chunks(most) {
            let ops: Result<_, Corrupt> = chunk.iter().map(write_if_there).collect();
            self.store.txn(Txn::new(ops?)).await?;
        }
        Ok(())
    }

    /// Writes the node under its lease: it vanishes with it.
    ///
    /// # Errors
    /// When the store fails, or the lease is gone.
    pub async fn write_node(&self, lease: LeaseId, node: &Node) -> Result<(), WriteError> {
        let key = keys::node(&node.name);
        let value = keys::encode(&key, node)?;
        let put = Put::new(SYNOD, key, value).with_lease(lease);
        self.store.txn(Txn::new(vec![Op::Put(put)])).await?;
        Ok(())
    }
}

fn write_if_there(update: &StatusUpdate) -> Result<Op, Corrupt> {
    let StatusUpdate { app, status } = update;
    let key = keys::status(app, &status.id);
    let value = keys::encode(&key, status)?;
    let is_there = Compare {
        keyspace: SYNOD,
        range: KeyRange::key(keys::instance(app, &status.id)),
        check: Check::CreateRevision(Ordering::Greater, Revision::ZERO),
    };
    Ok(Op::Txn(Txn::new(vec![Op::Put(Put::new(SYNOD, key, value))]).when(is_there)))
}
