//! The port straight over the state machine, in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use synod_base::{LogIndex, Time};
use synod_keyspace::{
    Applied, Command, Config, Cursor, Error as Refusal, Expiry, Keyspaces, Limits, Origin, Outcome,
    PollBudget, Request,
};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::{
    BoxFuture, Capabilities, Consistency, Error, KeyspaceId, LeaseId, LeaseStatus, RangeRequest,
    RangeResponse, Revision, Store, Txn, TxnResponse, Watch, WatchBatch, WatchRequest,
};

/// Batches that a watch may lie behind its reader. The rest waits in the history.
const WATCH_BATCHES: usize = 4;

/// A store of one process and one run: the state machine under a lock, without log, disk or peers.
/// Leases run on tokio's clock, so a paused test runtime decides when they expire.
///
/// Clones are the same store. It must be used within a tokio runtime.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Marked changed after each entry that changed or compacted something.
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    keyspaces: Keyspaces,
    /// When each lease expires, and which grant of its id it is.
    leases: BTreeMap<LeaseId, Timer>,
}

#[derive(Clone, Copy, Debug)]
struct Timer {
    generation: u64,
    ttl: Duration,
    deadline: Instant,
}

impl Default for Shared {
    fn default() -> Self {
        let keyspaces = Keyspaces::new(Config::default());
        let state = State { keyspaces, leases: BTreeMap::new() };
        Self { state: Mutex::new(state), changed: watch::Sender::new(()) }
    }
}

impl MemoryStore {
    /// An empty store with keyspace `synod` at revision 1.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends a lease as if its time were over, without waiting for it. Returns whether it lived.
    pub fn expire(&self, lease: LeaseId) -> bool {
        let generation = self.shared.state().leases.get(&lease).map(|timer| timer.generation);
        generation.is_some_and(|generation| self.shared.expire(Expiry { lease, generation }))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the state machine does not panic")
    }

    fn apply(&self, command: Command) -> Result<Applied, Refusal> {
        let mut state = self.state();
        let applied = state.apply(command)?;
        drop(state);
        if !applied.changed.is_empty() || !applied.compacted.is_empty() {
            self.changed.send_replace(());
        }
        Ok(applied)
    }

    fn expire(&self, expiry: Expiry) -> bool {
        let applied = self.apply(Command::LeaseExpire { expired: vec![expiry] });
        matches!(applied, Ok(Applied { outcome: Outcome::LeaseExpired(ended), .. }) if !ended.is_empty())
    }
}

impl State {
    fn apply(&mut self, command: Command) -> Result<Applied, Refusal> {
        let request = Request { origin: Origin::default(), time: wall_clock(), command };
        let index: LogIndex = self.keyspaces.applied_index().next();
        let applied = self.keyspaces.apply(index, &request)?;
        match &applied.outcome {
            Outcome::LeaseExpired(ended) => self.leases.retain(|id, _| !ended.contains(id)),
            Outcome::LeaseGranted(lease) => {
                let (generation, ttl) = (lease.generation, lease.ttl);
                let timer = Timer { generation, ttl, deadline: Instant::now() + ttl };
                self.leases.insert(lease.id, timer);
            }
            Outcome::LeaseRevoked(id) => {
                self.leases.remove(id);
            }
            _ => {}
        }
        Ok(applied)
    }

    fn lease_status(&self, id: LeaseId) -> Result<LeaseStatus, Refusal> {
        let timer = self.leases.get(&id).ok_or(Refusal::LeaseNotFound(id))?;
        let remaining = timer.deadline.saturating_duration_since(Instant::now());
        Ok(LeaseStatus { id, ttl: timer.ttl, remaining })
    }
}

