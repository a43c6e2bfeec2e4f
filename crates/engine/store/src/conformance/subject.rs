//! The store under test, with short words for what cases do again and again.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use synod_keyspace::Error as Refusal;

use crate::{
    Bytes, Consistency, DeleteRange, Error, Event, KeyRange, KeyValue, KeyspaceId, Op, Put,
    RangeRequest, RangeResponse, Revision, SYNOD, Store, Txn, TxnResponse, Watch, WatchRequest,
};

/// How long an event may be under way.
const EVENT_DEADLINE: Duration = Duration::from_secs(30);

/// The store under test.
#[derive(Clone)]
pub(super) struct Subject {
    pub(super) store: Arc<dyn Store>,
}

impl Subject {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    pub(super) async fn keyspace(&self, name: &str) -> KeyspaceId {
        self.store.create_keyspace(name, 0).await.expect("a keyspace can be made")
    }

    pub(super) async fn txn(&self, txn: Txn) -> TxnResponse {
        self.store.txn(txn).await.expect("the transaction is well-formed")
    }

    pub(super) async fn write(&self, ops: Vec<Op>) -> Revision {
        let response = self.txn(Txn::new(ops)).await;
        response.changed.first().expect("the transaction changed a keyspace").1
    }

    pub(super) async fn put(&self, key: &str, value: &str) -> Revision {
        self.write(vec![put(key, value)]).await
    }

    pub(super) async fn delete(&self, key: &str) -> Revision {
        self.write(vec![delete(KeyRange::key(key))]).await
    }

    pub(super) async fn range(&self, request: RangeRequest) -> RangeResponse {
        let range = self.store.range(request, Consistency::Linearizable);
        range.await.expect("the range can be read")
    }

    pub(super) async fn get(&self, key: &str) -> Option<Arc<KeyValue>> {
        self.range(request(KeyRange::key(key))).await.kvs.pop()
    }

    pub(super) async fn value(&self, key: &str) -> Option<String> {
        self.get(key).await.map(|kv| kv.value.to_text_lossy())
    }

    /// The newest revision of keyspace `synod`.
    pub(super) async fn revision(&self) -> Revision {
        self.range(request(KeyRange::key("no such key"))).await.revision
    }

    pub(super) async fn watch(&self, range: KeyRange, from: Option<Revision>) -> Events {
        let watch = self.store.watch(WatchRequest { keyspace: SYNOD, range, from });
        Events { watch: watch.await.expect("the watch can start"), batch: Vec::new() }
    }
}

/// A watch, read event by event.
pub(super) struct Events {
    watch: Watch,
    /// What is left of the newest batch, last event first.
    batch: Vec<Arc<Event>>,
}

impl Events {
    pub(super) fn start(&self) -> Revision {
        self.watch.start()
    }

    /// The next event, which must come.
    pub(super) async fn next(&mut self) -> Arc<Event> {
        self.try_next().await.expect("the watch goes on")
    }

    /// The next event, or why the watch ended.
    pub(super) async fn try_next(&mut self) -> Result<Arc<Event>, Error> {
        loop {
            if let Some(event) = self.batch.pop() {
                return Ok(event);
            }
            let next = tokio::time::timeout(EVENT_DEADLINE, self.watch.next()).await;
            let batch = next.expect("an event arrives before the deadline")?;
            let newest = batch.events.last().map(|event| event.kv.mod_revision);
            assert!(newest <= Some(batch.revision), "a batch covers its own events");
            self.batch = batch.events;
            self.batch.reverse();
        }
    }

    /// The next `count` events as `<revision> <key>=<value>` or `<revision> <key> deleted`.
    pub(super) async fn take(&mut self, count: usize) -> Vec<String> {
        let mut taken = Vec::new();
        while taken.len() < count {
            taken.push(line(&*self.next().await));
        }
        taken
    }

    /// The next whole batch.
    pub(super) async fn batch(&mut self) -> Vec<Arc<Event>> {
        let next = tokio::time::timeout(EVENT_DEADLINE, self.watch.next()).await;
        next.expect("a batch arrives before the deadline").expect("the watch goes on").events
    }
}

pub(super) fn line(event: &Event) -> String {
    let (revision, key) = (event.kv.mod_revision, event.kv.key.to_text_lossy());
    match event.kv.is_tombstone() {
        true => format!("{revision} {key} deleted"),
        false => format!("{revision} {key}={}", event.kv.value.to_text_lossy()),
    }
}

pub(super) fn put(key: &str, value: &str) -> Op {
    Op::Put(Put::new(SYNOD, key, value))
}

pub(super) fn delete(range: KeyRange) -> Op {
    Op::Delete(DeleteRange::new(SYNOD, range))
}

pub(super) fn request(range: KeyRange) -> RangeRequest {
    RangeRequest::new(SYNOD, range)
}

pub(super) fn keys(response: &RangeResponse) -> Vec<String> {
    response.kvs.iter().map(|kv| kv.key.to_text_lossy()).collect()
}

pub(super) fn text(bytes: &Bytes) -> String {
    bytes.to_text_lossy()
}

/// Why the store refused, which it must have done.
#[track_caller]
pub(super) fn refusal<T: Debug>(result: Result<T, Error>) -> Refusal {
    match result {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// The revision `count` after `revision`.
pub(super) fn after(revision: Revision, count: u64) -> Revision {
    Revision::new(revision.get() + count)
}
