//! Statuses on their way to the store: the newest of each instance, written in batches.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use synod_jobs::{StatusUpdate, StatusWriter};
use synod_placement::InstanceStatus;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::context::STORE_AGAIN;

/// From one transaction to the next. The first status after a pause is written at once.
const BATCH: Duration = Duration::from_millis(20);

/// Statuses that are not written yet. A newer one of an instance replaces an older one, so there
/// are never more than instances.
#[derive(Debug, Default)]
pub(crate) struct Statuses {
    unwritten: Mutex<BTreeMap<(String, String), InstanceStatus>>,
    more: Notify,
}

impl Statuses {
    /// Has a status written soon.
    pub(crate) fn set(&self, app: &str, status: InstanceStatus) {
        self.unwritten().insert((app.to_owned(), status.id.clone()), status);
        self.more.notify_one();
    }

    /// Writes what is set, for ever.
    pub(crate) async fn run(&self, writer: &StatusWriter) {
        loop {
            self.more.notified().await;
            let begun = Instant::now();
            let batch = std::mem::take(&mut *self.unwritten());
            if batch.is_empty() {
                continue;
            }
            let update = |((app, _), status): (&(String, String), &InstanceStatus)| StatusUpdate {
                app: app.clone(),
                status: status.clone(),
            };
            let updates: Vec<StatusUpdate> = batch.iter().map(update).collect();
            match writer.write(&updates).await {
                Ok(()) => sleep_until(begun + BATCH).await,
                Err(error) => {
                    tracing::warn!(%error, count = updates.len(), "statuses were not written");
                    self.put_back(batch);
                    sleep(STORE_AGAIN).await;
                }
            }
        }
    }

    fn put_back(&self, batch: BTreeMap<(String, String), InstanceStatus>) {
        let mut unwritten = self.unwritten();
        for (key, status) in batch {
            unwritten.entry(key).or_insert(status);
        }
        self.more.notify_one();
    }

    /// No code that may panic runs under this lock, so poison cannot mean a torn map.
    fn unwritten(&self) -> MutexGuard<'_, BTreeMap<(String, String), InstanceStatus>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
