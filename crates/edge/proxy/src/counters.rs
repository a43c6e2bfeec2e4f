//! What a listener has served, as plain counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a listener has served so far. Counters only grow; gauges are counts of now.
#[derive(Debug, Default)]
pub struct Counters {
    /// Answers by the first digit of their status: 1xx at index 0 to 5xx at index 4.
    answers: [AtomicU64; 5],
    requests_in_flight: AtomicU64,
    connections_open: AtomicU64,
    connections: AtomicU64,
    retries: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Answers by the first digit of their status: 1xx at index 0 to 5xx at index 4.
    pub answers: [u64; 5],
    /// Requests whose answer is not complete yet.
    pub requests_in_flight: u64,
    /// Connections that are open.
    pub connections_open: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Requests sent a second time.
    pub retries: u64,
}

impl Counters {
    /// The counters now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            answers: std::array::from_fn(|class| load(&self.answers[class])),
            requests_in_flight: load(&self.requests_in_flight),
            connections_open: load(&self.connections_open),
            connections: load(&self.connections),
            retries: load(&self.retries),
        }
    }

    pub(crate) fn answered(&self, status: http::StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.answers[class].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn connected(self: &Arc<Self>) -> Held {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Held::new(self, |counters| &counters.connections_open)
    }

    pub(crate) fn requested(self: &Arc<Self>) -> Held {
        Held::new(self, |counters| &counters.requests_in_flight)
    }
}

/// Counts as one in a gauge until it is dropped.
pub(crate) struct Held {
    counters: Arc<Counters>,
    gauge: fn(&Counters) -> &AtomicU64,
}

impl Held {
    fn new(counters: &Arc<Counters>, gauge: fn(&Counters) -> &AtomicU64) -> Self {
        gauge(counters).fetch_add(1, Ordering::Relaxed);
        Self { counters: counters.clone(), gauge }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        (self.gauge)(&self.counters).fetch_sub(1, Ordering::Relaxed);
    }
}
