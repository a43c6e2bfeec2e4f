//! Why a request was refused. Nothing was changed then.

use synod_base::{KeyspaceId, LeaseId, Revision};
use thiserror::Error as ThisError;

/// Why a request was refused. A refused request changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The revision was compacted away.
    #[error("revision {requested} was compacted; the oldest readable is {compacted}")]
    Compacted {
        /// The revision asked for.
        requested: Revision,
        /// The compaction revision.
        compacted: Revision,
    },
    /// Two writes of one transaction touch the same key.
    #[error("the transaction writes one key twice")]
    DuplicateKey,
    /// A put or a single-key range without a key.
    #[error("the key is empty")]
    EmptyKey,
    /// The revision lies ahead.
    #[error("revision {requested} lies ahead; the newest is {newest}")]
    FutureRevision {
        /// The revision asked for.
        requested: Revision,
        /// The newest revision.
        newest: Revision,
    },
    /// A keyspace's name is empty or longer than 255 bytes.
    #[error("a keyspace's name has 1 to 255 bytes")]
    InvalidName,
    /// A put that keeps the value or lease of a key that does not exist.
    #[error("the key to keep a value or lease of does not exist")]
    KeyNotFound,
    /// The lease id is taken.
    #[error("lease {0} exists already")]
    LeaseExists(LeaseId),
    /// No such lease.
    #[error("lease {0} not found")]
    LeaseNotFound(LeaseId),
    /// A lease's time to live is out of range.
    #[error("a lease lives between 1 s and 9,000,000,000 s")]
    LeaseTtlOutOfRange,
    /// Transactions are nested too deeply.
    #[error("transactions may be nested {max} levels deep")]
    NestedTooDeep {
        /// The limit.
        max: usize,
    },
    /// The keyspace holds as many bytes as it may.
    #[error("keyspace {keyspace} is full: {used} of {quota} bytes; delete keys or raise the quota")]
    QuotaExceeded {
        /// The full keyspace.
        keyspace: KeyspaceId,
        /// Live plus history bytes held.
        used: u64,
        /// Bytes allowed.
        quota: u64,
    },
    /// The group holds as many keyspaces as it may.
    #[error("the group holds {max} keyspaces already")]
    TooManyKeyspaces {
        /// The limit.
        max: usize,
    },
    /// More operations than `Limits` allows.
    #[error("a transaction may hold {max} operations per list")]
    TooManyOps {
        /// The limit.
        max: usize,
    },
    /// No such keyspace.
    #[error("keyspace {0} does not exist")]
    UnknownKeyspace(KeyspaceId),
}
