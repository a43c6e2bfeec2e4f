//! Ranges: which keys, in which order, of which state, and how much of them.

use std::time::Duration;

use synod_keyspace::Error as Refusal;

use super::subject::{Subject, after, keys, refusal, request, text};
use crate::{
    Consistency, KeyRange, Order, RangeRequest, Revision, RevisionFilter, SYNOD, Sort, SortTarget,
};

/// Puts `a b ba c`, then `ba` and `a` anew; values fall as keys rise.
async fn letters(subject: &Subject) -> Revision {
    for (key, value) in [("c", "1"), ("b", "3"), ("ba", "0"), ("a", "9"), ("ba", "2")] {
        subject.put(key, value).await;
    }
    subject.put("a", "4").await
}

pub(super) async fn ranges_select_adjacent_keys(subject: Subject) {
    letters(&subject).await;
    let span = |from: &str, to: &str| KeyRange::Span(from.into(), to.into());
    for (range, expected) in [
        (KeyRange::all(), vec!["a", "b", "ba", "c"]),
        (KeyRange::key("b"), vec!["b"]),
        (KeyRange::key("bb"), vec![]),
        (KeyRange::prefix("b"), vec!["b", "ba"]),
        (KeyRange::From("b\0".into()), vec!["ba", "c"]),
        (span("a", "ba"), vec!["a", "b"]),
        (span("", "b"), vec!["a"]),
        (span("c", "a"), vec![]),
    ] {
        let response = subject.range(request(range.clone())).await;
        assert_eq!(keys(&response), expected, "{range:?}");
        assert_eq!((response.count, response.more), (expected.len(), false), "{range:?}");
    }
    let empty = subject.store.range(request(KeyRange::key("")), Consistency::Linearizable).await;
    assert_eq!(refusal(empty), Refusal::EmptyKey);
}

pub(super) async fn a_limit_cuts_and_says_so(subject: Subject) {
    letters(&subject).await;
    for (limit, expected, more) in [
        (1, vec!["a"], true),
        (3, vec!["a", "b", "ba"], true),
        (4, vec!["a", "b", "ba", "c"], false),
    ] {
        let limited = RangeRequest { limit: Some(limit), ..request(KeyRange::all()) };
        let response = subject.range(limited).await;
        assert_eq!(keys(&response), expected);
        assert_eq!((response.count, response.more), (4, more), "limit {limit}");
    }
}

pub(super) async fn sorting_orders_by_target(subject: Subject) {
    letters(&subject).await;
    for (target, ascending) in [
        (SortTarget::CreateRevision, ["c", "b", "ba", "a"]),
        (SortTarget::Key, ["a", "b", "ba", "c"]),
        (SortTarget::ModRevision, ["c", "b", "ba", "a"]),
        (SortTarget::Value, ["c", "ba", "b", "a"]),
    ] {
        let sorted = |order, limit| RangeRequest {
            sort: Some(Sort { target, order }),
            limit,
            ..request(KeyRange::all())
        };
        let up = subject.range(sorted(Order::Ascending, None)).await;
        assert_eq!(keys(&up), ascending, "{target:?}");
        let mut descending = ascending;
        descending.reverse();
        let down = subject.range(sorted(Order::Descending, None)).await;
        assert_eq!(keys(&down), descending, "{target:?}");
        let first = subject.range(sorted(Order::Descending, Some(1))).await;
        assert_eq!(keys(&first), descending[..1], "the limit cuts after sorting");
        assert!(first.more);
    }
    let sort = Some(Sort { target: SortTarget::Version, order: Order::Descending });
    let by_version = subject.range(RangeRequest { sort, ..request(KeyRange::all()) }).await;
    let versions: Vec<_> = by_version.kvs.iter().map(|kv| kv.version).collect();
    assert_eq!(versions, [2, 2, 1, 1]);
}

