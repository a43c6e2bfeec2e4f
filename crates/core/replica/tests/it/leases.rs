//! Lease timers.

use std::time::Duration;

use synod_base::LeaseId;
use synod_keyspace::{Command, Op, Put, Txn};
use synod_replica::{Answer, Error, Input, LeaseStatus, Options};

use crate::world::{SYNOD, World, seconds, small};

fn attached(world: &mut World, key: &str, lease: LeaseId) {
    let put = Put::new(SYNOD, key, "v").with_lease(lease);
    world.settled(Command::Txn(Txn::new(vec![Op::Put(put)]))).expect("attached");
}

fn ask(
    world: &mut World,
    input: impl FnOnce(synod_replica::Token) -> Input,
) -> Result<LeaseStatus, Error> {
    let token = world.token();
    world.step(input(token));
    world.settle();
    match world.replies.remove(&token).expect("answered") {
        Ok(Answer::Lease(status)) => Ok(status),
        Ok(other) => panic!("a lease answered with {other:?}"),
        Err(error) => Err(error),
    }
}

fn keep_alive(world: &mut World, lease: LeaseId) -> Result<LeaseStatus, Error> {
    ask(world, |token| Input::LeaseKeepAlive { token, lease })
}

fn status(world: &mut World, lease: LeaseId) -> Result<LeaseStatus, Error> {
    ask(world, |token| Input::LeaseStatus { token, lease })
}

#[test]
fn a_lease_that_is_not_renewed_takes_its_keys_along() {
    let mut world = World::new(small());
    let lease = world.grant(7, 10);
    attached(&mut world, "a", lease);
    assert_eq!(world.replica.next_timeout(), Some(world.now + Duration::from_secs(10)));
    world.run_timeout();
    world.settle();
    assert_eq!(world.value("a"), None);
    assert!(matches!(status(&mut world, lease), Err(Error::Refused(_))));
    assert_eq!(world.replica.next_timeout(), None);
}

#[test]
fn a_renewal_moves_the_timer_and_writes_nothing() {
    let mut world = World::new(small());
    let lease = world.grant(7, 10);
    attached(&mut world, "a", lease);
    let entries = world.entries.len();
    world.now = world.now + Duration::from_secs(9);
    let renewed = keep_alive(&mut world, lease).expect("it lives");
    assert_eq!(renewed.remaining, Duration::from_secs(10));
    world.now = world.now + Duration::from_secs(4);
    world.step(Input::Timeout);
    world.settle();
    assert_eq!(status(&mut world, lease).expect("it lives").remaining, Duration::from_secs(6));
    assert_eq!(world.entries.len(), entries);
    assert_eq!(world.value("a").as_deref(), Some("v"));
}

#[test]
fn a_lease_whose_end_is_on_its_way_cannot_be_renewed() {
    let mut world = World::new(small());
    let lease = world.grant(7, 10);
    world.run_timeout();
    assert!(matches!(keep_alive(&mut world, lease), Err(Error::Refused(_))));
}

#[test]
fn leases_that_run_out_together_end_in_one_entry() {
    let mut world = World::new(small());
    for id in 1..=50 {
        world.grant(id, 10);
    }
    let before = world.entries.len();
    world.now = seconds(100);
    world.step(Input::Timeout);
    world.settle();
    assert_eq!(world.entries.len(), before + 1);
    assert_eq!(world.replica.keyspaces().leases().count(), 0);
}

#[test]
fn leases_end_also_where_requests_must_be_shorter_than_the_entry_that_ends_them() {
    let mut world = World::new(Options { request_bytes_max: 100, ..small() });
    for id in 1..=20 {
        world.grant(id, 10);
    }
    world.now = seconds(100);
    world.step(Input::Timeout);
    world.settle();
    assert_eq!(world.replica.keyspaces().leases().count(), 0);
}

#[test]
fn a_lease_granted_anew_outlives_the_timer_of_the_old_one() {
    let mut world = World::new(small());
    let lease = world.grant(7, 10);
    world.settled(Command::LeaseRevoke { id: lease }).expect("revoked");
    world.now = world.now + Duration::from_secs(8);
    world.grant(7, 10);
    world.now = world.now + Duration::from_secs(8);
    world.step(Input::Timeout);
    world.settle();
    assert!(status(&mut world, lease).is_ok());
}

#[test]
fn after_a_restart_every_lease_has_its_full_time_again() {
    let mut world = World::new(small());
    let lease = world.grant(7, 10);
    world.now = world.now + Duration::from_secs(9);
    let mut world = world.reopen().expect("intact");
    world.settle();
    assert_eq!(status(&mut world, lease).expect("kept").remaining, Duration::from_secs(10));
    world.run_timeout();
    world.settle();
    assert!(status(&mut world, lease).is_err());
}
