//! Snapshots at a pinned entry, cut in chunks while entries go on.
//!
//! Beginning costs one step per keyspace. From then on keys are read at the pinned revision, like
//! any read of the past, and compacted events are not freed below the pinned compaction revision;
//! leases and counters, which have no past, put aside the old value of what changes. A member
//! that cannot hold as much as a slow snapshot needs gives the snapshot up, never its own writes.
//!
//! An event is a version with its predecessor, so the history costs the snapshot only one short
//! row per revision: restoring links the versions again, and shares them with the index.

mod record;
mod restore;

use alloc::string::String;
use alloc::vec::Vec;

use synod_base::{Bytes, Digest, KeyspaceId, LeaseId, LogIndex, Revision, Time};
use thiserror::Error as ThisError;

use crate::history::FIRST_EVENT;
use crate::keyspace::Keyspace;
use crate::lease::AttachmentKey;
use crate::snapshot::record::Record;
use crate::{Config, KeyValue, Keyspaces};

pub use restore::{Restore, RestoreError};

/// Version of the snapshot format, the first byte of each chunk.
const VERSION: u8 = 1;
/// Keys and entries looked at per chunk, at most, also when few of them are in the snapshot.
const VISITS_MAX: usize = 4096;

/// The snapshot took so long that the member could not hold its past any longer, or another one
/// has begun. Begin again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[error("the snapshot was given up; begin another one")]
pub struct SnapshotLost;

/// What the state keeps for a running snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Pin {
    number: u64,
    holds: Vec<Revision>,
}

impl Pin {
    /// The revision of `keyspace` below which events may be freed; `None` when it is younger than
    /// the pin.
    pub(crate) fn hold(&self, keyspace: KeyspaceId) -> Option<Revision> {
        self.holds.get(keyspace.get() as usize - 1).copied()
    }
}

/// A running snapshot: what was pinned, and how far it was cut.
#[derive(Clone, Debug)]
pub struct SnapshotCursor {
    pin: u64,
    header: Header,
    digest: Digest,
    keyspaces: Vec<Meta>,
    place: Place,
}

impl SnapshotCursor {
    /// The last entry that the snapshot contains.
    #[must_use]
    pub fn applied_index(&self) -> LogIndex {
        self.header.applied
    }

    /// The digest of the state in it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// The group's own state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    applied: LogIndex,
    clock: Time,
    lease_generation: u64,
    config: Config,
}

/// A keyspace's own state.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Meta {
    id: KeyspaceId,
    name: String,
    quota_bytes: u64,
    revision: Revision,
    compaction: Revision,
}

impl Meta {
    fn of(keyspace: &Keyspace) -> Self {
        Self {
            id: keyspace.id,
            name: keyspace.name.clone(),
            quota_bytes: keyspace.quota_bytes,
            revision: keyspace.revision,
            compaction: keyspace.compaction,
        }
    }

    /// The oldest revision with events.
    fn first(&self) -> Revision {
        self.compaction.max(FIRST_EVENT)
    }
}

/// What comes next, in the order of the snapshot.
#[derive(Clone, Debug)]
enum Place {
    Header,
    Leases(Option<LeaseId>),
    Keyspace(usize),
    /// The next revision, and the next of its events when its row is written.
    Revisions(usize, Revision, Option<usize>),
    /// The last key, and the last version of it if others follow.
    Keys(usize, Option<Bytes>, Option<Revision>),
    Attachments(Option<AttachmentKey>),
    Counters(Option<(KeyspaceId, Bytes)>),
    End,
    Done,
}

/// A chunk being filled.
struct Chunk {
    bytes: Vec<u8>,
    bytes_max: usize,
    visits: usize,
}

impl Chunk {
    /// Never before the first record, so that each chunk makes progress.
    fn is_full(&self) -> bool {
        (self.bytes.len() > 1 && self.bytes.len() >= self.bytes_max) || self.visits >= VISITS_MAX
    }

    fn add(&mut self, record: Record<'_>) {
        record.encode(&mut self.bytes);
    }
}

