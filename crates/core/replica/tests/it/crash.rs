//! Power is lost at any moment, with any part of what was not synced; or the process is killed,
//! and what it wrote stays in the page cache until the power is lost after all.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use synod_base::{LeaseId, Revision};
use synod_keyspace::{Command, Op, Put, Txn};
use synod_replica::{Answer, Error, Input, Lane, Token};

use crate::world::{SYNOD, World, put, small, without_snapshots};

/// A generator for choices within a run (PCG-XSH-RR's predecessor, a plain 64-bit LCG).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

/// Answers given before any crash: they must hold forever after.
type Promises = BTreeMap<Token, Result<Answer, Error>>;

fn collect(world: &mut World, promises: &mut Promises) {
    for (token, result) in std::mem::take(&mut world.replies) {
        let is_promise = matches!(
            result,
            Ok(Answer::Applied(_) | Answer::Snapshot { .. }) | Err(Error::Refused(_))
        );
        if is_promise {
            promises.insert(token, result);
        }
    }
}

/// Checks a world that has just been opened against every promise made so far.
fn check(world: &World, promises: &Promises) {
    let applied = world.replica.applied();
    let (model, answers) = world.replay(applied);
    assert_eq!(model.applied_index(), applied, "the replica has entries nobody proposed");
    assert_eq!(world.replica.keyspaces().digest(), model.digest(), "at entry {applied}");
    let report = world.replica.recovery_report();
    assert!(report.damaged.is_empty(), "a crash left a broken snapshot: {report:?}");
    assert_eq!(report.missing, None, "a snapshot that was durable is gone");
    for (token, promised) in promises {
        if let Ok(Answer::Snapshot { index }) = promised {
            assert!(report.snapshot >= *index, "the snapshot at {index} is gone");
            continue;
        }
        let kept = answers.get(&token.get()).unwrap_or_else(|| panic!("{token:?} is gone"));
        let kept = kept.clone().map(Answer::Applied).map_err(Error::Refused);
        assert_eq!(&kept, promised, "{token:?} was promised");
    }
    let leases: Vec<LeaseId> = model.leases().map(|lease| lease.id).collect();
    let timers = world.replica.keyspaces().leases().map(|lease| lease.id);
    assert!(timers.eq(leases.iter().copied()));
    assert_eq!(world.replica.next_timeout().is_some(), !leases.is_empty());
}

fn random_command(random: &mut Random, world: &World) -> Command {
    let key = format!("k{}", random.below(12));
    let lease = LeaseId::new(1 + random.below(3));
    match random.below(12) {
        0 => Command::LeaseGrant { id: lease, ttl: Duration::from_secs(5) },
        1 => Command::LeaseRevoke { id: lease },
        2 => {
            let put = Put::new(SYNOD, key, "leased").with_lease(lease);
            Command::Txn(Txn::new(vec![Op::Put(put)]))
        }
        3 => {
            let revision = world.replica.keyspaces().revision(SYNOD).expect("born with it").get();
            let revision = Revision::new(random.below(revision) + 1);
            Command::Compact { keyspace: SYNOD, revision }
        }
        4 => Command::CreateKeyspace { name: format!("n{}", random.below(4)), quota_bytes: 0 },
        _ => put(&key, &"v".repeat(random.below(400) as usize)),
    }
}

/// One thing that may happen next.
fn act(world: &mut World, random: &mut Random) {
    match random.below(20) {
        0..8 => {
            let command = random_command(random, world);
            world.propose(command);
        }
        8..16 => world.disk_step(Lane::Log),
        16..19 => world.disk_step(Lane::Snapshot),
        _ if random.coin() => {
            world.now = world.now + Duration::from_secs(random.below(4));
            world.step(Input::Timeout);
        }
        _ => {
            world.snapshot();
        }
    }
}

fn run(seed: u64) {
    let mut random = Random(seed);
    let mut world = World::new(small());
    let mut promises = Promises::new();
    for _ in 0..12 {
        for _ in 0..random.below(120) {
            act(&mut world, &mut random);
            collect(&mut world, &mut promises);
        }
        let choice = random.below(4);
        if choice > 0 {
            world.disk.crash(|| match choice {
                1 => false,
                2 => random.coin(),
                _ => random.below(8) > 0,
            });
        }
        world = world.reopen().expect("a crash is never damage");
        check(&world, &promises);
    }
}

/// 150 unless `PROPTEST_CASES` says otherwise.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { 150 };
    ProptestConfig { cases, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_promise_survives_any_crash(seed in any::<u64>()) {
        run(seed);
    }
}

/// A short run with everything in it, cut off after `stop` disk operations.
fn short_run(stop: usize) -> (World, Promises, bool) {
    let mut world = World::new(without_snapshots());
    let mut promises = Promises::new();
    let mut left = stop;
    let mut disk = |world: &mut World, promises: &mut Promises| {
        while world.has_work(Lane::Log) || world.has_work(Lane::Snapshot) {
            for lane in [Lane::Log, Lane::Snapshot] {
                if world.has_work(lane) {
                    if left == 0 {
                        return false;
                    }
                    left -= 1;
                    world.disk_step(lane);
                    collect(world, promises);
                }
            }
        }
        true
    };
    for round in 0..4 {
        world.put("small", &round.to_string());
        world.put("large", &"x".repeat(600));
        world.propose(Command::LeaseGrant { id: LeaseId::new(0), ttl: Duration::from_secs(9) });
        if round % 2 == 1 {
            world.snapshot();
        }
        if !disk(&mut world, &mut promises) {
            return (world, promises, false);
        }
    }
    (world, promises, true)
}

#[test]
fn a_short_run_survives_a_crash_after_every_operation_with_every_subset_lost() {
    let (mut crashes, mut longest) = (0, 0);
    for stop in 0.. {
        let (world, promises, is_whole) = short_run(stop);
        let mut pending = 0;
        world.disk.clone().crash(|| {
            pending += 1;
            true
        });
        longest = longest.max(pending);
        // Every subset of up to 7 things that can be lost; of more, every prefix, and as many
        // subsets at random.
        let subsets = 1_u64 << pending.min(7);
        let prefixes = if pending <= 7 { 0 } else { pending + 1 };
        for choice in 0..subsets + prefixes {
            let mut random = Random(choice ^ stop as u64);
            let mut disk = world.disk.clone();
            let mut at = 0;
            disk.crash(|| {
                at += 1;
                if choice >= subsets {
                    at <= choice - subsets
                } else if pending <= 7 {
                    choice >> (at - 1) & 1 == 1
                } else {
                    random.coin()
                }
            });
            let (mut again, _, _) = short_run(stop);
            again.disk = disk;
            let again = again.reopen().expect("a crash is never damage");
            check(&again, &promises);
            crashes += 1;
        }
        if is_whole {
            break;
        }
    }
    assert!(crashes > 300 && longest > 3, "{crashes} crashes, up to {longest} things lost");
}
