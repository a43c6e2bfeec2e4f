//! Broken disks and directories.

use synod_replica::{Error, Input, OpenError};
use synod_wal::{FileName, ModelDisk};

use crate::world::{World, put, seconds, small, without_snapshots};

#[test]
fn a_failed_disk_halts_the_replica_and_everyone_is_told() {
    let mut world = World::new(small());
    world.settled(put("a", "1")).expect("applied");
    let pending = world.put("b", "2");
    let queued = world.put("c", "3");
    world.step(Input::DiskFailed { reason: "wal-1: no space left".into() });
    assert_eq!(world.halted.as_deref(), Some("wal-1: no space left"));
    for token in [pending, queued] {
        assert!(matches!(world.replies[&token], Err(Error::Unknown { .. })));
    }
    let later = world.put("d", "4");
    let Err(Error::Stopped { reason }) = &world.replies[&later] else { panic!("not refused") };
    assert!(reason.contains("no space left"));
    assert_eq!(world.replica.next_timeout(), None);
}

#[test]
fn a_directory_of_a_newer_format_is_refused() {
    let mut world = World::new(small());
    world.settle();
    world.disk.damage(FileName::Format, |bytes| bytes[8] = 9);
    let error = world.reopen().expect_err("newer");
    assert_eq!(error, OpenError::UnsupportedVersion { found: 9, supported: 1 });
}

#[test]
fn a_damaged_or_missing_format_file_is_named() {
    let mut world = World::new(small());
    world.settle();
    let mut damaged = world.disk.clone();
    damaged.damage(FileName::Format, |bytes| bytes[13] ^= 1);
    let error = World::open(small(), damaged, seconds(2)).expect_err("damaged");
    assert!(error.to_string().contains("synod.format"), "{error}");
    world.disk.lose(FileName::Format);
    let error = world.reopen().expect_err("missing");
    assert!(matches!(error, OpenError::MissingFormat { .. }), "{error}");
}

#[test]
fn damage_in_the_log_is_reported_and_nothing_is_written() {
    let mut world = World::new(without_snapshots());
    for n in 0..8 {
        world.settled(put(&n.to_string(), "x")).expect("applied");
    }
    let segment = *world
        .disk
        .files()
        .iter()
        .find(|file| matches!(file, FileName::Segment { .. }))
        .expect("a segment");
    world.disk.damage(segment, |bytes| bytes[300] ^= 1);
    let before: Vec<FileName> = world.disk.files();
    let disk = world.disk.clone();
    let error = world.reopen().expect_err("damaged");
    assert!(matches!(error, OpenError::Log(_)), "{error}");
    assert_eq!(disk.files(), before);
}

#[test]
fn the_identity_stays_with_the_directory() {
    let world = World::new(small());
    let mut world = world;
    world.settle();
    let stranger = synod_replica::Identity {
        cluster: synod_base::ClusterId::new(99),
        member: synod_base::MemberId::new(99),
    };
    let image = crate::world::DiskImage(&world.disk);
    let (replica, _) =
        synod_replica::Replica::open(seconds(3), small(), stranger, &image).expect("intact");
    assert_eq!(replica.identity(), crate::world::IDENTITY);
    assert!(!replica.recovery_report().is_new);
    assert!(
        World::open(small(), ModelDisk::new(), seconds(1))
            .expect("new")
            .replica
            .recovery_report()
            .is_new
    );
}
