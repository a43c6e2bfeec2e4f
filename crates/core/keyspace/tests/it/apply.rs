//! Transactions and reads, one claim at a time.

use synod_base::{KeyspaceId, LeaseId, LogIndex, Revision};
use synod_keyspace::{
    Check, Command, Config, DeleteRange, Error, KeyRange, LeaseChange, Limits, OnExpiry, Op,
    OpResponse, Order, Ordering, Put, RangeRequest, Sort, SortTarget, Suffix, Txn, TxnResponse,
    ValueChange,
};

use crate::group::{Group, SYNOD, delete, get, leased, put, when};

#[test]
fn a_group_is_born_with_keyspace_synod_at_revision_1() {
    let group = Group::new();
    assert_eq!(group.state.keyspace_named("synod"), Some(SYNOD));
    assert_eq!(group.state.revision(SYNOD), Ok(Revision::new(1)));
    assert_eq!(group.value_at("k", Some(1)), Ok(None));
}

#[test]
fn versions_count_from_creation_and_start_again_after_deletion() {
    let mut group = Group::new();
    group.put("k", "a");
    group.put("k", "b");
    let read = |group: &Group| {
        let response = group.state.range(&RangeRequest::new(SYNOD, KeyRange::key("k")));
        let kv = response.expect("readable").kvs[0].clone();
        (kv.create_revision.get(), kv.mod_revision.get(), kv.version)
    };
    assert_eq!(read(&group), (2, 3, 2));
    group.delete(KeyRange::key("k"));
    assert_eq!(group.value("k"), None);
    group.put("k", "c");
    assert_eq!(read(&group), (5, 5, 1));
    assert_eq!(group.value_at("k", Some(3)), Ok(Some("b".into())));
    assert_eq!(group.value_at("k", Some(4)), Ok(None));
    let wanted = ["2+k=a<", "3+k=b<a", "4-k=<b", "5+k=c<"];
    assert_eq!(group.watch(1).expect("readable"), wanted);
}

#[test]
fn deleting_nothing_does_not_advance_the_revision() {
    let mut group = Group::new();
    let response = group.delete(KeyRange::all());
    assert_eq!(response.changed, []);
    assert_eq!(group.state.revision(SYNOD), Ok(Revision::new(1)));
}

#[test]
fn a_missing_key_compares_as_zeros_and_has_no_value() {
    let mut group = Group::new();
    let checks = [
        (Check::Absent, true),
        (Check::Version(Ordering::Equal, 0), true),
        (Check::Version(Ordering::Greater, 0), false),
        (Check::CreateRevision(Ordering::Less, Revision::new(1)), true),
        (Check::ModRevision(Ordering::NotEqual, Revision::ZERO), false),
        (Check::Lease(Ordering::Equal, 0), true),
        (Check::Value(Ordering::Equal, "".into()), false),
        (Check::Value(Ordering::NotEqual, "x".into()), false),
    ];
    for range in [KeyRange::key("k"), KeyRange::prefix("k")] {
        for (check, holds) in &checks {
            let response = group.txn(when(range.clone(), check.clone())).expect("accepted");
            assert_eq!(response.succeeded, *holds, "{check:?} of {range:?}");
        }
    }
}

#[test]
fn a_range_compare_must_hold_of_every_key() {
    let mut group = Group::new();
    group.put("k/1", "a");
    group.put("k/2", "b");
    let mut holds =
        |check: Check| group.txn(when(KeyRange::prefix("k/"), check)).expect("accepted").succeeded;
    assert!(holds(Check::Version(Ordering::Equal, 1)));
    assert!(holds(Check::Value(Ordering::Less, "c".into())));
    assert!(!holds(Check::Value(Ordering::Equal, "a".into())));
    assert!(!holds(Check::Absent));
    assert!(holds(Check::ModRevision(Ordering::Greater, Revision::new(1))));
}

