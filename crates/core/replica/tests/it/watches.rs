//! Watches: complete, ordered, never more than the watcher has room for.

use synod_base::Revision;
use synod_keyspace::{Command, KeyRange};
use synod_replica::{Answer, Error, Input, WatchId};

use crate::world::{SYNOD, World, put, small};

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

#[test]
fn a_watch_below_the_compaction_is_refused() {
    let mut world = World::new(small());
    for n in 0..5 {
        world.settled(put(&n.to_string(), "x")).expect("applied");
    }
    let compact = Command::Compact { keyspace: SYNOD, revision: Revision::new(5) };
    world.settled(compact).expect("compacted");
    assert_eq!(open(&mut world, KeyRange::all(), Some(3), 1), None);
}

#[test]
fn a_watcher_long_behind_is_overtaken_and_told_so() {
    let mut world = World::new(small());
    open(&mut world, KeyRange::all(), None, 0);
    for n in 0..300 {
        world.settled(put(&n.to_string(), "x")).expect("applied");
    }
    world.now = world.now + std::time::Duration::from_secs(61);
    world.settled(put("late", "x")).expect("applied");
    let compact = Command::Compact { keyspace: SYNOD, revision: Revision::new(300) };
    world.settled(compact).expect("compacted");
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
    let compact = Command::Compact { keyspace: SYNOD, revision: Revision::new(300) };
    world.settled(compact).expect("compacted");
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
