//! What an entry did.

use alloc::vec::Vec;

use synod_base::{KeyspaceId, LeaseId, Revision};

use crate::{Lease, TxnResponse};

/// What an entry did: the answer to who asked, and whom to wake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The answer.
    pub outcome: Outcome,
    /// The new revision of each keyspace that changed, by keyspace id. Its events are readable
    /// with [`Keyspaces::events`](crate::Keyspaces::events).
    pub changed: Vec<(KeyspaceId, Revision)>,
    /// The new compaction revision of each keyspace compacted, on request or by its budget.
    pub compacted: Vec<(KeyspaceId, Revision)>,
}

/// The answer to a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// The history was compacted.
    Compacted,
    /// The keyspace with the wanted name.
    Keyspace {
        /// Its id.
        id: KeyspaceId,
        /// Whether this entry made it.
        created: bool,
    },
    /// The leases that ended; those whose generation no longer held are not among them.
    LeaseExpired(Vec<LeaseId>),
    /// The lease made.
    LeaseGranted(Lease),
    /// The lease ended.
    LeaseRevoked(LeaseId),
    /// Nothing was to be done.
    #[default]
    Noop,
    /// The transaction's answer.
    Txn(TxnResponse),
}
