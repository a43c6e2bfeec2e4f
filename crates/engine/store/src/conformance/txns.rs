//! Transactions: every compare, both branches, atomicity, revisions and versions.

use std::time::Duration;

use synod_keyspace::Error as Refusal;
use tokio::task::JoinSet;

use super::subject::{Subject, delete, put, refusal, request, text};
use crate::{
    Attach, Check, Compare, DeleteRange, KeyRange, KeyspaceId, LeaseChange, LeaseId, OnExpiry, Op,
    OpResponse, Ordering, Put, Revision, SYNOD, Txn, ValueChange,
};

const LEASE: LeaseId = LeaseId::new(77);

fn when(range: KeyRange, check: Check) -> Compare {
    Compare { keyspace: SYNOD, range, check }
}

/// Whether a compare holds.
async fn holds(subject: &Subject, range: &KeyRange, check: &Check) -> bool {
    let txn = Txn::default().when(when(range.clone(), check.clone()));
    subject.txn(txn).await.succeeded
}

/// A check of each kind by `ordering`, against these operands.
fn checks(ordering: Ordering, revision: u64, lease: u64, version: u64, value: &str) -> [Check; 5] {
    [
        Check::CreateRevision(ordering, Revision::new(revision)),
        Check::ModRevision(ordering, Revision::new(revision)),
        Check::Lease(ordering, lease),
        Check::Version(ordering, version),
        Check::Value(ordering, value.into()),
    ]
}

/// Whether each ordering holds of a key that is less than, equal to, or greater than the operand.
const ORDERINGS: [(Ordering, [bool; 3]); 4] = [
    (Ordering::Equal, [false, true, false]),
    (Ordering::Greater, [false, false, true]),
    (Ordering::Less, [true, false, false]),
    (Ordering::NotEqual, [true, false, true]),
];

pub(super) async fn every_compare_decides_by_its_ordering(subject: Subject) {
    subject.store.lease_grant(Some(LEASE), Duration::from_secs(600)).await.expect("new");
    let put = Op::Put(Put::new(SYNOD, "key", "value").with_lease(LEASE));
    let at = subject.write(vec![put]).await.get();
    let key = KeyRange::key("key");
    for (ordering, expected) in ORDERINGS {
        let operands = [
            checks(ordering, at + 1, LEASE.get() + 1, 2, "value-and-more"),
            checks(ordering, at, LEASE.get(), 1, "value"),
            checks(ordering, at - 1, LEASE.get() - 1, 0, "valu"),
        ];
        for (checks, expected) in operands.iter().zip(expected) {
            for check in checks {
                assert_eq!(holds(&subject, &key, check).await, expected, "{check:?}");
            }
        }
    }
    assert!(!holds(&subject, &key, &Check::Absent).await);
}

pub(super) async fn compares_of_a_missing_key_see_zeros(subject: Subject) {
    for range in [KeyRange::key("missing"), KeyRange::prefix("missing/")] {
        assert!(holds(&subject, &range, &Check::Absent).await);
        for (ordering, [when_less, when_equal, _]) in ORDERINGS {
            let [create, modified, lease, version, value] = checks(ordering, 0, 0, 0, "");
            for check in [create, modified, lease, version] {
                assert_eq!(holds(&subject, &range, &check).await, when_equal, "{check:?}");
            }
            // A missing key has no value, not an empty one.
            assert!(!holds(&subject, &range, &value).await, "{value:?}");
            let [create, modified, lease, version, _] = checks(ordering, 1, 1, 1, "");
            for check in [create, modified, lease, version] {
                assert_eq!(holds(&subject, &range, &check).await, when_less, "{check:?}");
            }
        }
    }
}

pub(super) async fn compares_of_a_range_hold_for_every_key(subject: Subject) {
    for (key, value) in [("r/a", "1"), ("r/b", "1"), ("r/c", "2"), ("s", "9")] {
        subject.put(key, value).await;
    }
    let equal = |value: &str| Check::Value(Ordering::Equal, value.into());
    let span = |end: &str| KeyRange::Span("r/".into(), end.into());
    assert!(holds(&subject, &span("r/c"), &equal("1")).await, "the end is exclusive");
    assert!(!holds(&subject, &KeyRange::prefix("r/"), &equal("1")).await);
    let less = Check::Value(Ordering::Less, "3".into());
    assert!(holds(&subject, &KeyRange::prefix("r/"), &less).await);
    assert!(!holds(&subject, &KeyRange::From("r/".into()), &less).await);
    assert!(!holds(&subject, &KeyRange::prefix("r/"), &Check::Absent).await);
}

