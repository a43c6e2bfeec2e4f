//! Reading registrations, once or when they change.

use std::time::Duration;

use synod_registry::{Filter, Health, Listing};
use synod_store::{Revision, SYNOD, Store};
use tokio::time::Instant;

use crate::{World, ids};

/// How long a query may wait: less than the lease that the registrations are under lives.
const LONG: Duration = Duration::from_secs(5);

async fn shop() -> World {
    let world = World::new().await;
    for (app, service, instance) in [
        ("shop", "stock", "stock-1-1"),
        ("shop", "stock", "stock-0-1"),
        ("shop", "stock-next", "stock-next-0-1"),
        ("shop-two", "stock", "stock-0-9"),
    ] {
        world.register(app, service, instance).await;
    }
    world
}

#[tokio::test]
async fn a_listing_is_sorted_by_app_service_and_instance() {
    let world = shop().await;
    let listing = world.registry.list(&Filter::all()).await.unwrap();
    let expected = ["stock-0-1", "stock-1-1", "stock-next-0-1", "stock-0-9"];
    assert_eq!(ids(&listing.registrations), expected);
}

#[tokio::test]
async fn a_filter_narrows_by_whole_names() {
    let world = shop().await;
    let by_name = Filter { app: None, service: Some("stock".into()) };
    for (filter, expected) in [
        (Filter::app("shop"), &["stock-0-1", "stock-1-1", "stock-next-0-1"][..]),
        (Filter::service("shop", "stock"), &["stock-0-1", "stock-1-1"]),
        (by_name, &["stock-0-1", "stock-1-1", "stock-0-9"]),
        (Filter::app("sho"), &[]),
        (Filter::app("shop/stock"), &[]),
    ] {
        let listing = world.registry.list(&filter).await.unwrap();
        assert_eq!(ids(&listing.registrations), expected, "{filter:?}");
        assert!(listing.corrupt.is_empty());
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_left_out_and_named() {
    let world = shop().await;
    let other = serde_json::to_string(&crate::registration("shop", "stock", "other")).unwrap();
    for (key, value) in [
        ("registry/shop/stock/broken", "{\"app\":"),
        ("registry/shop/stock/moved", &other),
        ("registry/shop/stray", "{}"),
    ] {
        world.write(key, value).await;
    }
    let listing = world.registry.list(&Filter::app("shop")).await.unwrap();
    assert_eq!(ids(&listing.registrations), ["stock-0-1", "stock-1-1", "stock-next-0-1"]);
    let keys: Vec<_> = listing.corrupt.iter().map(|bad| bad.key.as_str()).collect();
    let expected =
        ["registry/shop/stock/broken", "registry/shop/stock/moved", "registry/shop/stray"];
    assert_eq!(keys, expected);
    let moved = listing.corrupt[1].to_string();
    assert!(moved.contains("it is the registration of shop/stock/other"), "{moved}");
    let rewritten = world.register("shop", "stock", "broken").await;
    let listing = world.registry.list(&Filter::app("shop")).await.unwrap();
    assert!(ids(&listing.registrations).contains(&"broken") && listing.revision == rewritten);
}

/// Runs `write` while a blocking query of the service waits, and returns its answer.
async fn woken_by<F: Future>(world: &World, write: F) -> Listing {
    let filter = Filter::service("shop", "stock");
    let now = world.registry.list(&filter).await.unwrap();
    let query = world.registry.changed_since(&filter, now.revision, LONG);
    // The query is polled first and waits before the write begins.
    let (listing, _) = tokio::join!(biased; query, write);
    listing.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_blocking_query_wakes_on_each_kind_of_change() {
    let world = shop().await;
    let began = Instant::now();

    let listing = woken_by(&world, world.register("shop", "stock", "stock-2-1")).await;
    assert_eq!(ids(&listing.registrations), ["stock-0-1", "stock-1-1", "stock-2-1"]);

    let fail = world.registry.set_health("shop", "stock", "stock-0-1", Health::Failing);
    let listing = woken_by(&world, fail).await;
    assert_eq!(listing.registrations[0].health, Health::Failing);

    let gone = world.registry.deregister("shop", "stock", "stock-0-1");
    let listing = woken_by(&world, gone).await;
    assert_eq!(ids(&listing.registrations), ["stock-1-1", "stock-2-1"]);

    let listing = woken_by(&world, async { world.store.expire(world.lease) }).await;
    assert!(listing.registrations.is_empty());
    assert!(began.elapsed() < LONG);
}

#[tokio::test(start_paused = true)]
async fn a_blocking_query_sleeps_through_changes_of_others_until_its_wait_is_over() {
    let world = shop().await;
    let began = Instant::now();
    let listing = woken_by(&world, world.register("shop", "stock-next", "stock-next-1-1")).await;
    assert!(began.elapsed() >= LONG, "it answered after {:?}", began.elapsed());
    assert_eq!(ids(&listing.registrations), ["stock-0-1", "stock-1-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_blocking_query_answers_at_once_what_changed_already() {
    let world = shop().await;
    let began = Instant::now();
    let filter = Filter::service("shop", "stock");
    let before = world.registry.list(&filter).await.unwrap().revision;
    world.registry.deregister("shop", "stock", "stock-0-1").await.unwrap();
    world.register("shop-two", "stock", "stock-0-10").await;

    let listing = world.registry.changed_since(&filter, before, LONG).await.unwrap();
    assert_eq!(ids(&listing.registrations), ["stock-1-1"]);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_blocking_query_starts_anew_from_nothing_the_future_and_compacted_history() {
    let world = shop().await;
    let began = Instant::now();
    let filter = Filter::service("shop", "stock");
    let newest = world.registry.list(&filter).await.unwrap().revision;
    world.store.compact(SYNOD, newest).await.unwrap();

    for revision in [Revision::ZERO, Revision::new(newest.get() + 100), Revision::new(2)] {
        let listing = world.registry.changed_since(&filter, revision, LONG).await.unwrap();
        assert_eq!(listing.revision, newest, "asked with {revision}");
        assert_eq!(ids(&listing.registrations), ["stock-0-1", "stock-1-1"]);
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
}
