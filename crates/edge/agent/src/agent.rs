//! The daemon's side: assignments in, statuses and registrations out.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use synod_store::{Revision, Store};
use synod_task::Tasks;
use tokio::sync::watch;

use crate::log::SegmentLimits;

/// What an [`Agent`] needs to know.
pub struct AgentOptions {
    /// The node that this agent runs instances for.
    pub node: String,
    /// The daemon's data directory. The agent keeps `instances/` and `logs/` in it.
    pub data_dir: PathBuf,
    /// The store with the assignments.
    pub store: Arc<dyn Store>,
    /// The revision up to which the gateway follows the registry. An instance that stops is only
    /// asked to end once the gateway has seen that it drains.
    pub gateway_applied: watch::Receiver<Revision>,
    /// Where the agent's tasks belong. Cancelling it ends the agent and leaves instances running.
    pub tasks: Tasks,
    /// The program and first arguments that run [`crate::shim::main`].
    pub shim: Vec<OsString>,
    /// How much output a slot keeps.
    pub log_limits: SegmentLimits,
    /// How long the node's keys outlive the agent.
    pub lease_ttl: Duration,
}
