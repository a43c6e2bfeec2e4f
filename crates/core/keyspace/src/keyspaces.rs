//! A group's keyspaces: the state machine that entries are applied to.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use synod_base::{Bytes, Digest, Encode, KeyspaceId, LeaseId, LogIndex, Revision, Time};

use crate::execute::counter_item;
use crate::history::{FIRST_EVENT, History};
use crate::keyspace::Keyspace;
use crate::lease::Leases;
use crate::ledger::Ledger;
use crate::snapshot::Pin;
use crate::{
    Applied, AttachedKey, Command, Config, Error, Event, Expiry, Lease, OnExpiry, Outcome,
    RangeRequest, RangeResponse, Request, Stats,
};

/// The keyspace every group is born with.
const SYNOD: &str = "synod";
const NAME_LEN_MAX: usize = 255;
/// Events that each entry trims beside as many as it may have added.
const TRIM_STEP: usize = 8;

/// A group's keyspaces with their leases: a value that entries change, deterministically.
#[derive(Clone, Debug)]
pub struct Keyspaces {
    pub(crate) config: Config,
    /// Keyspace `n` at place `n - 1`; keyspaces are never removed.
    pub(crate) keyspaces: Vec<Keyspace>,
    pub(crate) leases: Leases,
    /// The next number of each suffix counter, by keyspace and key beginning.
    pub(crate) counters: Ledger<(KeyspaceId, Bytes), u64>,
    pub(crate) counters_digest: Digest,
    pub(crate) applied: LogIndex,
    /// The newest time agreed in an entry. It never goes back, though leaders' clocks may.
    pub(crate) clock: Time,
    pub(crate) pin: Option<Pin>,
    /// Pins made so far, so that an old cursor does not take a new pin for its own.
    pub(crate) pins: u64,
    /// The lowest revision that spared watchers still need, by place of the keyspace.
    spared: Vec<Option<Revision>>,
}

