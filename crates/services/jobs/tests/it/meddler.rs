//! A store that lets something happen just before a transaction: the worst moment.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use synod_store::testing::MemoryStore;
use synod_store::{
    BoxFuture, Capabilities, Consistency, Error, KeyspaceId, LeaseId, LeaseStatus, RangeRequest,
    RangeResponse, Revision, Store, Txn, TxnResponse, Watch, WatchBatch, WatchRequest,
};
use tokio::sync::mpsc;

type Meddling = BoxFuture<'static, ()>;
type Batches = mpsc::Receiver<Result<WatchBatch, Error>>;

/// A store between a user and the real one.
pub(crate) struct Meddler {
    store: Arc<MemoryStore>,
    /// What happens before the first transaction that writes a key with this beginning.
    meddling: Mutex<Option<(&'static str, Meddling)>>,
    /// What the first watch is fed with, in place of the real events.
    first_watch: Mutex<Option<Batches>>,
    max_ops: usize,
}

/// Ends a watch as if compaction had overtaken it.
pub(crate) struct Overtake(mpsc::Sender<Result<WatchBatch, Error>>);

impl Overtake {
    pub(crate) async fn now(self) {
        let (requested, compacted) = (Revision::new(2), Revision::new(3));
        let error = synod_keyspace::Error::Compacted { requested, compacted };
        self.0.send(Err(error.into())).await.expect("it is watched");
    }
}

impl Meddler {
    pub(crate) fn new(
        store: &Arc<MemoryStore>,
        before: &'static str,
        meddling: impl Future<Output = ()> + Send + 'static,
    ) -> Arc<Self> {
        let meddling = Mutex::new(Some((before, Box::pin(meddling) as Meddling)));
        let first_watch = Mutex::default();
        Arc::new(Self { store: store.clone(), meddling, first_watch, max_ops: 128 })
    }

    /// One that only says that it takes few operations at once.
    pub(crate) fn narrow(store: &Arc<MemoryStore>, max_ops: usize) -> Arc<Self> {
        let (meddling, first_watch) = (Mutex::default(), Mutex::default());
        Arc::new(Self { store: store.clone(), meddling, first_watch, max_ops })
    }

    /// One whose first watch tells nothing, until it is overtaken.
    pub(crate) fn deaf(store: &Arc<MemoryStore>) -> (Arc<Self>, Overtake) {
        let (overtake, batches) = mpsc::channel(1);
        let (meddling, first_watch) = (Mutex::default(), Mutex::new(Some(batches)));
        let meddler = Self { store: store.clone(), meddling, first_watch, max_ops: 128 };
        (Arc::new(meddler), Overtake(overtake))
    }

    fn meddling_before(&self, txn: &Txn) -> Option<Meddling> {
        let mut meddling = self.meddling.lock().unwrap();
        let writes = |start: &str| {
            txn.then.iter().any(|op| match op {
                synod_store::Op::Put(put) => put.key.starts_with(start.as_bytes()),
                _ => false,
            })
        };
        let due = meddling.as_ref().is_some_and(|(before, _)| writes(before));
        if due { meddling.take().map(|(_, meddling)| meddling) } else { None }
    }
}

impl Store for Meddler {
    fn capabilities(&self) -> Capabilities {
        Capabilities { max_ops: self.max_ops, ..self.store.capabilities() }
    }

    fn create_keyspace<'a>(
        &'a self,
        name: &'a str,
        quota_bytes: u64,
    ) -> BoxFuture<'a, Result<KeyspaceId, Error>> {
        self.store.create_keyspace(name, quota_bytes)
    }

    fn txn(&self, txn: Txn) -> BoxFuture<'_, Result<TxnResponse, Error>> {
        Box::pin(async move {
            if let Some(meddling) = self.meddling_before(&txn) {
                meddling.await;
            }
            assert!(txn.then.len().max(txn.compares.len()) <= self.max_ops, "too wide");
            self.store.txn(txn).await
        })
    }

    fn range(
        &self,
        request: RangeRequest,
        consistency: Consistency,
    ) -> BoxFuture<'_, Result<RangeResponse, Error>> {
        self.store.range(request, consistency)
    }

    fn watch(&self, request: WatchRequest) -> BoxFuture<'_, Result<Watch, Error>> {
        match self.first_watch.lock().unwrap().take() {
            Some(batches) => {
                let start = request.from.unwrap_or_default();
                Box::pin(async move { Ok(Watch::new(batches, start)) })
            }
            None => self.store.watch(request),
        }
    }

    fn compact(
        &self,
        keyspace: KeyspaceId,
        revision: Revision,
    ) -> BoxFuture<'_, Result<(), Error>> {
        self.store.compact(keyspace, revision)
    }

    fn lease_grant(
        &self,
        id: Option<LeaseId>,
        ttl: Duration,
    ) -> BoxFuture<'_, Result<LeaseStatus, Error>> {
        self.store.lease_grant(id, ttl)
    }

    fn lease_keep_alive(&self, id: LeaseId) -> BoxFuture<'_, Result<LeaseStatus, Error>> {
        self.store.lease_keep_alive(id)
    }

    fn lease_revoke(&self, id: LeaseId) -> BoxFuture<'_, Result<(), Error>> {
        self.store.lease_revoke(id)
    }

    fn lease_status(&self, id: LeaseId) -> BoxFuture<'_, Result<LeaseStatus, Error>> {
        self.store.lease_status(id)
    }
}
