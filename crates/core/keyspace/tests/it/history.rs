//! Compaction, budgets, quotas and watches, one claim at a time.

use std::time::Duration;

use synod_base::Revision;
use synod_keyspace::{
    Command, Config, DeleteRange, Error, Held, HistoryBudget, KeyRange, Op, PollBudget, Put, Txn,
};

use crate::group::{Group, SYNOD};

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
    assert!(group.txn(Txn::new(vec![crate::group::put("k", "v")])).is_ok(), "others go on");
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