pub(super) async fn a_failed_compare_runs_the_other_branch(subject: Subject) {
    let txn = |compares: Vec<Compare>| Txn {
        compares,
        then: vec![put("branch", "then")],
        otherwise: vec![put("branch", "otherwise"), put("more", "otherwise")],
    };
    let absent = when(KeyRange::key("branch"), Check::Absent);
    let first = subject.txn(txn(vec![absent.clone()])).await;
    assert!(first.succeeded && first.responses.len() == 1);
    assert_eq!(subject.value("branch").await.as_deref(), Some("then"));
    let holding = when(KeyRange::key("more"), Check::Absent);
    let second = subject.txn(txn(vec![holding, absent])).await;
    assert!(!second.succeeded && second.responses.len() == 2);
    assert_eq!(subject.value("branch").await.as_deref(), Some("otherwise"));
}

/// As in etcd: all compares decide on the state before the transaction, so that its path is known
/// before its first write; reads see the writes before them.
pub(super) async fn a_nested_txn_compares_the_state_before_and_reads_its_writes(subject: Subject) {
    let inner = Txn {
        compares: vec![when(KeyRange::key("a"), Check::Absent)],
        then: vec![put("b", "inner"), Op::Range(request(KeyRange::all()))],
        otherwise: vec![],
    };
    let outer = Txn::new(vec![put("a", "1"), Op::Txn(inner), Op::Range(request(KeyRange::all()))]);
    let done = subject.txn(outer).await;
    let [OpResponse::Put { .. }, OpResponse::Txn(inner), OpResponse::Range(all)] =
        done.responses.as_slice()
    else {
        panic!("one answer per operation, of its kind: {done:?}");
    };
    assert!(inner.succeeded, "the compare does not see the put before it");
    let [OpResponse::Put { key, .. }, OpResponse::Range(seen)] = inner.responses.as_slice() else {
        panic!("one answer per operation, of its kind: {inner:?}");
    };
    assert_eq!((text(key).as_str(), seen.count, all.count), ("b", 2, 2));
    let at = done.changed[0].1;
    assert!(all.kvs.iter().all(|kv| kv.mod_revision == at), "one revision for the whole");
}

pub(super) async fn a_refused_txn_changes_nothing(subject: Subject) {
    let before = subject.put("kept", "old").await;
    let no_lease = Put::new(SYNOD, "other", "value").with_lease(LeaseId::new(404));
    let bad = Txn::new(vec![
        put("kept", "new"),
        delete(KeyRange::prefix("x")),
        Op::Txn(Txn::new(vec![Op::Put(no_lease)])),
    ]);
    let refused = refusal(subject.store.txn(bad).await);
    assert_eq!(refused, Refusal::LeaseNotFound(LeaseId::new(404)));
    assert_eq!(subject.value("kept").await.as_deref(), Some("old"));
    assert_eq!(subject.revision().await, before);
}

pub(super) async fn a_key_written_twice_is_refused(subject: Subject) {
    let nested = Op::Txn(Txn::new(vec![put("a", "2")]));
    for twice in [
        vec![put("a", "1"), put("a", "2")],
        vec![put("a", "1"), nested],
        vec![put("b/1", "1"), delete(KeyRange::prefix("b/"))],
    ] {
        let refused = refusal(subject.store.txn(Txn::new(twice)).await);
        assert_eq!(refused, Refusal::DuplicateKey);
    }
    assert_eq!(subject.range(request(KeyRange::all())).await.count, 0);
    // Two branches never run together.
    let branches =
        Txn { compares: vec![], then: vec![put("a", "1")], otherwise: vec![put("a", "2")] };
    assert!(subject.txn(branches).await.succeeded);
}

pub(super) async fn an_empty_key_is_refused(subject: Subject) {
    let before = subject.revision().await;
    for op in [put("", "value"), delete(KeyRange::key("")), Op::Range(request(KeyRange::key("")))] {
        // In the branch that would not run, too: the check does not depend on the state.
        let refused = subject.store.txn(Txn { otherwise: vec![op.clone()], ..Txn::default() });
        assert_eq!(refusal(refused.await), Refusal::EmptyKey, "{op:?}");
        assert_eq!(refusal(subject.store.txn(Txn::new(vec![op])).await), Refusal::EmptyKey);
    }
    assert_eq!(subject.revision().await, before);
}

pub(super) async fn keeping_needs_a_key(subject: Subject) {
    let value = Put { value: ValueChange::Keep, ..Put::new(SYNOD, "missing", "") };
    let lease = Put { lease: LeaseChange::Keep, ..Put::new(SYNOD, "missing", "") };
    for put in [value, lease] {
        let refused = refusal(subject.store.txn(Txn::new(vec![Op::Put(put)])).await);
        assert_eq!(refused, Refusal::KeyNotFound);
    }
}

pub(super) async fn keeping_leaves_value_or_lease(subject: Subject) {
    subject.store.lease_grant(Some(LEASE), Duration::from_secs(600)).await.expect("new");
    let attach = LeaseChange::Set(Attach { lease: LEASE, on_expiry: OnExpiry::Detach });
    let put = |value, lease| Op::Put(Put { value, lease, ..Put::new(SYNOD, "key", "") });
    subject.write(vec![put(ValueChange::Set("one".into()), attach)]).await;
    subject.write(vec![put(ValueChange::Set("two".into()), LeaseChange::Keep)]).await;
    let kv = subject.get("key").await.expect("was put");
    assert_eq!((text(&kv.value).as_str(), kv.lease), ("two", Some(LEASE)));
    subject.write(vec![put(ValueChange::Keep, LeaseChange::Clear)]).await;
    let kv = subject.get("key").await.expect("was put");
    assert_eq!((text(&kv.value).as_str(), kv.lease, kv.version), ("two", None, 3));
}

