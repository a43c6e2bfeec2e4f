//! What bounds a group's keyspaces.

use core::time::Duration;

/// Bounds of a group's keyspaces. All but `held_bytes` decide how entries apply, so they must be
/// equal on all members; a restored snapshot brings its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Bounds on requests.
    pub limits: Limits,
    /// Bounds on each keyspace's history.
    pub history: HistoryBudget,
    /// Bounds on what this member holds back from trimming.
    pub held: Held,
}

/// Bounds on requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most compares or operations in one list of a transaction. As in etcd, a nested
    /// transaction has what its parent's longest list leaves of it.
    pub ops_max: usize,
    /// The most keyspaces in a group.
    pub keyspaces_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { ops_max: 128, keyspaces_max: 4096 }
    }
}

/// How much history a keyspace keeps. What is past bytes or age is compacted, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryBudget {
    /// The most bytes; in a keyspace with a quota, also at most half of that.
    pub bytes: u64,
    /// The oldest age, by the times agreed in entries.
    pub age: Duration,
    /// Newest revisions that are kept whatever their size and age.
    pub revisions_min: u64,
}

impl Default for HistoryBudget {
    fn default() -> Self {
        Self { bytes: 64 << 20, age: Duration::from_secs(3600), revisions_min: 10_000 }
    }
}

/// What this member may hold in memory after it was compacted, for a running snapshot and for
/// watchers it spares. Local to a member: it does not change how entries apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The most bytes per keyspace. Past it the snapshot is given up and watchers are overtaken.
    pub bytes_max: u64,
    /// The most lease and counter entries put aside for a snapshot. Past it, it is given up.
    pub entries_max: usize,
}

impl Default for Held {
    fn default() -> Self {
        Self { bytes_max: 256 << 20, entries_max: 1 << 20 }
    }
}
