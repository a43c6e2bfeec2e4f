//! The right to run a loop: a key under a lease, and its create revision as the fence.

use std::time::Duration;

use synod_store::{
    Check, Compare, Consistency, Error as StoreError, EventKind, KeyRange, KeyValue, LeaseId, Op,
    Ordering, Put, RangeRequest, Revision, SYNOD, Store, Txn, WatchRequest,
};

use crate::keys;
use crate::mirror::is_compacted;

/// The right to run a loop. Nobody else has it while the key is as it was made; every write of
/// the loop compares that.
#[derive(Debug)]
pub(crate) struct Epoch {
    key: String,
    lease: LeaseId,
    created: Revision,
}

impl Epoch {
    /// Waits until nobody holds the epoch of `name`, and takes it.
    ///
    /// A holder of our own name is an earlier life of this process, which cannot write any more
    /// once its key is gone: its epoch is ended at once.
    pub(crate) async fn campaign(
        store: &dyn Store,
        name: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Self, StoreError> {
        let key = keys::epoch(name);
        loop {
            let range = RangeRequest::new(SYNOD, KeyRange::key(key.as_str()));
            let read = store.range(range, Consistency::Linearizable).await?;
            match read.kvs.first() {
                None => {
                    if let Some(epoch) = Self::take(store, &key, holder, ttl).await? {
                        return Ok(epoch);
                    }
                }
                Some(kv) if *kv.value == *holder.as_bytes() => depose(store, kv).await?,
                Some(_) => {
                    tracing::debug!(name, "another holds the epoch");
                    until_deleted(store, &key, read.revision).await?;
                }
            }
        }
    }

    async fn take(
        store: &dyn Store,
        key: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<Self>, StoreError> {
        let lease = store.lease_grant(None, ttl).await?.id;
        let put = Put::new(SYNOD, key, holder).with_lease(lease);
        let range = KeyRange::key(key);
        let is_free = Compare { keyspace: SYNOD, range, check: Check::Absent };
        let answer = store.txn(Txn::new(vec![Op::Put(put)]).when(is_free)).await?;
        let changed = answer.changed.iter().find(|(keyspace, _)| *keyspace == SYNOD);
        match changed {
            Some((_, created)) if answer.succeeded => {
                Ok(Some(Self { key: key.to_owned(), lease, created: *created }))
            }
            _ => {
                store.lease_revoke(lease).await?;
                Ok(None)
            }
        }
    }

    /// That the epoch is still ours.
    pub(crate) fn compare(&self) -> Compare {
        let check = Check::CreateRevision(Ordering::Equal, self.created);
        Compare { keyspace: SYNOD, range: KeyRange::key(self.key.as_str()), check }
    }

    /// Whether `kv`, read at the epoch's key, still is ours.
    pub(crate) fn is_held_in(&self, kv: Option<&KeyValue>) -> bool {
        kv.is_some_and(|kv| kv.create_revision == self.created)
    }

    /// The epoch's key.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Renews the lease.
    pub(crate) async fn keep_alive(&self, store: &dyn Store) -> Result<(), StoreError> {
        store.lease_keep_alive(self.lease).await.map(drop)
    }

    /// Gives the epoch up, so that another need not wait for the lease to end.
    pub(crate) async fn resign(self, store: &dyn Store) -> Result<(), StoreError> {
        store.lease_revoke(self.lease).await
    }
}

/// Ends an epoch that was read just now, unless it ended meanwhile.
async fn depose(store: &dyn Store, kv: &KeyValue) -> Result<(), StoreError> {
    let range = KeyRange::Key(kv.key.clone());
    let check = Check::CreateRevision(Ordering::Equal, kv.create_revision);
    let is_same = Compare { keyspace: SYNOD, range: range.clone(), check };
    let delete = Op::Delete(synod_store::DeleteRange::new(SYNOD, range));
    store.txn(Txn::new(vec![delete]).when(is_same)).await.map(drop)
}

/// Waits until `key`, seen at `revision`, is deleted or may have been.
async fn until_deleted(store: &dyn Store, key: &str, revision: Revision) -> Result<(), StoreError> {
    let range = KeyRange::key(key);
    let request = WatchRequest { keyspace: SYNOD, range, from: Some(revision.next()) };
    let watched = async {
        let mut watch = store.watch(request).await?;
        loop {
            let batch = watch.next().await?;
            if batch.events.iter().any(|event| event.kind() == EventKind::Delete) {
                return Ok(());
            }
        }
    };
    match watched.await {
        Err(error) if is_compacted(&error) => Ok(()),
        ended => ended,
    }
}