#[test]
fn a_transaction_reads_its_own_writes_and_the_pinned_past() {
    let mut group = Group::new();
    group.put("k", "old");
    let past = RangeRequest {
        revision: Some(Revision::new(2)),
        ..RangeRequest::new(SYNOD, KeyRange::key("k"))
    };
    let ops = vec![get("k"), put("k", "new"), get("k"), Op::Range(past)];
    let response = group.txn(Txn::new(ops)).expect("accepted");
    let values: Vec<_> = response
        .responses
        .iter()
        .filter_map(|response| match response {
            OpResponse::Range(range) => {
                Some((range.kvs[0].value.to_text_lossy(), range.revision.get()))
            }
            _ => None,
        })
        .collect();
    let wanted = [("old".into(), 2), ("new".into(), 3), ("old".into(), 3)];
    assert_eq!(values, wanted);
}

#[test]
fn nested_compares_look_at_the_state_before_the_transaction() {
    let mut group = Group::new();
    let mut nested = when(KeyRange::key("a"), Check::Absent);
    nested.then = vec![put("b", "a was absent")];
    nested.otherwise = vec![put("b", "a was there")];
    let response = group.txn(Txn::new(vec![put("a", "1"), Op::Txn(nested)])).expect("accepted");
    assert_eq!(response.changed, [(SYNOD, Revision::new(2))]);
    assert_eq!(group.value("b").as_deref(), Some("a was absent"));
}

#[test]
fn a_key_is_written_once_per_transaction() {
    let nested =
        |then: Vec<Op>, otherwise: Vec<Op>| Op::Txn(Txn { compares: Vec::new(), then, otherwise });
    let span = || KeyRange::Span("a".into(), "c".into());
    let refused = [
        vec![put("a", ""), put("a", "")],
        vec![put("a", ""), delete(KeyRange::key("a"))],
        vec![delete(KeyRange::key("a")), put("a", "")],
        vec![delete(span()), put("b", "")],
        vec![delete(KeyRange::all()), nested(vec![put("b", "")], vec![])],
        vec![nested(vec![put("b", "")], vec![]), delete(KeyRange::From("a".into()))],
        vec![nested(vec![], vec![put("b", "")]), put("b", "")],
        vec![nested(vec![put("b", "")], vec![]), nested(vec![delete(span())], vec![])],
        vec![nested(vec![delete(span())], vec![]), nested(vec![], vec![put("b", "")])],
        vec![
            delete(KeyRange::key("a")),
            delete(KeyRange::Span("b".into(), "d".into())),
            put("c", ""),
        ],
    ];
    for ops in refused {
        let mut group = Group::new();
        let on_branch_not_taken =
            Txn { compares: Vec::new(), then: Vec::new(), otherwise: ops.clone() };
        assert_eq!(group.txn(Txn::new(ops.clone())), Err(Error::DuplicateKey), "{ops:?}");
        assert_eq!(group.txn(on_branch_not_taken), Err(Error::DuplicateKey), "{ops:?}");
    }
    let accepted = [
        vec![nested(vec![put("b", "")], vec![put("b", "")])],
        vec![nested(vec![put("b", "")], vec![delete(span())])],
        vec![delete(span()), delete(KeyRange::all())],
        vec![delete(span()), put("c", "")],
        vec![delete(KeyRange::Span("c".into(), "a".into())), put("b", "")],
        vec![delete(KeyRange::key("a")), put("a\0", "")],
    ];
    for ops in accepted {
        assert!(Group::new().txn(Txn::new(ops.clone())).is_ok(), "{ops:?}");
    }
}

#[test]
fn lists_and_nesting_are_bounded() {
    let mut group = Group::with(Config {
        limits: Limits { ops_max: 4, ..Limits::default() },
        ..Config::default()
    });
    let gets = |count: usize| vec![get("k"); count];
    assert!(group.txn(Txn::new(gets(4))).is_ok());
    assert_eq!(group.txn(Txn::new(gets(5))), Err(Error::TooManyOps { max: 4 }));
    let around = |ops: Vec<Op>| Txn::new(vec![get("k"), Op::Txn(Txn::new(ops))]);
    assert!(group.txn(around(gets(2))).is_ok());
    assert_eq!(group.txn(around(gets(3))), Err(Error::TooManyOps { max: 4 }));

    let mut group = Group::new();
    let nested =
        |levels: usize| (1..levels).fold(Txn::default(), |txn, _| Txn::new(vec![Op::Txn(txn)]));
    let max = synod_keyspace::NESTING_MAX;
    assert!(group.txn(nested(max)).is_ok());
    assert_eq!(group.txn(nested(max + 1)), Err(Error::NestedTooDeep { max }));
}

