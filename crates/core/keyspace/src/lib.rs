//! The store's state machine: keyspaces with dense revisions, transactions, one history, watches
//! and leases.
//!
//! [`Keyspaces`] is a value. Entries of the log change it through [`Keyspaces::apply`], the same
//! way on every member: no clock, no randomness, no iteration order that could differ. A request
//! is checked in full before its first write, so that a refused one leaves no trace.
//!
//! Each keyspace has a *key index* (each key's versions) and a *history* (each revision's events)
//! over the same shared versions. Readers of the past use the index, watchers are [`Cursor`]s over
//! the history, snapshots use both. Compaction is an agreed revision; freeing what lies below it
//! is each member's own affair, a few events with each entry.
//!
//! Not here: who may do what, when a lease expires, and which watcher waits for whom. The replica
//! decides these.

#![no_std]

extern crate alloc;

mod applied;
mod check;
mod codec;
mod command;
mod compare;
mod config;
mod digest;
mod error;
mod event;
mod execute;
mod history;
mod index;
mod keyspace;
mod keyspaces;
mod lease;
mod ledger;
mod plan;
mod range;
mod scan;
mod snapshot;
mod txn;
mod watch;
mod watch_index;
mod write_set;

pub use applied::{Applied, Outcome};
pub use check::NESTING_MAX;
pub use command::{Command, Expiry, Origin, Request};
pub use config::{Config, Held, HistoryBudget, Limits};
pub use error::Error;
pub use event::{Event, EventKind, KeyValue};
pub use keyspace::Stats;
pub use keyspaces::Keyspaces;
pub use lease::{AttachedKey, Lease};
pub use range::{KeyRange, RevisionFilter};
pub use range::{Order, RangeRequest, RangeResponse, Sort, SortTarget};
pub use snapshot::{Restore, RestoreError, SnapshotCursor, SnapshotLost};
pub use txn::{
    Attach, Check, Compare, DeleteRange, LeaseChange, OnExpiry, Op, OpResponse, Ordering, Put,
    Suffix, Txn, TxnResponse, ValueChange,
};
pub use watch::{Cursor, Poll, PollBudget};
pub use watch_index::WatchIndex;
