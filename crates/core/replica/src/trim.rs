//! Trimming in idle time: what was compacted is freed a little at a time, so that nobody waits
//! behind it.
//!
//! Entries trim as they apply, about as much as they add. That keeps a busy store small and leaves
//! an idle one with whatever the last compaction gave up; a timer frees the rest.

use core::time::Duration;

use synod_base::Time;

use crate::Replica;

/// Events freed in one step: well below a millisecond.
const EVENTS_MAX: usize = 500;

/// Time left to others between two steps.
const PAUSE: Duration = Duration::from_millis(5);

/// When to look again at what is spared for watchers.
const SPARED_PAUSE: Duration = Duration::from_secs(5);

/// When to trim next.
#[derive(Debug, Default)]
pub(crate) struct Trimmer {
    due: Option<Time>,
}

impl Trimmer {
    pub(crate) fn next_timeout(&self) -> Option<Time> {
        self.due
    }
}

impl Replica {
    /// Starts the timer if there is something to free.
    pub(crate) fn schedule_trim(&mut self, now: Time) {
        if self.trimmer.due.is_none() {
            self.trimmer.due = self.trim_again(now, 0);
        }
    }

    pub(crate) fn on_trim_timeout(&mut self, now: Time) {
        if self.trimmer.due.take_if(|due| *due <= now).is_some() {
            self.spare_watchers(now);
            self.trimmer.due = self.trim_again(now, EVENTS_MAX);
        }
    }

    fn trim_again(&mut self, now: Time, events_max: usize) -> Option<Time> {
        if self.keyspaces.trim(events_max) {
            Some(now + PAUSE)
        } else if self.watches.is_sparing() {
            Some(now + SPARED_PAUSE)
        } else {
            None
        }
    }
}
