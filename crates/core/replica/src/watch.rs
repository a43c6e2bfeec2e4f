//! Watches: cursors over the history, fed as far as their watchers have room.
//!
//! A watcher gives credit, one per batch it can take; nothing is queued for it beyond that, since
//! the history is the queue. One that is behind keeps its place for a while: the events it has yet
//! to read are spared from trimming, until the oldest of them is [`SPARED_FOR`] old.
//!
//! A watcher of few keys may have a long history to look through. It does so a part at a time, in
//! steps of their own, so that writes don't wait for it.

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use synod_base::{KeyspaceId, Revision, Time};
use synod_keyspace::{Cursor, KeyRange, PollBudget, WatchIndex};

use crate::{Answer, Error, Output, Replica, Token, WatchId};

/// How far a watcher may be behind to be spared from compaction.
const SPARED_FOR: Duration = Duration::from_secs(60);

/// The running watches.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    watches: BTreeMap<WatchId, Watch>,
    index: WatchIndex,
    /// Those that have not seen everything.
    behind: BTreeSet<WatchId>,
    /// Those with credit that have more history to look through.
    scanning: BTreeSet<WatchId>,
    /// When they go on.
    scan_due: Time,
    /// Keyspaces with spared events.
    spared: BTreeSet<KeyspaceId>,
}

#[derive(Debug)]
struct Watch {
    cursor: Cursor,
    credit: u32,
    /// It has seen everything that concerns it. Its cursor rests until an event does.
    caught_up: bool,
}

/// Watches to be fed, each with the first new revision that concerns it.
#[derive(Debug, Default)]
pub(crate) struct Woken(BTreeMap<WatchId, Revision>);

/// What a watch is opened with.
#[derive(Debug)]
pub(crate) struct WatchRequest {
    pub(crate) keyspace: KeyspaceId,
    pub(crate) range: KeyRange,
    pub(crate) from: Option<Revision>,
    pub(crate) credit: u32,
}

impl Watches {
    /// Ends all watches.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = WatchId> + use<> {
        core::mem::take(self).watches.into_keys()
    }

    fn remove(&mut self, id: WatchId) {
        self.watches.remove(&id);
        self.behind.remove(&id);
        self.scanning.remove(&id);
        self.index.remove(id.get());
    }

    /// When a watch has more history to look through.
    pub(crate) fn next_timeout(&self) -> Option<Time> {
        if self.scanning.is_empty() { None } else { Some(self.scan_due) }
    }

    /// Whether compacted events may be held for a watcher.
    pub(crate) fn is_sparing(&self) -> bool {
        !self.spared.is_empty()
    }
}

impl Replica {
    pub(crate) fn on_watch_open(
        &mut self,
        now: Time,
        token: Token,
        id: WatchId,
        request: WatchRequest,
    ) {
        let WatchRequest { keyspace, range, from, credit } = request;
        match self.keyspaces.watch(keyspace, range, from) {
            Ok(cursor) => {
                let start = cursor.next;
                self.watches.index.add(id.get(), keyspace, &cursor.range);
                let watch = Watch { cursor, credit, caught_up: false };
                self.watches.watches.insert(id, watch);
                self.reply(token, Ok(Answer::WatchOpened { start }));
                self.feed_watch(now, id);
            }
            Err(error) => self.reply(token, Err(Error::Refused(error))),
        }
    }

    pub(crate) fn on_watch_close(&mut self, id: WatchId) {
        self.watches.remove(id);
    }

    /// Credit for a watch that has ended meanwhile is ignored.
    pub(crate) fn on_watch_credit(&mut self, now: Time, id: WatchId, batches: u32) {
        if let Some(watch) = self.watches.watches.get_mut(&id) {
            watch.credit = watch.credit.saturating_add(batches);
            self.feed_watch(now, id);
        }
    }

    /// Notes the watches that a new revision concerns.
    pub(crate) fn wake_watches(&self, woken: &mut Woken, keyspace: KeyspaceId, revision: Revision) {
        if self.watches.index.is_empty() {
            return;
        }
        for event in self.keyspaces.events(keyspace, revision) {
            for watcher in self.watches.index.matching(keyspace, &event.kv.key) {
                woken.0.entry(WatchId::new(watcher)).or_insert(revision);
            }
        }
    }

    pub(crate) fn feed_woken(&mut self, now: Time, woken: &Woken) {
        for (id, revision) in &woken.0 {
            // The batch of entries that woke it may have been followed by its end.
            let Some(watch) = self.watches.watches.get_mut(id) else { continue };
            if watch.caught_up {
                watch.cursor.next = watch.cursor.next.max(*revision);
                watch.caught_up = false;
            }
            self.feed_watch(now, *id);
        }
        self.spare_watchers(now);
    }

    fn feed_watch(&mut self, now: Time, id: WatchId) {
        let watch = self.watches.watches.get_mut(&id).expect("the caller found it");
        self.watches.scanning.remove(&id);
        while watch.credit > 0 && !watch.caught_up {
            match self.keyspaces.poll(&mut watch.cursor, PollBudget::default()) {
                Ok(poll) => {
                    watch.caught_up = poll.idle;
                    if !poll.events.is_empty() {
                        watch.credit -= 1;
                        let (events, revision) = (poll.events, poll.revision);
                        self.outputs.push(Output::WatchBatch { watch: id, events, revision });
                    } else if !poll.idle {
                        self.watches.scanning.insert(id);
                        self.watches.scan_due = now;
                        break;
                    }
                }
                Err(error) => {
                    self.watches.remove(id);
                    let error = Error::Refused(error);
                    self.outputs.push(Output::WatchEnded { watch: id, error });
                    return;
                }
            }
        }
        if watch.caught_up {
            self.watches.behind.remove(&id);
        } else {
            self.watches.behind.insert(id);
        }
    }

    /// One watch goes on looking through the history.
    pub(crate) fn on_scan_timeout(&mut self, now: Time) {
        if let Some(id) = self.watches.scanning.first().copied() {
            self.feed_watch(now, id);
        }
    }

    pub(crate) fn spare_watchers(&mut self, now: Time) {
        if self.watches.behind.is_empty() && self.watches.spared.is_empty() {
            return;
        }
        let behind = self.watches.behind.iter().map(|id| self.watches.watches[id].cursor.keyspace);
        let mut keyspaces: BTreeSet<KeyspaceId> = behind.collect();
        keyspaces.append(&mut self.watches.spared);
        for keyspace in keyspaces {
            let spared = self.spared(now, keyspace);
            self.keyspaces.spare(keyspace, spared).expect("a watched keyspace exists");
            if spared.is_some() {
                self.watches.spared.insert(keyspace);
            }
        }
    }

    /// The oldest revision of `keyspace` that a watcher to be spared has yet to see.
    fn spared(&self, now: Time, keyspace: KeyspaceId) -> Option<Revision> {
        let cursors = self.watches.behind.iter().map(|id| &self.watches.watches[id].cursor);
        let close = cursors.filter(|cursor| {
            cursor.keyspace == keyspace && self.age(now, cursor).is_some_and(|age| age < SPARED_FOR)
        });
        close.map(|cursor| cursor.next).min()
    }

    /// How long ago the first revision was written that the cursor has not seen: by the agreed
    /// clock as far as that has come, and by the timers' since then.
    fn age(&self, now: Time, cursor: &Cursor) -> Option<Duration> {
        let written = self.keyspaces.time(cursor.keyspace, cursor.next)?;
        let idle = now.since(self.clock_moved);
        Some(self.keyspaces.clock().since(written).saturating_add(idle))
    }
}
