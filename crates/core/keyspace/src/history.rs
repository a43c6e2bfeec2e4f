//! The one history of a keyspace: immutable events in chunks, from the compaction revision on.
//!
//! Compaction has two halves. The *logical* half is replicated: from then on reads below the
//! compaction revision are refused and its bytes no longer count. It costs one subtraction, because
//! each revision knows the bytes written before it. The *physical* half, trimming, is this member's
//! own affair: it frees events a few at a time, and waits for a running snapshot or a watcher.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use synod_base::{Revision, Time};

use crate::Event;

/// A new keyspace is at revision 1 without events, so that no event lies below this.
pub(crate) const FIRST_EVENT: Revision = Revision::new(2);

/// Revisions per chunk. Small enough that a dropped chunk is a small pause for the allocator.
const CHUNK_REVISIONS: u64 = 256;

/// What an event costs beside the versions it holds: itself, its counters, its place and its
/// share of the revision's record.
const EVENT_OVERHEAD: u64 = 80;

/// Events of dense revisions, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct History {
    chunks: VecDeque<Chunk>,
    /// The oldest revision whose events are all here.
    floor: Revision,
    /// The revision that the next push writes.
    next: Revision,
    /// Bytes of all events ever pushed. Only differences mean something.
    total: u64,
    /// Events at the front that belong to revisions below the floor.
    leftover: usize,
}

/// The events of revisions with one quotient by [`CHUNK_REVISIONS`].
#[derive(Clone, Debug, Default)]
struct Chunk {
    revisions: VecDeque<Record>,
    events: VecDeque<Arc<Event>>,
    /// Events already taken from the front.
    taken: usize,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    /// The agreed time of the entry.
    time: Time,
    /// Bytes of all events before this revision.
    total_before: u64,
    /// Place of the first event, counted from the chunk's first ever.
    start: u32,
}

impl History {
    /// An empty history whose first revision will be `next`.
    pub(crate) fn new(next: Revision) -> Self {
        Self { chunks: VecDeque::new(), floor: next, next, total: 0, leftover: 0 }
    }

    /// What one event adds to the history's bytes: its own overhead and the version it superseded,
    /// which from now on only the history holds.
    pub(crate) fn cost(event: &Event) -> u64 {
        let superseded = event.prev.as_ref().map_or(0, |prev| prev.weight());
        let tombstone = if event.kv.is_tombstone() { crate::event::VERSION_OVERHEAD } else { 0 };
        EVENT_OVERHEAD + superseded + tombstone
    }

    /// What an event without predecessor costs.
    pub(crate) const fn base_cost() -> u64 {
        EVENT_OVERHEAD
    }

    /// Appends the events of the next revision, draining `events`.
    pub(crate) fn push(&mut self, time: Time, events: &mut Vec<Arc<Event>>) {
        debug_assert!(!events.is_empty(), "a revision without a change");
        let chunk = match self.chunks.back_mut() {
            Some(chunk) if !self.next.get().is_multiple_of(CHUNK_REVISIONS) => chunk,
            full => {
                if let Some(full) = full {
                    full.events.shrink_to_fit();
                }
                self.chunks.push_back(Chunk::sized(self.next));
                self.chunks.back_mut().expect("just pushed")
            }
        };
        let start = chunk.taken + chunk.events.len();
        let start = u32::try_from(start).expect("a chunk holds less than 4 Gi events");
        chunk.revisions.push_back(Record { time, total_before: self.total, start });
        for event in events.drain(..) {
            self.total += Self::cost(&event);
            chunk.events.push_back(event);
        }
        self.next = self.next.next();
    }

    /// The oldest revision whose events are all here.
    pub(crate) fn floor(&self) -> Revision {
        self.floor
    }

    /// The revision after the newest.
    pub(crate) fn next(&self) -> Revision {
        self.next
    }

    /// Bytes of the events at and after `revision`.
    pub(crate) fn bytes_from(&self, revision: Revision) -> u64 {
        self.total - self.total_before(revision)
    }

    /// Bytes of the events that are here although they are below `revision`.
    pub(crate) fn bytes_below(&self, revision: Revision) -> u64 {
        self.total_before(revision) - self.total_before(self.floor)
    }

    /// When `revision` was written.
    pub(crate) fn time(&self, revision: Revision) -> Option<Time> {
        self.locate(revision).map(|(chunk, at)| chunk.revisions[at].time)
    }

    /// The events of `revision`, in the order of the operations that made them. Empty outside
    /// `floor..next`.
    pub(crate) fn events(&self, revision: Revision) -> impl ExactSizeIterator<Item = &Arc<Event>> {
        static NONE: VecDeque<Arc<Event>> = VecDeque::new();
        match self.locate(revision) {
            Some((chunk, at)) => {
                let start = chunk.revisions[at].start as usize;
                let end = chunk.revisions.get(at + 1).map(|record| record.start as usize);
                let end = end.unwrap_or(chunk.taken + chunk.events.len());
                chunk.events.range(start - chunk.taken..end - chunk.taken)
            }
            None => NONE.range(..),
        }
    }

