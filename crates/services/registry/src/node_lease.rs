//! The lease of a node, kept alive for as long as its agent runs.

use std::sync::Arc;
use std::time::Duration;

use synod_store::{LeaseId, Store};
use tokio::sync::watch;

use crate::Error;

/// How long a node's keys outlive it.
pub const NODE_LEASE_TTL: Duration = Duration::from_secs(10);

/// How many renewals fit into the lease's life: two may be lost in a row.
const RENEWALS_PER_TTL: u32 = 3;
/// How many attempts to get a lost lease back fit into its life.
const REGRANTS_PER_TTL: u32 = 10;

/// The lease that all keys of a node hang on.
///
/// Losing it (a long pause, a store that was restored) takes the node's keys with it. A new lease
/// is then granted, and whoever [subscribed](NodeLease::subscribe) writes its keys again.
pub struct NodeLease {
    store: Arc<dyn Store>,
    ttl: Duration,
    current: watch::Sender<LeaseId>,
}

impl NodeLease {
    /// Grants the first lease; [`NODE_LEASE_TTL`] is the usual time to live, 1 s the least.
    ///
    /// # Errors
    /// When the time to live is out of range or the store fails.
    pub async fn grant(store: Arc<dyn Store>, ttl: Duration) -> Result<Self, Error> {
        let granted = store.lease_grant(None, ttl).await?;
        Ok(Self { store, ttl, current: watch::Sender::new(granted.id) })
    }

    /// The lease to write keys under now.
    #[must_use]
    pub fn id(&self) -> LeaseId {
        *self.current.borrow()
    }

    /// The lease to write keys under. A change says that the one before is lost, with every key
    /// under it: write them again.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<LeaseId> {
        self.current.subscribe()
    }

    /// Renews the lease, and replaces it when it is lost, for ever. Run it as a task of its own.
    ///
    /// Cancel safety: drop it to stop. The lease then ends by itself unless it is
    /// [revoked](NodeLease::revoke), so an agent that restarts in time finds its keys still there.
    pub async fn keep_alive(&self) {
        let mut next = self.ttl / RENEWALS_PER_TTL;
        loop {
            tokio::time::sleep(next).await;
            next = match self.renew_or_replace().await {
                Ok(()) => self.ttl / RENEWALS_PER_TTL,
                Err(error) => {
                    tracing::warn!(lease = %self.id(), %error, "the node's lease was not renewed");
                    self.ttl / REGRANTS_PER_TTL
                }
            };
        }
    }

    /// Ends the lease at once, and with it every key under it.
    ///
    /// # Errors
    /// When the store fails. A lease that is gone already is no error.
    pub async fn revoke(&self) -> Result<(), Error> {
        match self.store.lease_revoke(self.id()).await {
            Err(error) if !is_lost(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn renew_or_replace(&self) -> Result<(), Error> {
        match self.store.lease_keep_alive(self.id()).await {
            Err(error) if is_lost(&error) => {
                let granted = self.store.lease_grant(None, self.ttl).await?;
                let lost = self.current.send_replace(granted.id);
                tracing::warn!(%lost, lease = %granted.id, "the node's lease was lost and replaced");
                Ok(())
            }
            renewed => Ok(renewed.map(drop)?),
        }
    }
}

fn is_lost(error: &synod_store::Error) -> bool {
    matches!(error, synod_store::Error::Refused(synod_keyspace::Error::LeaseNotFound(_)))
}