impl Keyspaces {
    /// The state before the first entry: keyspace 1, named `synod`, without quota, at revision 1.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut new = Self::empty(config);
        new.add_keyspace(String::from(SYNOD), 0);
        new
    }

    /// Not even the first keyspace.
    pub(crate) fn empty(config: Config) -> Self {
        Self {
            config,
            keyspaces: Vec::new(),
            leases: Leases::default(),
            counters: Ledger::default(),
            counters_digest: Digest::default(),
            applied: LogIndex::ZERO,
            clock: Time::ZERO,
            pin: None,
            pins: 0,
            spared: Vec::new(),
        }
    }

    /// Applies the entry at `index`. The same entries give the same state on every member.
    ///
    /// # Errors
    /// When the request is refused. Then only [`applied_index`](Self::applied_index) has changed.
    ///
    /// # Panics
    /// When `index` does not lie after the last one.
    pub fn apply(&mut self, index: LogIndex, request: &Request) -> Result<Applied, Error> {
        assert!(index > self.applied, "entry {index} is applied already");
        self.applied = index;
        let now = self.clock.max(request.time);
        let mut applied = match &request.command {
            Command::Compact { keyspace, revision } => self.compact(*keyspace, *revision)?,
            Command::CreateKeyspace { name, quota_bytes } => {
                self.create_keyspace(name, *quota_bytes)?
            }
            Command::LeaseExpire { expired } => self.expire(index, now, expired),
            Command::LeaseGrant { id, ttl } => {
                let lease = self.leases.grant(index, *id, *ttl, now)?;
                Applied { outcome: Outcome::LeaseGranted(lease), ..Applied::default() }
            }
            Command::LeaseRevoke { id } => self.revoke(index, now, *id)?,
            Command::Noop => Applied::default(),
            Command::Txn(txn) => self.apply_txn(index, now, txn)?,
        };
        self.clock = now;
        let due = self.due(index, &applied);
        self.keep_budgets(&due, &mut applied);
        self.trim_step(&due, &applied);
        Ok(applied)
    }

    /// The last entry applied, refused ones included.
    #[must_use]
    pub fn applied_index(&self) -> LogIndex {
        self.applied
    }

    /// The newest time agreed in an entry.
    #[must_use]
    pub fn clock(&self) -> Time {
        self.clock
    }

    /// Reads a range.
    ///
    /// # Errors
    /// When the keyspace is unknown, the single key empty, or the revision compacted or ahead.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse, Error> {
        let keyspace = self.keyspace(request.keyspace)?;
        keyspace.check_range(request)?;
        Ok(keyspace.range(request))
    }

    /// The keyspace named `name`.
    #[must_use]
    pub fn keyspace_named(&self, name: &str) -> Option<KeyspaceId> {
        self.keyspaces.iter().find(|keyspace| keyspace.name == name).map(|keyspace| keyspace.id)
    }

    /// All keyspaces with their names, by id.
    pub fn names(&self) -> impl Iterator<Item = (KeyspaceId, &str)> {
        self.keyspaces.iter().map(|keyspace| (keyspace.id, keyspace.name.as_str()))
    }

    /// The newest revision of a keyspace.
    ///
    /// # Errors
    /// When the keyspace is unknown.
    pub fn revision(&self, keyspace: KeyspaceId) -> Result<Revision, Error> {
        Ok(self.keyspace(keyspace)?.revision)
    }

    /// How full a keyspace is.
    ///
    /// # Errors
    /// When the keyspace is unknown.
    pub fn stats(&self, keyspace: KeyspaceId) -> Result<Stats, Error> {
        Ok(self.keyspace(keyspace)?.stats())
    }

    /// The agreed time at which a revision was written, as long as this member holds its events.
    #[must_use]
    pub fn time(&self, keyspace: KeyspaceId, revision: Revision) -> Option<Time> {
        self.keyspace(keyspace).ok()?.history.time(revision)
    }

    /// The events of one revision, in the order of the operations that made them. Empty when the
    /// keyspace or the revision is not there.
    pub fn events(
        &self,
        keyspace: KeyspaceId,
        revision: Revision,
    ) -> impl Iterator<Item = &Arc<Event>> {
        self.keyspace(keyspace)
            .ok()
            .map(|keyspace| keyspace.history.events(revision))
            .into_iter()
            .flatten()
    }

    /// A lease.
    #[must_use]
    pub fn lease(&self, id: LeaseId) -> Option<&Lease> {
        self.leases.get(id)
    }

    /// All leases, by id.
    pub fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.leases.table.iter().map(|(_, lease)| lease)
    }

    /// The keys attached to a lease, by keyspace and key.
    ///
    /// # Errors
    /// When there is no such lease.
    pub fn lease_keys(&self, id: LeaseId) -> Result<Vec<AttachedKey>, Error> {
        self.leases.get(id).ok_or(Error::LeaseNotFound(id))?;
        Ok(self.leases.keys(id))
    }

    /// A digest of the whole state but its history: equal on all members at the same index, after
    /// replay and after restore. Costs one step per keyspace.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut digest = self.leases.digest();
        digest.merge(self.counters_digest);
        for keyspace in &self.keyspaces {
            digest.merge(keyspace.digest());
        }
        digest.add(&self.group_item());
        digest
    }

    /// The digest computed anew from every key, lease and counter: what [`digest`](Self::digest)
    /// must say. For audits and tests.
    #[must_use]
    pub fn recomputed_digest(&self) -> Digest {
        let mut digest = self.leases.recomputed();
        for (counter, next) in self.counters.iter() {
            digest.add(&counter_item(counter, *next));
        }
        for keyspace in &self.keyspaces {
            digest.merge(keyspace.recomputed());
        }
        digest.add(&self.group_item());
        digest
    }

    /// Keeps the events of `keyspace` from `revision` on for slow watchers, although they may be
    /// compacted, within [`Held`](crate::Held); `None` keeps nothing. Local to this member: who is
    /// spared, and for how long, is for its owner to decide.
    ///
    /// # Errors
    /// When the keyspace is unknown.
    pub fn spare(&mut self, keyspace: KeyspaceId, revision: Option<Revision>) -> Result<(), Error> {
        let at = self.place(keyspace)?;
        self.spared[at] = revision;
        Ok(())
    }

    /// Frees up to `events_max` compacted events, in idle time. Returns whether more could be
    /// freed. Entries do a little of it as they apply.
    pub fn trim(&mut self, events_max: usize) -> bool {
        let (mut room, mut more) = (events_max, false);
        for at in 0..self.keyspaces.len() {
            more |= self.trim_keyspace(at, &mut room);
        }
        more
    }

    pub(crate) fn keyspace(&self, id: KeyspaceId) -> Result<&Keyspace, Error> {
        Ok(&self.keyspaces[self.place(id)?])
    }

    pub(crate) fn keyspace_mut(&mut self, id: KeyspaceId) -> &mut Keyspace {
        let at = self.place(id).expect("the plan checked that the keyspace exists");
        &mut self.keyspaces[at]
    }

    fn place(&self, id: KeyspaceId) -> Result<usize, Error> {
        let place = (id.get() as usize).checked_sub(1);
        place.filter(|at| *at < self.keyspaces.len()).ok_or(Error::UnknownKeyspace(id))
    }

    fn create_keyspace(&mut self, name: &str, quota_bytes: u64) -> Result<Applied, Error> {
        let outcome = match self.keyspace_named(name) {
            Some(id) => Outcome::Keyspace { id, created: false },
            None if name.is_empty() || name.len() > NAME_LEN_MAX => return Err(Error::InvalidName),
            None if self.keyspaces.len() >= self.config.limits.keyspaces_max => {
                return Err(Error::TooManyKeyspaces { max: self.config.limits.keyspaces_max });
            }
            None => {
                let id = self.add_keyspace(String::from(name), quota_bytes);
                Outcome::Keyspace { id, created: true }
            }
        };
        Ok(Applied { outcome, ..Applied::default() })
    }

    fn add_keyspace(&mut self, name: String, quota_bytes: u64) -> KeyspaceId {
        let count = u32::try_from(self.keyspaces.len()).expect("limits keep keyspaces few");
        let id = KeyspaceId::new(count + 1);
        // A new keyspace is at revision 1, as in etcd, without an event.
        let (revision, history) = (Revision::new(1), History::new(FIRST_EVENT));
        self.push_keyspace(Keyspace::new(id, name, quota_bytes, revision, history));
        id
    }

    pub(crate) fn push_keyspace(&mut self, keyspace: Keyspace) {
        self.keyspaces.push(keyspace);
        self.spared.push(None);
    }

    fn compact(&mut self, id: KeyspaceId, revision: Revision) -> Result<Applied, Error> {
        let at = self.place(id)?;
        let keyspace = &mut self.keyspaces[at];
        if revision <= keyspace.compaction {
            return Err(Error::Compacted { requested: revision, compacted: keyspace.compaction });
        }
        keyspace.check_readable(revision)?;
        keyspace.compaction = revision;
        let compacted = alloc::vec![(id, revision)];
        Ok(Applied { outcome: Outcome::Compacted, compacted, ..Applied::default() })
    }

    fn revoke(&mut self, index: LogIndex, now: Time, id: LeaseId) -> Result<Applied, Error> {
        self.leases.get(id).ok_or(Error::LeaseNotFound(id))?;
        self.end_lease(index, id);
        let changed = self.commit(now);
        Ok(Applied { outcome: Outcome::LeaseRevoked(id), changed, ..Applied::default() })
    }

    fn expire(&mut self, index: LogIndex, now: Time, expired: &[Expiry]) -> Applied {
        let mut ended = Vec::new();
        for expiry in expired {
            let lease = self.leases.get(expiry.lease);
            if lease.is_some_and(|lease| lease.generation == expiry.generation) {
                self.end_lease(index, expiry.lease);
                ended.push(expiry.lease);
            }
        }
        let changed = self.commit(now);
        Applied { outcome: Outcome::LeaseExpired(ended), changed, ..Applied::default() }
    }

    fn end_lease(&mut self, index: LogIndex, id: LeaseId) {
        for AttachedKey { keyspace, key, on_expiry } in self.leases.keys(id) {
            self.leases.detach(keyspace, &key, id);
            let keyspace = self.keyspace_mut(keyspace);
            match on_expiry {
                OnExpiry::Delete => {
                    keyspace.delete(index, &key);
                }
                OnExpiry::Detach => {
                    let value = keyspace.index.newest(&key).map(|kv| kv.value.clone());
                    let value = value.expect("only live keys are attached");
                    keyspace.put(index, &key, value, None);
                }
            }
        }
        self.leases.remove(id);
    }

    /// Ends the revision of every keyspace written to.
    pub(crate) fn commit(&mut self, now: Time) -> Vec<(KeyspaceId, Revision)> {
        let mut changed = Vec::new();
        for keyspace in &mut self.keyspaces {
            if let Some(revision) = keyspace.commit(now) {
                changed.push((keyspace.id, revision));
            }
        }
        changed
    }

    fn keep_budgets(&mut self, due: &[usize], applied: &mut Applied) {
        for &at in due {
            let keyspace = &mut self.keyspaces[at];
            if let Some(revision) = keyspace.keep_budget(&self.config.history, self.clock) {
                applied.compacted.retain(|(id, _)| *id != keyspace.id);
                applied.compacted.push((keyspace.id, revision));
            }
        }
    }

    /// The places of the keyspaces that changed, and of one other in turn, so that an idle
    /// keyspace's history ages away too.
    fn due(&self, index: LogIndex, applied: &Applied) -> Vec<usize> {
        let turn = index.get() % self.keyspaces.len() as u64;
        let turn = usize::try_from(turn).expect("less than the number of keyspaces");
        let changed = applied.changed.iter().map(|(id, _)| id.get() as usize - 1);
        let others = changed.filter(|at| *at != turn);
        core::iter::once(turn).chain(others).collect()
    }

    fn trim_step(&mut self, due: &[usize], applied: &Applied) {
        if self.pin.is_some() && self.holds_too_much() {
            self.unpin();
        }
        for &at in due {
            let history = &self.keyspaces[at].history;
            let id = self.keyspaces[at].id;
            let new = applied.changed.iter().find(|(changed, _)| *changed == id);
            let added = new.map_or(0, |(_, revision)| history.events(*revision).len());
            self.trim_keyspace(at, &mut (TRIM_STEP + 2 * added));
        }
    }

    fn holds_too_much(&self) -> bool {
        let held = &self.config.held;
        let leases = &self.leases;
        let kept = leases.table.kept() + leases.attachments.kept() + self.counters.kept();
        kept > held.entries_max
            || self.keyspaces.iter().any(|keyspace| keyspace.held_bytes() > held.bytes_max)
    }

    fn trim_keyspace(&mut self, at: usize, room: &mut usize) -> bool {
        let keyspace = &mut self.keyspaces[at];
        let pinned = self.pin.as_ref().and_then(|pin| pin.hold(keyspace.id));
        let spared =
            self.spared[at].filter(|_| keyspace.held_bytes() <= self.config.held.bytes_max);
        let hold = match (pinned, spared) {
            (Some(pinned), Some(spared)) => Some(pinned.min(spared)),
            (one, other) => one.or(other),
        };
        keyspace.trim(hold, room)
    }

    fn group_item(&self) -> Vec<u8> {
        let mut item = alloc::vec![crate::digest::GROUP];
        self.config.encode_agreed(&mut item);
        self.clock.encode(&mut item);
        self.leases.generation.encode(&mut item);
        item
    }
}
