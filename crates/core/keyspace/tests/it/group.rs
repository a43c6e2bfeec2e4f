//! A group of one, and short words for requests.

use std::time::Duration;

use synod_base::{KeyspaceId, LeaseId, LogIndex, Revision, Time};
use synod_keyspace::{
    Applied, Attach, Check, Command, Compare, Config, DeleteRange, Error, EventKind, KeyRange,
    Keyspaces, LeaseChange, OnExpiry, Op, Origin, Outcome, PollBudget, Put, RangeRequest, Request,
    Txn, TxnResponse,
};

pub(crate) const SYNOD: KeyspaceId = KeyspaceId::new(1);

pub(crate) struct Group {
    pub(crate) state: Keyspaces,
    pub(crate) index: u64,
    pub(crate) now: Time,
}

impl Group {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        Self { state: Keyspaces::new(config), index: 0, now: Time::from_nanos(1) }
    }

    /// Applies, and checks what must hold after every entry.
    pub(crate) fn apply(&mut self, command: Command) -> Result<Applied, Error> {
        self.index += 1;
        let before = self.state.digest();
        let request = Request { origin: Origin::default(), time: self.now, command };
        let result = self.state.apply(LogIndex::new(self.index), &request);
        assert_eq!(self.state.digest(), self.state.recomputed_digest());
        if result.is_err() {
            assert_eq!(self.state.digest(), before, "a refused request leaves no trace");
        }
        result
    }

    pub(crate) fn txn(&mut self, txn: Txn) -> Result<TxnResponse, Error> {
        match self.apply(Command::Txn(txn))?.outcome {
            Outcome::Txn(response) => Ok(response),
            other => panic!("a transaction's answer, not {other:?}"),
        }
    }

    pub(crate) fn put(&mut self, key: &str, value: &str) -> Revision {
        let response = self.txn(Txn::new(vec![put(key, value)])).expect("accepted");
        response.changed[0].1
    }

    pub(crate) fn delete(&mut self, range: KeyRange) -> TxnResponse {
        let delete = Op::Delete(DeleteRange::new(SYNOD, range));
        self.txn(Txn::new(vec![delete])).expect("accepted")
    }

    pub(crate) fn lease(&mut self, id: u64) -> u64 {
        let command = Command::LeaseGrant { id: LeaseId::new(id), ttl: Duration::from_secs(5) };
        match self.apply(command).expect("granted").outcome {
            Outcome::LeaseGranted(lease) => lease.generation,
            other => panic!("a lease, not {other:?}"),
        }
    }

    pub(crate) fn keyspace(&mut self, name: &str, quota_bytes: u64) -> KeyspaceId {
        let command = Command::CreateKeyspace { name: name.into(), quota_bytes };
        match self.apply(command).expect("accepted").outcome {
            Outcome::Keyspace { id, .. } => id,
            other => panic!("a keyspace, not {other:?}"),
        }
    }

    pub(crate) fn compact(&mut self, revision: u64) -> Result<Applied, Error> {
        self.apply(Command::Compact { keyspace: SYNOD, revision: Revision::new(revision) })
    }

    pub(crate) fn value(&self, key: &str) -> Option<String> {
        self.value_at(key, None).expect("readable")
    }

    pub(crate) fn value_at(
        &self,
        key: &str,
        revision: Option<u64>,
    ) -> Result<Option<String>, Error> {
        let mut request = RangeRequest::new(SYNOD, KeyRange::key(key));
        request.revision = revision.map(Revision::new);
        let response = self.state.range(&request)?;
        Ok(response.kvs.first().map(|kv| kv.value.to_text_lossy()))
    }

    /// The events from `from` on as text.
    pub(crate) fn watch(&self, from: u64) -> Result<Vec<String>, Error> {
        let mut cursor = self.state.watch(SYNOD, KeyRange::all(), Some(Revision::new(from)))?;
        let poll = self.state.poll(&mut cursor, PollBudget::default())?;
        assert!(poll.idle);
        let text = |event: &std::sync::Arc<synod_keyspace::Event>| {
            let (kv, kind) = (&event.kv, event.kind());
            let sign = if kind == EventKind::Put { '+' } else { '-' };
            let prev = event.prev.as_ref().map_or(String::new(), |kv| kv.value.to_text_lossy());
            let value = kv.value.to_text_lossy();
            format!("{}{sign}{}={value}<{prev}", kv.mod_revision, kv.key.to_text_lossy())
        };
        Ok(poll.events.iter().map(text).collect())
    }
}

pub(crate) fn put(key: &str, value: &str) -> Op {
    Op::Put(Put::new(SYNOD, key, value))
}

pub(crate) fn delete(range: KeyRange) -> Op {
    Op::Delete(DeleteRange::new(SYNOD, range))
}

pub(crate) fn get(key: &str) -> Op {
    Op::Range(RangeRequest::new(SYNOD, KeyRange::key(key)))
}

pub(crate) fn when(range: KeyRange, check: Check) -> Txn {
    Txn::default().when(Compare { keyspace: SYNOD, range, check })
}

pub(crate) fn leased(key: &str, lease: u64, on_expiry: OnExpiry) -> Op {
    let mut put = Put::new(SYNOD, key, "v");
    put.lease = LeaseChange::Set(Attach { lease: LeaseId::new(lease), on_expiry });
    Op::Put(put)
}
