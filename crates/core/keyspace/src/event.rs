//! Versions of keys, and the events that made them.

use alloc::sync::Arc;

use synod_base::{Bytes, LeaseId, LogIndex, Revision};

/// One version of one key. Immutable and shared by index, history and readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// The value; empty in a tombstone.
    pub value: Bytes,
    /// The revision that created the key; zero in a tombstone.
    pub create_revision: Revision,
    /// The revision that wrote this version.
    pub mod_revision: Revision,
    /// 1 for a new key, one more per put; 0 in a tombstone.
    pub version: u64,
    /// The attached lease, if any.
    pub lease: Option<LeaseId>,
}

/// What a version costs beside its bytes: itself, its counters, the headers of key and value, and
/// its place in the index.
pub(crate) const VERSION_OVERHEAD: u64 = 192;

impl KeyValue {
    /// Bytes that this version is counted with in quotas: key, value, and a fixed overhead close
    /// to what it takes in memory.
    #[must_use]
    pub fn weight(&self) -> u64 {
        weight(self.key.len(), self.value.len())
    }

    /// Whether this version says that the key was deleted.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.version == 0
    }
}

/// What a version with such a key and value weighs.
pub(crate) fn weight(key_len: usize, value_len: usize) -> u64 {
    key_len as u64 + value_len as u64 + VERSION_OVERHEAD
}

/// What an event did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The key was deleted, also by a lease.
    Delete,
    /// The key was created or changed.
    Put,
}

/// A change of one key, as the history keeps it and watchers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The log entry that caused it: monotone over all keyspaces of the group, not dense.
    pub index: LogIndex,
    /// The new version; a tombstone for a deletion.
    pub kv: Arc<KeyValue>,
    /// The version before, unless there was none.
    pub prev: Option<Arc<KeyValue>>,
}

impl Event {
    /// What the event did.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        if self.kv.is_tombstone() { EventKind::Delete } else { EventKind::Put }
    }
}
