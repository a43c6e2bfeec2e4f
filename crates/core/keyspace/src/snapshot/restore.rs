//! Rebuilding the state from the chunks of a snapshot.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use synod_base::{Bytes, Decode, DecodeError, Digest, LogIndex, Reader, Revision, Time};
use thiserror::Error as ThisError;

use crate::history::History;
use crate::index::{Index, Versions};
use crate::keyspace::Keyspace;
use crate::snapshot::record::{Found, VersionFields};
use crate::snapshot::{Header, Meta, VERSION};
use crate::{Attach, Config, Event, Held, KeyValue, Keyspaces};

/// Why a snapshot could not be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum RestoreError {
    /// The last chunk is missing.
    #[error("the snapshot ends early; fetch it again")]
    Incomplete,
    /// The bytes are no snapshot.
    #[error("the snapshot is damaged: {0}; fetch it again")]
    Malformed(#[from] DecodeError),
    /// The state rebuilt is not the one that was pinned.
    #[error("the snapshot's digest is {wanted}, that of the state in it {found}; fetch it again")]
    WrongDigest {
        /// As the snapshot states it.
        wanted: Digest,
        /// Of the state rebuilt.
        found: Digest,
    },
}

/// A state being rebuilt.
#[derive(Debug)]
pub struct Restore {
    held: Held,
    header: Option<Header>,
    state: Keyspaces,
    draft: Option<Draft>,
    /// The digest that the last record states.
    end: Option<Digest>,
}

impl Restore {
    /// A rebuild that awaits the first chunk. What all members agree on comes with the snapshot.
    #[must_use]
    pub fn new(held: Held) -> Self {
        let state = Keyspaces::empty(Config { held, ..Config::default() });
        Self { held, header: None, state, draft: None, end: None }
    }

    /// Takes the next chunk, in the order they were cut.
    ///
    /// # Errors
    /// When it is damaged or out of order. The rebuild is of no use then.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), RestoreError> {
        let mut input = Reader::new(chunk);
        if u8::decode(&mut input)? != VERSION {
            return Err(Reader::new(chunk).error("snapshot format version 1").into());
        }
        while input.remaining() > 0 {
            let at = input.clone();
            let found = Found::decode(&mut input, self.held)?;
            self.take(found).map_err(|expected| at.error(expected))?;
        }
        Ok(())
    }

    /// The state that was pinned.
    ///
    /// # Errors
    /// When chunks are missing or the digests differ.
    pub fn finish(self) -> Result<Keyspaces, RestoreError> {
        let wanted = self.end.ok_or(RestoreError::Incomplete)?;
        let found = self.state.digest();
        if wanted != found {
            return Err(RestoreError::WrongDigest { wanted, found });
        }
        Ok(self.state)
    }

    /// Takes one record, or says what was expected instead.
    fn take(&mut self, found: Found) -> Result<(), &'static str> {
        if self.end.is_some() {
            return Err("the end");
        }
        if self.header.is_some() == matches!(found, Found::Header(_)) {
            return Err("one header, first");
        }
        match found {
            Found::Header(header) => {
                self.state.applied = header.applied;
                self.state.clock = header.clock;
                self.state.config = header.config;
                self.state.leases.generation = header.lease_generation;
                self.header = Some(header);
            }
            Found::Lease(lease) => self.state.leases.restore(lease),
            Found::Keyspace(meta) => {
                self.finish_keyspace()?;
                if meta.compaction > meta.revision || meta.revision >= Revision::new(u64::MAX) {
                    return Err("a compaction revision no newer than the keyspace");
                }
                self.draft = Some(Draft::new(meta));
            }
            Found::Revision { index, time, count } => self.draft()?.row(index, time, count)?,
            Found::Order(key) => self.draft()?.order(key)?,
            Found::Key(key) => self.draft()?.key(key)?,
            Found::Tombstone { mod_revision } => self.draft()?.tombstone(mod_revision)?,
            Found::Version(fields) => self.draft()?.version(fields)?,
            Found::Attachment((lease, keyspace, key), on_expiry) => {
                self.finish_keyspace()?;
                // The key's bytes are shared with its version.
                let known = self.state.keyspace(keyspace).map_err(|_| "a known keyspace")?;
                let kv = known.index.newest(&key).ok_or("an attachment of a live key")?;
                let key = kv.key.clone();
                self.state.leases.attach(keyspace, &key, Attach { lease, on_expiry });
            }
            Found::Counter(counter, next) => {
                self.finish_keyspace()?;
                self.state.keyspace(counter.0).map_err(|_| "a known keyspace")?;
                self.state.set_counter(&counter, next);
            }
            Found::End(digest) => {
                self.finish_keyspace()?;
                self.end = Some(digest);
            }
        }
        Ok(())
    }

    fn draft(&mut self) -> Result<&mut Draft, &'static str> {
        self.draft.as_mut().ok_or("a keyspace before its parts")
    }

    fn finish_keyspace(&mut self) -> Result<(), &'static str> {
        let Some(draft) = self.draft.take() else { return Ok(()) };
        if draft.meta.id.get() as usize != self.state.keyspaces.len() + 1 {
            return Err("keyspaces in the order of their ids");
        }
        self.state.push_keyspace(draft.finish()?);
        Ok(())
    }
}

