//! The trait, and the values that cross it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use synod_keyspace::{Event, KeyRange, RangeRequest, RangeResponse, Txn, TxnResponse};
use tokio::sync::mpsc;

use crate::{Error, KeyspaceId, LeaseId, Revision};

/// A boxed future, so that `dyn Store` works.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A replicated, transactional, watchable store.
///
/// Cancel safety: dropping a future of a write leaves its outcome unknown; dropping that of a read
/// or watch has no effect.
pub trait Store: Send + Sync + 'static {
    /// What this body can do beyond the promise.
    fn capabilities(&self) -> Capabilities;

    /// Makes the keyspace `name` unless it exists, and returns its id.
    fn create_keyspace<'a>(
        &'a self,
        name: &'a str,
        quota_bytes: u64,
    ) -> BoxFuture<'a, Result<KeyspaceId, Error>>;

    /// Applies `txn`. When it answers, the effect is durable on a quorum.
    fn txn(&self, txn: Txn) -> BoxFuture<'_, Result<TxnResponse, Error>>;

    /// Reads a range.
    fn range(
        &self,
        request: RangeRequest,
        consistency: Consistency,
    ) -> BoxFuture<'_, Result<RangeResponse, Error>>;

    /// Starts a watch. It is registered when this returns.
    fn watch(&self, request: WatchRequest) -> BoxFuture<'_, Result<Watch, Error>>;

    /// Drops the history below `revision`.
    fn compact(&self, keyspace: KeyspaceId, revision: Revision)
    -> BoxFuture<'_, Result<(), Error>>;

    /// Makes a lease; `id` is the caller's choice or `None`.
    fn lease_grant(
        &self,
        id: Option<LeaseId>,
        ttl: Duration,
    ) -> BoxFuture<'_, Result<LeaseStatus, Error>>;

    /// Renews a lease to its full time to live.
    fn lease_keep_alive(&self, id: LeaseId) -> BoxFuture<'_, Result<LeaseStatus, Error>>;

    /// Ends a lease at once.
    fn lease_revoke(&self, id: LeaseId) -> BoxFuture<'_, Result<(), Error>>;

    /// How a lease stands.
    fn lease_status(&self, id: LeaseId) -> BoxFuture<'_, Result<LeaseStatus, Error>>;
}

/// How fresh a read must be. The names are the same in every front.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// Answered only when the last quorum contact is younger than this.
    Bounded(Duration),
    /// Sees every write acknowledged before the read began.
    #[default]
    Linearizable,
    /// Always answered, from this member's state.
    Serializable,
}

/// What a body can do beyond the port's promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Revisions advance by exactly one per changing transaction.
    pub dense_revisions: bool,
    /// Puts may take a suffix made at apply.
    pub apply_suffix: bool,
    /// Streams can be appended to.
    pub streams: bool,
    /// The body compacts its history by its own budget.
    pub own_compaction: bool,
    /// `Consistency::Bounded` is honoured.
    pub bounded_reads: bool,
    /// The most operations per list of a transaction.
    pub max_ops: usize,
}

/// A lease and the time it has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseStatus {
    /// The lease.
    pub id: LeaseId,
    /// Its full time to live, as granted.
    pub ttl: Duration,
    /// What is left of it.
    pub remaining: Duration,
}

/// What to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchRequest {
    /// The keyspace.
    pub keyspace: KeyspaceId,
    /// The keys.
    pub range: KeyRange,
    /// The first revision to see; `None` for the one after the newest.
    pub from: Option<Revision>,
}

/// The events of one or more whole revisions, in order.
#[derive(Clone, Debug)]
pub struct WatchBatch {
    /// The events; a revision is never split over two batches.
    pub events: Vec<Arc<Event>>,
    /// Everything up to and including this revision was delivered.
    pub revision: Revision,
}

/// A running watch; dropping it ends it.
#[derive(Debug)]
pub struct Watch {
    batches: mpsc::Receiver<Result<WatchBatch, Error>>,
    start: Revision,
}

impl Watch {
    /// A watch fed by `batches`, whose first possible event is at `start`.
    #[must_use]
    pub fn new(batches: mpsc::Receiver<Result<WatchBatch, Error>>, start: Revision) -> Self {
        Self { batches, start }
    }

    /// The first revision that the watch can deliver.
    #[must_use]
    pub fn start(&self) -> Revision {
        self.start
    }

    /// The next batch. After an error the watch has ended; the usual one is
    /// `Refused(Compacted)`: read the range again and watch from there.
    ///
    /// Cancel safety: nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// When the watch was overtaken by compaction or the store stopped.
    pub async fn next(&mut self) -> Result<WatchBatch, Error> {
        match self.batches.recv().await {
            Some(batch) => batch,
            None => Err(Error::Stopped { reason: "the watch's store is gone".into() }),
        }
    }
}