/// E12 of the research: a refusal of a later operation must not leave the earlier ones.
#[test]
fn a_refused_operation_undoes_the_whole_transaction() {
    let mut group = Group::new();
    group.put("k", "a");
    group.put("k", "b");
    group.compact(3).expect("accepted");
    let at = |revision: u64| {
        let mut request = RangeRequest::new(SYNOD, KeyRange::key("k"));
        request.revision = Some(Revision::new(revision));
        Op::Range(request)
    };
    let mut keep = Put::new(SYNOD, "missing", "");
    keep.value = ValueChange::Keep;
    let mut keep_lease = Put::new(SYNOD, "missing", "");
    keep_lease.lease = LeaseChange::Keep;
    let (requested, compacted) = (Revision::new(2), Revision::new(3));
    let newest = compacted;
    let cases = [
        (at(2), Error::Compacted { requested, compacted }),
        (at(4), Error::FutureRevision { requested: Revision::new(4), newest }),
        (Op::Put(keep), Error::KeyNotFound),
        (Op::Put(keep_lease), Error::KeyNotFound),
        (leased("l", 9, OnExpiry::Delete), Error::LeaseNotFound(LeaseId::new(9))),
        (
            Op::Put(Put::new(KeyspaceId::new(7), "k", "")),
            Error::UnknownKeyspace(KeyspaceId::new(7)),
        ),
        (put("", "v"), Error::EmptyKey),
        (get(""), Error::EmptyKey),
        (delete(KeyRange::key("")), Error::EmptyKey),
    ];
    for (op, wanted) in cases {
        let txn = Txn::new(vec![put("first", "written"), Op::Txn(Txn::new(vec![op]))]);
        assert_eq!(group.txn(txn), Err(wanted));
        assert_eq!(group.value("first"), None);
    }
    assert_eq!(group.state.revision(SYNOD), Ok(Revision::new(3)));
}

#[test]
fn one_transaction_advances_each_keyspace_it_changes_by_one() {
    let mut group = Group::new();
    let other = group.keyspace("other", 0);
    let idle = group.keyspace("idle", 0);
    assert_eq!(group.keyspace("other", 9), other, "the name is taken already");
    let puts = vec![
        put("a", "1"),
        Op::Put(Put::new(other, "a", "2")),
        put("b", "3"),
        Op::Delete(DeleteRange::new(idle, KeyRange::all())),
    ];
    let response = group.txn(Txn::new(puts)).expect("accepted");
    let two = Revision::new(2);
    assert_eq!(response.changed, [(SYNOD, two), (other, two)]);
    assert_eq!(group.state.revision(idle), Ok(Revision::new(1)));
    let indexes: Vec<_> = [SYNOD, other]
        .into_iter()
        .flat_map(|keyspace| group.state.events(keyspace, two))
        .map(|event| event.index)
        .collect();
    assert_eq!(indexes, [LogIndex::new(group.index); 3]);
}

#[test]
fn keyspace_names_and_numbers_are_bounded() {
    let mut group = Group::with(Config {
        limits: Limits { keyspaces_max: 2, ..Limits::default() },
        ..Config::default()
    });
    let create = |name: String| Command::CreateKeyspace { name, quota_bytes: 0 };
    assert_eq!(group.apply(create(String::new())), Err(Error::InvalidName));
    assert_eq!(group.apply(create("x".repeat(256))), Err(Error::InvalidName));
    assert!(group.apply(create("x".repeat(255))).is_ok());
    assert_eq!(group.apply(create("y".into())), Err(Error::TooManyKeyspaces { max: 2 }));
}

