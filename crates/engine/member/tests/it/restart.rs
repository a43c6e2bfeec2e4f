//! What was acknowledged is there after a restart.

use std::time::Duration;

use synod_store::{LeaseId, Store};

use crate::subject::{open, put, value};

#[tokio::test]
async fn keys_leases_and_keyspaces_outlive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let member = open(directory.path());
    let store = member.store();
    let keyspace = store.create_keyspace("other", 0).await.unwrap();
    let lease = LeaseId::new(7);
    store.lease_grant(Some(lease), Duration::from_secs(600)).await.unwrap();
    let revision = put(&store, "key", "value").await.unwrap();
    let identity = member.identity();
    member.shutdown().await;

    let member = open(directory.path());
    let store = member.store();
    assert_eq!(member.identity(), identity);
    assert_eq!(store.create_keyspace("other", 0).await.unwrap(), keyspace);
    assert_eq!(store.lease_status(lease).await.unwrap().ttl, Duration::from_secs(600));
    assert_eq!(value(&store, "key").await.as_deref(), Some("value"));
    assert_eq!(put(&store, "next", "value").await.unwrap(), revision.next());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_reads_the_snapshot_and_the_tail_behind_it() {
    let directory = tempfile::tempdir().unwrap();
    let member = open(directory.path());
    let store = member.store();
    let body = "x".repeat(1000);
    for n in 0..1000 {
        put(&store, &format!("key-{:03}", n % 300), &format!("{n} {body}")).await.unwrap();
    }
    let cut = store.snapshot().await.unwrap();
    for n in 0..10 {
        put(&store, &format!("tail-{n}"), "value").await.unwrap();
    }
    member.shutdown().await;
    let names = std::fs::read_dir(directory.path().join("data")).unwrap();
    let bytes: u64 = names.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes < 4 << 20, "old segments and snapshots are gone: {bytes} bytes are left");

    let member = open(directory.path());
    let report = member.recovery_report();
    assert_eq!(report.snapshot, cut);
    assert_eq!(report.replayed, 10);
    let store = member.store();
    assert!(value(&store, "key-299").await.unwrap().starts_with("899 "));
    assert_eq!(value(&store, "tail-9").await.as_deref(), Some("value"));
}
