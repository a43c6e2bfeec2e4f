//! A copy of the objects that the gateway is compiled from, at one revision.

use std::collections::BTreeMap;

use synod_jobs::AppRecord;
use synod_jobs::keys::{self, Key};
use synod_placement::{Instance, InstanceStatus, Job};
use synod_registry::{Address, AddressKey, Record, Registration, RegistrationKey};
use synod_store::{
    Consistency, Error, EventKind, KeyRange, KeyValue, RangeRequest, Revision, SYNOD, Store, Watch,
    WatchBatch, WatchRequest,
};

use super::Rejected;

/// A copy of the objects, at one revision. Pairs are app and name.
#[derive(Default)]
pub(super) struct Mirror {
    revision: Revision,
    apps: BTreeMap<String, AppRecord>,
    jobs: BTreeMap<(String, String), Job>,
    instances: BTreeMap<(String, String), Instance>,
    statuses: BTreeMap<(String, String), InstanceStatus>,
    registrations: BTreeMap<RegistrationKey, Registration>,
    addresses: BTreeMap<AddressKey, Address>,
    /// What cannot be read, by key.
    unreadable: BTreeMap<String, String>,
}

impl Mirror {
    /// Reads everything and watches it from there.
    pub(super) async fn load(store: &dyn Store) -> Result<(Self, Watch), Error> {
        loop {
            let all = RangeRequest::new(SYNOD, KeyRange::all());
            let found = store.range(all, Consistency::Linearizable).await?;
            let mut mirror = Self { revision: found.revision, ..Self::default() };
            for kv in &found.kvs {
                mirror.take(kv, EventKind::Put);
            }
            let from = Some(found.revision.next());
            let request = WatchRequest { keyspace: SYNOD, range: KeyRange::all(), from };
            match store.watch(request).await {
                Ok(watch) => return Ok((mirror, watch)),
                Err(error) if is_compacted(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes in changes; true when one of them matters here.
    pub(super) fn apply(&mut self, batch: &WatchBatch) -> bool {
        let mut matters = false;
        for event in &batch.events {
            matters |= self.take(&event.kv, event.kind());
        }
        self.revision = self.revision.max(batch.revision);
        matters
    }

    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    pub(super) fn apps(&self) -> &BTreeMap<String, AppRecord> {
        &self.apps
    }

    pub(super) fn job(&self, app: &str, service: &str) -> Option<&Job> {
        self.jobs.get(&(app.to_owned(), service.to_owned()))
    }

    pub(super) fn instances<'a>(
        &'a self,
        app: &'a str,
        service: &'a str,
    ) -> impl Iterator<Item = &'a Instance> {
        let all = self.instances.values();
        all.filter(move |instance| instance.app == app && instance.service == service)
    }

    pub(super) fn status(&self, app: &str, instance: &str) -> Option<&InstanceStatus> {
        self.statuses.get(&(app.to_owned(), instance.to_owned()))
    }

    pub(super) fn registrations<'a>(
        &'a self,
        app: &'a str,
        service: &'a str,
    ) -> impl Iterator<Item = &'a Registration> {
        let first = RegistrationKey::new(app, service, "");
        let from_first = self.registrations.range(first..);
        from_first
            .take_while(move |(key, _)| key.app == app && key.service == service)
            .map(|(_, registration)| registration)
    }

    pub(super) fn addresses(&self) -> &BTreeMap<AddressKey, Address> {
        &self.addresses
    }

    /// Our own write, before the watch brings it.
    pub(super) fn remember_address(&mut self, key: &AddressKey, address: Address) {
        self.addresses.insert(key.clone(), address);
    }

    /// Our own deletion, before the watch brings it.
    pub(super) fn forget_address(&mut self, key: &AddressKey) {
        self.addresses.remove(key);
    }

    pub(super) fn unreadable(&self) -> impl Iterator<Item = Rejected> {
        self.unreadable
            .iter()
            .map(|(key, reason)| Rejected { object: key.clone(), reason: reason.clone() })
    }

    /// Takes in one version of a key; true when it matters here.
    fn take(&mut self, kv: &KeyValue, kind: EventKind) -> bool {
        let text = kv.key.to_text_lossy();
        let is_put = kind == EventKind::Put;
        let read = if let Some(key) = Registration::parse_key(&text) {
            let value = is_put.then(|| Registration::decode(&key, &kv.value));
            set(&mut self.registrations, key, value)
        } else if let Some(key) = Address::parse_key(&text) {
            let value = is_put.then(|| Address::decode(&key, &kv.value));
            let before = self.addresses.get(&key).copied();
            let read = set(&mut self.addresses, key.clone(), value);
            if read.is_ok() && before == self.addresses.get(&key).copied() {
                // Only the echo of our own write.
                return false;
            }
            read
        } else {
            match Key::parse(&kv.key) {
                Some(Key::App { app }) => {
                    let value = is_put.then(|| read_app(app, kv));
                    set(&mut self.apps, app.to_owned(), value)
                }
                Some(Key::Instance { app, id }) => {
                    set(&mut self.instances, pair(app, id), is_put.then(|| decode(kv)))
                }
                Some(Key::Job { app, service }) => {
                    set(&mut self.jobs, pair(app, service), is_put.then(|| decode(kv)))
                }
                Some(Key::Status { app, id }) => {
                    set(&mut self.statuses, pair(app, id), is_put.then(|| decode(kv)))
                }
                Some(Key::Node { .. }) | None => return false,
            }
        };
        match read {
            Ok(()) => drop(self.unreadable.remove(&text)),
            Err(reason) => drop(self.unreadable.insert(text, reason)),
        }
        true
    }
}

/// Whether history that was asked for is gone.
pub(super) fn is_compacted(error: &Error) -> bool {
    matches!(error, Error::Refused(synod_keyspace::Error::Compacted { .. }))
}

fn pair(app: &str, name: &str) -> (String, String) {
    (app.to_owned(), name.to_owned())
}

/// Puts, or removes when the value is gone or cannot be read.
fn set<K: Ord, V>(
    map: &mut BTreeMap<K, V>,
    key: K,
    value: Option<Result<V, String>>,
) -> Result<(), String> {
    match value {
        Some(Ok(value)) => {
            map.insert(key, value);
            Ok(())
        }
        None => {
            map.remove(&key);
            Ok(())
        }
        Some(Err(reason)) => {
            map.remove(&key);
            Err(reason)
        }
    }
}

fn decode<T: serde::de::DeserializeOwned>(kv: &KeyValue) -> Result<T, String> {
    keys::decode(kv).map_err(|corrupt| corrupt.reason)
}

fn read_app(name: &str, kv: &KeyValue) -> Result<AppRecord, String> {
    let record: AppRecord = decode(kv)?;
    if record.app.name == name {
        return Ok(record);
    }
    Err(format!("it is the record of {}", record.app.name))
}
