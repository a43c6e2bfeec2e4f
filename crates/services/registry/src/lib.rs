//! Who offers which service where: instances registered under leases, and watches over them.
//!
//! An agent writes one [`Registration`] per running instance, attached to its node's lease, so that
//! a dead node's instances vanish without anyone tidying up. Readers have three ways in:
//! [`Registry::list`] for now, [`Registry::changed_since`] for "call me when it differs" (the
//! blocking query of `GET /v1/services`), and [`Registry::watch`] for a copy that stays current
//! (the gateway). [`Addresses`] holds the other half of reachability: the loopback address that
//! stands for a whole service or route, whichever instances are behind it.
//!
//! The registry decides nothing. Whether an instance is healthy is the agent's knowledge, which of
//! the healthy ones gets a request is the gateway's; this crate only keeps what the one said for
//! the other. A value that cannot be read is treated as absent and reported by its key, never a
//! reason to fail the whole answer.

mod address;
mod error;
mod follow;
mod keys;
mod node_lease;
mod record;
mod registration;
mod registry;

pub use address::{Address, AddressKey, Addresses};
pub use error::Error;
pub use follow::{Change, Changes, Follow};
pub use node_lease::{NODE_LEASE_TTL, NodeLease};
pub use record::{Corrupt, Record};
pub use registration::{Filter, Health, RegisteredPort, Registration, RegistrationKey};
pub use registry::{Listing, Registry};
pub use synod_manifest::Protocol;
