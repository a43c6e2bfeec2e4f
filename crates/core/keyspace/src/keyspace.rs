//! One keyspace: its key index, its history, and the writes that keep both in step.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use synod_base::{Bytes, Digest, Encode, KeyspaceId, LeaseId, LogIndex, Revision, Time};

use crate::history::{FIRST_EVENT, History};
use crate::index::Index;
use crate::{Error, Event, HistoryBudget, KeyValue};

/// The most revisions that one entry compacts by budget. It bounds the pause after an idle hour;
/// the rest follows with the next entries.
const BUDGET_STEP: usize = 4096;

/// An ordered map of byte keys with dense revisions.
#[derive(Clone, Debug)]
pub(crate) struct Keyspace {
    pub(crate) id: KeyspaceId,
    pub(crate) name: String,
    pub(crate) quota_bytes: u64,
    pub(crate) revision: Revision,
    pub(crate) compaction: Revision,
    pub(crate) index: Index,
    pub(crate) history: History,
    /// Live keys.
    pub(crate) keys: u64,
    /// Weight of the live keys and of the suffix counters.
    pub(crate) live_bytes: u64,
    /// Events of the revision being written.
    pub(crate) pending: Vec<Arc<Event>>,
    pub(crate) digest: Digest,
    scratch: Vec<u8>,
    empty: Bytes,
}

/// How full a keyspace is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The newest revision.
    pub revision: Revision,
    /// The oldest readable revision.
    pub compaction: Revision,
    /// Live keys.
    pub keys: u64,
    /// Bytes of live keys, values and their overhead.
    pub live_bytes: u64,
    /// Bytes of the history: superseded versions and the events' overhead.
    pub history_bytes: u64,
    /// Revisions whose events are readable.
    pub revisions: u64,
    /// Live plus history bytes allowed; zero for no limit.
    pub quota_bytes: u64,
    /// History bytes compacted but still held on this member for a snapshot or slow watchers.
    pub held_bytes: u64,
}

impl Keyspace {
    /// A keyspace without keys at `revision`, whose events go to `history`.
    pub(crate) fn new(
        id: KeyspaceId,
        name: String,
        quota_bytes: u64,
        revision: Revision,
        history: History,
    ) -> Self {
        Self {
            id,
            name,
            quota_bytes,
            revision,
            compaction: Revision::ZERO,
            index: Index::default(),
            history,
            keys: 0,
            live_bytes: 0,
            pending: Vec::new(),
            digest: Digest::default(),
            scratch: Vec::new(),
            empty: Bytes::default(),
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            revision: self.revision,
            compaction: self.compaction,
            keys: self.keys,
            live_bytes: self.live_bytes,
            history_bytes: self.history_bytes(),
            revisions: self.revisions(),
            quota_bytes: self.quota_bytes,
            held_bytes: self.held_bytes(),
        }
    }

    pub(crate) fn history_bytes(&self) -> u64 {
        self.history.bytes_from(self.compaction)
    }

