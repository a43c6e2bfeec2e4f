//! The member as a value: protocol core, log, keyspaces, timers, watchers and snapshots behind one
//! step function.
//!
//! [`Replica`] decides everything a member of the store does. It is given time, requests and disk
//! completions as [`Input`]s and answers with [`Output`]s in order: disk operations, replies,
//! watch batches. It owns no thread, file, socket or clock, so the same value runs under the
//! member's threads and in the simulator.
//!
//! One pass down, one pass up: a proposal becomes a log entry and joins the batch being gathered;
//! the batch's completion moves the commit index; committed entries are applied to the keyspaces;
//! only then is the proposer answered and are watchers woken. So whatever anyone was told is on
//! disk.
//!
//! Each concern has its file: `proposal`, `read`, `watch`, `lease`, `snapshot`, `trim`,
//! `recovery`. Which entries are committed is the business of `protocol` alone; today it is a single voter.

#![no_std]

extern crate alloc;

mod format;
mod input;
mod lease;
mod options;
mod output;
mod proposal;
mod protocol;
mod read;
mod recovery;
mod replica;
mod snapshot;
mod trim;
mod watch;

pub use format::Identity;
pub use input::{Consistency, Input, Token, WatchId};
pub use options::Options;
pub use output::{Answer, DiskJob, Error, Lane, LeaseStatus, Output, Outputs};
pub use recovery::{Image, OpenError, ReadError, RecoveryReport};
pub use replica::Replica;
