//! What the digest covers: the first byte of each item, so that items of two kinds never collide.

/// A live key with its newest version.
pub(crate) const KEY: u8 = 1;
/// A lease.
pub(crate) const LEASE: u8 = 2;
/// A key's attachment to a lease.
pub(crate) const ATTACHMENT: u8 = 3;
/// A suffix counter.
pub(crate) const COUNTER: u8 = 4;
/// A keyspace: name, quota, revision, compaction revision, byte counts.
pub(crate) const KEYSPACE: u8 = 5;
/// The group: configuration, agreed clock, lease generation.
pub(crate) const GROUP: u8 = 6;
