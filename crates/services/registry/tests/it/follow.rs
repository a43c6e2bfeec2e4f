//! Copies that stay current.

use proptest::prelude::*;
use synod_registry::{Change, Changes, Filter, Follow, Health, Registration};
use synod_store::{Revision, SYNOD, Store};

use crate::{World, ids, registration};

/// Changes in brief: `+instance` and `-instance`.
fn brief(changes: &Changes<Registration>) -> Vec<String> {
    let one = |change: &Change<Registration>| match change {
        Change::Put(key, it) => {
            assert_eq!(*key, it.key());
            format!("+{}", key.instance)
        }
        Change::Remove(key) => format!("-{}", key.instance),
    };
    changes.changes.iter().map(one).collect()
}

#[tokio::test]
async fn a_follower_starts_with_the_list_and_gets_every_change() {
    let world = World::new().await;
    world.register("shop", "stock", "a").await;
    let mut follow = world.registry.watch(&Filter::app("shop")).await.unwrap();
    assert_eq!(ids(follow.entries().values()), ["a"]);

    let added = world.register("shop", "stock", "b").await;
    let changes = follow.next().await.unwrap();
    assert_eq!((brief(&changes), changes.revision), (vec!["+b".into()], added));

    world.register("other", "stock", "x").await;
    let drained = world.registry.set_health("shop", "stock", "a", Health::Draining).await.unwrap();
    let changes = follow.next().await.unwrap();
    assert_eq!((brief(&changes), changes.revision), (vec!["+a".into()], drained));
    assert_eq!(
        follow.entries()[&registration("shop", "stock", "a").key()].health,
        Health::Draining
    );

    world.store.expire(world.lease);
    let changes = follow.next().await.unwrap();
    assert_eq!(brief(&changes), ["-a", "-b"]);
    assert!(follow.entries().is_empty());
}

#[tokio::test]
async fn a_follower_overtaken_by_compaction_gets_the_difference() {
    let world = World::new().await;
    world.register("shop", "stock", "a").await;
    world.register("shop", "stock", "b").await;
    let mut follow = world.registry.watch(&Filter::all()).await.unwrap();

    // Nothing here yields to the store's feeder, so all of it is compacted away unseen.
    world.registry.deregister("shop", "stock", "a").await.unwrap();
    world.register("shop", "stock", "c").await;
    let newest = world.register("shop", "stock", "c").await;
    world.store.compact(SYNOD, newest).await.unwrap();

    let changes = follow.next().await.unwrap();
    assert_eq!(brief(&changes), ["-a", "+c"], "one change for c: it was listed, not watched");
    assert_eq!(changes.revision, newest);
    assert_eq!(ids(follow.entries().values()), ["b", "c"]);

    world.registry.deregister("shop", "stock", "b").await.unwrap();
    assert_eq!(brief(&follow.next().await.unwrap()), ["-b"], "and it watches again");
}

#[tokio::test]
async fn what_was_undone_while_compacted_still_advances_the_revision() {
    let world = World::new().await;
    let mut follow = world.registry.watch(&Filter::all()).await.unwrap();
    world.register("shop", "stock", "a").await;
    let newest = world.registry.deregister("shop", "stock", "a").await.unwrap().unwrap();
    world.store.compact(SYNOD, newest).await.unwrap();
    let changes = follow.next().await.unwrap();
    assert!(changes.changes.is_empty());
    assert_eq!(changes.revision, newest);
}

#[tokio::test]
async fn a_value_that_can_no_longer_be_read_counts_as_removed_and_is_named() {
    let world = World::new().await;
    world.register("shop", "stock", "a").await;
    let mut follow = world.registry.watch(&Filter::app("shop")).await.unwrap();
    world.write("registry/shop/stock/a", "nonsense").await;
    assert_eq!(brief(&follow.next().await.unwrap()), ["-a"]);
    let keys: Vec<_> = follow.corrupt().map(|bad| bad.key.as_str()).collect();
    assert_eq!(keys, ["registry/shop/stock/a"]);

    world.register("shop", "stock", "a").await;
    assert_eq!(brief(&follow.next().await.unwrap()), ["+a"]);
    assert_eq!(follow.corrupt().count(), 0);
}

/// Something that happens to the store.
#[derive(Clone, Copy, Debug)]
enum Step {
    Catch,
    Compact,
    Corrupt(u8),
    Deregister(u8),
    Expire,
    Fail(u8),
    Register(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let instance = 0..4_u8;
    prop_oneof![
        3 => Just(Step::Catch),
        1 => Just(Step::Compact),
        1 => instance.clone().prop_map(Step::Corrupt),
        2 => instance.clone().prop_map(Step::Deregister),
        1 => Just(Step::Expire),
        2 => instance.clone().prop_map(Step::Fail),
        4 => instance.prop_map(Step::Register),
    ]
}

/// Brings a follower up to the store and compares it with a fresh list.
async fn catch_up(world: &World, filter: &Filter, follow: &mut Follow<Registration>, to: Revision) {
    while follow.revision() < to {
        let before = follow.entries().clone();
        let changes = follow.next().await.unwrap();
        let mut replayed = before;
        for change in changes.changes {
            match change {
                Change::Put(key, it) => drop(replayed.insert(key, it)),
                Change::Remove(key) => assert!(replayed.remove(&key).is_some(), "{key} was there"),
            }
        }
        assert_eq!(replayed, *follow.entries(), "the changes make the copy");
    }
    let listing = world.registry.list(filter).await.unwrap();
    assert!(follow.entries().values().eq(&listing.registrations));
    assert!(follow.corrupt().eq(&listing.corrupt));
}

async fn follow_through(steps: Vec<Step>) {
    let mut world = World::new().await;
    let filter = Filter::app("shop");
    let mut follow = world.registry.watch(&filter).await.unwrap();
    let mut newest = follow.revision();
    for step in steps {
        let changed = match step {
            Step::Catch => {
                catch_up(&world, &filter, &mut follow, newest).await;
                None
            }
            Step::Compact => {
                // Refused when that much is compacted already, which changes nothing.
                let _ = world.store.compact(SYNOD, newest).await;
                None
            }
            Step::Corrupt(i) => Some(world.write(&format!("registry/shop/s/i{i}"), "?").await),
            Step::Deregister(i) => {
                world.registry.deregister("shop", "s", &format!("i{i}")).await.unwrap()
            }
            Step::Expire => {
                world.store.expire(world.lease);
                let ttl = std::time::Duration::from_secs(10);
                world.lease = world.store.lease_grant(None, ttl).await.unwrap().id;
                // Only what hangs on the lease changes, if anything, so ask what is newest.
                let listing = world.registry.list(&filter).await.unwrap();
                Some(listing.revision)
            }
            Step::Fail(i) => {
                let instance = format!("i{i}");
                world.registry.set_health("shop", "s", &instance, Health::Failing).await.ok()
            }
            Step::Register(i) => Some(world.register("shop", "s", &format!("i{i}")).await),
        };
        newest = newest.max(changed.unwrap_or_default());
    }
    catch_up(&world, &filter, &mut follow, newest).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_follower_is_always_what_a_fresh_list_says(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(follow_through(steps));
    }
}
