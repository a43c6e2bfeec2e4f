//! What all instances of a node share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use synod_registry::{NodeLease, Registry};
use synod_store::Revision;
use tokio::sync::watch;

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
    /// The ports of the instances that run, with how many of them have each.
    pub(crate) ports: Mutex<BTreeMap<u16, u32>>,
}

impl Context {
    /// Keeps `ports` from being given to another instance, until they are released.
    pub(crate) fn hold_ports(&self, ports: &BTreeMap<String, u16>) {
        let mut held = self.held_ports();
        for number in ports.values() {
            *held.entry(*number).or_default() += 1;
        }
    }

    pub(crate) fn release_ports(&self, ports: &BTreeMap<String, u16>) {
        let mut held = self.held_ports();
        for number in ports.values() {
            if let Some(count) = held.get_mut(number) {
                *count -= 1;
            }
        }
        held.retain(|_, count| *count > 0);
    }

    /// No code that may panic runs under this lock, so poison cannot mean a torn map.
    pub(crate) fn held_ports(&self) -> MutexGuard<'_, BTreeMap<u16, u32>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
