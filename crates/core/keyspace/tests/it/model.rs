//! A slow, obvious model of a group: every version and every event ever, nothing shared.
//!
//! A transaction runs on a copy that is thrown away when it is refused. The model does not
//! forget; compaction only moves the line below which it refuses reads.

use std::collections::BTreeMap;

use synod_base::{KeyspaceId, LeaseId, Revision};
use synod_keyspace::{
    Check, Command, Compare, Event, KeyRange, KeyValue, LeaseChange, Limits, OnExpiry, Op,
    OpResponse, Ordering, Put, RangeRequest, RangeResponse, Suffix, Txn, TxnResponse, ValueChange,
};

type Key = Vec<u8>;
type Attached = Option<(u64, OnExpiry)>;

/// A request was refused; why is checked elsewhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) value: Vec<u8>,
    pub(crate) create: u64,
    pub(crate) modified: u64,
    pub(crate) version: u64,
    pub(crate) lease: Attached,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) index: u64,
    pub(crate) key: Key,
    /// `None` for a deletion.
    pub(crate) now: Option<Version>,
    pub(crate) before: Option<Version>,
}

#[derive(Clone, Debug)]
pub(crate) struct Space {
    pub(crate) revision: u64,
    pub(crate) compaction: u64,
    pub(crate) live: BTreeMap<Key, Version>,
    pub(crate) log: Vec<Change>,
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) spaces: Vec<Space>,
    /// Generation by id.
    pub(crate) leases: BTreeMap<u64, u64>,
    generation: u64,
    counters: BTreeMap<(u32, Key), u64>,
}

/// What the commands answer that need an answer.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Nothing,
    Ended(Vec<LeaseId>),
    Txn(TxnResponse),
}

impl Model {
    pub(crate) fn new(spaces: usize) -> Self {
        let space = Space { revision: 1, compaction: 0, live: BTreeMap::new(), log: Vec::new() };
        let spaces = vec![space; spaces];
        Self { spaces, leases: BTreeMap::new(), generation: 0, counters: BTreeMap::new() }
    }

    pub(crate) fn apply(&mut self, index: u64, command: &Command) -> Result<Answer, Refused> {
        let mut next = self.clone();
        let answer = next.run(index, command)?;
        *self = next;
        Ok(answer)
    }

    fn run(&mut self, index: u64, command: &Command) -> Result<Answer, Refused> {
        match command {
            Command::Compact { keyspace, revision } => {
                let space = self.space(*keyspace)?;
                if revision.get() <= space.compaction || revision.get() > space.revision {
                    return Err(Refused);
                }
                space.compaction = revision.get();
                Ok(Answer::Nothing)
            }
            Command::LeaseGrant { id, .. } => {
                if self.leases.contains_key(&id.get()) {
                    return Err(Refused);
                }
                self.generation += 1;
                self.leases.insert(id.get(), self.generation);
                Ok(Answer::Nothing)
            }
            Command::LeaseRevoke { id } => {
                self.leases.get(&id.get()).ok_or(Refused)?;
                self.end(index, &[id.get()]);
                Ok(Answer::Nothing)
            }
            Command::LeaseExpire { expired } => {
                let mut due = Vec::new();
                for expiry in expired {
                    let id = expiry.lease.get();
                    if self.leases.get(&id) == Some(&expiry.generation) && !due.contains(&id) {
                        due.push(id);
                    }
                }
                self.end(index, &due);
                Ok(Answer::Ended(due.into_iter().map(LeaseId::new).collect()))
            }
            Command::Noop => Ok(Answer::Nothing),
            Command::Txn(txn) => self.txn(index, txn).map(Answer::Txn),
            Command::CreateKeyspace { .. } => unreachable!("not generated"),
        }
    }

    fn space(&mut self, id: KeyspaceId) -> Result<&mut Space, Refused> {
        self.spaces.get_mut((id.get() as usize).wrapping_sub(1)).ok_or(Refused)
    }

    fn end(&mut self, index: u64, ids: &[u64]) {
        for id in ids {
            self.leases.remove(id);
            for space in &mut self.spaces {
                for (key, version) in space.live.clone() {
                    match version.lease {
                        Some((lease, OnExpiry::Delete)) if lease == *id => {
                            space.write(index, &key, None);
                        }
                        Some((lease, OnExpiry::Detach)) if lease == *id => {
                            space.write(index, &key, Some((version.value, None)));
                        }
                        _ => {}
                    }
                }
            }
        }
        self.spaces.iter_mut().for_each(Space::commit);
    }

