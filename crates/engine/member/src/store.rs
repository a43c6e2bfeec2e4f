//! The port, spoken to a member in this process.

use std::time::Duration;

use synod_base::{KeyspaceId, LeaseId, LogIndex, Revision};
use synod_keyspace::TxnResponse;
use synod_keyspace::{Applied, Command, Limits, Outcome, RangeRequest, RangeResponse, Txn};
use synod_replica::Consistency as Wanted;
use synod_store::{
    BoxFuture, Capabilities, Consistency, Error, LeaseStatus, Store, Watch, WatchRequest,
};
use synod_task::{TaskKind, Tasks};
use tokio::sync::mpsc;

use crate::mailbox::{Mailbox, Message};
use crate::pump;

/// Batches that wait for a watcher. Beyond these its place in the history waits.
const WATCH_BATCHES: usize = 4;

/// Moves batches to a watcher. It holds nothing that its end could lose.
const PUMP: TaskKind = TaskKind::new("watch");

/// A handle to a member. Clones are the same store.
///
/// Cancel safety: as the port says. Watches need a tokio runtime to be started in.
#[derive(Clone, Debug)]
pub struct MemberStore {
    mailbox: Mailbox,
    tasks: Tasks,
}

impl MemberStore {
    pub(crate) fn new(mailbox: Mailbox, tasks: Tasks) -> Self {
        Self { mailbox, tasks }
    }

    /// Cuts a snapshot and answers the last log entry in it, once it is durable.
    ///
    /// # Errors
    /// [`Error::Busy`] when the state changed so fast that it could not be held; [`Error::Stopped`].
    pub async fn snapshot(&self) -> Result<LogIndex, Error> {
        self.mailbox.ask(Message::Snapshot).await
    }

    async fn apply(&self, command: Command) -> Result<Applied, Error> {
        self.mailbox.ask(|answer, place| Message::Command(command, answer, place)).await
    }
}

impl Store for MemberStore {
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
            let command = Command::CreateKeyspace { name: name.to_owned(), quota_bytes };
            match self.apply(command).await?.outcome {
                Outcome::Keyspace { id, .. } => Ok(id),
                other => unreachable!("a keyspace's creation is answered with {other:?}"),
            }
        })
    }

    fn txn(&self, txn: Txn) -> BoxFuture<'_, Result<TxnResponse, Error>> {
        Box::pin(async move {
            match self.apply(Command::Txn(txn)).await?.outcome {
                Outcome::Txn(response) => Ok(response),
                other => unreachable!("a transaction is answered with {other:?}"),
            }
        })
    }

    fn range(
        &self,
        request: RangeRequest,
        consistency: Consistency,
    ) -> BoxFuture<'_, Result<RangeResponse, Error>> {
        let wanted = match consistency {
            // A single voter is its own quorum: its state is never older than now.
            Consistency::Bounded(_) | Consistency::Serializable => Wanted::Serializable,
            Consistency::Linearizable => Wanted::Linearizable,
        };
        Box::pin(async move {
            self.mailbox.ask(|answer, place| Message::Read(request, wanted, answer, place)).await
        })
    }

    fn watch(&self, request: WatchRequest) -> BoxFuture<'_, Result<Watch, Error>> {
        Box::pin(async move {
            let ask = |answer, place| Message::WatchOpen(request, answer, place);
            let opened = self.mailbox.ask(ask).await?;
            let start = opened.start;
            let (watcher, batches) = mpsc::channel(WATCH_BATCHES);
            self.tasks.spawn(PUMP, pump::run(opened, watcher));
            Ok(Watch::new(batches, start))
        })
    }

    fn compact(
        &self,
        keyspace: KeyspaceId,
        revision: Revision,
    ) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.apply(Command::Compact { keyspace, revision }).await?;
            Ok(())
        })
    }

    fn lease_grant(
        &self,
        id: Option<LeaseId>,
        ttl: Duration,
    ) -> BoxFuture<'_, Result<LeaseStatus, Error>> {
        Box::pin(async move {
            let command = Command::LeaseGrant { id: id.unwrap_or_default(), ttl };
            match self.apply(command).await?.outcome {
                Outcome::LeaseGranted(lease) => {
                    Ok(LeaseStatus { id: lease.id, ttl: lease.ttl, remaining: lease.ttl })
                }
                other => unreachable!("a lease's grant is answered with {other:?}"),
            }
        })
    }

    fn lease_keep_alive(&self, id: LeaseId) -> BoxFuture<'_, Result<LeaseStatus, Error>> {
        Box::pin(async move {
            let ask = |answer, place| Message::LeaseKeepAlive(id, answer, place);
            self.mailbox.ask(ask).await.map(lease_status)
        })
    }

    fn lease_revoke(&self, id: LeaseId) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.apply(Command::LeaseRevoke { id }).await?;
            Ok(())
        })
    }

    fn lease_status(&self, id: LeaseId) -> BoxFuture<'_, Result<LeaseStatus, Error>> {
        Box::pin(async move {
            let ask = |answer, place| Message::LeaseStatus(id, answer, place);
            self.mailbox.ask(ask).await.map(lease_status)
        })
    }
}

fn lease_status(status: synod_replica::LeaseStatus) -> LeaseStatus {
    LeaseStatus { id: status.lease, ttl: status.ttl, remaining: status.remaining }
}
