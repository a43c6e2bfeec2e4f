//! The store's state machine: keyspaces with dense revisions, transactions, one history, watches
//! and leases.

#![no_std]

extern crate alloc;

mod command;
mod error;
mod event;
mod range;
mod txn;

pub use command::{Command, Expiry, Origin, Request};
pub use error::Error;
pub use event::{Event, EventKind, KeyValue};
pub use range::{KeyRange, RevisionFilter};
pub use range::{Order, RangeRequest, RangeResponse, Sort, SortTarget};
pub use txn::{
    Attach, Check, Compare, DeleteRange, LeaseChange, OnExpiry, Op, OpResponse, Ordering, Put,
    Suffix, Txn, TxnResponse, ValueChange,
};
