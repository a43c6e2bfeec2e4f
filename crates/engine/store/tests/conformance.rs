//! The in-memory body keeps the port's promise.

use std::sync::Arc;
use std::time::Duration;

use synod_store::testing::MemoryStore;
use synod_store::{Consistency, Error, KeyRange, Op, Put, RangeRequest, SYNOD, Store, Txn};
use synod_store::{WatchRequest, conformance};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_store_conforms() {
    conformance::run(|| async { Arc::new(MemoryStore::new()) as Arc<dyn Store> }).await;
}

#[tokio::test]
async fn a_lease_can_be_expired_by_hand() {
    let store = MemoryStore::new();
    let lease = store.lease_grant(None, Duration::from_secs(600)).await.expect("granted").id;
    let put = Op::Put(Put::new(SYNOD, "key", "value").with_lease(lease));
    store.txn(Txn::new(vec![put])).await.expect("put");
    assert!(store.expire(lease));
    assert!(!store.expire(lease), "it is gone");
    let all = RangeRequest::new(SYNOD, KeyRange::all());
    let left = store.range(all, Consistency::Linearizable).await.expect("read");
    assert_eq!(left.count, 0);
}

#[tokio::test]
async fn a_watch_ends_with_its_store() {
    let store = MemoryStore::new();
    let request = WatchRequest { keyspace: SYNOD, range: KeyRange::all(), from: None };
    let mut watch = store.watch(request).await.expect("watched");
    drop(store);
    assert!(matches!(watch.next().await, Err(Error::Stopped { .. })));
}
