//! The tree of tasks.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::{OnCancel, OnFailure, Outcome, TaskKind};

/// A node of the task tree. Clones are the same node.
#[derive(Clone, Debug)]
pub struct Tasks {
    root: Arc<Root>,
    /// The ids from the root to this node; a task belongs to every node whose path begins its own.
    path: Arc<[u64]>,
    token: CancellationToken,
}

/// What all nodes of a tree share.
#[derive(Debug)]
struct Root {
    next_id: AtomicU64,
    running: Mutex<BTreeMap<u64, Running>>,
    /// Marked changed whenever a task ends.
    ended: watch::Sender<()>,
    failure: watch::Sender<Option<Failure>>,
}

#[derive(Debug)]
struct Running {
    name: &'static str,
    path: Arc<[u64]>,
    /// `None` for the moment between registering and spawning.
    abort: Option<AbortHandle>,
}

/// Why the node must stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The task that failed.
    pub task: &'static str,
    /// Its error, or the panic's message.
    pub reason: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} failed: {}", self.task, self.reason)
    }
}

/// The tasks that outlived a shutdown's deadline and were aborted, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Overdue(pub Vec<&'static str>);

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    /// The root of a new tree.
    #[must_use]
    pub fn new() -> Self {
        let root = Root {
            next_id: AtomicU64::new(0),
            running: Mutex::default(),
            ended: watch::Sender::new(()),
            failure: watch::Sender::new(None),
        };
        Self { root: Arc::new(root), path: Arc::from([]), token: CancellationToken::new() }
    }

    /// A new node below this one. Cancelling it leaves its parent alone.
    #[must_use]
    pub fn child(&self) -> Self {
        let path = self.path.iter().copied().chain([self.root.new_id()]).collect();
        Self { root: self.root.clone(), path, token: self.token.child_token() }
    }

    /// Starts `future` as a task of this node. On a cancelled node an
    /// [`Abort`](OnCancel::Abort) task is dropped unpolled.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn<F>(&self, kind: TaskKind, future: F)
    where
        F: Future + Send + 'static,
        F::Output: Outcome,
    {
        let id = self.root.new_id();
        let running = Running { name: kind.name, path: self.path.clone(), abort: None };
        self.root.running().insert(id, running);
        // Made here and not in the future, so that a task dropped before its first poll is removed.
        let registration = Registration { root: self.root.clone(), id };
        let token = self.token.clone();
        let handle = tokio::spawn(async move {
            let registration = registration;
            if let Some(reason) = drive(kind, &token, future).await {
                registration.root.on_failure(kind, reason);
            }
        });
        if let Some(running) = self.root.running().get_mut(&id) {
            running.abort = Some(handle.abort_handle());
        }
    }

    /// Cancels this node and everything below it, without waiting.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Whether this node was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Completes once this node is cancelled. Cancel safe.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// Completes with the first failure, anywhere in the tree, of a task that stops the node.
    /// Cancel safe.
    pub async fn failed(&self) -> Failure {
        let mut failure = self.root.failure.subscribe();
        let failure = failure.wait_for(Option::is_some).await;
        let failure = failure.expect("self keeps the sender");
        failure.clone().expect("waited for it to be there")
    }

    /// The names of the running tasks of this node and below, oldest first.
    #[must_use]
    pub fn running(&self) -> Vec<&'static str> {
        self.root.under(&self.path).names()
    }

    /// Cancels this node and everything below it, and waits until all its tasks have ended. Those
    /// that still run after `deadline` are aborted without further waiting, and named.
    ///
    /// A task must not shut down a node that it belongs to: it would wait for itself.
    pub async fn shutdown(&self, deadline: Duration) -> Overdue {
        self.cancel();
        let mut ended = self.root.ended.subscribe();
        let joined = async {
            while !self.root.under(&self.path).is_empty() {
                ended.changed().await.expect("self keeps the sender");
            }
        };
        if tokio::time::timeout(deadline, joined).await.is_ok() {
            return Overdue(Vec::new());
        }
        let left = self.root.under(&self.path);
        for task in left.0.iter().filter_map(|(_, abort)| abort.as_ref()) {
            task.abort();
        }
        let overdue = Overdue(left.names());
        tracing::warn!(tasks = ?overdue.0, "tasks outlived their deadline and were aborted");
        overdue
    }
}

/// The tasks of a subtree at one moment.
struct Subtree(Vec<(&'static str, Option<AbortHandle>)>);

impl Subtree {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|(name, _)| *name).collect()
    }
}

impl Root {
    fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// No code that may panic runs under this lock, so poison cannot mean a torn map.
    fn running(&self) -> MutexGuard<'_, BTreeMap<u64, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn under(&self, path: &[u64]) -> Subtree {
        let running = self.running();
        let below = running.values().filter(|task| task.path.starts_with(path));
        Subtree(below.map(|task| (task.name, task.abort.clone())).collect())
    }

    fn on_failure(&self, kind: TaskKind, reason: String) {
        match kind.on_failure {
            OnFailure::Log => tracing::warn!(task = kind.name, reason, "task failed"),
            OnFailure::StopNode => {
                tracing::error!(task = kind.name, reason, "task failed; the node stops");
                self.failure.send_if_modified(|failure| {
                    let first = failure.is_none();
                    failure.get_or_insert(Failure { task: kind.name, reason });
                    first
                });
            }
        }
    }
}

/// Keeps a task in the list of running ones; its future drops it however it ends.
struct Registration {
    root: Arc<Root>,
    id: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.root.running().remove(&self.id);
        self.root.ended.send_replace(());
    }
}

/// Runs `future` as its kind asks, and returns its failure if it is one.
async fn drive<F>(kind: TaskKind, token: &CancellationToken, future: F) -> Option<String>
where
    F: Future,
    F::Output: Outcome,
{
    let caught = catch_panic(future);
    let ended = match kind.on_cancel {
        // Biased, so that a cancelled node starts nothing new.
        OnCancel::Abort => tokio::select! {
            biased;
            () = token.cancelled() => return None,
            ended = caught => ended,
        },
        OnCancel::Wait => caught.await,
    };
    match ended {
        Ok(outcome) => outcome.failure(),
        Err(panic) => Some(format!("panicked: {}", message(&*panic))),
    }
}

async fn catch_panic<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut future = Box::pin(future);
    // The future is never polled again after a panic, so nobody sees what it left half done.
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests;