    fn txn(&mut self, index: u64, txn: &Txn) -> Result<TxnResponse, Refused> {
        check_sizes(txn, Limits::default().ops_max)?;
        for branch in [&txn.then, &txn.otherwise] {
            for key in put_keys(branch) {
                check_single_write(branch, &key)?;
            }
        }
        let before = self.clone();
        let mut path = Vec::new();
        let mut response = self.branch(&before, index, txn, &mut path)?;
        for (nth, write) in path.iter().enumerate() {
            if path[..nth].iter().any(|other| write.conflicts(other)) {
                return Err(Refused);
            }
        }
        self.spaces.iter_mut().for_each(Space::commit);
        for (nth, space) in self.spaces.iter().enumerate() {
            if space.revision > before.spaces[nth].revision {
                let id = KeyspaceId::new(u32::try_from(nth).expect("few") + 1);
                response.changed.push((id, Revision::new(space.revision)));
            }
        }
        Ok(response)
    }

    fn branch(
        &mut self,
        before: &Self,
        index: u64,
        txn: &Txn,
        path: &mut Vec<Write>,
    ) -> Result<TxnResponse, Refused> {
        let mut before_mut = before.clone();
        for compare in &txn.compares {
            check_range(&compare.range)?;
            self.space(compare.keyspace)?;
        }
        self.check_spaces(txn)?;
        let succeeded = txn.compares.iter().all(|compare| {
            let space = before_mut.space(compare.keyspace).expect("checked");
            holds(space, compare)
        });
        let mut responses = Vec::new();
        for op in if succeeded { &txn.then } else { &txn.otherwise } {
            responses.push(match op {
                Op::Delete(delete) => {
                    path.push(Write::Delete(delete.keyspace, delete.range.clone()));
                    let space = self.space(delete.keyspace)?;
                    let live = space.live.clone();
                    let gone = live.iter().filter(|(key, _)| delete.range.contains(key));
                    let gone: Vec<_> = gone.collect();
                    for (key, _) in &gone {
                        space.write(index, key, None);
                    }
                    let prev = gone.iter().map(|(key, version)| kv(key, version));
                    let prev = prev.filter(|_| delete.return_prev).map(Into::into).collect();
                    OpResponse::Delete { deleted: gone.len(), prev }
                }
                Op::Put(put) => self.put(before, index, put, path)?,
                Op::Range(range) => OpResponse::Range(self.range(before, range)?),
                Op::Txn(nested) => OpResponse::Txn(self.branch(before, index, nested, path)?),
            });
        }
        Ok(TxnResponse { succeeded, changed: Vec::new(), responses })
    }

