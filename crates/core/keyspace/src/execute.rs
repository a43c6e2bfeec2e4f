//! How a planned transaction writes. Nothing here can fail.

use alloc::vec::Vec;

use synod_base::{Bytes, Encode, KeyspaceId, LogIndex, Time};

use crate::check::check_txn;
use crate::event::weight;
use crate::plan::Plan;
use crate::{
    Applied, DeleteRange, Error, Keyspaces, LeaseChange, Op, OpResponse, Outcome, Put, Txn,
    TxnResponse, ValueChange,
};

impl Keyspaces {
    pub(crate) fn apply_txn(
        &mut self,
        index: LogIndex,
        now: Time,
        txn: &Txn,
    ) -> Result<Applied, Error> {
        check_txn(txn, &self.config.limits)?;
        let mut plan = self.plan(txn)?;
        for (counter, next) in core::mem::take(&mut plan.counters) {
            self.set_counter(&counter, next);
        }
        let mut response = self.execute(index, txn, &mut plan);
        let changed = self.commit(now);
        response.changed.clone_from(&changed);
        Ok(Applied { outcome: Outcome::Txn(response), changed, ..Applied::default() })
    }

    /// Runs the branch decided. Nested answers leave `changed` to the outermost one, since all
    /// write the same revision.
    fn execute(&mut self, index: LogIndex, txn: &Txn, plan: &mut Plan) -> TxnResponse {
        let succeeded = plan.succeeded.pop_front().expect("each transaction on the path");
        let ops = txn.branch(succeeded);
        let mut responses = Vec::with_capacity(ops.len());
        for op in ops {
            responses.push(match op {
                Op::Delete(delete) => self.execute_delete(index, delete),
                Op::Put(put) => self.execute_put(index, put, plan),
                Op::Range(range) => {
                    OpResponse::Range(self.keyspace_mut(range.keyspace).range(range))
                }
                Op::Txn(nested) => OpResponse::Txn(self.execute(index, nested, plan)),
            });
        }
        TxnResponse { succeeded, changed: Vec::new(), responses }
    }

    fn execute_put(&mut self, index: LogIndex, put: &Put, plan: &mut Plan) -> OpResponse {
        let key = match put.suffix {
            Some(_) => plan.suffixed.pop_front().expect("one key per suffix"),
            None => put.key.clone(),
        };
        let keyspace = self.keyspace_mut(put.keyspace);
        let keeps = put.value == ValueChange::Keep || put.lease == LeaseChange::Keep;
        let kept = if keeps { keyspace.index.newest(&key) } else { None };
        let value = match &put.value {
            ValueChange::Set(value) => value.clone(),
            ValueChange::Keep => kept.expect("the plan checked the key").value.clone(),
        };
        let lease = match put.lease {
            LeaseChange::Clear => None,
            LeaseChange::Keep => kept.expect("the plan checked the key").lease,
            LeaseChange::Set(attach) => Some(attach.lease),
        };
        let prev = keyspace.put(index, &key, value, lease);
        let old = prev.as_ref().and_then(|prev| prev.lease);
        if let Some(old) = old.filter(|old| Some(*old) != lease) {
            self.leases.detach(put.keyspace, &key, old);
        }
        if let LeaseChange::Set(attach) = put.lease {
            self.leases.attach(put.keyspace, &key, attach);
        }
        OpResponse::Put { key, prev: prev.filter(|_| put.return_prev) }
    }

    fn execute_delete(&mut self, index: LogIndex, delete: &DeleteRange) -> OpResponse {
        let keyspace = self.keyspace_mut(delete.keyspace);
        let keys: Vec<Bytes> =
            keyspace.index.live(&delete.range).map(|kv| kv.key.clone()).collect();
        let mut prev = Vec::new();
        for key in &keys {
            let keyspace = self.keyspace_mut(delete.keyspace);
            let last = keyspace.delete(index, key).expect("the key was live");
            if let Some(lease) = last.lease {
                self.leases.detach(delete.keyspace, key, lease);
            }
            if delete.return_prev {
                prev.push(last);
            }
        }
        OpResponse::Delete { deleted: keys.len(), prev }
    }

    /// Sets the next number of a suffix counter.
    pub(crate) fn set_counter(&mut self, counter: &(KeyspaceId, Bytes), next: u64) {
        let (keyspace, prefix) = counter;
        self.counters_digest.add(&counter_item(counter, next));
        match self.counters.insert(counter.clone(), next) {
            Some(old) => self.counters_digest.remove(&counter_item(counter, old)),
            None => self.keyspace_mut(*keyspace).live_bytes += weight(prefix.len(), 0),
        }
    }
}

pub(crate) fn counter_item(counter: &(KeyspaceId, Bytes), next: u64) -> Vec<u8> {
    let mut item = alloc::vec![crate::digest::COUNTER];
    counter.encode(&mut item);
    next.encode(&mut item);
    item
}
