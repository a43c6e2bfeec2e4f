//! What was acknowledged is never cut silently, and no bytes make recovery panic.

use proptest::prelude::*;
use synod_base::LogIndex;
use synod_wal::{FileName, RecoverError, Wal};

use crate::log::{CONFIG, append, filled, recover, sync};

fn offset_of(content: &[u8], number: u8) -> usize {
    content.windows(100).position(|window| window == [number; 100]).expect("the entry is there")
}

#[test]
fn damage_before_a_later_batch_is_reported_with_its_place() {
    let (_, mut disk) = filled(8);
    let file = disk.files()[0];
    let at = offset_of(disk.content(file).expect("listed"), 4);
    disk.damage(file, |bytes| bytes[at + 50] ^= 1);
    let error = recover(&disk, 0).expect_err("damage");
    let frame = (at - synod_wal::FRAME_HEADER_LEN) as u64;
    assert!(
        matches!(error, RecoverError::Damaged { file: f, offset, .. } if f == file && offset == frame),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains(&file.to_string()) && text.contains("backup"), "{text}");
}

#[test]
fn a_zeroed_record_before_a_later_batch_is_damage_too() {
    let (_, mut disk) = filled(8);
    let file = disk.files()[0];
    let at = offset_of(disk.content(file).expect("listed"), 4) - synod_wal::FRAME_HEADER_LEN;
    disk.damage(file, |bytes| bytes[at..at + 144].fill(0));
    assert!(matches!(recover(&disk, 0), Err(RecoverError::Damaged { .. })));
}

#[test]
fn every_flipped_byte_of_a_sealed_segment_is_reported() {
    let (_, disk) = filled(40);
    let file = disk.files()[0];
    let content = disk.content(file).expect("listed").to_vec();
    let used = content.iter().rposition(|byte| *byte != 0).expect("not blank") + 1;
    for at in 0..used {
        let mut damaged = disk.clone();
        damaged.damage(file, |bytes| bytes[at] ^= 0x20);
        assert!(recover(&damaged, 0).is_err(), "byte {at}");
    }
}

#[test]
fn a_missing_segment_is_reported_unless_the_snapshot_covers_it() {
    let (wal, disk) = filled(60);
    let files = disk.files();
    assert!(files.len() > 4, "{files:?}");
    let (middle, after) = (files[2], files[3]);
    let mut damaged = disk.clone();
    damaged.lose(middle);
    let error = recover(&damaged, 0).expect_err("a hole");
    assert!(matches!(error, RecoverError::MissingSegment { .. }), "{error}");

    let FileName::Segment { first, .. } = after else { panic!("{after} is a segment") };
    let covered = first.get() - 1;
    let mut found = recover(&damaged, covered).expect("the snapshot covers the hole");
    assert_eq!(found.entries.first().map(|entry| entry.0), Some(first.get()));
    assert_eq!(found.wal.last_index(), wal.last_index());
    sync(&mut found.wal, &mut damaged);
    assert_eq!(damaged.files().first(), Some(&after), "leftovers before the gap are removed");

    let mut beheaded = disk.clone();
    beheaded.lose(files[0]);
    assert!(matches!(recover(&beheaded, 0), Err(RecoverError::MissingSegment { .. })));
}

#[test]
fn a_log_that_ends_before_the_snapshot_is_reported() {
    let (_, disk) = filled(3);
    assert!(matches!(recover(&disk, 4), Err(RecoverError::EndsEarly { .. })));
}

#[test]
fn segments_covered_by_a_snapshot_go() {
    let (mut wal, mut disk) = filled(60);
    let keep = wal.last_index().get() - 5;
    for op in wal.remove_until(LogIndex::new(keep)) {
        disk.execute(&op);
    }
    assert!(wal.first_index().get() <= keep + 1);
    assert!(disk.files().len() <= 2);
    let found = recover(&disk, keep).expect("the tail is there");
    assert_eq!(found.entries.len(), 5);
}

#[test]
fn a_torn_tail_is_cut_on_disk_before_new_records() {
    let (mut wal, disk) = filled(2);
    let file = disk.files()[0];
    // A batch of two of which only the second record reached the disk.
    append(&mut wal, &[3; 100]);
    append(&mut wal, &[4; 100]);
    let batch = wal.next_batch().expect("two records");
    let mut torn = disk.clone();
    batch.ops.iter().for_each(|op| torn.execute(op));
    let at = offset_of(torn.content(file).expect("listed"), 3);
    torn.damage(file, |bytes| bytes[at - 40..at + 104].fill(0));

    let mut found = recover(&torn, 0).expect("a torn tail is no damage");
    assert_eq!(found.entries.len(), 2);
    append(&mut found.wal, &[5; 100]);
    sync(&mut found.wal, &mut torn);
    let found = recover(&torn, 0).expect("intact");
    let payloads: Vec<u8> = found.entries.iter().map(|entry| entry.1[0]).collect();
    assert_eq!(payloads, [1, 2, 5], "entry 4 must not come back behind entry 5");
}

#[test]
fn a_record_larger_than_a_segment_gets_its_own() {
    let (mut wal, mut disk) = filled(2);
    append(&mut wal, &[9; 10_000]);
    append(&mut wal, &[7; 10]);
    sync(&mut wal, &mut disk);
    let found = recover(&disk, 0).expect("intact");
    assert_eq!(found.entries[2].1, [9; 10_000]);
    assert_eq!(found.entries.len(), 4);
}

#[test]
fn one_batch_is_in_flight_and_the_next_gathers_meanwhile() {
    let mut wal = Wal::new(CONFIG);
    append(&mut wal, b"a");
    let first = wal.next_batch().expect("a record");
    append(&mut wal, b"b");
    append(&mut wal, b"c");
    assert_eq!(wal.next_batch(), None);
    wal.on_durable(first.ticket);
    let second = wal.next_batch().expect("two records");
    assert_eq!(second.ops.len(), 2, "one write, one sync: {second:?}");
    wal.on_durable(second.ticket);
    assert_eq!(wal.next_batch(), None);
}

proptest! {
    #[test]
    fn mutated_bytes_never_panic_and_never_lose_what_a_later_batch_proves(
        at in 0_usize..2048,
        bytes in proptest::collection::vec(any::<u8>(), 1..64),
        newest in any::<bool>(),
    ) {
        let (_, mut disk) = filled(20);
        let files = disk.files();
        let file = if newest { files[files.len() - 1] } else { files[0] };
        let last = disk.content(file).map_or(0, |content| {
            content.windows(100).position(|window| window == [20; 100]).unwrap_or(content.len())
        });
        let spares_the_last_batch = at + bytes.len() + synod_wal::FRAME_HEADER_LEN <= last;
        disk.damage(file, |content| {
            let end = content.len().min(at + bytes.len());
            content[at..end].copy_from_slice(&bytes[..end - at]);
        });
        if let Ok(found) = recover(&disk, 0) {
            let count = found.entries.len();
            prop_assert!(count == 20 || !spares_the_last_batch, "{count} of 20 entries");
        }
    }

    #[test]
    fn arbitrary_files_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        let (_, mut disk) = filled(2);
        let file = disk.files()[0];
        disk.damage(file, |content| *content = bytes);
        prop_assert!(recover(&disk, 0).is_err());
    }
}
