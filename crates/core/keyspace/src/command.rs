//! What a log entry asks the state machine to do.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use synod_base::{Bytes, ClientId, KeyspaceId, LeaseId, Revision, Time};

use crate::Txn;

/// A command and who asked for it. These are the bytes of a log entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who asked. Raft ignores it, PBFT checks it.
    pub origin: Origin,
    /// Wall-clock time agreed by being in the entry, nanoseconds since the Unix epoch.
    pub time: Time,
    /// What to do.
    pub command: Command,
}

/// Who asked for a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The client's id; zero for the member itself.
    pub client: ClientId,
    /// The client's own counter; zero where the client keeps none.
    pub sequence: u64,
    /// A signature over the command by the client, where the protocol asks for one.
    pub signature: Option<Bytes>,
}

/// A change of the replicated state. Each variant has a fixed tag byte in its encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Drops the history of a keyspace below a revision. The newest version of each key at or
    /// below it stays readable.
    Compact {
        /// The keyspace to compact.
        keyspace: KeyspaceId,
        /// The new compaction revision.
        revision: Revision,
    },
    /// Makes a keyspace, at revision 1, unless one with this name exists.
    CreateKeyspace {
        /// The keyspace's unique name.
        name: String,
        /// Live plus history bytes it may hold; zero for no limit.
        quota_bytes: u64,
    },
    /// Ends leases whose generation still holds; others in the batch are skipped.
    LeaseExpire {
        /// The leases with the generation that the leader saw expire.
        expired: Vec<Expiry>,
    },
    /// Makes a lease.
    LeaseGrant {
        /// The client's choice, or zero to have one made from the entry's index.
        id: LeaseId,
        /// How long it lives without a renewal. At least one second.
        ttl: Duration,
    },
    /// Ends a lease at once, as if it had expired.
    LeaseRevoke {
        /// The lease.
        id: LeaseId,
    },
    /// Changes nothing. A leader's first entry.
    Noop,
    /// Compares and writes atomically.
    Txn(Txn),
}

/// A lease seen to expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The lease.
    pub lease: LeaseId,
    /// Its generation then. A re-granted id has another.
    pub generation: u64,
}
