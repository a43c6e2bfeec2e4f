//! What all instances of a node share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use synod_registry::{NodeLease, Registry};
use synod_store::Revision;
use tokio::sync::watch;

use super::ports::Ports;
use super::statuses::Statuses;
use crate::driver::ProcessDriver;
use crate::environment::AddressBook;
use crate::log::SegmentLimits;

/// From a failed write to the store to the next attempt.
pub(crate) const STORE_AGAIN: Duration = Duration::from_millis(200);

/// What all instances of a node share.
pub(crate) struct Context {
    pub(crate) node: String,
    pub(crate) data_dir: PathBuf,
    pub(crate) logs: PathBuf,
    pub(crate) driver: ProcessDriver,
    pub(crate) registry: Registry,
    pub(crate) lease: Arc<NodeLease>,
    pub(crate) statuses: Arc<Statuses>,
    pub(crate) addresses: watch::Receiver<Arc<AddressBook>>,
    pub(crate) gateway_applied: watch::Receiver<Revision>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) log_limits: SegmentLimits,
    pub(crate) ports: Arc<Ports>,
}
