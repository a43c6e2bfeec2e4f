//! What a transaction will do, decided in full before its first write.
//!
//! All compares, also nested ones, are evaluated on the state before the transaction, which fixes
//! the path through its branches. Then every operation on the path is checked. What remains cannot
//! fail, so that a refused transaction leaves no trace.

use alloc::collections::{BTreeMap, VecDeque};

use synod_base::{Bytes, KeyspaceId};

use crate::check::suffixed;
use crate::event::weight;
use crate::history::History;
use crate::write_set::WriteSet;
use crate::{Error, Keyspaces, LeaseChange, Op, Put, Suffix, Txn, ValueChange};

const COUNTER_DIGITS: usize = 10;
const REVISION_DIGITS: usize = 20;

/// The decisions along a transaction's path, in the order of execution.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Whether the compares held, for each transaction on the path.
    pub(crate) succeeded: VecDeque<bool>,
    /// The keys of puts with a suffix.
    pub(crate) suffixed: VecDeque<Bytes>,
    /// The next numbers of the counters used.
    pub(crate) counters: BTreeMap<(KeyspaceId, Bytes), u64>,
    /// Bytes that puts may add, by keyspace.
    growth: BTreeMap<KeyspaceId, u64>,
}

impl Keyspaces {
    /// Decides and checks a transaction whose shape was checked.
    pub(crate) fn plan(&self, txn: &Txn) -> Result<Plan, Error> {
        self.check_keyspaces(txn)?;
        let mut plan = Plan::default();
        self.decide(txn, &mut plan);
        self.check_path(txn, &mut plan.succeeded.clone(), &mut plan)?;
        if !plan.suffixed.is_empty() {
            let mut keys = plan.suffixed.iter();
            path_writes(txn, &mut plan.succeeded.iter(), &mut keys, &mut WriteSet::default())?;
        }
        self.check_quotas(&plan)?;
        Ok(plan)
    }

    /// All keyspaces named anywhere must exist, also on branches not taken.
    fn check_keyspaces(&self, txn: &Txn) -> Result<(), Error> {
        for compare in &txn.compares {
            self.keyspace(compare.keyspace)?;
        }
        for op in txn.then.iter().chain(&txn.otherwise) {
            match op {
                Op::Delete(delete) => self.keyspace(delete.keyspace).map(drop)?,
                Op::Put(put) => self.keyspace(put.keyspace).map(drop)?,
                Op::Range(range) => self.keyspace(range.keyspace).map(drop)?,
                Op::Txn(nested) => self.check_keyspaces(nested)?,
            }
        }
        Ok(())
    }

    fn decide(&self, txn: &Txn, plan: &mut Plan) {
        let succeeded = txn.compares.iter().all(|compare| {
            self.keyspace(compare.keyspace).is_ok_and(|keyspace| compare.holds(keyspace))
        });
        plan.succeeded.push_back(succeeded);
        for op in txn.branch(succeeded) {
            if let Op::Txn(nested) = op {
                self.decide(nested, plan);
            }
        }
    }

    fn check_path(
        &self,
        txn: &Txn,
        path: &mut VecDeque<bool>,
        plan: &mut Plan,
    ) -> Result<(), Error> {
        let succeeded = path.pop_front().expect("each transaction on the path was decided");
        for op in txn.branch(succeeded) {
            match op {
                Op::Delete(_) => {}
                Op::Put(put) => self.check_put(put, plan)?,
                Op::Range(range) => self.keyspace(range.keyspace)?.check_range(range)?,
                Op::Txn(nested) => self.check_path(nested, path, plan)?,
            }
        }
        Ok(())
    }

    fn check_put(&self, put: &Put, plan: &mut Plan) -> Result<(), Error> {
        let keyspace = self.keyspace(put.keyspace)?;
        let resolved = put.suffix.map(|suffix| match suffix {
            Suffix::Counter => suffixed(&put.key, self.count(put, plan), COUNTER_DIGITS),
            Suffix::Revision => suffixed(&put.key, keyspace.writing().get(), REVISION_DIGITS),
        });
        let key = resolved.as_ref().unwrap_or(&put.key);
        if let LeaseChange::Set(attach) = put.lease {
            self.leases.get(attach.lease).ok_or(Error::LeaseNotFound(attach.lease))?;
        }
        let value_len = match &put.value {
            ValueChange::Set(value) => value.len(),
            ValueChange::Keep => keyspace.index.newest(key).ok_or(Error::KeyNotFound)?.value.len(),
        };
        if put.lease == LeaseChange::Keep {
            keyspace.index.newest(key).ok_or(Error::KeyNotFound)?;
        }
        if keyspace.quota_bytes > 0 {
            let growth = weight(key.len(), value_len) + History::base_cost();
            *plan.growth.entry(put.keyspace).or_default() += growth;
        }
        plan.suffixed.extend(resolved);
        Ok(())
    }

    /// Takes the next number of the counter that `put` uses.
    fn count(&self, put: &Put, plan: &mut Plan) -> u64 {
        let counter = (put.keyspace, put.key.clone());
        let kept = self.counters.get(&counter).copied();
        if kept.is_none() {
            // A new counter stays for good and counts as live bytes.
            let growth = weight(put.key.len(), 0);
            if !plan.counters.contains_key(&counter) {
                *plan.growth.entry(put.keyspace).or_default() += growth;
            }
        }
        let next = plan.counters.entry(counter).or_insert(kept.unwrap_or(0));
        let number = *next;
        *next = number.checked_add(1).expect("a counter stays below u64::MAX");
        number
    }

    fn check_quotas(&self, plan: &Plan) -> Result<(), Error> {
        for (id, growth) in &plan.growth {
            let keyspace = self.keyspace(*id)?;
            let used = keyspace.live_bytes + keyspace.history_bytes();
            let quota = keyspace.quota_bytes;
            if quota > 0 && used + growth > quota {
                return Err(Error::QuotaExceeded { keyspace: *id, used, quota });
            }
        }
        Ok(())
    }
}

impl Txn {
    /// The operations to run.
    pub(crate) fn branch(&self, succeeded: bool) -> &[Op] {
        if succeeded { &self.then } else { &self.otherwise }
    }
}

/// Collects the writes on the path with their resolved keys; refuses a key written twice.
fn path_writes<'a>(
    txn: &Txn,
    path: &mut impl Iterator<Item = &'a bool>,
    keys: &mut impl Iterator<Item = &'a Bytes>,
    set: &mut WriteSet,
) -> Result<(), Error> {
    let succeeded = *path.next().expect("each transaction on the path was decided");
    for op in txn.branch(succeeded) {
        match op {
            Op::Delete(delete) => set.delete(delete.keyspace, &delete.range)?,
            Op::Put(put) if put.suffix.is_some() => {
                set.put(put.keyspace, keys.next().expect("one key per suffix"))?;
            }
            Op::Put(put) => set.put(put.keyspace, &put.key)?,
            Op::Range(_) => {}
            Op::Txn(nested) => path_writes(nested, path, keys, set)?,
        }
    }
    Ok(())
}