impl Store for MemoryStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            dense_revisions: true,
            apply_suffix: true,
            streams: false,
            own_compaction: true,
            bounded_reads: true,
            max_ops: Limits::default().ops_max,
        }
    }

    fn create_keyspace<'a>(
        &'a self,
        name: &'a str,
        quota_bytes: u64,
    ) -> BoxFuture<'a, Result<KeyspaceId, Error>> {
        Box::pin(async move {
            let create = Command::CreateKeyspace { name: name.into(), quota_bytes };
            match self.shared.apply(create)?.outcome {
                Outcome::Keyspace { id, .. } => Ok(id),
                other => unreachable!("a keyspace command answers a keyspace, not {other:?}"),
            }
        })
    }

    fn txn(&self, txn: Txn) -> BoxFuture<'_, Result<TxnResponse, Error>> {
        Box::pin(async move {
            match self.shared.apply(Command::Txn(txn))?.outcome {
                Outcome::Txn(response) => Ok(response),
                other => unreachable!("a transaction answers a transaction, not {other:?}"),
            }
        })
    }

    fn range(
        &self,
        request: RangeRequest,
        _: Consistency,
    ) -> BoxFuture<'_, Result<RangeResponse, Error>> {
        Box::pin(async move { Ok(self.shared.state().keyspaces.range(&request)?) })
    }

    fn watch(&self, request: WatchRequest) -> BoxFuture<'_, Result<Watch, Error>> {
        Box::pin(async move {
            let WatchRequest { keyspace, range, from } = request;
            // Subscribed before the cursor is made, so that no change falls between the two.
            let changed = self.shared.changed.subscribe();
            let cursor = self.shared.state().keyspaces.watch(keyspace, range, from)?;
            let start = cursor.next;
            let (batches, receiver) = mpsc::channel(WATCH_BATCHES);
            tokio::spawn(feed(Arc::downgrade(&self.shared), cursor, changed, batches));
            Ok(Watch::new(receiver, start))
        })
    }

    fn compact(
        &self,
        keyspace: KeyspaceId,
        revision: Revision,
    ) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.shared.apply(Command::Compact { keyspace, revision })?;
            Ok(())
        })
    }

    fn lease_grant(
        &self,
        id: Option<LeaseId>,
        ttl: Duration,
    ) -> BoxFuture<'_, Result<LeaseStatus, Error>> {
        Box::pin(async move {
            let id = id.unwrap_or_default();
            match self.shared.apply(Command::LeaseGrant { id, ttl })?.outcome {
                Outcome::LeaseGranted(lease) => {
                    let expiry = Expiry { lease: lease.id, generation: lease.generation };
                    tokio::spawn(expire_in_time(Arc::downgrade(&self.shared), expiry));
                    Ok(LeaseStatus { id: lease.id, ttl, remaining: ttl })
                }
                other => unreachable!("a grant answers a lease, not {other:?}"),
            }
        })
    }

    fn lease_keep_alive(&self, id: LeaseId) -> BoxFuture<'_, Result<LeaseStatus, Error>> {
        Box::pin(async move {
            let mut state = self.shared.state();
            let timer = state.leases.get_mut(&id).ok_or(Refusal::LeaseNotFound(id))?;
            timer.deadline = Instant::now() + timer.ttl;
            Ok(state.lease_status(id)?)
        })
    }

    fn lease_revoke(&self, id: LeaseId) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.shared.apply(Command::LeaseRevoke { id })?;
            Ok(())
        })
    }

    fn lease_status(&self, id: LeaseId) -> BoxFuture<'_, Result<LeaseStatus, Error>> {
        Box::pin(async move { Ok(self.shared.state().lease_status(id)?) })
    }
}

/// Moves events from the history to a watch until either end is gone.
async fn feed(
    store: Weak<Shared>,
    mut cursor: Cursor,
    mut changed: watch::Receiver<()>,
    batches: mpsc::Sender<Result<WatchBatch, Error>>,
) {
    loop {
        let Ok(place) = batches.reserve().await else { return };
        changed.mark_unchanged();
        let Some(shared) = store.upgrade() else { return };
        let poll = shared.state().keyspaces.poll(&mut cursor, PollBudget::default());
        drop(shared);
        match poll {
            Err(refusal) => return place.send(Err(refusal.into())),
            Ok(poll) => {
                let idle = poll.idle;
                if !poll.events.is_empty() {
                    place.send(Ok(WatchBatch { events: poll.events, revision: poll.revision }));
                }
                if idle {
                    tokio::select! {
                        () = batches.closed() => return,
                        change = changed.changed() => if change.is_err() { return },
                    }
                }
            }
        }
    }
}

/// Expires one grant of a lease once its deadline, which renewals move, has passed.
async fn expire_in_time(store: Weak<Shared>, expiry: Expiry) {
    loop {
        let Some(shared) = store.upgrade() else { return };
        let timer = shared.state().leases.get(&expiry.lease).copied();
        let Some(timer) = timer.filter(|timer| timer.generation == expiry.generation) else {
            return;
        };
        if timer.deadline <= Instant::now() {
            shared.expire(expiry);
            return;
        }
        drop(shared);
        tokio::time::sleep_until(timer.deadline).await;
    }
}

fn wall_clock() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::ZERO + since
}
