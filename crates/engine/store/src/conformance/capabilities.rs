//! What a body declares: the behaviour where it does, the exact refusal where it does not.

use std::time::Duration;

use synod_keyspace::Error as Refusal;

use super::subject::{Subject, after, put, refusal, request, text};
use crate::{
    Check, Compare, Consistency, Error, KeyRange, Op, OpResponse, Ordering, Put, SYNOD, Suffix, Txn,
};

pub(super) async fn dense_revisions_advance_by_one(subject: Subject) {
    let dense = subject.store.capabilities().dense_revisions;
    let mut last = subject.revision().await;
    for _ in 0..10 {
        let elsewhere = subject.keyspace("elsewhere").await;
        subject.txn(Txn::new(vec![Op::Put(Put::new(elsewhere, "key", "value"))])).await;
        let now = subject.write(vec![put("a", "1"), put("b", "2")]).await;
        assert!(now == after(last, 1) || (!dense && now > last), "{now} follows {last}");
        last = now;
    }
}

pub(super) async fn suffixes_are_made_at_apply_or_refused(subject: Subject) {
    let with =
        |key: &str, suffix| Op::Put(Put { suffix: Some(suffix), ..Put::new(SYNOD, key, "value") });
    if !subject.store.capabilities().apply_suffix {
        let refused = subject.store.txn(Txn::new(vec![with("key-", Suffix::Counter)])).await;
        assert!(matches!(refused, Err(Error::Unsupported { .. })), "{refused:?}");
        return;
    }
    let written = async |key, suffix| {
        let done = subject.txn(Txn::new(vec![with(key, suffix)])).await;
        let [OpResponse::Put { key, .. }] = done.responses.as_slice() else {
            panic!("one answer per operation, of its kind: {done:?}");
        };
        assert!(subject.get(&text(key)).await.is_some(), "the answer names the key");
        (text(key), done.changed[0].1)
    };
    assert_eq!(written("a-", Suffix::Counter).await.0, "a-0000000000");
    assert_eq!(written("a-", Suffix::Counter).await.0, "a-0000000001");
    assert_eq!(written("b-", Suffix::Counter).await.0, "b-0000000000");
    let (key, revision) = written("a-", Suffix::Revision).await;
    assert_eq!(key, format!("a-{:020}", revision.get()));
    subject.delete("a-0000000001").await;
    assert_eq!(written("a-", Suffix::Counter).await.0, "a-0000000002", "counters never go back");
}

pub(super) async fn bounded_reads_answer_or_are_refused(subject: Subject) {
    subject.put("key", "value").await;
    let bound = Consistency::Bounded(Duration::from_secs(3600));
    let read = subject.store.range(request(KeyRange::key("key")), bound).await;
    if subject.store.capabilities().bounded_reads {
        assert_eq!(read.expect("the state is younger than an hour").count, 1);
    } else {
        assert!(matches!(read, Err(Error::Unsupported { .. })), "{read:?}");
    }
}

pub(super) async fn too_many_operations_are_refused_by_number(subject: Subject) {
    let max = subject.store.capabilities().max_ops;
    let puts = |count: usize| (0..count).map(|n| put(&format!("key-{n}"), "value")).collect();
    let compares = |count: usize| {
        let check = Check::Version(Ordering::Equal, 0);
        vec![Compare { keyspace: SYNOD, range: KeyRange::key("missing"), check }; count]
    };
    let expected = Refusal::TooManyOps { max };
    for txn in [
        Txn::new(puts(max + 1)),
        Txn { otherwise: puts(max + 1), ..Txn::default() },
        Txn { compares: compares(max + 1), ..Txn::default() },
    ] {
        assert_eq!(refusal(subject.store.txn(txn).await), expected);
    }
    let most = Txn { compares: compares(max), then: puts(max), ..Txn::default() };
    assert!(subject.txn(most).await.succeeded);
    assert_eq!(subject.range(request(KeyRange::prefix("key-"))).await.count, max);
}
