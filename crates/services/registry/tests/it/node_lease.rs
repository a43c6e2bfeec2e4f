//! The lease of a node, on a clock that runs only while everyone waits.

use std::sync::Arc;
use std::time::Duration;

use synod_registry::{Change, Filter, NODE_LEASE_TTL, NodeLease};
use synod_store::Store;

use crate::{World, registration};

async fn grant(world: &World) -> Arc<NodeLease> {
    let lease = NodeLease::grant(Arc::new(world.store.clone()), NODE_LEASE_TTL).await;
    Arc::new(lease.unwrap())
}

fn keep_alive(lease: &Arc<NodeLease>) -> tokio::task::JoinHandle<()> {
    let lease = Arc::clone(lease);
    tokio::spawn(async move { lease.keep_alive().await })
}

#[tokio::test(start_paused = true)]
async fn a_kept_lease_outlives_its_time() {
    let world = World::new().await;
    let lease = grant(&world).await;
    let _keeper = keep_alive(&lease);
    let first = lease.id();
    tokio::time::sleep(NODE_LEASE_TTL * 20).await;
    assert_eq!(lease.id(), first);
    let status = world.store.lease_status(first).await.unwrap();
    assert!(status.remaining > NODE_LEASE_TTL / 2);
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_is_replaced_and_its_owner_told() {
    let world = World::new().await;
    let lease = grant(&world).await;
    let _keeper = keep_alive(&lease);
    let mut changes = lease.subscribe();
    let lost = lease.id();
    world.registry.register(lost, &registration("shop", "stock", "a")).await.unwrap();
    assert!(world.store.expire(lost));

    changes.changed().await.unwrap();
    let replaced = *changes.borrow_and_update();
    assert_ne!(replaced, lost);
    assert_eq!(replaced, lease.id());
    assert!(world.registry.list(&Filter::all()).await.unwrap().registrations.is_empty());
    world.registry.register(replaced, &registration("shop", "stock", "a")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn when_nobody_keeps_it_a_nodes_registrations_end_with_its_lease() {
    let world = World::new().await;
    let lease = grant(&world).await;
    let keeper = keep_alive(&lease);
    world.registry.register(lease.id(), &registration("shop", "stock", "a")).await.unwrap();
    let mut follow = world.registry.watch(&Filter::all()).await.unwrap();
    keeper.abort();
    let changes = follow.next().await.unwrap().changes;
    assert!(matches!(&changes[..], [Change::Remove(key)] if key.instance == "a"), "{changes:?}");
}

#[tokio::test(start_paused = true)]
async fn revoking_ends_it_at_once_and_may_be_repeated() {
    let world = World::new().await;
    let lease = grant(&world).await;
    lease.revoke().await.unwrap();
    assert!(world.store.lease_status(lease.id()).await.is_err());
    lease.revoke().await.unwrap();
}

#[tokio::test]
async fn a_time_to_live_below_a_second_is_refused() {
    let world = World::new().await;
    let granted = NodeLease::grant(Arc::new(world.store), Duration::from_millis(10)).await;
    assert!(granted.is_err());
}
