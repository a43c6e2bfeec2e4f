//! One behaviour at a time.

use std::time::Duration;

use synod_base::{KeyspaceId, LeaseId, LogIndex, Revision, Time};
use synod_keyspace::{
    Applied, Attach, Check, Command, Compare, Config, DeleteRange, Error, EventKind, Expiry, Held,
    HistoryBudget, KeyRange, Keyspaces, LeaseChange, Limits, OnExpiry, Op, OpResponse, Order,
    Ordering, Origin, Outcome, PollBudget, Put, RangeRequest, Request, Sort, SortTarget, Suffix,
    Txn, TxnResponse, ValueChange,
};

const SYNOD: KeyspaceId = KeyspaceId::new(1);

struct Group {
    state: Keyspaces,
    index: u64,
    now: Time,
}

impl Group {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        Self { state: Keyspaces::new(config), index: 0, now: Time::from_nanos(1) }
    }

    /// Applies, and checks what must hold after every entry.
    fn apply(&mut self, command: Command) -> Result<Applied, Error> {
        self.index += 1;
        let before = self.state.digest();
        let request = Request { origin: Origin::default(), time: self.now, command };
        let result = self.state.apply(LogIndex::new(self.index), &request);
        assert_eq!(self.state.digest(), self.state.recomputed_digest());
        if result.is_err() {
            assert_eq!(self.state.digest(), before, "a refused request leaves no trace");
        }
        result
    }

    fn txn(&mut self, txn: Txn) -> Result<TxnResponse, Error> {
        match self.apply(Command::Txn(txn))?.outcome {
            Outcome::Txn(response) => Ok(response),
            other => panic!("a transaction's answer, not {other:?}"),
        }
    }

    fn put(&mut self, key: &str, value: &str) -> Revision {
        let response = self.txn(Txn::new(vec![put(key, value)])).expect("accepted");
        response.changed[0].1
    }

    fn delete(&mut self, range: KeyRange) -> TxnResponse {
        let delete = Op::Delete(DeleteRange::new(SYNOD, range));
        self.txn(Txn::new(vec![delete])).expect("accepted")
    }

    fn lease(&mut self, id: u64) -> u64 {
        let command = Command::LeaseGrant { id: LeaseId::new(id), ttl: Duration::from_secs(5) };
        match self.apply(command).expect("granted").outcome {
            Outcome::LeaseGranted(lease) => lease.generation,
            other => panic!("a lease, not {other:?}"),
        }
    }

    fn keyspace(&mut self, name: &str, quota_bytes: u64) -> KeyspaceId {
        let command = Command::CreateKeyspace { name: name.into(), quota_bytes };
        match self.apply(command).expect("accepted").outcome {
            Outcome::Keyspace { id, .. } => id,
            other => panic!("a keyspace, not {other:?}"),
        }
    }

    fn compact(&mut self, revision: u64) -> Result<Applied, Error> {
        self.apply(Command::Compact { keyspace: SYNOD, revision: Revision::new(revision) })
    }

    fn value(&self, key: &str) -> Option<String> {
        self.value_at(key, None).expect("readable")
    }

    fn value_at(&self, key: &str, revision: Option<u64>) -> Result<Option<String>, Error> {
        let mut request = RangeRequest::new(SYNOD, KeyRange::key(key));
        request.revision = revision.map(Revision::new);
        let response = self.state.range(&request)?;
        Ok(response.kvs.first().map(|kv| kv.value.to_text_lossy()))
    }

    /// The events from `from` on as text.
    fn watch(&self, from: u64) -> Result<Vec<String>, Error> {
        let mut cursor = self.state.watch(SYNOD, KeyRange::all(), Some(Revision::new(from)))?;
        let poll = self.state.poll(&mut cursor, PollBudget::default())?;
        assert!(poll.idle);
        let text = |event: &std::sync::Arc<synod_keyspace::Event>| {
            let (kv, kind) = (&event.kv, event.kind());
            let sign = if kind == EventKind::Put { '+' } else { '-' };
            let prev = event.prev.as_ref().map_or(String::new(), |kv| kv.value.to_text_lossy());
            let value = kv.value.to_text_lossy();
            format!("{}{sign}{}={value}<{prev}", kv.mod_revision, kv.key.to_text_lossy())
        };
        Ok(poll.events.iter().map(text).collect())
    }
}

