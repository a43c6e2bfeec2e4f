//! Watches: complete, ordered, never more than the watcher has room for.

use std::time::Duration;

use synod_base::Revision;
use synod_keyspace::{Command, KeyRange, Op, Put, Txn};
use synod_replica::{Answer, Error, Input, Lane, Options, WatchId};

use crate::world::{SYNOD, World, put, small, without_snapshots};

const WATCH: WatchId = WatchId::new(1);

fn open(world: &mut World, range: KeyRange, from: Option<u64>, credit: u32) -> Option<Revision> {
    let token = world.token();
    let from = from.map(Revision::new);
    world.step(Input::WatchOpen { token, watch: WATCH, keyspace: SYNOD, range, from, credit });
    world.settle();
    match world.replies.remove(&token).expect("answered") {
        Ok(Answer::WatchOpened { start }) => Some(start),
        Ok(other) => panic!("a watch answered with {other:?}"),
        Err(_) => None,
    }
}

/// The revisions delivered so far.
fn delivered(world: &World) -> Vec<u64> {
    let events = world.batches.iter().flat_map(|(_, events, _)| events);
    events.map(|event| event.kv.mod_revision.get()).collect()
}

#[test]
fn a_watch_sees_every_later_write_of_its_keys() {
    let mut world = World::new(small());
    world.settled(put("a/0", "before")).expect("applied");
    let start = open(&mut world, KeyRange::prefix("a/"), None, 100);
    assert_eq!(start, Some(Revision::new(3)));
    for n in 0..3 {
        world.settled(put(&format!("a/{n}"), "x")).expect("applied");
        world.settled(put(&format!("b/{n}"), "x")).expect("applied");
    }
    assert_eq!(delivered(&world), [3, 5, 7]);
}

#[test]
fn a_watch_from_the_past_reads_the_history() {
    let mut world = World::new(small());
    for n in 0..5 {
        world.settled(put(&n.to_string(), "x")).expect("applied");
    }
    open(&mut world, KeyRange::all(), Some(3), 1);
    assert_eq!(delivered(&world), [3, 4, 5, 6]);
    assert_eq!(world.batches[0].2, Revision::new(6));
}

#[test]
fn no_batch_leaves_without_credit_and_none_is_lost() {
    let mut world = World::new(small());
    open(&mut world, KeyRange::all(), None, 1);
    for n in 0..4 {
        world.settled(put(&n.to_string(), "x")).expect("applied");
    }
    assert_eq!(delivered(&world), [2], "one credit, one batch");
    world.step(Input::WatchCredit { watch: WATCH, batches: 1 });
    assert_eq!(delivered(&world), [2, 3, 4, 5]);
}

fn compact(revision: u64) -> Command {
    Command::Compact { keyspace: SYNOD, revision: Revision::new(revision) }
}

#[test]
fn a_watch_below_the_compaction_is_refused() {
    let mut world = World::new(small());
    for n in 0..5 {
        world.settled(put(&n.to_string(), "x")).expect("applied");
    }
    world.settled(compact(5)).expect("compacted");
    assert_eq!(open(&mut world, KeyRange::all(), Some(3), 1), None);
}

#[test]
fn a_watcher_long_behind_is_overtaken_and_told_so() {
    let mut world = World::new(small());
    open(&mut world, KeyRange::all(), None, 0);
    for n in 0..300 {
        world.settled(put(&n.to_string(), "x")).expect("applied");
    }
    world.now = world.now + Duration::from_secs(61);
    world.settled(put("late", "x")).expect("applied");
    world.settled(compact(300)).expect("compacted");
    for n in 0..20 {
        world.settled(put(&n.to_string(), "y")).expect("applied");
    }
    world.step(Input::WatchCredit { watch: WATCH, batches: 1 });
    assert!(world.batches.is_empty(), "no event may be skipped silently");
    let [(WATCH, Error::Refused(synod_keyspace::Error::Compacted { .. }))] = world.ended[..] else {
        panic!("{:?}", world.ended);
    };
}

#[test]
fn a_watcher_not_long_behind_is_spared() {
    let mut world = World::new(small());
    open(&mut world, KeyRange::all(), None, 0);
    for n in 0..300 {
        world.settled(put(&n.to_string(), "x")).expect("applied");
    }
    world.settled(compact(300)).expect("compacted");
    world.settled(put("after", "x")).expect("applied");
    world.step(Input::WatchCredit { watch: WATCH, batches: 1 });
    assert_eq!(delivered(&world), (2..=302).collect::<Vec<u64>>());
}

#[test]
fn a_closed_watch_is_silent() {
    let mut world = World::new(small());
    open(&mut world, KeyRange::all(), None, 100);
    world.step(Input::WatchClose { watch: WATCH });
    world.settled(put("a", "x")).expect("applied");
    world.step(Input::WatchCredit { watch: WATCH, batches: 1 });
    assert!(world.batches.is_empty() && world.ended.is_empty());
}

#[test]
fn a_watcher_that_never_catches_up_is_spared_while_it_is_close() {
    let options = Options { pending_bytes_max: 8 << 20, request_bytes_max: 1 << 20, ..small() };
    let mut world = World::new(Options { snapshot_after_bytes: u64::MAX, ..options });
    open(&mut world, KeyRange::all(), None, 0);
    // Two such values fill a batch, so that it stays two events behind for ten rounds.
    let value = "x".repeat(600 << 10);
    for n in 0..10 {
        for half in 0..2 {
            world.settled(put(&format!("{n}-{half}"), &value)).expect("applied");
        }
        if n > 0 {
            world.step(Input::WatchCredit { watch: WATCH, batches: 1 });
        }
        world.now = world.now + Duration::from_secs(10);
    }
    assert_eq!(delivered(&world), (2..20).collect::<Vec<u64>>());
    world.settled(compact(21)).expect("compacted");
    for n in 0..4 {
        world.settled(put(&n.to_string(), "x")).expect("applied");
    }
    world.step(Input::WatchCredit { watch: WATCH, batches: 2 });
    assert_eq!(delivered(&world), (2..26).collect::<Vec<u64>>());
}

