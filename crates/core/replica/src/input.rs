//! What can happen to a replica.

use alloc::string::String;
use core::fmt;

use synod_base::{KeyspaceId, LeaseId, Revision, Ticket};
use synod_keyspace::{KeyRange, RangeRequest, Request};

use crate::Lane;

/// Names a request until it is answered. Whoever drives the replica chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(u64);

impl Token {
    /// Wraps the number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Names a watch. Whoever drives the replica chooses it, never twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(u64);

impl WatchId {
    /// Wraps the number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for WatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Sees every write acknowledged before the read began.
    Linearizable,
    /// Answered from this member's state, which a single voter knows to be the newest.
    Serializable,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Every operation of a disk job was executed.
    DiskDone {
        /// The job's lane.
        lane: Lane,
        /// The job's ticket.
        ticket: Ticket,
    },
    /// A disk operation failed. What it would have made durable may or may not be; the replica
    /// halts.
    DiskFailed {
        /// What failed, naming the file.
        reason: String,
    },
    /// Renew a lease to its full time to live. Answered with [`Answer::Lease`](crate::Answer).
    LeaseKeepAlive {
        /// Names the request.
        token: Token,
        /// The lease.
        lease: LeaseId,
    },
    /// How a lease stands. Answered with [`Answer::Lease`](crate::Answer).
    LeaseStatus {
        /// Names the request.
        token: Token,
        /// The lease.
        lease: LeaseId,
    },
    /// Replicate and apply a request. Answered with [`Answer::Applied`](crate::Answer) once it is
    /// durable and applied. Its time is the proposer's wall clock; the entry's never goes back.
    Propose {
        /// Names the request.
        token: Token,
        /// What to do.
        request: Request,
    },
    /// Read a range. Answered with [`Answer::Range`](crate::Answer).
    Read {
        /// Names the request.
        token: Token,
        /// What to read.
        request: RangeRequest,
        /// How fresh.
        consistency: Consistency,
    },
    /// Cut a snapshot now, or after the one being cut. Answered with
    /// [`Answer::Snapshot`](crate::Answer) when it is durable.
    Snapshot {
        /// Names the request.
        token: Token,
    },
    /// Time has reached [`next_timeout`](crate::Replica::next_timeout).
    Timeout,
    /// End a watch.
    WatchClose {
        /// The watch.
        watch: WatchId,
    },
    /// The watcher can take more batches.
    WatchCredit {
        /// The watch.
        watch: WatchId,
        /// How many more.
        batches: u32,
    },
    /// Start a watch. Answered with [`Answer::WatchOpened`](crate::Answer) before its first batch.
    WatchOpen {
        /// Names the request.
        token: Token,
        /// Names the watch.
        watch: WatchId,
        /// The keyspace.
        keyspace: KeyspaceId,
        /// The keys.
        range: KeyRange,
        /// The first revision to see; `None` for the one after the newest.
        from: Option<Revision>,
        /// How many batches the watcher can take.
        credit: u32,
    },
}
