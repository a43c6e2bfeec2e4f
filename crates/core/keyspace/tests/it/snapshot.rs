//! Snapshots that do not come through. Those that do are in `random`.

use proptest::prelude::*;
use synod_base::{LeaseId, Revision};
use synod_keyspace::{
    Attach, Command, Held, Keyspaces, LeaseChange, OnExpiry, Op, Put, Restore, RestoreError,
    SnapshotLost, Suffix, Txn,
};

use crate::group::{Group, SYNOD, put};

/// A state with something of everything.
fn group() -> Group {
    let mut group = Group::new();
    group.keyspace("other", 1 << 20);
    group.lease(7);
    let mut leased = Put::new(SYNOD, "q/", "v");
    leased.suffix = Some(Suffix::Counter);
    let attach = Attach { lease: LeaseId::new(7), on_expiry: OnExpiry::Detach };
    leased.lease = LeaseChange::Set(attach);
    for value in ["1", "2", "3"] {
        group.txn(Txn::new(vec![put("k", value), Op::Put(leased.clone())])).expect("accepted");
    }
    group.delete(synod_keyspace::KeyRange::key("k"));
    let revision = Revision::new(3);
    group.apply(Command::Compact { keyspace: SYNOD, revision }).expect("accepted");
    group
}

fn chunks(state: &mut Keyspaces, bytes_max: usize) -> Vec<Vec<u8>> {
    let mut cursor = state.begin_snapshot();
    let mut chunks = Vec::new();
    while let Some(chunk) = state.next_chunk(&mut cursor, bytes_max).expect("pinned") {
        chunks.push(chunk);
    }
    state.end_snapshot(&cursor);
    chunks
}

fn restore(chunks: &[Vec<u8>]) -> Result<Keyspaces, RestoreError> {
    let mut restore = Restore::new(Held::default());
    for chunk in chunks {
        restore.push(chunk)?;
    }
    restore.finish()
}

#[test]
fn a_later_snapshot_takes_the_place_of_a_running_one() {
    let mut group = group();
    let mut earlier = group.state.begin_snapshot();
    let mut later = group.state.begin_snapshot();
    assert_eq!(group.state.next_chunk(&mut earlier, 100), Err(SnapshotLost));
    group.state.end_snapshot(&earlier);
    assert!(group.state.next_chunk(&mut later, 100).expect("still pinned").is_some());
}

#[test]
fn a_snapshot_without_one_of_its_chunks_is_refused() {
    let mut group = group();
    let chunks = chunks(&mut group.state, 40);
    assert!(chunks.len() > 10);
    let whole = restore(&chunks).expect("whole");
    assert_eq!(whole.digest(), group.state.digest());
    assert_eq!(restore(&chunks[..chunks.len() - 1]).err(), Some(RestoreError::Incomplete));
    for missing in 0..chunks.len() {
        let mut rest = chunks.clone();
        rest.remove(missing);
        assert!(restore(&rest).is_err(), "without chunk {missing}");
    }
    let mut twice = chunks.clone();
    twice.extend(chunks);
    assert!(restore(&twice).is_err(), "more after the end");
}

#[test]
fn a_snapshot_names_its_format() {
    let mut group = group();
    let chunks = chunks(&mut group.state, 1 << 20);
    assert_eq!(chunks[0][..2], [1, 0], "format version 1, then the header");
    let mut other = chunks[0].clone();
    other[0] = 2;
    let error = restore(&[other]).expect_err("a format of the future");
    assert!(error.to_string().contains("snapshot format version 1 at byte 0"), "{error}");
}

proptest! {
    /// Bytes that were changed give an error, or the very state where they do not matter.
    #[test]
    fn a_damaged_snapshot_never_panics(
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut group = group();
        let mut chunk = chunks(&mut group.state, 1 << 20).remove(0);
        let at = at.index(chunk.len());
        chunk[at] ^= flip;
        if let Some(cut) = cut {
            chunk.truncate(cut.index(chunk.len()));
        }
        if let Ok(state) = restore(&[chunk]) {
            prop_assert_eq!(state.digest(), group.state.digest());
        }
    }
}
