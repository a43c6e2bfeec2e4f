//! The key index: for each key its versions, the newest at hand.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque, btree_map};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

use synod_base::{Bytes, Revision};

use crate::{KeyRange, KeyValue};

/// All readable versions of all keys of a keyspace, and perhaps some that compaction has given up
/// but trimming has not reached.
///
/// A key with one version costs one tree slot of 32 bytes; its bytes are shared with the version.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    keys: BTreeMap<Bytes, Versions>,
}

impl Index {
    /// Builds the index from keys in ascending order, in densely filled nodes.
    pub(crate) fn from_sorted(keys: Vec<(Bytes, Versions)>) -> Self {
        Self { keys: keys.into_iter().collect() }
    }

    /// The newest version of `key`, unless that is a tombstone.
    pub(crate) fn newest(&self, key: &[u8]) -> Option<&Arc<KeyValue>> {
        self.keys.get(key).map(|versions| &versions.newest).filter(|kv| !kv.is_tombstone())
    }

    /// All versions of `key`.
    pub(crate) fn versions(&self, key: &[u8]) -> Option<&Versions> {
        self.keys.get(key)
    }

    /// Appends the version of `key` that `make` builds from the newest one, tombstones included.
    /// It must be newer. Returns the version and its predecessor.
    pub(crate) fn write(
        &mut self,
        key: &Bytes,
        make: impl FnOnce(Option<&KeyValue>) -> KeyValue,
    ) -> (Arc<KeyValue>, Option<Arc<KeyValue>>) {
        match self.keys.entry(key.clone()) {
            btree_map::Entry::Occupied(mut entry) => {
                let versions = entry.get_mut();
                let kv = Arc::new(make(Some(&versions.newest)));
                let before = Arc::clone(&versions.newest);
                versions.push(Arc::clone(&kv));
                (kv, Some(before))
            }
            btree_map::Entry::Vacant(entry) => {
                let kv = Arc::new(make(None));
                entry.insert(Versions::new(Arc::clone(&kv)));
                (kv, None)
            }
        }
    }

    /// Forgets the versions of `key` that the one written at `revision` superseded, and that one
    /// too if it is a tombstone.
    pub(crate) fn trim(&mut self, key: &[u8], revision: Revision) {
        if let Some(versions) = self.keys.get_mut(key)
            && versions.trim(revision)
        {
            self.keys.remove(key);
        }
    }

    /// The keys of `range` with all their versions, in key order.
    pub(crate) fn range<'a>(
        &'a self,
        range: &'a KeyRange,
    ) -> impl Iterator<Item = (&'a Bytes, &'a Versions)> {
        let (from, to) = range.bounds();
        self.between(from, to)
    }

    /// The keys after `after`, or all, with all their versions, in key order.
    pub(crate) fn after<'a>(
        &'a self,
        after: Option<&'a [u8]>,
    ) -> impl Iterator<Item = (&'a Bytes, &'a Versions)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.keys.range::<[u8], _>((from, Bound::Unbounded))
    }

    fn between<'a>(
        &'a self,
        from: Bound<&'a [u8]>,
        to: Bound<&'a [u8]>,
    ) -> btree_map::Range<'a, Bytes, Versions> {
        self.keys.range::<[u8], _>((from, to))
    }

    /// The live keys of `range`, in key order.
    pub(crate) fn live<'a>(
        &'a self,
        range: &'a KeyRange,
    ) -> impl Iterator<Item = &'a Arc<KeyValue>> {
        self.range(range).map(|(_, versions)| &versions.newest).filter(|kv| !kv.is_tombstone())
    }
}

/// The versions of one key, of ascending revisions. Never empty.
#[derive(Clone, Debug)]
pub(crate) struct Versions {
    newest: Arc<KeyValue>,
    /// Boxed because most keys have one version. A deque because compaction takes from the front
    /// while writes add at the back.
    #[expect(clippy::box_collection, reason = "keeps the common single version at 16 bytes")]
    older: Option<Box<VecDeque<Arc<KeyValue>>>>,
}

impl Versions {
    pub(crate) fn new(kv: Arc<KeyValue>) -> Self {
        Self { newest: kv, older: None }
    }

    pub(crate) fn newest(&self) -> &Arc<KeyValue> {
        &self.newest
    }

    pub(crate) fn push(&mut self, kv: Arc<KeyValue>) {
        debug_assert!(kv.mod_revision > self.newest.mod_revision, "revisions of a key increase");
        let superseded = core::mem::replace(&mut self.newest, kv);
        self.older.get_or_insert_default().push_back(superseded);
    }

    /// The version that a reader at `revision` sees, which may be a tombstone.
    pub(crate) fn at(&self, revision: Revision) -> Option<&Arc<KeyValue>> {
        if self.newest.mod_revision <= revision {
            return Some(&self.newest);
        }
        let older = self.older.as_deref()?;
        let seen = older.partition_point(|kv| kv.mod_revision <= revision);
        seen.checked_sub(1).map(|last| &older[last])
    }

    /// All versions, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<KeyValue>> {
        self.older.iter().flat_map(|older| older.iter()).chain(core::iter::once(&self.newest))
    }

    /// Returns whether nothing is left.
    fn trim(&mut self, revision: Revision) -> bool {
        let gone = |kv: &KeyValue| {
            kv.mod_revision < revision || (kv.mod_revision == revision && kv.is_tombstone())
        };
        if let Some(older) = self.older.as_deref_mut() {
            while older.front().is_some_and(|kv| gone(kv)) {
                older.pop_front();
            }
            if older.is_empty() {
                self.older = None;
            }
        }
        self.older.is_none() && self.newest.mod_revision == revision && gone(&self.newest)
    }
}
