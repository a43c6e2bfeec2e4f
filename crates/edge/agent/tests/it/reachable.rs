//! What the registry and the gateway learn of instances.

use std::sync::Arc;

use synod_placement::Phase;
use synod_registry::{Filter, Health, Listing, Registry};
use synod_store::{Revision, Store};
use tokio::time::timeout;

use crate::world::{APP, SOON, World, port};

async fn registered(world: &World, is: impl Fn(&Listing) -> bool) -> Listing {
    let registry = Registry::new(Arc::new(world.store.clone()));
    let mut revision = Revision::ZERO;
    let waited = timeout(SOON, async {
        loop {
            let listing = registry.changed_since(&Filter::app(APP), revision, SOON).await.unwrap();
            if is(&listing) {
                return listing;
            }
            revision = listing.revision;
        }
    });
    waited.await.expect("the registry does not become as expected")
}

#[tokio::test]
async fn an_instance_is_asked_to_end_only_after_the_gateway_has_heard_of_it() {
    let mut world = World::without_agent();
    world.gateway.send_replace(Revision::ZERO);
    world.start_agent();
    let script = "trap 'echo ended; exit 0' TERM; echo up; while :; do sleep 0.01; done";
    let mut service = world.script(script);
    service.ports = vec![port("http", None)];
    world.assign("web-0-1", &service).await;
    world.until_printed("up").await;
    let status = world.until("web-0-1", |status| status.ready).await;
    let listing = registered(&world, |listing| !listing.registrations.is_empty()).await;
    let entry = &listing.registrations[0];
    assert_eq!((entry.health, entry.instance.as_str()), (Health::Passing, "web-0-1"));
    assert_eq!(entry.socket_addr("http").unwrap().port(), status.ports["http"]);

    world.stop("web-0-1").await;
    let listing = registered(&world, |listing| {
        listing.registrations.iter().any(|entry| entry.health == Health::Draining)
    })
    .await;
    let draining = world.until("web-0-1", |status| status.phase >= Phase::Draining).await;
    assert_eq!((draining.phase, draining.ready), (Phase::Draining, false));
    assert_eq!(world.printed().await, ["up"]);

    world.gateway.send_replace(listing.revision);
    world.until_exited("web-0-1").await;
    registered(&world, |listing| listing.registrations.is_empty()).await;
    assert_eq!(world.printed().await, ["up", "ended"]);
    world.end().await;
}

#[tokio::test]
async fn an_instance_that_dies_leaves_the_registry() {
    let world = World::new().await;
    world.assign("web-0-1", &world.script("exec sleep 1000")).await;
    let pid = world.until("web-0-1", |status| status.ready).await.pid.unwrap();
    registered(&world, |listing| !listing.registrations.is_empty()).await;
    let process = synod_sys::process::Process::find(pid).unwrap();
    process.signal(synod_sys::signal::Signal::KILL).unwrap();
    registered(&world, |listing| listing.registrations.is_empty()).await;
    world.end().await;
}

#[tokio::test]
async fn a_lost_lease_is_replaced_with_everything_under_it() {
    let world = World::new().await;
    world.assign("web-0-1", &world.script("exec sleep 1000")).await;
    world.until("web-0-1", |status| status.ready).await;
    registered(&world, |listing| !listing.registrations.is_empty()).await;
    let node = synod_store::KeyRange::prefix("nodes/");
    let request = synod_store::RangeRequest::new(synod_store::SYNOD, node);
    let found = world.store.range(request.clone(), Default::default()).await.unwrap();
    let lease = found.kvs[0].lease.unwrap();
    world.store.lease_revoke(lease).await.unwrap();
    registered(&world, |listing| !listing.registrations.is_empty()).await;
    crate::world::until_async("the node's record stays away", async || {
        let found = world.store.range(request.clone(), Default::default()).await.unwrap();
        found.kvs.first().is_some_and(|kv| kv.lease.is_some_and(|now| now != lease))
    })
    .await;
    world.end().await;
}
