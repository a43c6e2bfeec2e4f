//! The store's port: the trait that services and fronts speak, and its conformance suite.
//!
//! What the port promises on every body: revisions strictly increase per keyspace; a transaction
//! compares and writes atomically; watches are ordered and complete; leases end; `Compacted` may
//! come at any time. [`Capabilities`] declares the rest.

pub mod conformance;
mod error;
mod port;
pub mod testing;

pub use error::Error;
pub use port::{
    BoxFuture, Capabilities, Consistency, LeaseStatus, Store, Watch, WatchBatch, WatchRequest,
};
pub use synod_base::{Bytes, KeyspaceId, LeaseId, LogIndex, Revision};
pub use synod_keyspace::{
    Attach, Check, Compare, DeleteRange, Event, EventKind, KeyRange, KeyValue, LeaseChange,
    OnExpiry, Op, OpResponse, Order, Ordering, Put, RangeRequest, RangeResponse, RevisionFilter,
    Sort, SortTarget, Suffix, Txn, TxnResponse, ValueChange,
};

/// The keyspace of jobs, instances and registry. Every group is born with it.
pub const SYNOD: KeyspaceId = KeyspaceId::new(1);
