//! Proposals and reads.

use synod_base::{LogIndex, Term, Time};
use synod_keyspace::{Command, Op, Outcome, Txn};
use synod_replica::{Answer, Error, Lane, Options};
use synod_wal::{Config, HardState, Recovery};

use crate::world::{IDENTITY, World, put, small, without_snapshots};

#[test]
fn a_write_is_answered_only_when_its_batch_is_durable() {
    let mut world = World::new(small());
    world.settle();
    let first = world.put("a", "1");
    let second = world.put("b", "2");
    // The first went out alone; the second waits for the next batch.
    while world.replies.is_empty() {
        assert!(world.has_work(Lane::Log));
        world.disk_step(Lane::Log);
    }
    assert!(world.replies.contains_key(&first) && !world.replies.contains_key(&second));
    world.settle();
    assert!(world.replies.contains_key(&second));
}

#[test]
fn a_read_does_not_see_a_write_that_is_not_durable() {
    let mut world = World::new(small());
    world.settle();
    world.put("a", "1");
    let read = world.read("a");
    let Some(Ok(Answer::Range(range))) = world.replies.get(&read) else { panic!("not answered") };
    assert!(range.kvs.is_empty());
    assert_eq!(world.value("a").as_deref(), Some("1"));
}

#[test]
fn after_a_restart_nothing_is_served_before_the_log_is_known_to_be_durable() {
    let mut world = World::new(small());
    world.settled(put("a", "1")).expect("applied");
    let mut world = world.reopen().expect("intact");
    let read = world.read("a");
    assert!(world.replies.is_empty(), "what was read back may be in the page cache only");
    world.settle();
    assert!(matches!(world.replies.get(&read), Some(Ok(Answer::Range(range))) if range.count == 1));
}

#[test]
fn too_many_pending_bytes_are_refused_as_busy() {
    let mut world = World::new(Options { pending_bytes_max: 1000, ..small() });
    world.settle();
    let tokens: Vec<_> = (0..20).map(|n| world.put(&n.to_string(), &"x".repeat(100))).collect();
    let refused = |world: &World| {
        tokens.iter().filter(|token| world.replies.get(token) == Some(&Err(Error::Busy))).count()
    };
    let busy = refused(&world);
    assert!((8..20).contains(&busy), "{busy} of 20 refused");
    world.settle();
    assert_eq!(refused(&world), busy);
    assert!(world.settled(put("later", "1")).is_ok());
}

#[test]
fn a_request_longer_than_an_entry_may_be_is_refused() {
    let mut world = World::new(Options { request_bytes_max: 1000, ..small() });
    let error = world.settled(put("a", &"x".repeat(2000))).expect_err("too large");
    assert!(matches!(error, Error::TooLarge { max: 1000, .. }), "{error}");
    assert_eq!(world.value("a"), None);
}

#[test]
fn times_in_entries_never_go_back() {
    let mut world = World::new(small());
    world.settled(put("a", "1")).expect("applied");
    let late = world.now;
    world.now = Time::from_nanos(5);
    world.settled(put("b", "2")).expect("applied");
    let times: Vec<Time> = world.entries.values().map(|request| request.time).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(times.last(), Some(&late));
}

#[test]
fn a_refused_request_changes_nothing_and_says_why() {
    let mut world = World::new(small());
    world.settled(put("a", "1")).expect("applied");
    let before = world.replica.keyspaces().digest();
    assert!(matches!(world.settled(put("", "1")), Err(Error::Refused(_))));
    assert_eq!(world.replica.keyspaces().digest(), before);
    let applied = world.settled(put("a", "2")).expect("applied");
    assert!(matches!(applied.outcome, Outcome::Txn(_)));
    assert_eq!(applied.changed[0].1.get(), 3);
}

#[test]
fn what_could_not_be_read_back_is_refused_before_it_is_written() {
    let mut world = World::new(small());
    world.settle();
    let before = world.entries.len();
    let mut txn = Txn::default();
    for _ in 0..40 {
        txn = Txn::new(vec![Op::Txn(txn)]);
    }
    assert!(matches!(world.settled(Command::Txn(txn)), Err(Error::Refused(_))));
    assert_eq!(world.entries.len(), before);
    world.reopen().expect("intact");
}

#[test]
fn every_start_is_a_new_term_and_the_vote_in_it_is_kept() {
    let mut world = World::new(without_snapshots());
    for _ in 0..3 {
        world.settled(put("a", "1")).expect("applied");
        world = world.reopen().expect("intact");
    }
    world.settle();
    let config = Config {
        cluster: IDENTITY.cluster,
        group: world.options.group,
        segment_bytes: world.options.segment_bytes,
    };
    let mut recovery = Recovery::new(config, LogIndex::ZERO, &world.disk.files()).expect("whole");
    let mut terms = Vec::new();
    while let Some(file) = recovery.next_file() {
        let bytes = world.disk.content(file).expect("listed");
        let entries = recovery.on_segment(bytes).expect("intact");
        terms.extend(entries.iter().map(|entry| entry.term.get()));
    }
    assert_eq!(terms, [1, 1, 2, 2, 3, 3, 4]);
    let vote = Some(IDENTITY.member);
    let state = recovery.finish().expect("whole").hard_state;
    assert_eq!(state, HardState { term: Term::new(4), vote });
}