#[test]
fn compaction_does_not_overtake_watchers_within_a_batch_of_the_log() {
    for credit in [0, 1] {
        let mut world = World::new(without_snapshots());
        open(&mut world, KeyRange::all(), None, credit);
        for n in 0..50 {
            world.put(&n.to_string(), "x");
        }
        world.propose(compact(51));
        for n in 0..10 {
            world.put(&n.to_string(), "y");
        }
        world.settle();
        world.step(Input::WatchCredit { watch: WATCH, batches: 5 });
        assert!(world.ended.is_empty(), "{:?}", world.ended);
        assert_eq!(delivered(&world), (2..=61).collect::<Vec<u64>>());
    }
}

#[test]
fn a_watcher_of_few_keys_does_not_hold_up_others_while_it_reads_a_long_history() {
    let mut world = World::new(without_snapshots());
    let fill = |n: u32| {
        let puts = (0..128).map(|key| Op::Put(Put::new(SYNOD, format!("{key}"), n.to_string())));
        Command::Txn(Txn::new(puts.collect()))
    };
    for n in 0..200 {
        world.settled(fill(n)).expect("applied");
    }
    world.settled(put("wanted", "x")).expect("applied");
    open(&mut world, KeyRange::key("wanted"), Some(2), 1);
    assert!(world.batches.is_empty(), "25,600 events were looked at in one step");
    let mut steps = 0;
    while world.batches.is_empty() {
        assert_eq!(world.replica.next_timeout(), Some(world.now), "it goes on at once");
        world.step(Input::Timeout);
        steps += 1;
    }
    assert_eq!((steps, delivered(&world)), (2, vec![202]));
    assert_eq!(world.replica.next_timeout(), None);
}

#[test]
fn after_a_restart_from_a_snapshot_a_watch_still_reads_the_whole_history() {
    let mut world = World::new(without_snapshots());
    for n in 0..20 {
        world.settled(put(&(n % 4).to_string(), &n.to_string())).expect("applied");
    }
    world.settled(compact(6)).expect("compacted");
    world.snapshot();
    world.settle();
    for n in 0..5 {
        world.settled(put(&n.to_string(), "tail")).expect("applied");
    }
    let mut world = world.reopen().expect("intact");
    assert!(world.replica.recovery_report().snapshot.get() > 20);
    open(&mut world, KeyRange::all(), Some(6), 1);
    assert_eq!(delivered(&world), (6..=26).collect::<Vec<u64>>());
    assert!(!world.has_work(Lane::Log));
}

#[test]
fn an_idle_replica_frees_what_was_compacted() {
    let mut world = World::new(without_snapshots());
    for n in 0..2000 {
        world.settled(put("a", &n.to_string())).expect("applied");
    }
    world.settled(compact(2001)).expect("compacted");
    let held =
        |world: &World| world.replica.keyspaces().stats(SYNOD).expect("born with it").held_bytes;
    assert!(held(&world) > 0, "one entry frees only a part");
    let mut steps = 0;
    while world.replica.next_timeout().is_some() {
        world.run_timeout();
        steps += 1;
    }
    assert_eq!(held(&world), 0);
    assert!((2..20).contains(&steps), "in {steps} steps");
}

#[test]
fn an_idle_replica_frees_what_was_spared_once_its_watcher_is_long_behind() {
    let mut world = World::new(without_snapshots());
    open(&mut world, KeyRange::all(), None, 0);
    for n in 0..100 {
        world.settled(put("a", &n.to_string())).expect("applied");
    }
    world.settled(compact(101)).expect("compacted");
    let start = world.now;
    let held =
        |world: &World| world.replica.keyspaces().stats(SYNOD).expect("born with it").held_bytes;
    while held(&world) > 0 {
        assert!(world.now.since(start) < Duration::from_secs(120), "it is held for ever");
        world.run_timeout();
    }
    assert!(world.now.since(start) >= Duration::from_secs(60), "it was spared for too short");
    assert_eq!(world.replica.next_timeout(), None);
}

#[test]
fn what_a_snapshot_held_is_freed_when_it_is_cut() {
    let mut world = World::new(without_snapshots());
    for n in 0..300 {
        world.settled(put("a", &n.to_string())).expect("applied");
    }
    world.snapshot();
    world.propose(compact(301));
    while world.has_work(Lane::Log) {
        world.disk_step(Lane::Log);
    }
    let held =
        |world: &World| world.replica.keyspaces().stats(SYNOD).expect("born with it").held_bytes;
    assert!(held(&world) > 0);
    world.settle();
    while world.replica.next_timeout().is_some() {
        world.run_timeout();
    }
    assert_eq!(held(&world), 0);
}

#[test]
fn a_watcher_that_has_seen_everything_is_not_overtaken_by_what_does_not_concern_it() {
    let mut world = World::new(without_snapshots());
    open(&mut world, KeyRange::key("wanted"), None, 1);
    for n in 0..200 {
        world.settled(put("other", &n.to_string())).expect("applied");
    }
    world.settled(compact(201)).expect("compacted");
    while world.replica.next_timeout().is_some() {
        world.run_timeout();
    }
    world.settled(put("wanted", "x")).expect("applied");
    assert_eq!(delivered(&world), [202], "{:?}", world.ended);
}