/// A keyspace being rebuilt.
#[derive(Debug)]
struct Draft {
    meta: Meta,
    /// Counts the live keys while their bytes are at hand.
    keyspace: Keyspace,
    rows: Vec<Row>,
    /// Events by place, filled in as their versions come.
    events: Vec<Option<Arc<Event>>>,
    /// The places of keys in revisions with more than one event.
    orders: BTreeMap<(Revision, Bytes), usize>,
    /// Keys that the last row still awaits.
    awaited: usize,
    keys: Vec<(Bytes, Versions)>,
    /// The key whose versions come, when none has come yet.
    key: Option<Bytes>,
    tombstone_value: Bytes,
}

#[derive(Debug)]
struct Row {
    index: LogIndex,
    time: Time,
    start: usize,
    count: usize,
}

impl Draft {
    fn new(meta: Meta) -> Self {
        let history = History::new(meta.first());
        let mut keyspace =
            Keyspace::new(meta.id, meta.name.clone(), meta.quota_bytes, meta.revision, history);
        keyspace.compaction = meta.compaction;
        Self {
            meta,
            keyspace,
            rows: Vec::new(),
            events: Vec::new(),
            orders: BTreeMap::new(),
            awaited: 0,
            keys: Vec::new(),
            key: None,
            tombstone_value: Bytes::default(),
        }
    }

    fn row(&mut self, index: LogIndex, time: Time, count: usize) -> Result<(), &'static str> {
        if self.awaited > 0 || count == 0 {
            return Err("the keys of all events of a revision");
        }
        if self.meta.first().get() + self.rows.len() as u64 > self.meta.revision.get() {
            return Err("no row after the keyspace's revision");
        }
        let start = self.events.len();
        self.rows.push(Row { index, time, start, count });
        match count {
            1 => self.events.push(None),
            _ => self.awaited = count,
        }
        Ok(())
    }

    fn order(&mut self, key: Bytes) -> Result<(), &'static str> {
        self.awaited = self.awaited.checked_sub(1).ok_or("a revision before its keys")?;
        let revision = self.meta.first().get() + self.rows.len() as u64 - 1;
        self.orders.insert((Revision::new(revision), key), self.events.len());
        self.events.push(None);
        Ok(())
    }

    fn key(&mut self, key: Bytes) -> Result<(), &'static str> {
        match self.keys.last() {
            // A new chunk names the key again whose versions it goes on with.
            Some((last, _)) if *last == key => {}
            Some((last, _)) if *last > key => return Err("keys in ascending order"),
            _ => self.key = Some(key),
        }
        Ok(())
    }

    fn tombstone(&mut self, mod_revision: Revision) -> Result<(), &'static str> {
        let value = self.tombstone_value.clone();
        let create_revision = Revision::ZERO;
        self.version(VersionFields {
            create_revision,
            mod_revision,
            version: 0,
            lease: None,
            value,
        })
    }

    fn version(&mut self, fields: VersionFields) -> Result<(), &'static str> {
        let VersionFields { create_revision, mod_revision, version, lease, value } = fields;
        let new_key = self.key.take();
        let key = match (&new_key, self.keys.last()) {
            (Some(key), _) => key.clone(),
            (None, Some((key, _))) => key.clone(),
            (None, None) => return Err("a key before its versions"),
        };
        let kv = Arc::new(KeyValue { key, value, create_revision, mod_revision, version, lease });
        let prev = match new_key {
            Some(key) => {
                self.keys.push((key, Versions::new(Arc::clone(&kv))));
                None
            }
            None => {
                let (_, versions) = self.keys.last_mut().ok_or("a key before its versions")?;
                let prev = Arc::clone(versions.newest());
                if prev.mod_revision >= mod_revision {
                    return Err("versions in ascending order");
                }
                versions.push(Arc::clone(&kv));
                Some(prev)
            }
        };
        let prev = prev.filter(|prev| !prev.is_tombstone());
        if let Some(prev) = &prev {
            self.keyspace.count_out(prev);
        }
        if !kv.is_tombstone() {
            self.keyspace.count_in(&kv);
        }
        self.link(kv, prev)
    }

    /// Makes the event that wrote `kv`, if the history still has it.
    fn link(&mut self, kv: Arc<KeyValue>, prev: Option<Arc<KeyValue>>) -> Result<(), &'static str> {
        let Some(nth) = kv.mod_revision.get().checked_sub(self.meta.first().get()) else {
            return Ok(());
        };
        let row = usize::try_from(nth).ok().and_then(|nth| self.rows.get(nth));
        let row = row.ok_or("a version no newer than the keyspace")?;
        let place = match row.count {
            1 => row.start,
            _ => {
                let at = (kv.mod_revision, kv.key.clone());
                *self.orders.get(&at).ok_or("a version that its revision names")?
            }
        };
        let slot = self.events.get_mut(place).ok_or("all keys of a revision")?;
        if slot.is_some() {
            return Err("one version per event");
        }
        *slot = Some(Arc::new(Event { index: row.index, kv, prev }));
        Ok(())
    }

    fn finish(self) -> Result<Keyspace, &'static str> {
        let Self { meta, mut keyspace, rows, events, keys, .. } = self;
        let mut events = events.into_iter();
        let mut revision_events = Vec::new();
        for row in &rows {
            for _ in 0..row.count {
                let event = events.next().flatten().ok_or("a version for every event")?;
                revision_events.push(event);
            }
            keyspace.history.push(row.time, &mut revision_events);
        }
        if keyspace.history.next() != meta.revision.next() {
            return Err("a row for every revision");
        }
        keyspace.index = Index::from_sorted(keys);
        Ok(keyspace)
    }
}
