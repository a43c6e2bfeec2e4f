//! Reads: key ranges, and what to return of them.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

use synod_base::{Bytes, KeyspaceId, Revision};

use crate::KeyValue;

/// A set of adjacent keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRange {
    /// Every key at or after the first.
    From(Bytes),
    /// Exactly this key.
    Key(Bytes),
    /// From the first, up to but not including the second.
    Span(Bytes, Bytes),
}

impl KeyRange {
    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self::From(Bytes::default())
    }

    /// Exactly `key`.
    pub fn key(key: impl Into<Bytes>) -> Self {
        Self::Key(key.into())
    }

    /// Every key that starts with `prefix`.
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let start = prefix.into();
        let mut end = start.to_vec();
        while let Some(last) = end.pop() {
            if let Some(next) = last.checked_add(1) {
                end.push(next);
                return Self::Span(start, end.into());
            }
        }
        Self::From(start)
    }

    /// First and last key as bounds that an ordered map accepts.
    pub(crate) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        match self {
            Self::From(start) => (Bound::Included(&**start), Bound::Unbounded),
            Self::Key(only) => (Bound::Included(&**only), Bound::Included(&**only)),
            // A span that ends before it starts is empty; a map would panic.
            Self::Span(start, end) => {
                (Bound::Included(&**start), Bound::Excluded(&**end.max(start)))
            }
        }
    }

    /// Whether `key` belongs to the set.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        match self {
            Self::From(start) => key >= &**start,
            Self::Key(only) => key == &**only,
            Self::Span(start, end) => key >= &**start && key < &**end,
        }
    }
}

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeRequest {
    /// The keyspace to read.
    pub keyspace: KeyspaceId,
    /// The keys to read.
    pub range: KeyRange,
    /// The state to read; `None` for the newest.
    pub revision: Option<Revision>,
    /// The most keys to return; `None` for all.
    pub limit: Option<usize>,
    /// The order of the result; `None` for key order.
    pub sort: Option<Sort>,
    /// Return keys with empty values.
    pub keys_only: bool,
    /// Return only the count.
    pub count_only: bool,
    /// Filters applied after fetching, as in etcd: they do not change the count.
    pub filter: RevisionFilter,
}

impl RangeRequest {
    /// All of `range` at the newest revision, in key order.
    #[must_use]
    pub fn new(keyspace: KeyspaceId, range: KeyRange) -> Self {
        Self {
            keyspace,
            range,
            revision: None,
            limit: None,
            sort: None,
            keys_only: false,
            count_only: false,
            filter: RevisionFilter::default(),
        }
    }
}

/// An order other than by ascending key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// What to compare.
    pub target: SortTarget,
    /// Which way.
    pub order: Order,
}

/// What to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortTarget {
    /// The creating revision.
    CreateRevision,
    /// The key.
    Key,
    /// The last writing revision.
    ModRevision,
    /// The value.
    Value,
    /// The version.
    Version,
}

/// Which way to sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// Bounds on the revisions of returned keys; both ends inclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RevisionFilter {
    /// Created at or after.
    pub min_create: Option<Revision>,
    /// Created at or before.
    pub max_create: Option<Revision>,
    /// Modified at or after.
    pub min_mod: Option<Revision>,
    /// Modified at or before.
    pub max_mod: Option<Revision>,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeResponse {
    /// The versions found.
    pub kvs: Vec<Arc<KeyValue>>,
    /// Whether the limit cut the result.
    pub more: bool,
    /// How many keys the range holds, whatever the limit and the filters.
    pub count: usize,
    /// The keyspace's newest revision when read.
    pub revision: Revision,
}
