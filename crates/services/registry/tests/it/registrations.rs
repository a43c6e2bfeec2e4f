//! Writing registrations.

use synod_registry::{Error, Filter, Health};
use synod_store::{Consistency, KeyRange, RangeRequest, SYNOD, Store};

use crate::{World, registration};

#[tokio::test]
async fn a_registration_reads_back_as_written() {
    let world = World::new().await;
    let revision = world.register("shop", "stock", "stock-0-1").await;
    let listing = world.registry.list(&Filter::all()).await.unwrap();
    assert_eq!(listing.registrations, [registration("shop", "stock", "stock-0-1")]);
    assert_eq!(listing.revision, revision);
    let port = listing.registrations[0].socket_addr("http");
    assert_eq!(port, Some("127.0.0.1:8123".parse().unwrap()));
    assert_eq!(listing.registrations[0].socket_addr("grpc"), None);
}

#[tokio::test]
async fn its_json_is_what_other_programs_may_rely_on() {
    let world = World::new().await;
    world.register("shop", "stock", "stock-0-1").await;
    let all = RangeRequest::new(SYNOD, KeyRange::all());
    let found = world.store.range(all, Consistency::default()).await.unwrap();
    assert_eq!(found.kvs[0].key.to_text_lossy(), "registry/shop/stock/stock-0-1");
    let expected = concat!(
        r#"{"app":"shop","service":"stock","instance":"stock-0-1","node":"laptop","version":"1","#,
        r#""address":"127.0.0.1","ports":{"http":{"number":8123,"protocol":"http"}},"#,
        r#""health":"passing","since_ms":1}"#,
    );
    assert_eq!(found.kvs[0].value.to_text_lossy(), expected);
    assert_eq!(found.kvs[0].lease, Some(world.lease));
}

#[tokio::test]
async fn it_vanishes_with_its_lease_whatever_happened_to_its_health() {
    let world = World::new().await;
    world.register("shop", "stock", "stock-0-1").await;
    world.registry.set_health("shop", "stock", "stock-0-1", Health::Failing).await.unwrap();
    assert!(world.store.expire(world.lease));
    let listing = world.registry.list(&Filter::all()).await.unwrap();
    assert!(listing.registrations.is_empty());
}

#[tokio::test]
async fn registering_under_a_lost_lease_is_refused() {
    let world = World::new().await;
    world.store.expire(world.lease);
    let refused = world.registry.register(world.lease, &registration("shop", "stock", "a")).await;
    assert!(matches!(refused, Err(Error::Store(_))), "{refused:?}");
}

#[tokio::test]
async fn setting_health_changes_nothing_else() {
    let world = World::new().await;
    let registered = world.register("shop", "stock", "a").await;
    let set = |health| world.registry.set_health("shop", "stock", "a", health);
    let drained = set(Health::Draining).await.unwrap();
    assert!(drained > registered);
    assert_eq!(set(Health::Draining).await.unwrap(), drained, "no write without a change");

    let listing = world.registry.list(&Filter::all()).await.unwrap();
    let mut expected = registration("shop", "stock", "a");
    expected.health = Health::Draining;
    assert_eq!(listing.registrations, [expected]);
    assert_eq!(listing.revision, drained);
}

#[tokio::test]
async fn setting_health_never_brings_a_registration_back() {
    let world = World::new().await;
    let set = world.registry.set_health("shop", "stock", "a", Health::Passing).await;
    let error = set.unwrap_err();
    assert!(matches!(error, Error::NotRegistered(_)), "{error:?}");
    assert_eq!(error.to_string(), "instance shop/stock/a is not registered; register it again");
}

#[tokio::test]
async fn setting_health_of_what_cannot_be_read_names_the_key() {
    let world = World::new().await;
    world.write("registry/shop/stock/a", "{").await;
    let set = world.registry.set_health("shop", "stock", "a", Health::Passing).await;
    let text = set.unwrap_err().to_string();
    assert!(text.contains("key registry/shop/stock/a cannot be read"), "{text}");
}

#[tokio::test]
async fn racing_writers_of_health_all_succeed() {
    let world = World::new().await;
    let first = world.register("shop", "stock", "a").await;
    let set = |health| world.registry.set_health("shop", "stock", "a", health);
    let (one, two, three) =
        tokio::join!(set(Health::Draining), set(Health::Failing), set(Health::Draining));
    assert!([one, two, three].iter().all(|done| done.as_ref().is_ok_and(|at| *at > first)));
}

#[tokio::test]
async fn deregistering_tells_whether_there_was_something() {
    let world = World::new().await;
    let registered = world.register("shop", "stock", "a").await;
    let gone = world.registry.deregister("shop", "stock", "a").await.unwrap();
    assert!(gone.is_some_and(|revision| revision > registered));
    assert_eq!(world.registry.deregister("shop", "stock", "a").await.unwrap(), None);
}

#[tokio::test]
async fn names_that_would_change_the_meaning_of_a_key_are_refused() {
    let world = World::new().await;
    for bad in ["", "a/b", "A", "a b", "ä"] {
        for it in
            [registration(bad, "s", "i"), registration("a", bad, "i"), registration("a", "s", bad)]
        {
            let refused = world.registry.register(world.lease, &it).await;
            assert!(matches!(refused, Err(Error::BadName { .. })), "{it:?}");
        }
    }
}
