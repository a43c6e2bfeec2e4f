//! A copy of part of the store that stays current.
//!
//! It begins as a list and is then kept up by a watch from the revision after it. When compaction
//! overtakes the watch, the list is read again and compared with the copy, so the reader only ever
//! sees complete changes and need not know that it happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use synod_store::{
    Consistency, EventKind, KeyRange, RangeRequest, Revision, SYNOD, Store, Watch, WatchBatch,
    WatchRequest,
};

use crate::record::{self, Record};
use crate::{Corrupt, Error};

/// A copy of part of the store that stays current. See [`Follow::next`].
pub struct Follow<R: Record> {
    store: Arc<dyn Store>,
    range: KeyRange,
    wanted: Wanted<R>,
    entries: BTreeMap<R::Key, R>,
    corrupt: BTreeMap<String, Corrupt>,
    revision: Revision,
    /// `None` once it broke: the next step lists anew.
    watch: Option<Watch>,
}

/// Which keys of the range belong to the copy.
type Wanted<R> = Box<dyn Fn(&<R as Record>::Key) -> bool + Send + Sync>;

/// What one step of a [`Follow`] brought.
#[derive(Clone, Debug)]
pub struct Changes<R: Record> {
    /// The copy is now as the store was at this revision.
    pub revision: Revision,
    /// What differs from before, oldest first. Empty when only unreadable values changed, or what
    /// changed was changed back.
    pub changes: Vec<Change<R>>,
}

/// A difference between the copy before and after a step.
#[derive(Clone, Debug)]
pub enum Change<R: Record> {
    /// The record is new or was written again.
    Put(R::Key, R),
    /// The record is gone or can no longer be read.
    Remove(R::Key),
}

impl<R: Record> Follow<R> {
    /// Lists `range` and begins to watch it.
    pub(crate) async fn start(
        store: Arc<dyn Store>,
        range: KeyRange,
        wanted: impl Fn(&R::Key) -> bool + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let mut this = Self {
            store,
            range,
            wanted: Box::new(wanted),
            entries: BTreeMap::new(),
            corrupt: BTreeMap::new(),
            revision: Revision::ZERO,
            watch: None,
        };
        this.relist().await?;
        Ok(this)
    }

    /// The copy.
    #[must_use]
    pub fn entries(&self) -> &BTreeMap<R::Key, R> {
        &self.entries
    }

    /// What could not be read, by key. Such keys are absent from the copy.
    pub fn corrupt(&self) -> impl Iterator<Item = &Corrupt> {
        self.corrupt.values()
    }

    /// The revision that the copy is as of.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Waits for the next change, brings the copy up to it, and says what it was.
    ///
    /// Cancel safety: nothing is lost when the future is dropped; the copy is never half changed.
    ///
    /// # Errors
    /// When the store stopped or refused; a later call tries again. Compaction is no error here.
    pub async fn next(&mut self) -> Result<Changes<R>, Error> {
        loop {
            let Some(watch) = &mut self.watch else {
                let before = self.revision;
                let changes = self.relist().await?;
                // Told even when it all came out the same: someone may wait for the revision.
                if self.revision > before {
                    return Ok(Changes { revision: self.revision, changes });
                }
                continue;
            };
            match watch.next().await {
                Ok(batch) => {
                    if let Some(changes) = self.apply(&batch) {
                        return Ok(changes);
                    }
                }
                Err(error) => {
                    self.watch = None;
                    if !is_compacted(&error) {
                        return Err(error.into());
                    }
                }
            }
        }
    }

    /// Brings the copy up to a batch; `None` when it holds nothing that is wanted.
    fn apply(&mut self, batch: &WatchBatch) -> Option<Changes<R>> {
        let mut changes = Vec::new();
        let mut touched = false;
        for event in &batch.events {
            let text = event.kv.key.to_text_lossy();
            let key = R::parse_key(&text);
            if key.as_ref().is_some_and(|key| !(self.wanted)(key)) {
                continue;
            }
            touched = true;
            self.corrupt.remove(&text);
            let read = (event.kind() == EventKind::Put).then(|| record::read::<R>(&event.kv));
            match read {
                Some(Ok((key, record))) => {
                    self.entries.insert(key.clone(), record.clone());
                    changes.push(Change::Put(key, record));
                    continue;
                }
                Some(Err(bad)) => drop(self.corrupt.insert(text, record::report(bad))),
                None => {}
            }
            if let Some(key) = key.filter(|key| self.entries.remove(key).is_some()) {
                changes.push(Change::Remove(key));
            }
        }
        self.revision = self.revision.max(batch.revision);
        touched.then_some(Changes { revision: self.revision, changes })
    }

    /// Reads everything anew, starts a watch behind it, and says what differs from the copy.
    async fn relist(&mut self) -> Result<Vec<Change<R>>, Error> {
        let (found, watch) = loop {
            let request = RangeRequest::new(SYNOD, self.range.clone());
            let found = self.store.range(request, Consistency::Linearizable).await?;
            let request = WatchRequest {
                keyspace: SYNOD,
                range: self.range.clone(),
                from: Some(found.revision.next()),
            };
            match self.store.watch(request).await {
                Ok(watch) => break (found, watch),
                Err(error) if is_compacted(&error) => {}
                Err(error) => return Err(error.into()),
            }
        };
        let mut corrupt = Vec::new();
        let kvs = found.kvs.iter().map(|kv| &**kv);
        let mut entries: BTreeMap<_, _> =
            record::read_all::<R>(kvs, &mut corrupt).into_iter().collect();
        entries.retain(|key, _| (self.wanted)(key));
        corrupt.retain(|bad| R::parse_key(&bad.key).is_none_or(|key| (self.wanted)(&key)));

        let changes = self.differences(&entries, &found.kvs);
        self.entries = entries;
        self.corrupt = corrupt.into_iter().map(|bad| (bad.key.clone(), bad)).collect();
        self.revision = found.revision;
        self.watch = Some(watch);
        Ok(changes)
    }

    fn differences(
        &self,
        entries: &BTreeMap<R::Key, R>,
        kvs: &[Arc<synod_store::KeyValue>],
    ) -> Vec<Change<R>> {
        let gone = self.entries.keys().filter(|key| !entries.contains_key(*key));
        let mut changes: Vec<_> = gone.cloned().map(Change::Remove).collect();
        // What was written since is told by its revision, so records need not be comparable.
        for kv in kvs.iter().filter(|kv| kv.mod_revision > self.revision) {
            let key = R::parse_key(&kv.key.to_text_lossy());
            if let Some((key, record)) = key.and_then(|key| entries.get_key_value(&key)) {
                changes.push(Change::Put(key.clone(), record.clone()));
            }
        }
        changes
    }
}

/// Whether history that was asked for is gone.
pub(crate) fn is_compacted(error: &synod_store::Error) -> bool {
    matches!(error, synod_store::Error::Refused(synod_keyspace::Error::Compacted { .. }))
}