fn put(key: &str, value: &str) -> Op {
    Op::Put(Put::new(SYNOD, key, value))
}

fn delete(range: KeyRange) -> Op {
    Op::Delete(DeleteRange::new(SYNOD, range))
}

fn get(key: &str) -> Op {
    Op::Range(RangeRequest::new(SYNOD, KeyRange::key(key)))
}

fn when(range: KeyRange, check: Check) -> Txn {
    Txn::default().when(Compare { keyspace: SYNOD, range, check })
}

fn leased(key: &str, lease: u64, on_expiry: OnExpiry) -> Op {
    let mut put = Put::new(SYNOD, key, "v");
    put.lease = LeaseChange::Set(Attach { lease: LeaseId::new(lease), on_expiry });
    Op::Put(put)
}

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

#[test]
fn compaction_keeps_reads_and_events_at_its_revision() {
    let mut group = Group::new();
    group.put("k", "a");
    group.put("k", "b");
    group.delete(KeyRange::key("k"));
    group.put("j", "c");
    let applied = group.compact(4).expect("accepted");
    assert_eq!(applied.compacted, [(SYNOD, Revision::new(4))]);
    let (requested, compacted) = (Revision::new(3), Revision::new(4));
    let error = Error::Compacted { requested, compacted };
    assert_eq!(group.value_at("k", Some(3)), Err(error.clone()));
    assert_eq!(group.value_at("k", Some(4)), Ok(None));
    // E10: the deletion at the compaction revision is still delivered.
    assert_eq!(group.watch(4).expect("readable"), ["4-k=<b", "5+j=c<"]);
    assert_eq!(group.watch(3), Err(error));
    let again = Error::Compacted { requested: compacted, compacted };
    assert_eq!(group.compact(4), Err(again));
    let newest = Revision::new(5);
    let ahead = Error::FutureRevision { requested: Revision::new(6), newest };
    assert_eq!(group.compact(6), Err(ahead));
}

#[test]
fn the_history_budget_compacts_the_oldest() {
    let budget = |bytes, revisions_min| {
        let history = HistoryBudget { bytes, age: Duration::from_secs(60), revisions_min };
        Group::with(Config { history, ..Config::default() })
    };
    // 80 bytes an event: ten fit.
    let mut group = budget(800, 3);
    (0..50).for_each(|n| _ = group.put(&format!("{n:02}"), "v"));
    let stats = group.state.stats(SYNOD).expect("known");
    assert_eq!((stats.history_bytes, stats.revisions), (800, 10));
    assert_eq!(stats.compaction, Revision::new(42));
    // Past their age, all but the least go, also when another keyspace changes.
    group.now = group.now + Duration::from_secs(61);
    let other = group.keyspace("other", 0);
    for _ in 0..4 {
        group.txn(Txn::new(vec![Op::Put(Put::new(other, "k", "v"))])).expect("accepted");
    }
    assert_eq!(group.state.stats(SYNOD).expect("known").revisions, 3);
    // The least is kept whatever it weighs.
    let mut group = budget(0, 5);
    (0..50).for_each(|n| _ = group.put(&format!("{n:02}"), "v"));
    assert_eq!(group.state.stats(SYNOD).expect("known").revisions, 5);
}

