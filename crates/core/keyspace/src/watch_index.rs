//! Which watchers an event concerns.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use synod_base::{Bytes, KeyspaceId};

use crate::KeyRange;

/// Watchers by the keys they want, so that a change wakes only those it concerns.
///
/// Single keys and prefixes, which nearly all watchers ask for, are found by lookup: one for the
/// key, and one for each length of prefix in use. Other ranges are gone through one by one.
#[derive(Clone, Debug, Default)]
pub struct WatchIndex {
    watchers: BTreeMap<u64, (KeyspaceId, Wanted)>,
    keys: BTreeMap<(KeyspaceId, Bytes), BTreeSet<u64>>,
    prefixes: BTreeMap<(KeyspaceId, Bytes), BTreeSet<u64>>,
    /// How many distinct prefixes have each length.
    prefix_lens: BTreeMap<(KeyspaceId, usize), usize>,
    others: BTreeMap<KeyspaceId, BTreeMap<u64, KeyRange>>,
}

#[derive(Clone, Debug)]
enum Wanted {
    Key(Bytes),
    Other,
    Prefix(Bytes),
}

impl WatchIndex {
    /// An index without watchers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many watchers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.watchers.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    /// Adds `watcher`; one with the same number is replaced.
    pub fn add(&mut self, watcher: u64, keyspace: KeyspaceId, range: &KeyRange) {
        self.remove(watcher);
        let wanted = match range {
            KeyRange::Key(key) => Wanted::Key(key.clone()),
            KeyRange::From(start) if start.is_empty() => Wanted::Prefix(start.clone()),
            KeyRange::Span(start, _) if *range == KeyRange::prefix(start.clone()) => {
                Wanted::Prefix(start.clone())
            }
            KeyRange::From(_) | KeyRange::Span(..) => Wanted::Other,
        };
        match &wanted {
            Wanted::Key(key) => {
                self.keys.entry((keyspace, key.clone())).or_default().insert(watcher);
            }
            Wanted::Other => {
                self.others.entry(keyspace).or_default().insert(watcher, range.clone());
            }
            Wanted::Prefix(prefix) => {
                let watchers = self.prefixes.entry((keyspace, prefix.clone())).or_default();
                if watchers.is_empty() {
                    *self.prefix_lens.entry((keyspace, prefix.len())).or_default() += 1;
                }
                watchers.insert(watcher);
            }
        }
        self.watchers.insert(watcher, (keyspace, wanted));
    }

    /// Removes `watcher`. Returns whether it was there.
    pub fn remove(&mut self, watcher: u64) -> bool {
        let Some((keyspace, wanted)) = self.watchers.remove(&watcher) else { return false };
        match wanted {
            Wanted::Key(key) => {
                remove_from(&mut self.keys, &(keyspace, key), watcher);
            }
            Wanted::Other => {
                if let Some(others) = self.others.get_mut(&keyspace) {
                    others.remove(&watcher);
                }
            }
            Wanted::Prefix(prefix) => {
                let len = (keyspace, prefix.len());
                if remove_from(&mut self.prefixes, &(keyspace, prefix), watcher)
                    && let Some(prefixes) = self.prefix_lens.get_mut(&len)
                {
                    *prefixes -= 1;
                    if *prefixes == 0 {
                        self.prefix_lens.remove(&len);
                    }
                }
            }
        }
        true
    }

    /// The watchers that want `key`, each once, in no order that means something.
    #[must_use]
    pub fn matching(&self, keyspace: KeyspaceId, key: &Bytes) -> Vec<u64> {
        let mut found = Vec::new();
        if let Some(watchers) = self.keys.get(&(keyspace, key.clone())) {
            found.extend(watchers);
        }
        let lens = self.prefix_lens.range((keyspace, 0)..=(keyspace, key.len()));
        for (_, len) in lens.map(|(at, _)| at) {
            let prefix = (keyspace, Bytes::from(&key[..*len]));
            if let Some(watchers) = self.prefixes.get(&prefix) {
                found.extend(watchers);
            }
        }
        for (watcher, range) in self.others.get(&keyspace).into_iter().flatten() {
            if range.contains(key) {
                found.push(*watcher);
            }
        }
        found
    }
}

/// Removes a watcher from its set. Returns whether the set was its last.
fn remove_from(
    sets: &mut BTreeMap<(KeyspaceId, Bytes), BTreeSet<u64>>,
    at: &(KeyspaceId, Bytes),
    watcher: u64,
) -> bool {
    let Some(set) = sets.get_mut(at) else { return false };
    set.remove(&watcher);
    let empty = set.is_empty();
    if empty {
        sets.remove(at);
    }
    empty
}
