//! Stable addresses.

use std::sync::Arc;

use synod_registry::{Address, AddressKey, Addresses, Change, Error};

use crate::World;

fn address(text: &str) -> Address {
    text.parse::<std::net::SocketAddr>().unwrap().into()
}

#[tokio::test]
async fn an_address_is_found_by_service_port_or_route_until_it_is_removed() {
    let world = World::new().await;
    let addresses = Addresses::new(Arc::new(world.store.clone()));
    let stock = AddressKey::service("shop", "stock", "http");
    let payments = AddressKey::route("shop", "payments");
    addresses.put(&stock, address("127.0.0.1:4001")).await.unwrap();
    addresses.put(&payments, address("127.0.0.1:4002")).await.unwrap();

    let found = addresses.service("shop", "stock", "http").await.unwrap();
    assert_eq!(found.unwrap().to_string(), "127.0.0.1:4001");
    assert_eq!(addresses.service("shop", "stock", "grpc").await.unwrap(), None);
    let found = addresses.route("shop", "payments").await.unwrap();
    assert_eq!(found, Some(address("127.0.0.1:4002")));
    assert_eq!(addresses.route("shop", "stock").await.unwrap(), None);

    assert!(addresses.remove(&stock).await.unwrap().is_some());
    assert!(addresses.remove(&stock).await.unwrap().is_none());
    assert_eq!(addresses.get(&stock).await.unwrap(), None);
}

#[tokio::test]
async fn addresses_are_listed_and_watched_by_app() {
    let world = World::new().await;
    let addresses = Addresses::new(Arc::new(world.store.clone()));
    let mine = AddressKey::service("shop", "stock", "http");
    let other = AddressKey::service("shop-two", "stock", "http");
    addresses.put(&mine, address("127.0.0.1:1")).await.unwrap();
    addresses.put(&other, address("127.0.0.1:2")).await.unwrap();
    assert_eq!(addresses.list(None).await.unwrap().len(), 2);
    let listed = addresses.list(Some("shop")).await.unwrap();
    assert!(listed.into_keys().eq([mine.clone()]));

    let mut follow = addresses.watch(Some("shop")).await.unwrap();
    addresses.put(&other, address("127.0.0.1:3")).await.unwrap();
    addresses.put(&mine, address("[::1]:4")).await.unwrap();
    let changes = follow.next().await.unwrap().changes;
    let [Change::Put(key, at)] = &changes[..] else { panic!("one change, not {changes:?}") };
    assert_eq!((key, at.to_string().as_str()), (&mine, "[::1]:4"));
}

#[tokio::test]
async fn an_address_that_cannot_be_read_is_an_error_by_name_and_absent_from_lists() {
    let world = World::new().await;
    let addresses = Addresses::new(Arc::new(world.store.clone()));
    world.write("addresses/shop/route/web", r#"{"host":"nowhere","port":1}"#).await;
    let error = addresses.route("shop", "web").await.unwrap_err();
    assert!(error.to_string().contains("key addresses/shop/route/web"), "{error}");
    assert!(addresses.list(None).await.unwrap().is_empty());

    let bad = addresses.put(&AddressKey::route("shop", "a/b"), address("127.0.0.1:1")).await;
    assert!(matches!(bad, Err(Error::BadName { what: "route", .. })));
}
