//! The words every core speaks: ids, time, immutable bytes, the canonical codec and digests.
//!
//! Nothing here knows a protocol. A type lives in this crate only when crates that must not know
//! each other exchange it; everything else lives beside the interface that speaks it.

#![no_std]

extern crate alloc;

mod bytes;
mod codec;
mod digest;
mod id;
mod time;

pub use bytes::Bytes;
pub use codec::{Decode, DecodeError, Encode, Reader, decode_all, encode_to_vec};
pub use digest::{Digest, checksum};
pub use id::{
    ClientId, ClusterId, GroupId, KeyspaceId, LeaseId, LogIndex, MemberId, Revision, Term, Ticket,
};
pub use time::Time;