    /// Keyspaces and single keys must be there on every branch.
    fn check_spaces(&mut self, txn: &Txn) -> Result<(), Refused> {
        for op in txn.then.iter().chain(&txn.otherwise) {
            match op {
                Op::Delete(delete) => {
                    check_range(&delete.range)?;
                    self.space(delete.keyspace)?;
                }
                Op::Put(put) => {
                    self.space(put.keyspace)?;
                    if put.key.is_empty() {
                        return Err(Refused);
                    }
                }
                Op::Range(range) => {
                    check_range(&range.range)?;
                    self.space(range.keyspace)?;
                }
                Op::Txn(nested) => {
                    for compare in &nested.compares {
                        check_range(&compare.range)?;
                        self.space(compare.keyspace)?;
                    }
                    self.check_spaces(nested)?;
                }
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        before: &Self,
        index: u64,
        put: &Put,
        path: &mut Vec<Write>,
    ) -> Result<OpResponse, Refused> {
        let mut key = put.key.to_vec();
        match put.suffix {
            Some(Suffix::Counter) => {
                let counter = (put.keyspace.get(), key.clone());
                let next = self.counters.entry(counter).or_default();
                key.extend(format!("{next:010}").bytes());
                *next += 1;
            }
            Some(Suffix::Revision) => {
                let revision = before.spaces[put.keyspace.get() as usize - 1].revision + 1;
                key.extend(format!("{revision:020}").bytes());
            }
            None => {}
        }
        path.push(Write::Put(put.keyspace, key.clone()));
        let leases = self.leases.clone();
        let space = self.space(put.keyspace)?;
        let old = space.live.get(&key).cloned();
        let value = match &put.value {
            ValueChange::Set(value) => value.to_vec(),
            ValueChange::Keep => old.clone().ok_or(Refused)?.value,
        };
        let lease = match put.lease {
            LeaseChange::Clear => None,
            LeaseChange::Keep => old.clone().ok_or(Refused)?.lease,
            LeaseChange::Set(attach) if leases.contains_key(&attach.lease.get()) => {
                Some((attach.lease.get(), attach.on_expiry))
            }
            LeaseChange::Set(_) => return Err(Refused),
        };
        space.write(index, &key, Some((value, lease)));
        let prev = old.filter(|_| put.return_prev).map(|old| kv(&key, &old).into());
        Ok(OpResponse::Put { key: key.into(), prev })
    }

    fn range(&mut self, before: &Self, request: &RangeRequest) -> Result<RangeResponse, Refused> {
        let newest = before.spaces[request.keyspace.get() as usize - 1].revision;
        if request.revision.is_some_and(|revision| revision.get() > newest) {
            return Err(Refused);
        }
        let space = self.space(request.keyspace)?;
        space.range(request)
    }
}

impl Space {
    fn written(&self) -> bool {
        self.log.last().is_some_and(|change| change.revision > self.revision)
    }

    fn commit(&mut self) {
        if self.written() {
            self.revision += 1;
        }
    }

    fn write(&mut self, index: u64, key: &[u8], to: Option<(Vec<u8>, Attached)>) {
        let revision = self.revision + 1;
        let before = self.live.get(key).cloned();
        let now = to.map(|(value, lease)| Version {
            value,
            create: before.as_ref().map_or(revision, |before| before.create),
            modified: revision,
            version: before.as_ref().map_or(1, |before| before.version + 1),
            lease,
        });
        match &now {
            Some(version) => self.live.insert(key.to_vec(), version.clone()),
            None => self.live.remove(key),
        };
        self.log.push(Change { revision, index, key: key.to_vec(), now, before });
    }

    /// The live keys at `revision`, found by playing the log.
    pub(crate) fn at(&self, revision: u64) -> BTreeMap<Key, Version> {
        let mut live = BTreeMap::new();
        for change in self.log.iter().filter(|change| change.revision <= revision) {
            match &change.now {
                Some(version) => live.insert(change.key.clone(), version.clone()),
                None => live.remove(&change.key),
            };
        }
        live
    }

    /// Only what generated requests ask for: no order, no filter.
    pub(crate) fn range(&self, request: &RangeRequest) -> Result<RangeResponse, Refused> {
        check_range(&request.range)?;
        let newest = if self.written() { self.revision + 1 } else { self.revision };
        let at = request.revision.map_or(newest, Revision::get);
        if request.revision.is_some() && (at < self.compaction || at > newest) {
            return Err(Refused);
        }
        let all = self.at(at);
        let found: Vec<_> = all.iter().filter(|(key, _)| request.range.contains(key)).collect();
        let limit = request.limit.unwrap_or(usize::MAX);
        let kvs = found.iter().take(if request.count_only { 0 } else { limit });
        Ok(RangeResponse {
            kvs: kvs.map(|(key, version)| kv(key, version).into()).collect(),
            more: found.len() > limit && !request.count_only,
            count: found.len(),
            revision: Revision::new(newest),
        })
    }

    /// The changes of keys in `range` at revisions from `from` up to `to`, both included.
    pub(crate) fn changes(&self, range: &KeyRange, from: u64, to: u64) -> Vec<Event> {
        let wanted = |change: &&Change| {
            (from..=to).contains(&change.revision) && range.contains(&change.key)
        };
        self.log.iter().filter(wanted).map(event).collect()
    }
}

pub(crate) fn kv(key: &[u8], version: &Version) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: version.value.clone().into(),
        create_revision: Revision::new(version.create),
        mod_revision: Revision::new(version.modified),
        version: version.version,
        lease: version.lease.map(|(lease, _)| LeaseId::new(lease)),
    }
}

