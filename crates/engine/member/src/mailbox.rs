//! The core thread's mailbox: who may put what in, and how much.
//!
//! The channel itself has no bound. Requests are counted, and refused as busy past
//! [`REQUESTS_MAX`]; a watch puts in one credit at a time and one close; the disk reports once per
//! job, of which the replica has a handful under way. So the channel is bounded by what it carries,
//! and the disk's reports never wait behind a full one.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};

use synod_base::{LeaseId, LogIndex, Revision};
use synod_keyspace::{Applied, Command, RangeRequest, RangeResponse};
use synod_replica::{Consistency, Input, LeaseStatus, WatchId};
use synod_store::{Error, WatchBatch, WatchRequest};
use tokio::sync::{oneshot, watch};

/// Requests that may wait for their answer at a time. A request takes a few hundred bytes here; at
/// 64 in flight per client this serves hundreds of clients before anyone is told to come back.
const REQUESTS_MAX: usize = 16_384;

const PANICKED: &str = "the member's core thread panicked";

/// A request's answer.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// Something for the core thread.
#[derive(Debug)]
pub(crate) enum Message {
    /// Replicate and apply a command.
    Command(Command, Answer<Applied>, Place),
    /// The disk's report.
    Disk(Input),
    /// Renew a lease.
    LeaseKeepAlive(LeaseId, Answer<LeaseStatus>, Place),
    /// How a lease stands.
    LeaseStatus(LeaseId, Answer<LeaseStatus>, Place),
    /// Read a range.
    Read(RangeRequest, Consistency, Answer<RangeResponse>, Place),
    /// Finish what is under way and end.
    Shutdown,
    /// Cut a snapshot.
    Snapshot(Answer<LogIndex>, Place),
    /// A watch's end is gone.
    WatchClose(WatchId),
    /// A watch has room for one more batch.
    WatchCredit(WatchId),
    /// Start a watch.
    WatchOpen(WatchRequest, Answer<OpenedWatch>, Place),
}

/// A watch that runs. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct OpenedWatch {
    pub(crate) id: WatchId,
    pub(crate) start: Revision,
    /// One batch per credit, then perhaps an error.
    pub(crate) batches: tokio::sync::mpsc::Receiver<Result<WatchBatch, Error>>,
    pub(crate) mailbox: Mailbox,
}

impl Drop for OpenedWatch {
    fn drop(&mut self) {
        self.mailbox.post(Message::WatchClose(self.id));
    }
}

/// The sending end. Clones are the same mailbox.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    sender: Sender<Message>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    waiting: AtomicUsize,
    is_closed: AtomicBool,
    /// Set once, before the core thread ends.
    stop_reason: OnceLock<String>,
    ended: watch::Sender<bool>,
}

/// A place among the requests that wait. Dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Mailbox {
    pub(crate) fn new() -> (Self, Receiver<Message>) {
        let (sender, receiver) = mpsc::channel();
        let shared = Shared {
            waiting: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
            stop_reason: OnceLock::new(),
            ended: watch::Sender::new(false),
        };
        (Self { sender, shared: Arc::new(shared) }, receiver)
    }

    /// Puts in what is bounded by itself. A member that has ended needs none of it.
    pub(crate) fn post(&self, message: Message) {
        let _ = self.sender.send(message);
    }

    /// Puts in a request and waits for its answer.
    pub(crate) async fn ask<T>(
        &self,
        message: impl FnOnce(Answer<T>, Place) -> Message,
    ) -> Result<T, Error> {
        if self.shared.is_closed.load(Ordering::Relaxed) {
            return Err(Error::Stopped { reason: "it is shutting down".into() });
        }
        let place = self.take_place()?;
        let (answer, answered) = oneshot::channel();
        if self.sender.send(message(answer, place)).is_err() {
            return Err(self.unanswered());
        }
        answered.await.unwrap_or_else(|_| Err(self.unanswered()))
    }

    /// Takes no more requests.
    pub(crate) fn close(&self) {
        self.shared.is_closed.store(true, Ordering::Relaxed);
    }

    /// Says why the core thread is about to end. Only the first reason counts.
    pub(crate) fn stop(&self, reason: &str) {
        let _ = self.shared.stop_reason.set(reason.to_owned());
    }

    /// The core thread has ended.
    pub(crate) fn end(&self) {
        self.shared.ended.send_replace(true);
    }

    /// Completes with the reason once the core thread has ended. Cancel safe.
    pub(crate) async fn ended(&self) -> String {
        let mut ended = self.shared.ended.subscribe();
        // The sender lives in `self`, so waiting can't fail.
        let _ = ended.wait_for(|ended| *ended).await;
        self.shared.stop_reason.get().map_or(PANICKED, String::as_str).to_owned()
    }

    fn take_place(&self) -> Result<Place, Error> {
        let place = Place(Arc::clone(&self.shared));
        // The place counts itself out when dropped, also when refused here.
        let before = self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        if before < REQUESTS_MAX { Ok(place) } else { Err(Error::Busy) }
    }

    /// What a request is told that the core thread never answered. After an orderly end it was
    /// never looked at; after a panic nobody knows.
    fn unanswered(&self) -> Error {
        match self.shared.stop_reason.get() {
            Some(reason) => Error::Stopped { reason: reason.clone() },
            None => Error::Unknown { reason: PANICKED.into() },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn past_its_bound_the_mailbox_is_busy_until_a_place_is_free() {
        let (mailbox, messages) = Mailbox::new();
        let mut context = Context::from_waker(Waker::noop());
        let ask = || Box::pin(mailbox.ask(Message::Snapshot));
        let mut waiting: Vec<_> = (0..REQUESTS_MAX).map(|_| ask()).collect();
        assert!(waiting.iter_mut().all(|ask| ask.as_mut().poll(&mut context).is_pending()));
        for _ in 0..2 {
            let refused = pin!(ask()).poll(&mut context);
            assert!(matches!(refused, Poll::Ready(Err(Error::Busy))), "{refused:?}");
        }
        // Who has stopped waiting keeps the place until the core thread has seen to the request.
        drop(waiting.pop());
        assert!(pin!(ask()).poll(&mut context).is_ready());
        drop(messages.recv());
        assert!(pin!(ask()).poll(&mut context).is_pending());
    }
}
