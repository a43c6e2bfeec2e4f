//! Keyspaces: made once, apart from each other, within their quota.

use synod_keyspace::Error as Refusal;

use super::subject::{Subject, refusal, request};
use crate::{
    Consistency, DeleteRange, KeyRange, KeyspaceId, Op, Put, RangeRequest, Revision, Txn,
    WatchRequest,
};

pub(super) async fn a_new_keyspace_is_at_revision_one_and_empty(subject: Subject) {
    let keyspace = subject.keyspace("fresh").await;
    let all = subject.range(RangeRequest::new(keyspace, KeyRange::all())).await;
    assert_eq!((all.revision, all.count), (Revision::new(1), 0));
    assert!(all.kvs.is_empty() && !all.more);
}

pub(super) async fn a_name_is_one_keyspace(subject: Subject) {
    let first = subject.keyspace("first").await;
    assert_eq!(subject.keyspace("first").await, first);
    assert_ne!(subject.keyspace("second").await, first);
}

pub(super) async fn keyspaces_advance_apart(subject: Subject) {
    let (left, right) = (subject.keyspace("left").await, subject.keyspace("right").await);
    let put = |keyspace| Op::Put(Put::new(keyspace, "key", "value"));
    let both = subject.txn(Txn::new(vec![put(right), put(left)])).await;
    let (low, high) = (left.min(right), left.max(right));
    let changed: Vec<_> = both.changed.iter().map(|(keyspace, _)| *keyspace).collect();
    assert_eq!(changed, [low, high], "the changed keyspaces come in the order of their ids");
    let one = subject.txn(Txn::new(vec![put(left)])).await;
    assert_eq!(one.changed.len(), 1);
    let at = |keyspace| subject.range(RangeRequest::new(keyspace, KeyRange::key("key")));
    assert_eq!(at(right).await.kvs[0].version, 1);
    assert_eq!(at(left).await.kvs[0].version, 2);
    assert_eq!(at(left).await.revision, one.changed[0].1);
    assert!(at(right).await.revision < at(left).await.revision);
}

pub(super) async fn an_unknown_keyspace_is_refused(subject: Subject) {
    let unknown = KeyspaceId::new(4_000_000);
    let expected = Refusal::UnknownKeyspace(unknown);
    let put = Op::Put(Put::new(unknown, "key", "value"));
    assert_eq!(refusal(subject.store.txn(Txn::new(vec![put])).await), expected);
    let range = RangeRequest::new(unknown, KeyRange::all());
    let range = subject.store.range(range, Consistency::Linearizable).await;
    assert_eq!(refusal(range), expected);
    let watch = WatchRequest { keyspace: unknown, range: KeyRange::all(), from: None };
    assert_eq!(refusal(subject.store.watch(watch).await.map(|_| ())), expected);
    let compact = subject.store.compact(unknown, Revision::new(1)).await;
    assert_eq!(refusal(compact), expected);
}

pub(super) async fn a_full_keyspace_refuses_puts_and_takes_deletes(subject: Subject) {
    const QUOTA_BYTES: u64 = 64 << 10;
    let keyspace = subject.store.create_keyspace("small", QUOTA_BYTES).await.expect("made");
    let put = |n: usize| Op::Put(Put::new(keyspace, format!("key-{n}"), vec![b'v'; 4 << 10]));
    let mut fitted = 0;
    let refused = loop {
        assert!(fitted < 64, "256 KiB do not fit into {QUOTA_BYTES} bytes");
        match subject.store.txn(Txn::new(vec![put(fitted)])).await {
            Ok(_) => fitted += 1,
            Err(error) => break refusal::<()>(Err(error)),
        }
    };
    assert!(fitted > 0, "an empty keyspace has room");
    let Refusal::QuotaExceeded { keyspace: full, quota, .. } = refused else {
        panic!("expected QuotaExceeded, got {refused:?}");
    };
    assert_eq!((full, quota), (keyspace, QUOTA_BYTES));
    let all = RangeRequest::new(keyspace, KeyRange::all());
    assert_eq!(subject.range(all.clone()).await.count, fitted);
    let delete = Op::Delete(DeleteRange::new(keyspace, KeyRange::all()));
    subject.write(vec![delete]).await;
    assert_eq!(subject.range(all).await.count, 0);
    // Another keyspace has its own quota.
    subject.put("elsewhere", "fits").await;
    assert_eq!(subject.get("elsewhere").await.map(|kv| kv.version), Some(1));
    let request = request(KeyRange::key("key-0"));
    assert_eq!(subject.range(request).await.count, 0);
}
