//! The keys a transaction writes, so that no key is written twice in one revision.

use alloc::collections::{BTreeMap, BTreeSet};

use synod_base::{Bytes, KeyspaceId};

use crate::{Error, KeyRange};

type Key = (KeyspaceId, Bytes);

/// The puts and deletions of operations that may run together. A put excludes every other write
/// of its key; deletions may overlap, since the second finds nothing left.
#[derive(Clone, Debug, Default)]
pub(crate) struct WriteSet {
    puts: BTreeSet<Key>,
    /// Disjoint deleted intervals: start to exclusive end, or to the last key.
    deletes: BTreeMap<Key, Option<Bytes>>,
}

impl WriteSet {
    pub(crate) fn put(&mut self, keyspace: KeyspaceId, key: &Bytes) -> Result<(), Error> {
        if self.deletes(keyspace, key) || !self.puts.insert((keyspace, key.clone())) {
            return Err(Error::DuplicateKey);
        }
        Ok(())
    }

    pub(crate) fn delete(&mut self, keyspace: KeyspaceId, range: &KeyRange) -> Result<(), Error> {
        let (start, end) = match range {
            KeyRange::From(start) => (start.clone(), None),
            KeyRange::Key(key) => (key.clone(), Some(after(key))),
            KeyRange::Span(start, end) if end <= start => return Ok(()),
            KeyRange::Span(start, end) => (start.clone(), Some(end.clone())),
        };
        let first_put = self.puts.range((keyspace, start.clone())..).next();
        if first_put.is_some_and(|(of, key)| *of == keyspace && before_end(key, end.as_ref())) {
            return Err(Error::DuplicateKey);
        }
        self.insert(keyspace, start, end);
        Ok(())
    }

    /// Adds the writes of operations that run together with those here.
    pub(crate) fn join(&mut self, other: Self) -> Result<(), Error> {
        for (keyspace, key) in &other.puts {
            if self.deletes(*keyspace, key) || self.puts.contains(&(*keyspace, key.clone())) {
                return Err(Error::DuplicateKey);
            }
        }
        for ((keyspace, start), end) in other.deletes {
            let range = match end {
                None => KeyRange::From(start),
                Some(end) => KeyRange::Span(start, end),
            };
            self.delete(keyspace, &range)?;
        }
        self.puts.extend(other.puts);
        Ok(())
    }

    /// Adds the writes of operations that never run together with those here.
    pub(crate) fn either(&mut self, other: Self) {
        self.puts.extend(other.puts);
        for ((keyspace, start), end) in other.deletes {
            self.insert(keyspace, start, end);
        }
    }

    fn deletes(&self, keyspace: KeyspaceId, key: &Bytes) -> bool {
        let last = self.deletes.range(..=(keyspace, key.clone())).next_back();
        last.is_some_and(|((of, _), end)| *of == keyspace && before_end(key, end.as_ref()))
    }

    /// Adds an interval, swallowing those it touches.
    fn insert(&mut self, keyspace: KeyspaceId, mut start: Bytes, mut end: Option<Bytes>) {
        let touches = |from: &Bytes, to: Option<&Bytes>| to.is_none_or(|to| from <= to);
        while let Some(((of, from), to)) = self
            .deletes
            .range(..=(keyspace, end.clone().unwrap_or_else(|| start.clone())))
            .next_back()
            .map(|(at, to)| (at.clone(), to.clone()))
            && of == keyspace
            && touches(&start, to.as_ref())
        {
            self.deletes.remove(&(of, from.clone()));
            start = start.min(from);
            end = match (end, to) {
                (Some(end), Some(to)) => Some(end.max(to)),
                _ => None,
            };
        }
        if end.is_none() {
            let swallowed: alloc::vec::Vec<Key> = self
                .deletes
                .range((keyspace, start.clone())..)
                .take_while(|((of, _), _)| *of == keyspace)
                .map(|(at, _)| at.clone())
                .collect();
            for at in swallowed {
                self.deletes.remove(&at);
            }
        }
        self.deletes.insert((keyspace, start), end);
    }
}

/// The first key after `key`.
fn after(key: &Bytes) -> Bytes {
    let mut next = key.to_vec();
    next.push(0);
    next.into()
}

fn before_end(key: &Bytes, end: Option<&Bytes>) -> bool {
    end.is_none_or(|end| key < end)
}
