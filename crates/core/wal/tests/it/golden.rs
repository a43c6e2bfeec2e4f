//! The bytes of a whole segment, which later releases must read.

use std::fmt::Write as _;

use synod_base::{LogIndex, MemberId, Term};
use synod_wal::{HardState, ModelDisk, Record, Wal};

use crate::log::{CONFIG, append, recover, sync};

const GOLDEN: &str = include_str!("../../testdata/golden/segment.hex");

#[test]
fn a_segments_bytes_stay_as_they_are() {
    let (mut wal, mut disk) = (Wal::new(CONFIG), ModelDisk::new());
    let state = HardState { term: Term::new(7), vote: Some(MemberId::new(0xa)) };
    wal.append(Record::HardState(state));
    append(&mut wal, b"first");
    sync(&mut wal, &mut disk);
    append(&mut wal, b"second");
    wal.append(Record::SnapshotMarker { index: LogIndex::new(1), term: Term::new(7) });
    sync(&mut wal, &mut disk);
    append(&mut wal, &[0xee; 1800]);
    sync(&mut wal, &mut disk);

    let files = disk.files();
    let names: Vec<String> = files.iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        ["wal-0000000000000001-0000000000000001.log", "wal-0000000000000002-0000000000000003.log"]
    );
    let written = hex(disk.content(files[0]).expect("listed"));
    if std::env::var_os("SYNOD_REWRITE_GOLDEN").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/golden/segment.hex");
        std::fs::write(path, &written).expect("the source tree is writable");
    }
    assert_eq!(written, GOLDEN, "SYNOD_REWRITE_GOLDEN=1 rewrites it; read the diff");

    let found = recover(&disk, 0).expect("an intact log");
    assert_eq!(found.entries.len(), 3);
    assert_eq!(found.hard_state, state);
    assert_eq!(found.marker, Some(LogIndex::new(1)));
}

/// Sixteen bytes a line; the zeros at the end are left out.
fn hex(bytes: &[u8]) -> String {
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let mut text = String::new();
    for line in bytes[..used.next_multiple_of(16)].chunks(16) {
        for byte in line {
            write!(text, "{byte:02x}").expect("strings take text");
        }
        text.push('\n');
    }
    text
}
