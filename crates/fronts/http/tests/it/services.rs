//! The registry as a blocking query.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use http::Method;
use serde_json::json;
use synod_registry::{Health, Protocol, RegisteredPort, Registration};
use synod_store::{LeaseId, Store};

use crate::home::{Home, Whole, plain};

async fn lease(home: &Home) -> LeaseId {
    home.store.lease_grant(None, Duration::from_secs(600)).await.expect("granted").id
}

fn registration(service: &str, instance: &str) -> Registration {
    let port = RegisteredPort { number: 4000, protocol: Protocol::Http };
    Registration {
        app: "shop".into(),
        service: service.into(),
        instance: instance.into(),
        node: "here".into(),
        version: "v".into(),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        ports: BTreeMap::from([("http".into(), port)]),
        health: Health::Passing,
        since_ms: 1,
    }
}

fn instances(answer: &Whole) -> Vec<String> {
    let listing = answer.json();
    assert_eq!(answer.headers["x-synod-index"], listing["index"].to_string().as_str());
    let rows = listing["services"].as_array().expect("a list").iter();
    rows.map(|row| row["instance"].as_str().expect("text").to_owned()).collect()
}

#[tokio::test]
async fn services_are_listed_by_app_and_service() {
    let home = Home::new().await;
    let lease = lease(&home).await;
    for (service, instance) in [("web", "web-0-1"), ("web", "web-1-2"), ("stock", "stock-0-1")] {
        let registration = registration(service, instance);
        home.registry().register(lease, &registration).await.expect("registered");
    }
    assert_eq!(instances(&home.get("/v1/services").await).len(), 3);
    assert_eq!(instances(&home.get("/v1/services?app=other").await).len(), 0);
    let web = home.get("/v1/services?app=shop&service=web").await;
    assert_eq!(instances(&web), ["web-0-1", "web-1-2"]);
    let row = &web.json()["services"][0];
    assert_eq!(
        (&row["health"], &row["ports"]["http"]["number"]),
        (&json!("passing"), &json!(4000))
    );
}

#[tokio::test]
async fn a_blocking_query_wakes_on_a_change_and_not_on_another() {
    let home = Home::new().await;
    let lease = lease(&home).await;
    let first = home.registry().register(lease, &registration("web", "web-0-1")).await;
    let index = first.expect("registered").get();
    let target = format!("/v1/services?app=shop&service=web&index={index}&wait=10m");
    let waiting = home.open(plain(Method::GET, &target));
    let changing = async {
        // Another service's change must not wake it; this one must.
        for (service, instance) in [("stock", "stock-0-1"), ("web", "web-1-2")] {
            let registration = registration(service, instance);
            home.registry().register(lease, &registration).await.expect("registered");
        }
    };
    let (answer, ()) = tokio::join!(waiting, changing);
    assert_eq!(instances(&answer.whole().await), ["web-0-1", "web-1-2"]);
}

#[tokio::test]
async fn a_blocking_query_answers_when_its_time_is_over() {
    let home = Home::new().await;
    let lease = lease(&home).await;
    let written = home.registry().register(lease, &registration("web", "web-0-1")).await;
    let index = written.expect("registered").get();
    let target = format!("/v1/services?index={index}&wait=1ms");
    assert_eq!(instances(&home.get(&target).await), ["web-0-1"]);
}

#[tokio::test]
async fn a_blocking_query_ends_with_the_daemon() {
    let home = Home::new().await;
    let lease = lease(&home).await;
    let written = home.registry().register(lease, &registration("web", "web-0-1")).await;
    let index = written.expect("registered").get();
    let target = format!("/v1/services?index={index}&wait=10m");
    let waiting = home.open(plain(Method::GET, &target));
    let ending = async {
        while home.api.waits() == 0 {
            tokio::task::yield_now().await;
        }
        home.shutdown().await
    };
    let (answer, overdue) = tokio::join!(waiting, ending);
    answer.whole().await.problem(503, "busy");
    assert_eq!(overdue.0, Vec::<&str>::new());
}

#[tokio::test]
async fn queries_that_are_not_understood_are_problems() {
    let home = Home::new().await;
    for query in ["wait=soon", "index=-1", "index=x", "sevice=web"] {
        let target = format!("/v1/services?{query}");
        let problem = home.get(&target).await.problem(400, "bad-query");
        let detail = problem["detail"].as_str().expect("text");
        let name = query.split('=').next().expect("a name");
        assert!(detail.contains(name), "{query}: {detail}");
    }
}

#[tokio::test]
async fn too_many_blocking_queries_are_refused_and_plain_requests_still_pass() {
    const WAITS_MAX: usize = 128;
    let home = Home::new().await;
    home.apply_shop().await;
    let mut open = Vec::new();
    for _ in 0..WAITS_MAX {
        let watch = home.open(plain(Method::GET, "/v1/apps/shop/watch")).await;
        assert_eq!(watch.status.as_u16(), 200);
        open.push(watch);
    }
    let refused = home.get("/v1/apps/shop/watch").await;
    assert_eq!(refused.headers["retry-after"], "1");
    refused.problem(503, "busy");
    home.get("/v1/services?index=1").await.problem(503, "busy");
    assert_eq!(instances(&home.get("/v1/services").await).len(), 0);
    // Closing one makes room: its permit comes back when the daemon has noticed.
    drop(open.pop());
    let give_up = tokio::time::Instant::now() + crate::home::PATIENCE;
    while home.open(plain(Method::GET, "/v1/apps/shop/watch")).await.status.as_u16() == 503 {
        assert!(tokio::time::Instant::now() < give_up, "no permit came back");
    }
}
