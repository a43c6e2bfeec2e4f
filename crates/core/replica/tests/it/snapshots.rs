//! Snapshots: cut while writes go on, kept in twos, done without when damaged.

use synod_replica::{Answer, Lane, OpenError};
use synod_wal::FileName;

use crate::world::{World, put, seconds, small, without_snapshots};

fn snapshots(world: &World) -> Vec<FileName> {
    let files = world.disk.files();
    files.into_iter().filter(|file| matches!(file, FileName::Snapshot(_))).collect()
}

fn cut(world: &mut World) {
    let token = world.snapshot();
    world.settle();
    assert!(matches!(world.replies[&token], Ok(Answer::Snapshot { .. })));
}

fn fill(world: &mut World, range: std::ops::Range<u32>) {
    for n in range {
        world.settled(put(&format!("key-{n:05}"), &n.to_string())).expect("applied");
    }
}

#[test]
fn writes_go_on_while_a_snapshot_is_cut() {
    let mut world = World::new(without_snapshots());
    fill(&mut world, 0..100);
    let token = world.snapshot();
    let mut during = 0;
    while !world.replies.contains_key(&token) {
        world.disk_step(Lane::Snapshot);
        let write = world.put(&format!("key-{:05}", during % 150), "during");
        while !world.replies.contains_key(&write) {
            world.disk_step(Lane::Log);
        }
        during += 1;
    }
    assert!(during > 20, "the snapshot took {during} steps");
    world.settle();
    let digest = world.replica.keyspaces().digest();
    let world = world.reopen().expect("intact");
    let report = world.replica.recovery_report();
    assert_eq!(report.snapshot.get(), 101);
    assert_eq!(report.replayed, during);
    assert_eq!(world.replica.keyspaces().digest(), digest);
}

#[test]
fn a_growing_log_is_cut_behind_snapshots() {
    let mut world = World::new(small());
    fill(&mut world, 0..400);
    assert_eq!(snapshots(&world).len(), 2);
    let segments =
        world.disk.files().iter().filter(|file| matches!(file, FileName::Segment { .. })).count();
    assert!(segments < 20, "{segments} segments");
    let digest = world.replica.keyspaces().digest();
    let mut world = world.reopen().expect("intact");
    assert_eq!(world.replica.keyspaces().digest(), digest);
    assert_eq!(world.value("key-00003").as_deref(), Some("3"));
}

#[test]
fn a_damaged_snapshot_is_done_without_while_the_log_reaches_back() {
    let mut world = World::new(without_snapshots());
    fill(&mut world, 0..60);
    cut(&mut world);
    fill(&mut world, 60..90);
    cut(&mut world);
    fill(&mut world, 90..95);
    let digest = world.replica.keyspaces().digest();
    let [older, newer] = snapshots(&world)[..] else { panic!("two snapshots") };
    let len = world.disk.content(newer).expect("listed").len();
    for at in (0..len).step_by(7) {
        let mut disk = world.disk.clone();
        disk.damage(newer, |bytes| bytes[at] ^= 4);
        let world = World::open(without_snapshots(), disk, seconds(9)).expect("the log covers it");
        assert_eq!(world.replica.keyspaces().digest(), digest, "byte {at}");
        assert_eq!(world.replica.recovery_report().damaged, [newer]);
    }
    let mut disk = world.disk.clone();
    disk.damage(newer, |bytes| bytes.truncate(len - 20));
    let mut opened = World::open(without_snapshots(), disk, seconds(9)).expect("covered");
    opened.settle();
    fill(&mut opened, 95..96);
    cut(&mut opened);
    assert!(!opened.disk.files().contains(&newer), "the damaged one goes with the next cut");
    assert!(opened.disk.files().contains(&older));
}

#[test]
fn a_lost_snapshot_is_named_and_done_without_while_the_log_reaches_back() {
    let mut world = World::new(without_snapshots());
    fill(&mut world, 0..60);
    cut(&mut world);
    fill(&mut world, 60..90);
    cut(&mut world);
    fill(&mut world, 90..95);
    let digest = world.replica.keyspaces().digest();
    let [older, newer] = snapshots(&world)[..] else { panic!("two snapshots") };
    for (lost, missing) in [(older, None), (newer, Some(newer))] {
        let mut disk = world.disk.clone();
        disk.lose(lost);
        let world = World::open(without_snapshots(), disk, seconds(9)).expect("the log covers it");
        assert_eq!(world.replica.recovery_report().missing, missing);
        assert_eq!(world.replica.keyspaces().digest(), digest);
    }
}

#[test]
fn damaged_snapshots_that_the_log_cannot_replace_are_reported() {
    let mut world = World::new(small());
    fill(&mut world, 0..400);
    let files = snapshots(&world);
    for file in &files {
        world.disk.damage(*file, |bytes| bytes[60] ^= 1);
    }
    let error = world.reopen().expect_err("nothing to start from");
    assert!(matches!(error, OpenError::Snapshot { file, .. } if file == files[1]), "{error}");
    assert!(error.to_string().contains("backup"), "{error}");
}

#[test]
fn one_snapshot_is_cut_at_a_time() {
    let mut world = World::new(without_snapshots());
    fill(&mut world, 0..20);
    let first = world.snapshot();
    let same = world.snapshot();
    world.put("between", "x");
    while world.has_work(Lane::Log) {
        world.disk_step(Lane::Log);
    }
    let second = world.snapshot();
    assert!(!world.replies.contains_key(&first));
    world.settle();
    let index = |token| match world.replies[&token] {
        Ok(Answer::Snapshot { index }) => index,
        ref other => panic!("a snapshot answered with {other:?}"),
    };
    assert_eq!(index(first), index(same));
    assert_eq!(index(second), index(first).next());
    let drafts = world.disk.files().iter().filter(|file| file.is_draft()).count();
    assert_eq!(drafts, 0);
}
