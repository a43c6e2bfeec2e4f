//! The two clocks that a replica is given.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use synod_base::Time;

/// A monotone clock for timers, counted from its making.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { origin: Instant::now() }
    }

    pub(crate) fn now(&self) -> Time {
        Time::ZERO + self.origin.elapsed()
    }
}

/// The wall clock for entries. Before 1970 it stands still.
pub(crate) fn wall_clock() -> Time {
    Time::ZERO + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