#[test]
fn a_full_keyspace_refuses_puts_but_not_deletes_and_compaction() {
    let mut group = Group::new();
    let small = group.keyspace("small", 4_000);
    let put =
        |n: usize| Txn::new(vec![Op::Put(Put::new(small, format!("{n}"), [0; 100].as_slice()))]);
    let mut held = 0;
    let error = loop {
        match group.txn(put(held)) {
            Ok(_) => held += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::QuotaExceeded { quota: 4_000, .. }), "{error}");
    assert_eq!(held, 10, "each takes 1 + 100 + 192 bytes and 80 of history");
    assert!(group.txn(Txn::new(vec![crate::apply::put("k", "v")])).is_ok(), "others go on");
    let all = Op::Delete(DeleteRange::new(small, KeyRange::all()));
    group.txn(Txn::new(vec![all])).expect("deletions are always accepted");
    assert!(group.txn(put(0)).is_err(), "the history holds them still");
    let revision = group.state.revision(small).expect("known");
    let delete = Op::Delete(DeleteRange::new(small, KeyRange::all()));
    group.txn(Txn::new(vec![delete])).expect("accepted");
    group.apply(Command::Compact { keyspace: small, revision }).expect("accepted");
    // The event at the compaction revision holds what it deleted, until one more revision.
    let stats = group.state.stats(small).expect("known");
    assert_eq!((stats.keys, stats.live_bytes, stats.revisions), (0, 0, 1));
}

#[test]
fn leases_are_granted_within_bounds_and_with_made_up_ids() {
    let mut group = Group::new();
    let grant = |id: u64, ttl: Duration| Command::LeaseGrant { id: LeaseId::new(id), ttl };
    let five = Duration::from_secs(5);
    for ttl in [Duration::ZERO, Duration::from_millis(999), Duration::from_secs(9_000_000_001)] {
        assert_eq!(group.apply(grant(1, ttl)), Err(Error::LeaseTtlOutOfRange));
    }
    group.apply(grant(1, five)).expect("granted");
    assert_eq!(group.apply(grant(1, five)), Err(Error::LeaseExists(LeaseId::new(1))));
    group.apply(grant(0, five)).expect("granted");
    group.apply(grant(0, five)).expect("granted");
    let ids: Vec<_> = group.state.leases().map(|lease| lease.id.get()).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| (1..1 << 63).contains(id)));
}

#[test]
fn a_lease_ends_by_deleting_or_detaching_its_keys() {
    let mut group = Group::new();
    let generation = group.lease(7);
    let ops = vec![leased("gone", 7, OnExpiry::Delete), leased("stays", 7, OnExpiry::Detach)];
    group.txn(Txn::new(ops)).expect("accepted");
    let attached = group.state.lease_keys(LeaseId::new(7)).expect("known");
    let attached: Vec<_> =
        attached.iter().map(|at| (at.key.to_text_lossy(), at.on_expiry)).collect();
    let wanted = [("gone".into(), OnExpiry::Delete), ("stays".into(), OnExpiry::Detach)];
    assert_eq!(attached, wanted);

    // E14: an expiry seen of an earlier grant ends nothing.
    let stale = Expiry { lease: LeaseId::new(7), generation: generation - 1 };
    let missing = Expiry { lease: LeaseId::new(8), generation };
    let applied = group.apply(Command::LeaseExpire { expired: vec![stale, missing] });
    let applied = applied.expect("accepted");
    assert_eq!(applied.outcome, Outcome::LeaseExpired(vec![]));
    assert_eq!(applied.changed, []);

    let due = Expiry { lease: LeaseId::new(7), generation };
    let applied = group.apply(Command::LeaseExpire { expired: vec![due] }).expect("accepted");
    assert_eq!(applied.outcome, Outcome::LeaseExpired(vec![LeaseId::new(7)]));
    assert_eq!(applied.changed, [(SYNOD, Revision::new(3))]);
    assert_eq!(group.watch(3).expect("readable"), ["3-gone=<v", "3+stays=v<v"]);
    assert_eq!(group.state.lease(LeaseId::new(7)), None);
    let request = RangeRequest::new(SYNOD, KeyRange::key("stays"));
    assert_eq!(group.state.range(&request).expect("readable").kvs[0].lease, None);
}

