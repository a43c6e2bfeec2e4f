//! The write-ahead log as a value: layout, batching and recovery over disk completions.
//!
//! The log is the truth of a member. It is a row of preallocated *segments*, each a stream of
//! *frames*: entries, term and vote, marks of durable snapshots. This crate decides which bytes go
//! where and in which order they must become durable; it touches no disk. [`Wal`] emits
//! [`DiskOp`]s as data, and whoever owns the files executes them in order and reports back.
//!
//! - **Group commit.** At most one batch is in flight. What is appended meanwhile forms the next
//!   batch: one write, one sync. There is no timer: a quiet log syncs at once, a busy one shares.
//! - **Tickets.** [`Wal::append`] answers the [`Ticket`](synod_base::Ticket) of the batch that will
//!   hold the record; the record is durable when that ticket completes.
//! - **Recovery** reads segments back and tells a torn tail from damage. Each frame names the place
//!   where its batch began. Everything before that place was durable when the frame was written, so
//!   a flaw that lies *before* the batch of any later intact frame cannot be a torn write: it is
//!   damage and is reported, never cut. A flaw within the newest batch is cut; telling rot from a
//!   torn write there takes a second record of what was acknowledged, for which frame kinds are
//!   reserved.

#![no_std]

extern crate alloc;

mod disk;
mod frame;
mod model_disk;
mod record;
mod recovery;
mod segment;
mod wal;

pub use disk::{DiskOp, FileName};
pub use frame::{FRAME_HEADER_LEN, Flaw, Frame, FrameHead, FrameKind, FrameStream};
pub use model_disk::ModelDisk;
pub use record::{HardState, Record};
pub use recovery::{Entry, RecoverError, Recovered, Recovery};
pub use wal::{Batch, Config, Wal};