    /// Bytes compacted but not trimmed yet.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.history.bytes_below(self.compaction)
    }

    /// Revisions whose events are readable.
    fn revisions(&self) -> u64 {
        let oldest = self.compaction.max(FIRST_EVENT);
        self.history.next().get().saturating_sub(oldest.get())
    }

    /// Whether a reader may ask for the state at `revision`.
    pub(crate) fn check_readable(&self, requested: Revision) -> Result<(), Error> {
        let (compacted, newest) = (self.compaction, self.revision);
        if requested < compacted {
            return Err(Error::Compacted { requested, compacted });
        }
        if requested > newest {
            return Err(Error::FutureRevision { requested, newest });
        }
        Ok(())
    }

    /// The revision being written, which readers in the same transaction see already.
    pub(crate) fn writing(&self) -> Revision {
        self.revision.next()
    }

    /// Writes a version and returns the live one before.
    pub(crate) fn put(
        &mut self,
        index: LogIndex,
        key: &Bytes,
        value: Bytes,
        lease: Option<LeaseId>,
    ) -> Option<Arc<KeyValue>> {
        let revision = self.writing();
        let (kv, before) = self.index.write(key, |before| {
            let (key, create_revision, version) = match before {
                Some(before) if !before.is_tombstone() => {
                    (before.key.clone(), before.create_revision, before.version + 1)
                }
                Some(tombstone) => (tombstone.key.clone(), revision, 1),
                None => (key.clone(), revision, 1),
            };
            KeyValue { key, value, create_revision, mod_revision: revision, version, lease }
        });
        let prev = before.filter(|kv| !kv.is_tombstone());
        if let Some(prev) = &prev {
            self.count_out(prev);
        }
        self.count_in(&kv);
        self.pending.push(Arc::new(Event { index, kv, prev: prev.clone() }));
        prev
    }

    /// Deletes a live key and returns its last version.
    pub(crate) fn delete(&mut self, index: LogIndex, key: &Bytes) -> Option<Arc<KeyValue>> {
        self.index.newest(key)?;
        let mod_revision = self.writing();
        let value = self.empty.clone();
        let (kv, prev) = self.index.write(key, |before| KeyValue {
            key: before.map_or_else(|| key.clone(), |before| before.key.clone()),
            value,
            create_revision: Revision::ZERO,
            mod_revision,
            version: 0,
            lease: None,
        });
        if let Some(prev) = &prev {
            self.count_out(prev);
        }
        self.pending.push(Arc::new(Event { index, kv, prev: prev.clone() }));
        prev
    }

    /// Ends the revision being written. Returns it, unless nothing changed.
    pub(crate) fn commit(&mut self, time: Time) -> Option<Revision> {
        if self.pending.is_empty() {
            return None;
        }
        self.history.push(time, &mut self.pending);
        self.revision = self.revision.next();
        Some(self.revision)
    }

    /// Compacts what is past the budget. Returns the new compaction revision if it rose.
    pub(crate) fn keep_budget(&mut self, budget: &HistoryBudget, now: Time) -> Option<Revision> {
        let bytes_max = match self.quota_bytes {
            0 => budget.bytes,
            quota => budget.bytes.min(quota / 2),
        };
        let mut oldest = self.compaction.max(FIRST_EVENT);
        let mut rose = false;
        for _ in 0..BUDGET_STEP {
            let kept = self.history.next().get().saturating_sub(oldest.get());
            if kept <= budget.revisions_min.max(1) {
                break;
            }
            let old = self.history.time(oldest).is_some_and(|time| now.since(time) > budget.age);
            if !old && self.history.bytes_from(oldest) <= bytes_max {
                break;
            }
            oldest = oldest.next();
            rose = true;
        }
        if rose {
            self.compaction = oldest;
        }
        rose.then_some(oldest)
    }

    /// Frees up to `room` events below the compaction revision and `hold`, and counts them out of
    /// it. Returns whether some are left.
    pub(crate) fn trim(&mut self, hold: Option<Revision>, room: &mut usize) -> bool {
        let limit = hold.map_or(self.compaction, |hold| hold.min(self.compaction));
        while *room > 0 {
            let Some(event) = self.history.pop_below(limit) else { return false };
            *room -= 1;
            // A created key superseded nothing: spare the search for it.
            if event.prev.is_some() || event.kv.is_tombstone() {
                self.index.trim(&event.kv.key, event.kv.mod_revision);
            }
        }
        self.history.floor() < limit
    }

    /// Counts a version that became live.
    pub(crate) fn count_in(&mut self, kv: &KeyValue) {
        self.keys += 1;
        self.live_bytes += kv.weight();
        key_item(self.id, kv, &mut self.scratch);
        self.digest.add(&self.scratch);
    }

    /// Counts a version that no longer is.
    pub(crate) fn count_out(&mut self, kv: &KeyValue) {
        self.keys -= 1;
        self.live_bytes -= kv.weight();
        key_item(self.id, kv, &mut self.scratch);
        self.digest.remove(&self.scratch);
    }

    /// The digest of the live keys and of the keyspace itself.
    pub(crate) fn digest(&self) -> Digest {
        let mut digest = self.digest;
        digest.add(&self.item());
        digest
    }

    fn item(&self) -> Vec<u8> {
        let mut item = alloc::vec![crate::digest::KEYSPACE];
        self.id.encode(&mut item);
        self.name.encode(&mut item);
        self.quota_bytes.encode(&mut item);
        self.revision.encode(&mut item);
        self.compaction.encode(&mut item);
        self.keys.encode(&mut item);
        self.live_bytes.encode(&mut item);
        self.history_bytes().encode(&mut item);
        item
    }

    /// The digest computed anew from the index.
    pub(crate) fn recomputed(&self) -> Digest {
        let mut digest = Digest::default();
        let mut item = Vec::new();
        for kv in self.index.live(&crate::KeyRange::all()) {
            key_item(self.id, kv, &mut item);
            digest.add(&item);
        }
        digest.add(&self.item());
        digest
    }
}

fn key_item(keyspace: KeyspaceId, kv: &KeyValue, item: &mut Vec<u8>) {
    item.clear();
    item.push(crate::digest::KEY);
    keyspace.encode(item);
    kv.encode(item);
}