pub(super) async fn trimmed_answers_leave_values_or_keys_out(subject: Subject) {
    letters(&subject).await;
    let only = RangeRequest { keys_only: true, ..request(KeyRange::all()) };
    let only = subject.range(only).await;
    assert_eq!((keys(&only).len(), only.count), (4, 4));
    assert!(only.kvs.iter().all(|kv| kv.value.is_empty() && kv.version > 0));
    let count = RangeRequest { count_only: true, ..request(KeyRange::prefix("b")) };
    let count = subject.range(count).await;
    assert_eq!((count.kvs.len(), count.count), (0, 2));
}

pub(super) async fn filters_drop_keys_without_changing_the_count(subject: Subject) {
    letters(&subject).await;
    let ba = subject.get("ba").await.expect("was put");
    let filtered = async |filter| {
        let response = subject.range(RangeRequest { filter, ..request(KeyRange::all()) }).await;
        assert_eq!(response.count, 4);
        keys(&response)
    };
    let open = RevisionFilter::default();
    let (create, modified) = (Some(ba.create_revision), Some(ba.mod_revision));
    assert_eq!(filtered(RevisionFilter { min_create: create, ..open }).await, ["a", "ba"]);
    assert_eq!(filtered(RevisionFilter { max_create: create, ..open }).await, ["b", "ba", "c"]);
    assert_eq!(filtered(RevisionFilter { min_mod: modified, ..open }).await, ["a", "ba"]);
    assert_eq!(filtered(RevisionFilter { max_mod: modified, ..open }).await, ["b", "ba", "c"]);
}

pub(super) async fn old_revisions_stay_readable_until_compacted(subject: Subject) {
    let first = subject.put("key", "1").await;
    let second = subject.put("key", "2").await;
    let gone = subject.delete("key").await;
    let last = subject.put("key", "3").await;
    let read = |revision| RangeRequest { revision, ..request(KeyRange::all()) };
    let at = async |revision| {
        let response = subject.range(read(Some(revision))).await;
        assert_eq!(response.revision, last, "the answer says how new the state is");
        response.kvs.first().map(|kv| text(&kv.value))
    };
    assert_eq!(at(first).await.as_deref(), Some("1"));
    assert_eq!(at(second).await.as_deref(), Some("2"));
    assert_eq!(at(gone).await, None);
    subject.store.compact(SYNOD, second).await.expect("the revision is there");
    assert_eq!(at(second).await.as_deref(), Some("2"), "the compaction revision stays readable");
    let refused = subject.store.range(read(Some(first)), Consistency::Linearizable).await;
    let compacted = Refusal::Compacted { requested: first, compacted: second };
    assert_eq!(refusal(refused), compacted);
    let again = refusal(subject.store.compact(SYNOD, first).await);
    assert_eq!(again, compacted, "a compaction never goes back");
    assert_eq!(at(last).await.as_deref(), Some("3"));
    assert_eq!(subject.revision().await, last, "compacting is no change");
}

pub(super) async fn revisions_ahead_are_refused(subject: Subject) {
    let newest = subject.put("key", "1").await;
    let requested = after(newest, 1);
    let expected = Refusal::FutureRevision { requested, newest };
    let ahead = RangeRequest { revision: Some(requested), ..request(KeyRange::all()) };
    let range = subject.store.range(ahead, Consistency::Linearizable).await;
    assert_eq!(refusal(range), expected);
    assert_eq!(refusal(subject.store.compact(SYNOD, requested).await), expected);
}

pub(super) async fn every_consistency_answers_a_state_it_names(subject: Subject) {
    let mut ways = vec![Consistency::Linearizable, Consistency::Serializable];
    if subject.store.capabilities().bounded_reads {
        ways.push(Consistency::Bounded(Duration::from_secs(3600)));
    }
    for n in 0..20 {
        let written = subject.put("key", &n.to_string()).await;
        for &consistency in &ways {
            let read = subject.store.range(request(KeyRange::key("key")), consistency).await;
            let read = read.expect("the range can be read");
            // A lagging member of a larger cluster may answer an older state; it says so.
            if consistency == Consistency::Serializable && read.revision < written {
                continue;
            }
            assert_eq!(text(&read.kvs[0].value), n.to_string(), "{consistency:?}");
        }
    }
}
