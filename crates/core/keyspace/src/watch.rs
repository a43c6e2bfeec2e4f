//! Watch cursors: a place in the history. There is no second structure; a watcher far behind and
//! one at the head read the same events.

use alloc::sync::Arc;
use alloc::vec::Vec;

use synod_base::{KeyspaceId, Revision};

use crate::{Error, Event, KeyRange, Keyspaces};

/// Events that one poll looks at, at most, beside finishing a revision.
const SCAN_MAX: usize = 10_000;

/// A watcher's place in the history of a keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The keyspace.
    pub keyspace: KeyspaceId,
    /// The keys it wants.
    pub range: KeyRange,
    /// The first revision it has not seen. It may lie ahead; nothing before it is delivered.
    pub next: Revision,
}

/// How much one poll may return. A revision is never split, so the last one may exceed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollBudget {
    /// Events.
    pub events_max: usize,
    /// Bytes of their keys and values.
    pub bytes_max: u64,
}

impl Default for PollBudget {
    fn default() -> Self {
        Self { events_max: 1000, bytes_max: 1 << 20 }
    }
}

/// The next events of a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Poll {
    /// The events of whole revisions, in order. It may be empty though the cursor moved.
    pub events: Vec<Arc<Event>>,
    /// Everything up to and including this revision was delivered.
    pub revision: Revision,
    /// Whether the cursor has seen everything there is: wait for a wake-up, else poll again.
    pub idle: bool,
}

impl Keyspaces {
    /// A cursor from `from` on; `None` for the revision after the newest.
    ///
    /// # Errors
    /// When the keyspace is unknown, the single key empty, or `from` compacted.
    pub fn watch(
        &self,
        keyspace: KeyspaceId,
        range: KeyRange,
        from: Option<Revision>,
    ) -> Result<Cursor, Error> {
        let state = self.keyspace(keyspace)?;
        range.check()?;
        let next = from.unwrap_or_else(|| state.revision.next());
        if next < state.compaction {
            return Err(Error::Compacted { requested: next, compacted: state.compaction });
        }
        Ok(Cursor { keyspace, range, next })
    }

    /// The next events of `cursor`, which moves past them.
    ///
    /// # Errors
    /// `Compacted` when compaction overtook the cursor: events are lost to it. Then it does not
    /// move. While this member still holds compacted events, cursors read on.
    pub fn poll(&self, cursor: &mut Cursor, budget: PollBudget) -> Result<Poll, Error> {
        let keyspace = self.keyspace(cursor.keyspace)?;
        let history = &keyspace.history;
        // The born revisions 0 and 1 have no events, so that starting there misses nothing.
        if cursor.next < history.floor() && cursor.next < keyspace.compaction {
            let (requested, compacted) = (cursor.next, keyspace.compaction);
            return Err(Error::Compacted { requested, compacted });
        }
        let mut next = cursor.next.max(history.floor());
        let (mut events, mut bytes, mut scanned) = (Vec::new(), 0, 0);
        while next < history.next()
            && events.len() < budget.events_max
            && bytes < budget.bytes_max
            && scanned < SCAN_MAX
        {
            for event in history.events(next) {
                scanned += 1;
                if cursor.range.contains(&event.kv.key) {
                    bytes += event.kv.key.len() as u64 + event.kv.value.len() as u64;
                    events.push(Arc::clone(event));
                }
            }
            next = next.next();
        }
        cursor.next = next;
        let idle = next >= history.next();
        let revision = if idle { keyspace.revision } else { Revision::new(next.get() - 1) };
        Ok(Poll { events, revision, idle })
    }
}
