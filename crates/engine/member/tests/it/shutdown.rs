//! Ending in order.

use std::time::Duration;

use synod_store::{Error, KeyRange, SYNOD, Store, WatchRequest};

use crate::subject::{open, put};

const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn writes_taken_before_a_shutdown_are_answered_and_later_ones_refused() {
    let directory = tempfile::tempdir().unwrap();
    let member = open(directory.path());
    let store = member.store();
    let stopped = member.stopped();
    let writes: Vec<_> = (0..100)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { put(&store, &format!("key-{n}"), "value").await })
        })
        .collect();
    member.shutdown().await;
    let mut taken = 0;
    for write in writes {
        match write.await.unwrap() {
            Ok(_) => taken += 1,
            Err(Error::Stopped { .. }) => {}
            Err(other) => panic!("neither done nor refused: {other}"),
        }
    }
    assert!(matches!(put(&store, "late", "value").await, Err(Error::Stopped { .. })));
    assert_eq!(tokio::time::timeout(DEADLINE, stopped).await.unwrap(), "it was shut down");

    let member = open(directory.path());
    let keys = member
        .store()
        .range(
            synod_store::RangeRequest::new(SYNOD, KeyRange::all()),
            synod_store::Consistency::Linearizable,
        )
        .await
        .unwrap();
    assert_eq!(keys.count, taken);
}

#[tokio::test]
async fn watches_end_with_their_member() {
    let directory = tempfile::tempdir().unwrap();
    let member = open(directory.path());
    let request = WatchRequest { keyspace: SYNOD, range: KeyRange::all(), from: None };
    let mut watch = member.store().watch(request).await.unwrap();
    put(&member.store(), "key", "value").await.unwrap();
    assert_eq!(watch.next().await.unwrap().events.len(), 1);
    member.shutdown().await;
    let end = tokio::time::timeout(DEADLINE, watch.next()).await.unwrap();
    assert!(matches!(end, Err(Error::Stopped { .. })), "{end:?}");
}

#[tokio::test]
async fn a_dropped_member_frees_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let member = open(directory.path());
    let store = member.store();
    put(&store, "key", "value").await.unwrap();
    drop(member);
    open(directory.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_lags_misses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let member = open(directory.path());
    let store = member.store();
    let request = WatchRequest { keyspace: SYNOD, range: KeyRange::prefix("key"), from: None };
    let mut watch = store.watch(request).await.unwrap();
    for n in 0..200 {
        put(&store, &format!("key-{n}"), "value").await.unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 200 {
        let batch = tokio::time::timeout(DEADLINE, watch.next()).await.unwrap().unwrap();
        seen.extend(batch.events.iter().map(|event| event.kv.mod_revision.get()));
    }
    let start = watch.start().get();
    assert_eq!(seen, (start..start + 200).collect::<Vec<_>>());
}
