//! Why the registry could not do something.

use crate::{Corrupt, RegistrationKey};

/// Why the registry could not do something. Nothing was changed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that cannot be part of a key.
    #[error("{name:?} cannot be a {what}'s name: use lower-case letters, digits and dashes")]
    BadName {
        /// What was to be named.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The value to change cannot be read.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// There is no registration to change: it was never made, or its lease ended.
    #[error("instance {0} is not registered; register it again")]
    NotRegistered(RegistrationKey),
    /// The store failed or refused.
    #[error(transparent)]
    Store(#[from] synod_store::Error),
}