impl Keyspaces {
    /// Pins the present state for a snapshot. One runs at a time: an earlier one is lost.
    pub fn begin_snapshot(&mut self) -> SnapshotCursor {
        self.pins += 1;
        let keyspaces: Vec<Meta> = self.keyspaces.iter().map(Meta::of).collect();
        let holds = keyspaces.iter().map(Meta::first).collect();
        self.pin = Some(Pin { number: self.pins, holds });
        self.leases.table.pin();
        self.leases.attachments.pin();
        self.counters.pin();
        let header = Header {
            applied: self.applied,
            clock: self.clock,
            lease_generation: self.leases.generation,
            config: self.config,
        };
        let digest = self.digest();
        SnapshotCursor { pin: self.pins, header, digest, keyspaces, place: Place::Header }
    }

    /// The next chunk of the snapshot: about `bytes_max` bytes, more only by the last key or
    /// value in it, and less where few keys that were looked at belong to it. `None` at the end.
    ///
    /// # Errors
    /// When the snapshot was given up: then chunks cut so far are of no use.
    pub fn next_chunk(
        &self,
        cursor: &mut SnapshotCursor,
        bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, SnapshotLost> {
        if matches!(cursor.place, Place::Done) {
            return Ok(None);
        }
        if self.pin.as_ref().is_none_or(|pin| pin.number != cursor.pin) {
            return Err(SnapshotLost);
        }
        let room = bytes_max.min(1 << 20);
        let mut chunk = Chunk { bytes: Vec::with_capacity(room), bytes_max, visits: 0 };
        chunk.bytes.push(VERSION);
        while !matches!(cursor.place, Place::Done) && !chunk.is_full() {
            let place = core::mem::replace(&mut cursor.place, Place::Done);
            cursor.place = self.fill(cursor, place, &mut chunk);
        }
        Ok(Some(chunk.bytes))
    }

    /// Ends a snapshot, finished or not, so that the past it needed can be freed.
    pub fn end_snapshot(&mut self, cursor: &SnapshotCursor) {
        if self.pin.as_ref().is_some_and(|pin| pin.number == cursor.pin) {
            self.unpin();
        }
    }

    pub(crate) fn unpin(&mut self) {
        self.pin = None;
        self.leases.table.unpin();
        self.leases.attachments.unpin();
        self.counters.unpin();
    }

    fn fill(&self, cursor: &SnapshotCursor, place: Place, chunk: &mut Chunk) -> Place {
        match place {
            Place::Header => {
                chunk.add(Record::Header(&cursor.header));
                Place::Leases(None)
            }
            Place::Leases(after) => self.fill_leases(after, chunk),
            Place::Keyspace(nth) => match cursor.keyspaces.get(nth) {
                Some(meta) => {
                    chunk.add(Record::Keyspace(meta));
                    Place::Revisions(nth, meta.first(), None)
                }
                None => Place::Attachments(None),
            },
            Place::Revisions(nth, revision, event) => {
                self.fill_revision(&cursor.keyspaces[nth], nth, revision, event, chunk)
            }
            Place::Keys(nth, key, version) => {
                self.fill_keys(&cursor.keyspaces[nth], nth, key, version, chunk)
            }
            Place::Attachments(after) => self.fill_attachments(after.as_ref(), chunk),
            Place::Counters(after) => self.fill_counters(after.as_ref(), chunk),
            Place::End => {
                chunk.add(Record::End(cursor.digest));
                Place::Done
            }
            Place::Done => Place::Done,
        }
    }

    fn fill_leases(&self, after: Option<LeaseId>, chunk: &mut Chunk) -> Place {
        for (_, lease) in self.leases.table.pinned(after.as_ref()) {
            chunk.add(Record::Lease(lease));
            chunk.visits += 1;
            if chunk.is_full() {
                return Place::Leases(Some(lease.id));
            }
        }
        Place::Keyspace(0)
    }

    fn fill_attachments(&self, after: Option<&AttachmentKey>, chunk: &mut Chunk) -> Place {
        for (at, on_expiry) in self.leases.attachments.pinned(after) {
            chunk.add(Record::Attachment(at, *on_expiry));
            chunk.visits += 1;
            if chunk.is_full() {
                return Place::Attachments(Some(at.clone()));
            }
        }
        Place::Counters(None)
    }

    fn fill_counters(&self, after: Option<&(KeyspaceId, Bytes)>, chunk: &mut Chunk) -> Place {
        for (counter, next) in self.counters.pinned(after) {
            chunk.add(Record::Counter(counter, *next));
            chunk.visits += 1;
            if chunk.is_full() {
                return Place::Counters(Some(counter.clone()));
            }
        }
        Place::End
    }

    /// Writes the row of one revision, or what is left of the keys of its events. A single event
    /// needs no key: its revision finds its version.
    fn fill_revision(
        &self,
        meta: &Meta,
        nth: usize,
        revision: Revision,
        event: Option<usize>,
        chunk: &mut Chunk,
    ) -> Place {
        if revision > meta.revision {
            return Place::Keys(nth, None, None);
        }
        let history = &self.keyspaces[nth].history;
        let mut events = history.events(revision);
        let count = events.len();
        chunk.visits += 1;
        let Some(event) = event else {
            let first = events.next().expect("the pin holds every revision's events");
            let time = history.time(revision).expect("the pin holds the revision");
            chunk.add(Record::Revision { index: first.index, time, count });
            return match count {
                1 => Place::Revisions(nth, revision.next(), None),
                _ => Place::Revisions(nth, revision, Some(0)),
            };
        };
        for (at, changed) in events.enumerate().skip(event) {
            chunk.add(Record::Order(&changed.kv.key));
            chunk.visits += 1;
            if chunk.is_full() && at + 1 < count {
                return Place::Revisions(nth, revision, Some(at + 1));
            }
        }
        Place::Revisions(nth, revision.next(), None)
    }

    fn fill_keys(
        &self,
        meta: &Meta,
        nth: usize,
        last_key: Option<Bytes>,
        last_version: Option<Revision>,
        chunk: &mut Chunk,
    ) -> Place {
        let index = &self.keyspaces[nth].index;
        if let (Some(key), Some(last)) = (&last_key, last_version)
            && let Some(versions) = index.versions(key)
        {
            let cut = fill_versions(meta, versions.iter(), Some(last), chunk);
            if cut.is_some() || chunk.is_full() {
                return Place::Keys(nth, last_key, cut);
            }
        }
        for (key, versions) in index.after(last_key.as_deref()) {
            chunk.visits += 1;
            if let Some(cut) = fill_versions(meta, versions.iter(), None, chunk) {
                return Place::Keys(nth, Some(key.clone()), Some(cut));
            }
            if chunk.is_full() {
                return Place::Keys(nth, Some(key.clone()), None);
            }
        }
        Place::Keyspace(nth + 1)
    }
}

/// Writes the versions of one key that the snapshot contains, from the one after `last` on. When
/// the chunk fills up before them all, returns the last one written.
fn fill_versions<'a>(
    meta: &Meta,
    versions: impl Iterator<Item = &'a alloc::sync::Arc<KeyValue>>,
    last: Option<Revision>,
    chunk: &mut Chunk,
) -> Option<Revision> {
    let first = meta.first();
    let mut versions = versions.take_while(|kv| kv.mod_revision <= meta.revision).peekable();
    let mut named = false;
    while let Some(kv) = versions.next() {
        let next = versions.peek().map(|next| next.mod_revision);
        // Below the first event a key needs its newest version only, and no tombstone.
        let superseded = next.is_some_and(|next| next < first) || kv.is_tombstone();
        let done = last.is_some_and(|last| kv.mod_revision <= last);
        if done || (kv.mod_revision < first && superseded) {
            continue;
        }
        if !named {
            chunk.add(Record::Key(&kv.key));
            named = true;
        }
        chunk.add(Record::Version(kv));
        if chunk.is_full() && next.is_some() {
            return Some(kv.mod_revision);
        }
    }
    None
}
