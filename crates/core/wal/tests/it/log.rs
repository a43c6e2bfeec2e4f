//! Driving a log over a model disk.

use synod_base::{ClusterId, GroupId, LogIndex, Term};
use synod_wal::{Config, HardState, ModelDisk, Record, RecoverError, Recovery, Wal};

pub(crate) const CONFIG: Config =
    Config { cluster: ClusterId::new(0xc1), group: GroupId::new(1), segment_bytes: 2048 };

/// What a recovery found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) wal: Wal,
    pub(crate) entries: Vec<(u64, Vec<u8>)>,
    pub(crate) hard_state: HardState,
    pub(crate) marker: Option<LogIndex>,
}

pub(crate) fn recover(disk: &ModelDisk, base: u64) -> Result<Found, RecoverError> {
    let mut recovery = Recovery::new(CONFIG, LogIndex::new(base), &disk.files())?;
    let mut entries = Vec::new();
    while let Some(file) = recovery.next_file() {
        let bytes = disk.content(file).expect("it was listed");
        for entry in recovery.on_segment(bytes)? {
            entries.push((entry.index.get(), entry.payload.to_vec()));
        }
    }
    let found = recovery.finish()?;
    Ok(Found { wal: found.wal, entries, hard_state: found.hard_state, marker: found.marker })
}

pub(crate) fn append(wal: &mut Wal, payload: &[u8]) {
    let index = wal.last_index().next();
    wal.append(Record::Entry { index, term: Term::new(1), payload });
}

/// Executes batches until none is left.
pub(crate) fn sync(wal: &mut Wal, disk: &mut ModelDisk) {
    while let Some(batch) = wal.next_batch() {
        for op in &batch.ops {
            disk.execute(op);
        }
        wal.on_durable(batch.ticket);
    }
}

/// A log of `count` entries of 100 bytes, synced one by one.
pub(crate) fn filled(count: u8) -> (Wal, ModelDisk) {
    let (mut wal, mut disk) = (Wal::new(CONFIG), ModelDisk::new());
    for number in 1..=count {
        append(&mut wal, &[number; 100]);
        sync(&mut wal, &mut disk);
    }
    (wal, disk)
}
