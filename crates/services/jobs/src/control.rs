//! The loop that makes instances of jobs.
//!
//! It copies the objects, and on any change reconsiders the jobs that the change may concern:
//! `core/placement` says what to do, and one transaction per app writes it. That transaction
//! compares the epoch, the job and each instance that it was reckoned from; when one of them has
//! changed, nothing is written and everything is read again. After a write the loop reads up to
//! that write before it thinks again, so it never acts twice on one state.
//!
//! Nothing but the epoch is remembered: whoever holds it next reads the store and goes on.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use synod_store::{Error as StoreError, Store};

use crate::epoch::Epoch;
use crate::mirror::is_compacted;

use reign::{Interrupt, Reign};

mod batch;
mod reign;

/// The wait after a failure of the store that may pass.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// The epoch's name.
const NAME: &str = "jobs";

/// How a [`Loop`] runs.
#[derive(Clone)]
pub struct LoopOptions {
    /// Who runs it. No two processes that run at the same time share a name; a process that comes
    /// up again under its name goes on at once, without waiting for its former lease to end.
    pub holder: String,
    /// How long another waits for a holder that fell silent. At least 1 s.
    pub lease_ttl: Duration,
    /// How long a node may be away before its instances are replaced elsewhere.
    pub lost_after: Duration,
    /// The time: milliseconds since the Unix epoch.
    pub now_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl LoopOptions {
    /// The usual times: a lease of 5 s, and 10 s until a node counts as lost.
    #[must_use]
    pub fn new(
        holder: impl Into<String>,
        now_ms: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        Self {
            holder: holder.into(),
            lease_ttl: Duration::from_secs(5),
            lost_after: Duration::from_secs(10),
            now_ms: Arc::new(now_ms),
        }
    }
}

/// The loop that makes instances of jobs.
pub struct Loop {
    store: Arc<dyn Store>,
    options: LoopOptions,
}

impl Loop {
    /// A loop over `store`; it does nothing until it is run.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, options: LoopOptions) -> Self {
        Self { store, options }
    }

    /// Runs until `cancel` completes; then the epoch is given up for another. While another holds
    /// it, waits.
    ///
    /// Cancel safety: when dropped, the epoch stays taken until its lease ends.
    ///
    /// # Errors
    /// When the store stopped.
    pub async fn run(self, cancel: impl Future<Output = ()>) -> Result<(), StoreError> {
        let mut held = None;
        let ended = {
            // Biased, so that a loop that was cancelled starts nothing new.
            tokio::select! {
                biased;
                () = cancel => Ok(()),
                ended = self.rule(&mut held) => ended,
            }
        };
        if let Some(epoch) = held {
            // It ends with its lease anyway.
            let _ = epoch.resign(&*self.store).await;
        }
        ended
    }

    /// Reigns again and again; returns only when the store stopped.
    async fn rule(&self, held: &mut Option<Epoch>) -> Result<(), StoreError> {
        let LoopOptions { holder, lease_ttl, .. } = &self.options;
        loop {
            let ended = match held {
                None => match Epoch::campaign(&*self.store, NAME, holder, *lease_ttl).await {
                    Ok(epoch) => {
                        tracing::info!(name = NAME, holder, "epoch taken");
                        *held = Some(epoch);
                        continue;
                    }
                    Err(error) => Interrupt::Store(error),
                },
                Some(epoch) => match Reign::begin(&*self.store, &self.options, epoch).await {
                    Ok(mut reign) => reign.rule().await,
                    Err(error) => Interrupt::Store(error),
                },
            };
            match ended {
                Interrupt::Deposed => {
                    tracing::warn!(name = NAME, holder, "epoch lost");
                    *held = None;
                }
                Interrupt::Store(error @ StoreError::Stopped { .. }) => return Err(error),
                Interrupt::Store(error) if is_compacted(&error) => {}
                Interrupt::Store(error) => {
                    tracing::warn!(%error, "the store failed; starting over");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
                Interrupt::Stale => {}
            }
        }
    }
}
