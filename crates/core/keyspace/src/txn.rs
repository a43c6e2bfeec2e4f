//! Transactions: compare, then write, atomically.

use alloc::sync::Arc;
use alloc::vec::Vec;

use synod_base::{Bytes, KeyspaceId, LeaseId, Revision};

use crate::{KeyRange, KeyValue, RangeRequest, RangeResponse};

/// If all `compares` hold, runs `then`, else `otherwise`; all or nothing, at one revision per
/// changed keyspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// All must hold. An empty list holds.
    pub compares: Vec<Compare>,
    /// What to do when they do.
    pub then: Vec<Op>,
    /// What to do when one does not.
    pub otherwise: Vec<Op>,
}

impl Txn {
    /// A transaction without conditions.
    #[must_use]
    pub fn new(then: Vec<Op>) -> Self {
        Self { compares: Vec::new(), then, otherwise: Vec::new() }
    }

    /// Adds a condition.
    #[must_use]
    pub fn when(mut self, compare: Compare) -> Self {
        self.compares.push(compare);
        self
    }
}

/// A condition on one key or on every key of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The keyspace to look in.
    pub keyspace: KeyspaceId,
    /// The keys that must satisfy the check. A missing single key, and an empty range, count as
    /// one key with all numbers zero, which satisfies no check of its value.
    pub range: KeyRange,
    /// What must hold of each.
    pub check: Check,
}

/// What a compare checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// The range holds no key.
    Absent,
    /// The creating revision.
    CreateRevision(Ordering, Revision),
    /// The lease, 0 for none.
    Lease(Ordering, u64),
    /// The last writing revision.
    ModRevision(Ordering, Revision),
    /// The value, bytewise.
    Value(Ordering, Bytes),
    /// The version.
    Version(Ordering, u64),
}

/// How the key's number must stand to the given one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordering {
    /// The same.
    Equal,
    /// The key's is larger.
    Greater,
    /// The key's is smaller.
    Less,
    /// Not the same.
    NotEqual,
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Deletes keys.
    Delete(DeleteRange),
    /// Writes a key.
    Put(Put),
    /// Reads keys, seeing the writes before it in the same transaction.
    Range(RangeRequest),
    /// A transaction within the transaction.
    Txn(Txn),
}

/// Writes one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The keyspace to write.
    pub keyspace: KeyspaceId,
    /// The key, or with a suffix its beginning.
    pub key: Bytes,
    /// What is appended to the key at apply.
    pub suffix: Option<Suffix>,
    /// The new value.
    pub value: ValueChange,
    /// The new lease.
    pub lease: LeaseChange,
    /// Whether to return the version before.
    pub return_prev: bool,
}

impl Put {
    /// Writes `value` at `key`, without a lease.
    pub fn new(keyspace: KeyspaceId, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self {
            keyspace,
            key: key.into(),
            suffix: None,
            value: ValueChange::Set(value.into()),
            lease: LeaseChange::Clear,
            return_prev: false,
        }
    }

    /// Attaches the key to `lease`; its expiry deletes the key.
    #[must_use]
    pub fn with_lease(mut self, lease: LeaseId) -> Self {
        self.lease = LeaseChange::Set(Attach { lease, on_expiry: OnExpiry::Delete });
        self
    }
}

/// What is appended to a key when the transaction applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suffix {
    /// Ten decimal digits of a counter that the keyspace keeps for this key beginning, from 0.
    Counter,
    /// Twenty decimal digits of the revision being written.
    Revision,
}

/// A key's new value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueChange {
    /// The value stays; the key must exist.
    Keep,
    /// This one.
    Set(Bytes),
}

/// A key's new lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseChange {
    /// None.
    Clear,
    /// The lease stays; the key must exist.
    Keep,
    /// This one.
    Set(Attach),
}

/// An attachment of a key to a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attach {
    /// The lease, which must exist.
    pub lease: LeaseId,
    /// What its expiry does to the key.
    pub on_expiry: OnExpiry,
}

/// What the end of a lease does to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExpiry {
    /// The key is deleted.
    Delete,
    /// The key stays without a lease, at a new revision.
    Detach,
}

/// Deletes the keys of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteRange {
    /// The keyspace to write.
    pub keyspace: KeyspaceId,
    /// The keys to delete.
    pub range: KeyRange,
    /// Whether to return the versions before.
    pub return_prev: bool,
}

impl DeleteRange {
    /// Deletes every key of `range`.
    #[must_use]
    pub fn new(keyspace: KeyspaceId, range: KeyRange) -> Self {
        Self { keyspace, range, return_prev: false }
    }
}

/// What a transaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxnResponse {
    /// Whether the compares held.
    pub succeeded: bool,
    /// The new revision of each keyspace that changed, by keyspace id.
    pub changed: Vec<(KeyspaceId, Revision)>,
    /// One answer per operation of the branch that ran.
    pub responses: Vec<OpResponse>,
}

/// What one operation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpResponse {
    /// A deletion.
    Delete {
        /// How many keys it deleted.
        deleted: usize,
        /// The versions before, where asked for.
        prev: Vec<Arc<KeyValue>>,
    },
    /// A put.
    Put {
        /// The key written, with its suffix.
        key: Bytes,
        /// The version before, where asked for and there was one.
        prev: Option<Arc<KeyValue>>,
    },
    /// A read.
    Range(RangeResponse),
    /// A nested transaction.
    Txn(TxnResponse),
}