#[test]
fn suffixes_come_from_the_revision_or_a_counter_that_never_repeats() {
    let mut group = Group::new();
    let suffixed = |suffix: Suffix| {
        let mut put = Put::new(SYNOD, "q/", "v");
        put.suffix = Some(suffix);
        Op::Put(put)
    };
    let keys = |response: TxnResponse| -> Vec<String> {
        let key = |response: &OpResponse| match response {
            OpResponse::Put { key, .. } => key.to_text_lossy(),
            other => panic!("a put's answer, not {other:?}"),
        };
        response.responses.iter().map(key).collect()
    };
    let two = Txn::new(vec![suffixed(Suffix::Counter), suffixed(Suffix::Counter)]);
    let first = keys(group.txn(two.clone()).expect("accepted"));
    assert_eq!(first, ["q/0000000000", "q/0000000001"]);
    group.delete(KeyRange::all());
    assert_eq!(keys(group.txn(two).expect("accepted")), ["q/0000000002", "q/0000000003"]);
    let revision = Txn::new(vec![suffixed(Suffix::Revision)]);
    assert_eq!(keys(group.txn(revision).expect("accepted")), ["q/00000000000000000005"]);

    // Keys known only at apply are checked for duplicates too.
    let revisions = Txn::new(vec![suffixed(Suffix::Revision), suffixed(Suffix::Revision)]);
    assert_eq!(group.txn(revisions), Err(Error::DuplicateKey));
    let taken = Txn::new(vec![put("q/0000000004", ""), suffixed(Suffix::Counter)]);
    assert_eq!(group.txn(taken), Err(Error::DuplicateKey));
    let deleted = Txn::new(vec![delete(KeyRange::all()), suffixed(Suffix::Counter)]);
    assert_eq!(group.txn(deleted), Err(Error::DuplicateKey));
    let next = Txn::new(vec![suffixed(Suffix::Counter)]);
    assert_eq!(keys(group.txn(next).expect("accepted")), ["q/0000000004"]);
}

#[test]
fn ranges_limit_sort_filter_and_count_as_etcd_does() {
    let mut group = Group::new();
    for (key, value) in [("a", "3"), ("b", "1"), ("c", "2")] {
        group.put(key, value);
    }
    group.put("a", "3");
    let read = |change: &dyn Fn(&mut RangeRequest)| {
        let mut request = RangeRequest::new(SYNOD, KeyRange::all());
        change(&mut request);
        let response = group.state.range(&request).expect("readable");
        let keys: String = response.kvs.iter().map(|kv| kv.key.to_text_lossy()).collect();
        (keys, response.more, response.count)
    };
    let sort = |target, order| Some(Sort { target, order });
    assert_eq!(read(&|_| {}), ("abc".into(), false, 3));
    assert_eq!(read(&|r| r.limit = Some(2)), ("ab".into(), true, 3));
    assert_eq!(read(&|r| r.limit = Some(3)), ("abc".into(), false, 3));
    assert_eq!(read(&|r| r.count_only = true), (String::new(), false, 3));
    assert_eq!(
        read(&|r| (r.sort, r.limit) = (sort(SortTarget::Value, Order::Ascending), Some(2))),
        ("bc".into(), true, 3)
    );
    assert_eq!(read(&|r| r.sort = sort(SortTarget::Key, Order::Descending)).0, "cba");
    assert_eq!(read(&|r| r.sort = sort(SortTarget::ModRevision, Order::Ascending)).0, "bca");
    assert_eq!(read(&|r| r.sort = sort(SortTarget::CreateRevision, Order::Descending)).0, "cba");
    assert_eq!(read(&|r| r.sort = sort(SortTarget::Version, Order::Descending)).0, "abc");
    assert_eq!(
        read(&|r| (r.filter.min_mod, r.limit) = (Some(Revision::new(4)), Some(2))),
        ("ac".into(), false, 3)
    );
    assert_eq!(read(&|r| r.filter.max_create = Some(Revision::new(3))), ("ab".into(), false, 3));
    let mut keys_only = RangeRequest::new(SYNOD, KeyRange::all());
    keys_only.keys_only = true;
    let response = group.state.range(&keys_only).expect("readable");
    assert!(response.kvs.iter().all(|kv| kv.value.is_empty()));
    assert_eq!(group.value("a").as_deref(), Some("3"));
}
