//! A member of the store: threads and files around the replica.
//!
//! Nothing is decided here. The core thread owns the [`Replica`](synod_replica::Replica): it takes
//! what handles ask and what the disk reports, steps, and carries out what comes of it. Two writer
//! threads execute disk operations in order, one the log's and one the snapshots'. Everything waits
//! in one mailbox, so the order in which the replica sees things is the order in which they
//! happened.
//!
//! ```text
//! MemberStore ──requests──▶ core thread ──disk jobs──▶ writer threads
//!      ▲                     │      ▲                      │
//!      └──answers, batches───┘      └──────completions─────┘
//! ```
//!
//! An I/O error stops the member for good: what the disk holds is known only once a restart has
//! read it. Handles then answer [`Stopped`](synod_store::Error::Stopped) with the reason, which
//! names the file.

mod clock;
mod core_thread;
mod directory;
mod mailbox;
mod member;
mod pump;
mod store;
mod writer;

pub use member::{Member, OpenError, Options};
pub use store::MemberStore;
pub use synod_replica::RecoveryReport;
