//! The registry over an in-memory store, through its public interface.

mod addresses;
mod follow;
mod listing;
mod node_lease;
mod registrations;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use synod_registry::{Health, Protocol, RegisteredPort, Registration, Registry};
use synod_store::testing::MemoryStore;
use synod_store::{LeaseId, Op, Put, Revision, SYNOD, Store, Txn};

/// A registry, the store under it, and a lease to register under.
struct World {
    store: MemoryStore,
    registry: Registry,
    lease: LeaseId,
}

impl World {
    async fn new() -> Self {
        let store = MemoryStore::new();
        let lease = store.lease_grant(None, Duration::from_secs(10)).await.unwrap().id;
        Self { registry: Registry::new(Arc::new(store.clone())), store, lease }
    }

    /// Registers an instance under the world's lease.
    async fn register(&self, app: &str, service: &str, instance: &str) -> Revision {
        self.registry.register(self.lease, &registration(app, service, instance)).await.unwrap()
    }

    /// Writes raw bytes, as a foreign or broken writer would.
    async fn write(&self, key: &str, value: &str) -> Revision {
        let put = Put::new(SYNOD, key, value);
        self.store.txn(Txn::new(vec![Op::Put(put)])).await.unwrap().changed[0].1
    }
}

fn registration(app: &str, service: &str, instance: &str) -> Registration {
    let http = RegisteredPort { number: 8123, protocol: Protocol::Http };
    Registration {
        app: app.into(),
        service: service.into(),
        instance: instance.into(),
        node: "laptop".into(),
        version: "1".into(),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        ports: BTreeMap::from([("http".into(), http)]),
        health: Health::Passing,
        since_ms: 1,
    }
}

/// The instances' ids.
fn ids<'a>(registrations: impl IntoIterator<Item = &'a Registration>) -> Vec<&'a str> {
    registrations.into_iter().map(|it| it.instance.as_str()).collect()
}
