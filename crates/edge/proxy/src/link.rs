//! What a connection's reader and its request handler tell each other.
//!
//! The reader sees the bytes before the HTTP library, the handler sees the requests after it.
//! Requests of an HTTP/1.1 connection come one after the other, so a request is known on both
//! sides by its number.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;

use parking_lot::Mutex;
use synod_routing::Refusal;

/// The shared state of one HTTP/1.1 connection.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// Whether `notes` is worth a look. Most connections never set it.
    is_noted: AtomicBool,
    served: AtomicU64,
    finished: AtomicU64,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    head: Option<(u64, Refusal)>,
    body: Option<Refusal>,
    upgrade: Upgrade,
    reader: Option<Waker>,
}

/// How an upgrade stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Upgrade {
    Accepted,
    Declined,
    /// Asked for, and the bytes after it are held.
    Asked,
    #[default]
    None,
}

impl Link {
    /// The number of the request that the handler is given now.
    pub(crate) fn next_request(&self) -> u64 {
        self.served.fetch_add(1, Ordering::Relaxed)
    }

    /// A request and its answer are over.
    pub(crate) fn finish_request(&self) {
        self.finished.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether every one of `heads` requests is over.
    pub(crate) fn is_idle(&self, heads: u64) -> bool {
        self.finished.load(Ordering::Relaxed) >= heads
    }

    /// The reader gave the library a stand-in for request `number`, which is refused.
    pub(crate) fn refuse_head(&self, number: u64, refusal: Refusal) {
        self.note(|notes| notes.head = Some((number, refusal)));
    }

    /// The reader cut off the body of the newest request.
    pub(crate) fn refuse_body(&self, refusal: Refusal) {
        self.note(|notes| notes.body = Some(refusal));
    }

    /// Why request `number` is refused, if it is.
    pub(crate) fn head_refusal(&self, number: u64) -> Option<Refusal> {
        let (of, refusal) = self.noted()?.lock().head?;
        (of == number).then_some(refusal)
    }

    /// Why the newest request's body was cut off, if it was.
    pub(crate) fn body_refusal(&self) -> Option<Refusal> {
        self.noted()?.lock().body
    }

    /// The reader holds back what follows the newest request.
    pub(crate) fn ask_upgrade(&self) {
        self.note(|notes| notes.upgrade = Upgrade::Asked);
    }

    /// Whether the newest request asks for an upgrade that may be granted.
    pub(crate) fn is_upgrade_asked(&self) -> bool {
        self.noted().is_some_and(|notes| notes.lock().upgrade == Upgrade::Asked)
    }

    /// The handler knows the answer to the upgrade.
    pub(crate) fn answer_upgrade(&self, answer: Upgrade) {
        let mut notes = self.notes.lock();
        if notes.upgrade == Upgrade::Asked {
            notes.upgrade = answer;
            if let Some(reader) = notes.reader.take() {
                reader.wake();
            }
        }
    }

    /// The answer to the upgrade that was asked for; `reader` is woken when it comes.
    pub(crate) fn upgrade_answer(&self, reader: &Waker) -> Option<Upgrade> {
        let mut notes = self.notes.lock();
        if notes.upgrade == Upgrade::Asked {
            notes.reader = Some(reader.clone());
            return None;
        }
        Some(std::mem::take(&mut notes.upgrade))
    }

    fn note(&self, change: impl FnOnce(&mut Notes)) {
        change(&mut self.notes.lock());
        self.is_noted.store(true, Ordering::Release);
    }

    fn noted(&self) -> Option<&Mutex<Notes>> {
        self.is_noted.load(Ordering::Acquire).then_some(&self.notes)
    }
}
