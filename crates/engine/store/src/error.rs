//! Why a call on the port failed.

use std::time::Duration;

use thiserror::Error as ThisError;

/// Why a call on the port failed.
#[derive(Clone, Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The store's queues are full. Nothing was done; try again later.
    #[error("the store is busy")]
    Busy,
    /// The store refused the request. Nothing was changed.
    #[error(transparent)]
    Refused(#[from] synod_keyspace::Error),
    /// The store has stopped. Nothing was done.
    #[error("the store has stopped: {reason}")]
    Stopped {
        /// Why.
        reason: String,
    },
    /// The request is longer than this body takes. Nothing was done.
    #[error("the request has {len} bytes; at most {max} are allowed")]
    TooLarge {
        /// Its bytes.
        len: usize,
        /// The bytes allowed.
        max: usize,
    },
    /// A bounded read found the state too old.
    #[error("the state is {age:?} old")]
    TooStale {
        /// Its age.
        age: Duration,
    },
    /// The request was sent, and whether it took effect is not known.
    #[error("the outcome is unknown: {reason}")]
    Unknown {
        /// What cut the answer off.
        reason: String,
    },
    /// This body of the port cannot do that.
    #[error("this store does not support {what}")]
    Unsupported {
        /// The missing capability.
        what: &'static str,
    },
}