pub(super) async fn previous_versions_are_returned_on_request(subject: Subject) {
    subject.put("a", "1").await;
    subject.put("b", "2").await;
    let put = Op::Put(Put { return_prev: true, ..Put::new(SYNOD, "a", "3") });
    let new = Op::Put(Put { return_prev: true, ..Put::new(SYNOD, "new", "4") });
    let delete = Op::Delete(DeleteRange {
        return_prev: true,
        ..DeleteRange::new(SYNOD, KeyRange::Span("b".into(), "c".into()))
    });
    let done = subject.txn(Txn::new(vec![put, new, delete])).await;
    let [
        OpResponse::Put { prev: Some(was), .. },
        OpResponse::Put { prev: None, .. },
        OpResponse::Delete { deleted: 1, prev },
    ] = done.responses.as_slice()
    else {
        panic!("unexpected answers: {done:?}");
    };
    assert_eq!((text(&was.value).as_str(), text(&prev[0].value).as_str()), ("1", "2"));
    let silent = subject.txn(Txn::new(vec![super::subject::put("a", "5")])).await;
    assert!(matches!(silent.responses.as_slice(), [OpResponse::Put { prev: None, .. }]));
}

pub(super) async fn revisions_strictly_increase_and_reads_do_not_advance_them(subject: Subject) {
    let mut last = subject.revision().await;
    for n in 0..20 {
        let key = format!("key-{}", n % 3);
        let now = match n % 5 {
            4 => subject.write(vec![delete(KeyRange::prefix("key-"))]).await,
            _ => subject.put(&key, "value").await,
        };
        assert!(now > last, "{now} follows {last}");
        last = now;
        let nothing = Txn {
            compares: vec![when(KeyRange::all(), Check::Version(Ordering::Equal, 404))],
            then: vec![put("never", "written")],
            otherwise: vec![Op::Range(request(KeyRange::all())), delete(KeyRange::key("missing"))],
        };
        let nothing = subject.txn(nothing).await;
        assert!(!nothing.succeeded);
        assert_eq!(nothing.changed, Vec::<(KeyspaceId, Revision)>::new());
        assert_eq!(subject.revision().await, last);
    }
    // A put of the same value is a change.
    assert!(subject.put("same", "same").await < subject.put("same", "same").await);
}

pub(super) async fn versions_count_puts_and_start_anew_after_a_delete(subject: Subject) {
    let created = subject.put("key", "1").await;
    let changed = subject.put("key", "2").await;
    let kv = subject.get("key").await.expect("was put");
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (created, changed, 2));
    subject.delete("key").await;
    assert_eq!(subject.get("key").await, None);
    let again = subject.put("key", "3").await;
    let kv = subject.get("key").await.expect("was put");
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (again, again, 1));
}

pub(super) async fn concurrent_writers_lose_no_update(subject: Subject) {
    const WRITERS: u64 = 8;
    const INCREMENTS: u64 = 25;
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let subject = subject.clone();
        writers.spawn(async move {
            for _ in 0..INCREMENTS {
                increment(&subject).await;
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.expect("a writer does not panic");
    }
    assert_eq!(subject.value("counter").await, Some((WRITERS * INCREMENTS).to_string()));
    let kv = subject.get("counter").await.expect("was counted");
    assert_eq!(kv.version, WRITERS * INCREMENTS, "exactly one put per increment");
}

/// Adds one to the counter, by compare and swap, as often as it takes.
async fn increment(subject: &Subject) {
    loop {
        let now = subject.get("counter").await;
        let count = now.as_ref().map_or(0, |kv| text(&kv.value).parse::<u64>().expect("digits"));
        let revision = now.map_or(Revision::ZERO, |kv| kv.mod_revision);
        let unchanged = Check::ModRevision(Ordering::Equal, revision);
        let swap = Txn::new(vec![put("counter", &(count + 1).to_string())])
            .when(when(KeyRange::key("counter"), unchanged));
        let done = subject.txn(swap).await;
        assert_eq!(done.succeeded, !done.changed.is_empty());
        if let [(_, revision)] = done.changed.as_slice() {
            // What the same transaction wrote is readable at once, at its own revision.
            let at = crate::RangeRequest {
                revision: Some(*revision),
                ..request(KeyRange::key("counter"))
            };
            let seen = subject.range(at).await;
            let expected: crate::Bytes = (count + 1).to_string().into();
            assert_eq!(seen.kvs.iter().map(|kv| &kv.value).collect::<Vec<_>>(), [&expected]);
            return;
        }
    }
}
