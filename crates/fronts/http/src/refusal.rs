//! The one place where errors from below become problems.

use synod_jobs::{ApplyError, ChangeError, NotFound, ReadError};
use synod_store::Error as StoreError;

use crate::problem::{Kind, Problem};

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::new(store_kind(&error), error.to_string())
    }
}

fn store_kind(error: &StoreError) -> Kind {
    match error {
        StoreError::Busy | StoreError::TooStale { .. } => Kind::Busy,
        StoreError::Refused(refusal) => refused_kind(refusal),
        StoreError::Stopped { .. } => Kind::StoreStopped,
        StoreError::Unknown { .. } => Kind::OutcomeUnknown,
        StoreError::Unsupported { .. } => Kind::Unsupported,
        // The enum may grow; what is not sorted in above is ours to repair.
        _ => Kind::Internal,
    }
}

/// What a state may refuse whoever asks; anything else is a mistake of the layer that asked.
fn refused_kind(refusal: &synod_keyspace::Error) -> Kind {
    match refusal {
        synod_keyspace::Error::QuotaExceeded { .. } => Kind::StoreFull,
        synod_keyspace::Error::TooManyOps { .. } => Kind::TooLarge,
        _ => Kind::Internal,
    }
}

impl From<NotFound> for Problem {
    fn from(error: NotFound) -> Self {
        let kind = match error.what {
            "service" => Kind::ServiceNotFound,
            _ => Kind::AppNotFound,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Corrupt(error) => Self::new(Kind::UnreadableValue, error.to_string()),
            ReadError::NotFound(error) => error.into(),
            ReadError::Store(error) => error.into(),
            _ => Self::new(Kind::Internal, error.to_string()),
        }
    }
}

impl From<ApplyError> for Problem {
    fn from(error: ApplyError) -> Self {
        let detail = error.to_string();
        match error {
            ApplyError::Conflict { .. } => Self::new(Kind::ChangedMeanwhile, detail),
            ApplyError::Corrupt(_) => Self::new(Kind::UnreadableValue, detail),
            ApplyError::PathConflict { .. } => Self::new(Kind::AppNameTaken, detail),
            ApplyError::Store(error) => error.into(),
            _ => Self::new(Kind::Internal, detail),
        }
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        let detail = error.to_string();
        match error {
            ChangeError::Conflict { .. } => Self::new(Kind::ChangedMeanwhile, detail),
            ChangeError::Corrupt(_) => Self::new(Kind::UnreadableValue, detail),
            ChangeError::NotFound(error) => error.into(),
            ChangeError::Removing { .. } => Self::new(Kind::BeingRemoved, detail),
            ChangeError::Store(error) => error.into(),
            _ => Self::new(Kind::Internal, detail),
        }
    }
}

impl From<synod_registry::Error> for Problem {
    fn from(error: synod_registry::Error) -> Self {
        match error {
            synod_registry::Error::Corrupt(error) => {
                Self::new(Kind::UnreadableValue, error.to_string())
            }
            synod_registry::Error::Store(error) => error.into(),
            _ => Self::new(Kind::Internal, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use synod_keyspace::Error as Refusal;
    use synod_store::KeyspaceId;

    use super::*;

    #[test]
    fn store_errors_have_their_kinds() {
        let keyspace = KeyspaceId::new(1);
        let text = || String::from("text");
        for (error, kind) in [
            (StoreError::Busy, Kind::Busy),
            (Refusal::EmptyKey.into(), Kind::Internal),
            (Refusal::QuotaExceeded { keyspace, used: 2, quota: 1 }.into(), Kind::StoreFull),
            (Refusal::TooManyOps { max: 128 }.into(), Kind::TooLarge),
            (StoreError::Stopped { reason: text() }, Kind::StoreStopped),
            (StoreError::TooStale { age: Duration::ZERO }, Kind::Busy),
            (StoreError::Unknown { reason: text() }, Kind::OutcomeUnknown),
            (StoreError::Unsupported { what: "streams" }, Kind::Unsupported),
        ] {
            let detail = error.to_string();
            assert_eq!(Problem::from(error), Problem { kind, detail });
        }
    }
}
