//! Registrations in the store: written by agents, read by everyone.

use std::sync::Arc;
use std::time::Duration;

use synod_store::{
    Check, Compare, Consistency, DeleteRange, KeyRange, KeyValue, LeaseChange, LeaseId, Op,
    Ordering, Put, RangeRequest, Revision, SYNOD, Store, Txn, TxnResponse, WatchRequest,
};

use crate::follow::{Follow, is_compacted};
use crate::record::{self, Record};
use crate::{Corrupt, Error, Filter, Health, Registration, RegistrationKey};

/// The registrations in the store. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    store: Arc<dyn Store>,
}

/// The registrations that match a filter, as of a revision.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The store's revision when it was read; hand it to [`Registry::changed_since`] next time.
    pub revision: Revision,
    /// By app, service and instance.
    pub registrations: Vec<Registration>,
    /// Values that could not be read and are missing above.
    pub corrupt: Vec<Corrupt>,
}

impl Registry {
    /// The registrations in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Writes a registration, attached to its node's lease: it vanishes when the lease ends.
    /// One already there is replaced.
    ///
    /// # Errors
    /// When a name is bad, the lease is gone, or the store fails.
    pub async fn register(
        &self,
        lease: LeaseId,
        registration: &Registration,
    ) -> Result<Revision, Error> {
        let path = registration.key().path()?;
        let put = Put::new(SYNOD, path, record::encode(registration)).with_lease(lease);
        let done = self.store.txn(Txn::new(vec![Op::Put(put)])).await?;
        Ok(changed(&done).expect("a put changes its keyspace"))
    }

    /// Changes the health of a registration and nothing else; it stays on its lease.
    ///
    /// Returns the revision from which on readers see it, which is an older one when the health
    /// was that already. Never brings a vanished registration back.
    ///
    /// # Errors
    /// [`Error::NotRegistered`] when there is none, [`Error::Corrupt`] when it cannot be read;
    /// also when a name is bad or the store fails.
    pub async fn set_health(
        &self,
        app: &str,
        service: &str,
        instance: &str,
        health: Health,
    ) -> Result<Revision, Error> {
        let key = RegistrationKey::new(app, service, instance);
        let range = KeyRange::key(key.path()?);
        loop {
            let found = self.read(range.clone()).await?;
            let Some(kv) = found.kvs.first() else { return Err(Error::NotRegistered(key)) };
            let (_, mut registration) = record::read::<Registration>(kv)?;
            if registration.health == health {
                return Ok(kv.mod_revision);
            }
            registration.health = health;
            let done = self.store.txn(rewrite(kv, &registration)).await?;
            if let Some(revision) = changed(&done) {
                return Ok(revision);
            }
            // Another writer was faster: look again at what it wrote.
        }
    }

    /// Removes a registration; `None` when there was none.
    ///
    /// # Errors
    /// When a name is bad or the store fails.
    pub async fn deregister(
        &self,
        app: &str,
        service: &str,
        instance: &str,
    ) -> Result<Option<Revision>, Error> {
        let path = RegistrationKey::new(app, service, instance).path()?;
        let delete = DeleteRange::new(SYNOD, KeyRange::key(path));
        let done = self.store.txn(Txn::new(vec![Op::Delete(delete)])).await?;
        Ok(changed(&done))
    }

    /// The registrations that match now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(&self, filter: &Filter) -> Result<Listing, Error> {
        let found = self.read(filter.range()).await?;
        let mut corrupt = Vec::new();
        let kvs = found.kvs.iter().map(|kv| &**kv).filter(|kv| concerns(filter, kv));
        let read = record::read_all::<Registration>(kvs, &mut corrupt);
        let mut registrations: Vec<_> = read.into_iter().map(|(_, it)| it).collect();
        // The store's order is bytewise over whole paths, where `a-b/…` comes before `a/…`.
        registrations.sort_by_cached_key(Registration::key);
        Ok(Listing { revision: found.revision, registrations, corrupt })
    }

    /// The registrations that match, once anything about them changed after `revision`, or else
    /// when `wait` is over. This is a blocking query: start with [`Revision::ZERO`], which answers
    /// at once, and pass on the revision of each answer.
    ///
    /// A revision from the future, as after a restore, answers at once, and so does one whose
    /// history was compacted: whether something changed since can't be known then.
    ///
    /// Cancel safety: it only reads.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn changed_since(
        &self,
        filter: &Filter,
        revision: Revision,
        wait: Duration,
    ) -> Result<Listing, Error> {
        let listing = self.list(filter).await?;
        if revision == Revision::ZERO || revision > listing.revision {
            return Ok(listing);
        }
        match tokio::time::timeout(wait, self.change_after(filter, revision)).await {
            // What was listed before the wait still stands.
            Err(_over) => Ok(listing),
            Ok(changed) => {
                changed?;
                self.list(filter).await
            }
        }
    }

    /// A copy of the matching registrations that stays current.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn watch(&self, filter: &Filter) -> Result<Follow<Registration>, Error> {
        let (range, filter) = (filter.range(), filter.clone());
        let wanted = move |key: &RegistrationKey| filter.matches(key);
        Follow::start(Arc::clone(&self.store), range, wanted).await
    }

    /// Returns once the history after `revision` holds an event of the filter, or is gone.
    async fn change_after(&self, filter: &Filter, revision: Revision) -> Result<(), Error> {
        let from = Some(revision.next());
        let request = WatchRequest { keyspace: SYNOD, range: filter.range(), from };
        let waited = async {
            let mut watch = self.store.watch(request).await?;
            while !watch.next().await?.events.iter().any(|event| concerns(filter, &event.kv)) {}
            Ok::<_, synod_store::Error>(())
        };
        match waited.await {
            Err(error) if !is_compacted(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn read(&self, range: KeyRange) -> Result<synod_store::RangeResponse, Error> {
        let request = RangeRequest::new(SYNOD, range);
        Ok(self.store.range(request, Consistency::Linearizable).await?)
    }
}

/// Whether a key belongs to a filter. One that cannot be taken apart does: it is to be reported.
fn concerns(filter: &Filter, kv: &KeyValue) -> bool {
    let key = Registration::parse_key(&kv.key.to_text_lossy());
    key.is_none_or(|key| filter.matches(&key))
}

/// Replaces the value of exactly this version of a key and keeps its lease.
fn rewrite(kv: &KeyValue, registration: &Registration) -> Txn {
    let put = Put::new(SYNOD, kv.key.clone(), record::encode(registration));
    let unchanged = Compare {
        keyspace: SYNOD,
        range: KeyRange::key(kv.key.clone()),
        check: Check::ModRevision(Ordering::Equal, kv.mod_revision),
    };
    Txn::new(vec![Op::Put(Put { lease: LeaseChange::Keep, ..put })]).when(unchanged)
}

/// The revision at which a transaction changed our keyspace, if it did.
pub(crate) fn changed(done: &TxnResponse) -> Option<Revision> {
    done.changed.iter().find(|(keyspace, _)| *keyspace == SYNOD).map(|(_, revision)| *revision)
}