    /// Takes the oldest event if it lies below `limit`. The floor rises before the first event of
    /// a revision goes, so that no reader sees half a revision.
    pub(crate) fn pop_below(&mut self, limit: Revision) -> Option<Arc<Event>> {
        if self.leftover == 0 {
            if self.floor >= limit.min(self.next) {
                return None;
            }
            let leftover = self.events(self.floor).len();
            self.leftover = leftover;
            let chunk = self.chunks.front_mut().expect("a revision below next is in a chunk");
            chunk.revisions.pop_front();
            self.floor = self.floor.next();
        }
        let chunk = self.chunks.front_mut().expect("leftover events are in the first chunk");
        let event = chunk.events.pop_front().expect("counted");
        chunk.taken += 1;
        self.leftover -= 1;
        if chunk.revisions.is_empty() && self.leftover == 0 {
            self.chunks.pop_front();
        }
        Some(event)
    }

    fn total_before(&self, revision: Revision) -> u64 {
        match self.locate(revision) {
            Some((chunk, at)) => chunk.revisions[at].total_before,
            // Below the floor nothing is counted any more; ahead, everything is.
            None if revision < self.floor => self.total_before(self.floor),
            None => self.total,
        }
    }

    fn locate(&self, revision: Revision) -> Option<(&Chunk, usize)> {
        if revision < self.floor || revision >= self.next {
            return None;
        }
        let chunk_of = |revision: Revision| revision.get() / CHUNK_REVISIONS;
        // A first chunk with nothing but leftovers ends below the floor.
        let first = if self.leftover > 0 { self.floor.get() - 1 } else { self.floor.get() };
        let nth = chunk_of(revision) - first / CHUNK_REVISIONS;
        let chunk = self.chunks.get(usize::try_from(nth).ok()?)?;
        let begin = self.floor.get().max(chunk_of(revision) * CHUNK_REVISIONS);
        let at = usize::try_from(revision.get() - begin).ok()?;
        debug_assert!(at < chunk.revisions.len(), "revision {revision} is in its chunk");
        Some((chunk, at))
    }
}

impl Chunk {
    /// Room for what is left of the chunk that `revision` opens.
    fn sized(revision: Revision) -> Self {
        let revisions = CHUNK_REVISIONS - revision.get() % CHUNK_REVISIONS;
        let room = usize::try_from(revisions).expect("a chunk is small");
        Self {
            revisions: VecDeque::with_capacity(room),
            events: VecDeque::with_capacity(room),
            taken: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use synod_base::LogIndex;

    use super::*;
    use crate::KeyValue;

    fn event(revision: u64, nth: u64) -> Arc<Event> {
        let kv = KeyValue {
            key: alloc::format!("{revision}/{nth}").into(),
            value: "v".into(),
            create_revision: Revision::new(revision),
            mod_revision: Revision::new(revision),
            version: 1,
            lease: None,
        };
        Arc::new(Event { index: LogIndex::new(revision), kv: kv.into(), prev: None })
    }

    /// Events one by one off the front, over the borders of chunks and within a revision, while
    /// others are added: what is left is whole and in its place.
    #[test]
    fn what_is_not_taken_stays_whole_and_in_its_place() {
        let mut history = History::new(FIRST_EVENT);
        let mut all: VecDeque<(u64, Vec<Arc<Event>>)> = VecDeque::new();
        let limit = Revision::new(u64::MAX);
        for revision in 2..4 * CHUNK_REVISIONS {
            // Many events at the ends of chunks, else one.
            let count = if revision % CHUNK_REVISIONS >= CHUNK_REVISIONS - 2 { 5 } else { 1 };
            let mut events: Vec<_> = (0..count).map(|nth| event(revision, nth)).collect();
            all.push_back((revision, events.clone()));
            history.push(Time::from_nanos(revision), &mut events);
            // Once it is longer than a chunk, as many events go as come.
            let takes = if revision > CHUNK_REVISIONS + 9 { count } else { 0 };
            for _ in 0..takes {
                let taken = history.pop_below(limit).expect("not empty");
                let front = &mut all.front_mut().expect("not empty").1;
                assert_eq!(taken, front.remove(0));
                if front.is_empty() {
                    all.pop_front();
                }
                check(&history, &all);
            }
        }
        while history.pop_below(limit).is_some() {}
        assert_eq!(history.floor(), history.next());
        assert!(history.chunks.is_empty());
    }

    fn check(history: &History, all: &VecDeque<(u64, Vec<Arc<Event>>)>) {
        let whole = all.iter().filter(|(revision, _)| *revision >= history.floor().get());
        let mut bytes = 0;
        for (revision, events) in whole {
            let revision = Revision::new(*revision);
            assert!(history.events(revision).eq(events.iter()), "revision {revision}");
            assert_eq!(history.time(revision), Some(Time::from_nanos(revision.get())));
            bytes += EVENT_OVERHEAD * events.len() as u64;
        }
        assert_eq!(history.bytes_from(history.floor()), bytes);
    }
}
