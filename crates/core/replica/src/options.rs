//! What a replica is made with.

use synod_base::GroupId;
use synod_keyspace::{Config, Held};

/// Bounds and sizes of a replica.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The group that it is a member of.
    pub group: GroupId,
    /// Bytes preallocated per log segment.
    pub segment_bytes: u32,
    /// A snapshot is cut when the log has grown by this many bytes since the last.
    pub snapshot_after_bytes: u64,
    /// Bytes of state per chunk of a snapshot: how much is encoded in one step.
    pub snapshot_chunk_bytes: usize,
    /// Bytes that may wait to become durable; past it proposals are refused as busy.
    pub pending_bytes_max: usize,
    /// Bytes that one request may have.
    pub request_bytes_max: usize,
    /// What compacted history this member may hold back for a snapshot and slow watchers.
    pub held: Held,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            group: GroupId::new(1),
            segment_bytes: synod_wal::Config::SEGMENT_BYTES,
            snapshot_after_bytes: 64 << 20,
            snapshot_chunk_bytes: 64 << 10,
            pending_bytes_max: 64 << 20,
            request_bytes_max: 8 << 20,
            held: Held::default(),
        }
    }
}

impl Options {
    /// The keyspaces' bounds. What decides how entries apply is no option: a log replayed with
    /// other bounds would give another state.
    pub(crate) fn keyspaces(&self) -> Config {
        Config { held: self.held, ..Config::default() }
    }
}