fn event(change: &Change) -> Event {
    let tombstone = Version {
        value: Vec::new(),
        create: 0,
        modified: change.revision,
        version: 0,
        lease: None,
    };
    Event {
        index: synod_base::LogIndex::new(change.index),
        kv: kv(&change.key, change.now.as_ref().unwrap_or(&tombstone)).into(),
        prev: change.before.as_ref().map(|before| kv(&change.key, before).into()),
    }
}

/// A write on a transaction's path.
#[derive(Debug)]
enum Write {
    Delete(KeyspaceId, KeyRange),
    Put(KeyspaceId, Key),
}

impl Write {
    fn conflicts(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Delete(..), Self::Delete(..)) => false,
            (Self::Delete(of, range), Self::Put(in_, key))
            | (Self::Put(in_, key), Self::Delete(of, range)) => of == in_ && range.contains(key),
            (Self::Put(of, key), Self::Put(in_, other)) => of == in_ && key == other,
        }
    }
}

fn check_range(range: &KeyRange) -> Result<(), Refused> {
    if *range == KeyRange::key("") { Err(Refused) } else { Ok(()) }
}

fn check_sizes(txn: &Txn, left: usize) -> Result<(), Refused> {
    let longest = txn.compares.len().max(txn.then.len()).max(txn.otherwise.len());
    let left = left.checked_sub(longest).ok_or(Refused)?;
    for op in txn.then.iter().chain(&txn.otherwise) {
        if let Op::Txn(nested) = op {
            check_sizes(nested, left)?;
        }
    }
    Ok(())
}

/// Every key that a put names, on any branch.
fn put_keys(ops: &[Op]) -> Vec<(KeyspaceId, Key)> {
    let mut keys = Vec::new();
    for op in ops {
        match op {
            Op::Put(put) if put.suffix.is_none() => keys.push((put.keyspace, put.key.to_vec())),
            Op::Txn(nested) => {
                keys.extend(put_keys(&nested.then));
                keys.extend(put_keys(&nested.otherwise));
            }
            _ => {}
        }
    }
    keys
}

/// Whether `ops` put and delete one key, by counting what each does to it.
fn check_single_write(ops: &[Op], at: &(KeyspaceId, Key)) -> Result<(bool, bool), Refused> {
    let (mut put, mut deleted) = (false, false);
    for op in ops {
        let (puts, deletes) = match op {
            Op::Delete(delete) => (false, delete.keyspace == at.0 && delete.range.contains(&at.1)),
            Op::Put(put) => {
                (put.suffix.is_none() && put.keyspace == at.0 && *put.key == at.1[..], false)
            }
            Op::Range(_) => (false, false),
            Op::Txn(nested) => {
                let then = check_single_write(&nested.then, at)?;
                let otherwise = check_single_write(&nested.otherwise, at)?;
                (then.0 || otherwise.0, then.1 || otherwise.1)
            }
        };
        if puts && (put || deleted) || deletes && put {
            return Err(Refused);
        }
        put |= puts;
        deleted |= deletes;
    }
    Ok((put, deleted))
}

fn holds(space: &Space, compare: &Compare) -> bool {
    let keys: Vec<_> = space.live.iter().filter(|(key, _)| compare.range.contains(key)).collect();
    let zero = Version { value: Vec::new(), create: 0, modified: 0, version: 0, lease: None };
    let check = |version: &Version, exists: bool| {
        let (ordering, found) = match &compare.check {
            Check::Absent => return !exists,
            Check::CreateRevision(ordering, n) => (ordering, version.create.cmp(&n.get())),
            Check::Lease(ordering, n) => {
                (ordering, version.lease.map_or(0, |(lease, _)| lease).cmp(n))
            }
            Check::ModRevision(ordering, n) => (ordering, version.modified.cmp(&n.get())),
            Check::Value(_, _) if !exists => return false,
            Check::Value(ordering, value) => (ordering, version.value[..].cmp(value)),
            Check::Version(ordering, n) => (ordering, version.version.cmp(n)),
        };
        match ordering {
            Ordering::Equal => found.is_eq(),
            Ordering::Greater => found.is_gt(),
            Ordering::Less => found.is_lt(),
            Ordering::NotEqual => found.is_ne(),
        }
    };
    if keys.is_empty() {
        return check(&zero, false);
    }
    keys.iter().all(|(_, version)| check(version, true))
}