#[test]
fn writing_a_key_moves_its_lease() {
    let mut group = Group::new();
    group.lease(1);
    group.lease(2);
    let keys = |group: &Group, lease: u64| {
        group.state.lease_keys(LeaseId::new(lease)).expect("known").len()
    };
    group.txn(Txn::new(vec![leased("k", 1, OnExpiry::Delete)])).expect("accepted");
    group.txn(Txn::new(vec![leased("k", 2, OnExpiry::Delete)])).expect("accepted");
    assert_eq!((keys(&group, 1), keys(&group, 2)), (0, 1));
    let mut keep = Put::new(SYNOD, "k", "w");
    keep.lease = LeaseChange::Keep;
    group.txn(Txn::new(vec![Op::Put(keep)])).expect("accepted");
    assert_eq!(keys(&group, 2), 1);
    group.apply(Command::LeaseRevoke { id: LeaseId::new(1) }).expect("revoked");
    assert_eq!(group.value("k").as_deref(), Some("w"), "it hangs on another lease now");
    group.put("k", "x");
    assert_eq!(keys(&group, 2), 0);
    group.txn(Txn::new(vec![leased("k", 2, OnExpiry::Delete)])).expect("accepted");
    group.delete(KeyRange::key("k"));
    assert_eq!(keys(&group, 2), 0);
    let missing = LeaseId::new(9);
    let error = group.apply(Command::LeaseRevoke { id: missing });
    assert_eq!(error, Err(Error::LeaseNotFound(missing)));
}

#[test]
fn a_watch_from_the_future_sees_nothing_earlier() {
    let mut group = Group::new();
    let from = Some(Revision::new(4));
    let mut cursor = group.state.watch(SYNOD, KeyRange::all(), from).expect("accepted");
    for wanted in [0, 0, 1, 1] {
        group.put("k", "v");
        let poll = group.state.poll(&mut cursor, PollBudget::default()).expect("readable");
        assert_eq!(poll.events.len(), wanted);
        assert!(poll.idle);
    }
}

#[test]
fn a_watcher_overtaken_by_compaction_is_told_unless_it_is_spared() {
    let mut group = Group::new();
    (0..10).for_each(|_| _ = group.put("k", "v"));
    let mut cursor = group.state.watch(SYNOD, KeyRange::all(), None).expect("accepted");
    let mut slow = cursor.clone();
    slow.next = Revision::new(3);
    group.state.spare(SYNOD, Some(slow.next)).expect("known");
    group.compact(9).expect("accepted");
    let poll = |cursor: &mut synod_keyspace::Cursor, group: &Group| {
        group.state.poll(cursor, PollBudget { events_max: 2, bytes_max: 1 << 20 })
    };
    assert_eq!(poll(&mut slow, &group).expect("spared").events.len(), 2);
    group.state.spare(SYNOD, None).expect("known");
    assert!(!group.state.trim(100), "nothing is left to free");
    let (requested, compacted) = (Revision::new(5), Revision::new(9));
    assert_eq!(poll(&mut slow, &group), Err(Error::Compacted { requested, compacted }));
    assert_eq!(poll(&mut cursor, &group).expect("readable").events.len(), 0);
    assert_eq!(group.state.stats(SYNOD).expect("known").held_bytes, 0);
}

#[test]
fn what_is_held_for_snapshots_and_watchers_is_bounded() {
    let held = Held { bytes_max: 5_000, ..Held::default() };
    let mut group = Group::with(Config { held, ..Config::default() });
    group.state.spare(SYNOD, Some(Revision::new(2))).expect("known");
    let mut cursor = group.state.begin_snapshot();
    assert!(group.state.next_chunk(&mut cursor, 10).is_ok());
    for n in 0..100 {
        let newest = group.put("k", "v").get();
        if n > 0 {
            group.compact(newest).expect("accepted");
        }
        let held = group.state.stats(SYNOD).expect("known").held_bytes;
        assert!(held <= 5_000 + 1_000, "{held} bytes held");
    }
    assert!(group.state.next_chunk(&mut cursor, 10).is_err(), "the snapshot was given up");
}
