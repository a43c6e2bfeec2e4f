//! What a replica wants done.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use synod_base::{LeaseId, LogIndex, Revision, Ticket};
use synod_keyspace::{Applied, Event, RangeResponse};
use synod_wal::DiskOp;
use thiserror::Error as ThisError;

use crate::{Token, WatchId};

/// What a step wants done, in order.
pub type Outputs = Vec<Output>;

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Execute disk operations, then answer [`DiskDone`](crate::Input::DiskDone), or
    /// [`DiskFailed`](crate::Input::DiskFailed) at the first that fails.
    Disk(DiskJob),
    /// Stop: the replica answers nothing more but [`Error::Stopped`].
    Halt {
        /// Why.
        reason: String,
    },
    /// Answer a request.
    Reply {
        /// The request.
        token: Token,
        /// The answer.
        result: Result<Answer, Error>,
    },
    /// Hand a batch to a watcher; it uses up one credit.
    WatchBatch {
        /// The watch.
        watch: WatchId,
        /// The events of whole revisions, in order. Never empty.
        events: Vec<Arc<Event>>,
        /// Everything up to and including this revision was delivered.
        revision: Revision,
    },
    /// The watch has ended. It uses up no credit.
    WatchEnded {
        /// The watch.
        watch: WatchId,
        /// Why.
        error: Error,
    },
}

/// Disk operations to be executed in order. Jobs of one lane are executed in the order they were
/// put out; lanes are independent of each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskJob {
    /// The lane.
    pub lane: Lane,
    /// Names the job within its lane.
    pub ticket: Ticket,
    /// The operations.
    pub ops: Vec<DiskOp>,
}

/// What a disk job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// The log. Someone waits for it.
    Log,
    /// A snapshot being cut, and files that can go. Nobody waits.
    Snapshot,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// What a proposal did.
    Applied(Applied),
    /// How a lease stands.
    Lease(LeaseStatus),
    /// What was read.
    Range(RangeResponse),
    /// A snapshot is durable.
    Snapshot {
        /// The last entry that it holds.
        index: LogIndex,
    },
    /// The watch runs.
    WatchOpened {
        /// The first revision that it can deliver.
        start: Revision,
    },
}

/// A lease and the time it has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseStatus {
    /// The lease.
    pub lease: LeaseId,
    /// Its full time to live.
    pub ttl: Duration,
    /// What is left of it.
    pub remaining: Duration,
}

/// Why a request was not served.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// Too much waits to become durable, or too much memory was needed to hold the state for a
    /// snapshot. Nothing was done.
    #[error("the replica is busy")]
    Busy,
    /// The keyspaces refused it. Nothing was changed.
    #[error(transparent)]
    Refused(#[from] synod_keyspace::Error),
    /// The replica has halted. Nothing was done.
    #[error("the replica has stopped: {reason}")]
    Stopped {
        /// Why.
        reason: String,
    },
    /// The request is longer than an entry may be. Nothing was done.
    #[error("the request has {len} bytes; at most {max} are allowed")]
    TooLarge {
        /// Its bytes.
        len: usize,
        /// The bytes allowed.
        max: usize,
    },
    /// The replica halted while the request was on its way to disk: it may take effect after a
    /// restart.
    #[error("the outcome is unknown: {reason}")]
    Unknown {
        /// Why it halted.
        reason: String,
    },
}
