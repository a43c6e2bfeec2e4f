//! Instances on a node: shims, drivers, probes and logs.
//!
//! The agent makes its node match what the control plane wrote under `instances/`: it starts each
//! instance that should run, watches over it, and ends it when it should stop. It writes what it
//! sees under `status/` and nothing else about instances; deciding is reconcile's part.
//!
//! - [`Agent`] is the daemon's side: assignments in, statuses and registrations out.
//! - [`shim`] is the other side: one small process per instance that outlives the daemon, writes the
//!   instance's log and records how it ended.
//! - [`log`] reads what instances printed, with or without a daemon; [`offline`] ends them without
//!   one.

mod agent;
mod assignment_record;
mod clock;
mod driver;
mod environment;
mod instance_directory;
pub mod log;
pub mod offline;
mod probe;
pub mod shim;
mod start_check;

pub use agent::{Agent, AgentOptions, Error};
pub use environment::service_environment;
