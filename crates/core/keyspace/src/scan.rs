//! How a range is read.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;

use synod_base::Bytes;

use crate::keyspace::Keyspace;
use crate::{
    Error, KeyRange, KeyValue, Order, RangeRequest, RangeResponse, RevisionFilter, Sort, SortTarget,
};

impl Keyspace {
    /// Whether `request` can be answered.
    pub(crate) fn check_range(&self, request: &RangeRequest) -> Result<(), Error> {
        request.range.check()?;
        request.revision.map_or(Ok(()), |revision| self.check_readable(revision))
    }

    /// Answers a request that was checked. Within a transaction, its own writes are seen.
    pub(crate) fn range(&self, request: &RangeRequest) -> RangeResponse {
        let newest = if self.pending.is_empty() { self.revision } else { self.writing() };
        let at = request.revision.unwrap_or(newest);
        // Order and filters look at every key before the limit cuts.
        let late_limit = request.sort.is_some() || !request.filter.is_open();
        let limit = request.limit.unwrap_or(usize::MAX);
        let room = match (request.count_only, late_limit) {
            (true, _) => 0,
            (false, true) => usize::MAX,
            (false, false) => limit,
        };
        let mut kvs = Vec::new();
        let mut count = 0;
        for (_, versions) in self.index.range(&request.range) {
            let Some(kv) = versions.at(at).filter(|kv| !kv.is_tombstone()) else { continue };
            if count < room {
                kvs.push(Arc::clone(kv));
            }
            count += 1;
        }
        let mut more = !request.count_only && !late_limit && count > limit;
        if late_limit && !request.count_only {
            kvs.retain(|kv| request.filter.admits(kv));
            if let Some(sort) = request.sort {
                kvs.sort_by(|a, b| sort.compare(a, b));
            }
            more = kvs.len() > limit;
            kvs.truncate(limit);
        }
        if request.keys_only {
            let empty = Bytes::default();
            for kv in &mut kvs {
                *kv = Arc::new(KeyValue { value: empty.clone(), ..(**kv).clone() });
            }
        }
        RangeResponse { kvs, more, count, revision: newest }
    }
}

impl KeyRange {
    /// Whether the range names something: a single key must not be empty.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self {
            Self::Key(key) if key.is_empty() => Err(Error::EmptyKey),
            _ => Ok(()),
        }
    }
}

impl RevisionFilter {
    fn is_open(&self) -> bool {
        *self == Self::default()
    }

    fn admits(&self, kv: &KeyValue) -> bool {
        self.min_create.is_none_or(|min| kv.create_revision >= min)
            && self.max_create.is_none_or(|max| kv.create_revision <= max)
            && self.min_mod.is_none_or(|min| kv.mod_revision >= min)
            && self.max_mod.is_none_or(|max| kv.mod_revision <= max)
    }
}

impl Sort {
    fn compare(self, a: &KeyValue, b: &KeyValue) -> Ordering {
        let ascending = match self.target {
            SortTarget::CreateRevision => a.create_revision.cmp(&b.create_revision),
            SortTarget::Key => a.key.cmp(&b.key),
            SortTarget::ModRevision => a.mod_revision.cmp(&b.mod_revision),
            SortTarget::Value => a.value.cmp(&b.value),
            SortTarget::Version => a.version.cmp(&b.version),
        };
        match self.order {
            Order::Ascending => ascending,
            Order::Descending => ascending.reverse(),
        }
    }
}
