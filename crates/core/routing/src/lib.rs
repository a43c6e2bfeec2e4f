//! The proxy's decisions, without sockets: what is a sound request, where it goes, who serves it,
//! and what to say when nobody can.
//!
//! A request passes three gates. [`Inspector`] follows the bytes of an HTTP/1.1 connection and
//! lets only heads through that have one reading ([`inspect_head`]). [`normalize`], [`Host`] and
//! [`header_rule`] give path, host and headers one spelling. [`Table`] finds the route, whose
//! weights and the cluster's turn pick an endpoint. Chance and turns come in as numbers, so that
//! all of it is a function of its arguments.
//!
//! [`Config`] holds everything that is decided in advance; [`Cause`] says why a request failed.

mod cause;
mod chunked;
mod config;
mod find;
mod head;
mod header;
mod host;
mod inspector;
mod path;
mod refusal;
mod table;

pub use cause::Cause;
pub use config::{
    Cluster, ClusterId, Config, Endpoint, Error, HostPattern, Listener, Protocol, Route, Target,
};
pub use head::{BodyLength, Head, Limits, inspect_head};
pub use header::{HeaderRule, Nomination, header_rule, is_trailer_allowed, nomination};
pub use host::Host;
pub use inspector::{Inspector, Next};
pub use path::{is_below, normalize, without_params};
pub use refusal::Refusal;
pub use table::Table;
