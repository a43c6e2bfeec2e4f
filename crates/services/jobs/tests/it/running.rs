//! Apps that run: brought up, changed, crashed, stopped and taken down.

use std::collections::BTreeSet;

use synod_manifest::NeedCondition;
use synod_placement::{JobState, ServiceState};
use synod_store::Store;

use crate::agent::Agent;
use crate::cluster::{Cluster, app, needs, service, shop, task, text};

fn ids(status: &synod_jobs::AppStatus, service: &str) -> BTreeSet<String> {
    let service = status.services.iter().find(|s| s.name == service).expect("it is there");
    service.instances.iter().map(|report| report.instance.id.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn an_app_comes_up_in_the_order_of_its_needs_and_goes_in_the_reverse() {
    let cluster = Cluster::new();
    let _control = cluster.start_loop("a");
    let agent = Agent::start(&cluster, "laptop", &[]).await;
    cluster.jobs.apply(&shop()).await.unwrap();
    let status = cluster.until("shop", synod_jobs::AppStatus::is_settled).await;
    assert_eq!(agent.did(), ["start stock", "start seed", "start order", "start web"]);
    assert_eq!(cluster.keys("status/").await.len(), 4);
    let reports = status.services.iter().flat_map(|service| &service.instances);
    assert!(reports.clone().all(|report| report.instance.waits.is_empty()));
    agent.diary.lock().unwrap().clear();
    cluster.jobs.down("shop").await.unwrap();
    cluster.until_gone("shop").await;
    assert_eq!(agent.did(), ["stop web", "stop order", "stop stock"]);
    for prefix in ["apps/", "jobs/", "instances/", "status/"] {
        assert!(cluster.keys(prefix).await.is_empty(), "{prefix} is left");
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_says_for_what() {
    let cluster = Cluster::new();
    let _control = cluster.start_loop("a");
    let _agent = Agent::start(&cluster, "laptop", &[("seed", 1)]).await;
    let seed = task("seed");
    let web = needs(service("web"), &[("seed", NeedCondition::Done)]);
    cluster.jobs.apply(&app("shop", [seed, web])).await.unwrap();
    let line = "task seed failed: exited with code 3, retried after 1s";
    let says = |status: &synod_jobs::AppStatus| {
        let web = status.services.iter().find(|service| service.name == "web").unwrap();
        web.instances.iter().any(|report| report.instance.waits == [line])
    };
    cluster.until("shop", says).await;
    let started = cluster.now_ms();
    cluster.until("shop", synod_jobs::AppStatus::is_settled).await;
    let waited = cluster.now_ms() - started;
    assert!((900..1_100).contains(&waited), "backed off {waited} ms");
}

#[tokio::test(start_paused = true)]
async fn a_change_touches_what_changed_and_nothing_else() {
    let cluster = Cluster::new();
    let _control = cluster.start_loop("a");
    let agent = Agent::start(&cluster, "laptop", &[]).await;
    cluster.jobs.apply(&shop()).await.unwrap();
    let before = cluster.until("shop", synod_jobs::AppStatus::is_settled).await;
    let mut changed = shop();
    changed.app.services.get_mut("order").unwrap().env.insert("MODE".into(), text("fast"));
    cluster.jobs.apply(&changed).await.unwrap();
    let after = cluster
        .until("shop", |status| status.is_settled() && ids(status, "order").len() == 1)
        .await;
    assert!(ids(&before, "order").is_disjoint(&ids(&after, "order")));
    for service in ["stock", "seed", "web"] {
        assert_eq!(ids(&before, service), ids(&after, service));
    }
    let replaced = &agent.did()[4..];
    assert_eq!(replaced, ["start order", "stop order"], "the new one first");
    changed.app.services.get_mut("order").unwrap().instances = 3;
    cluster.jobs.apply(&changed).await.unwrap();
    let scaled = cluster
        .until("shop", |status| status.is_settled() && ids(status, "order").len() == 3)
        .await;
    assert!(ids(&scaled, "order").is_superset(&ids(&after, "order")), "none was restarted");
}

#[tokio::test(start_paused = true)]
async fn stop_restart_and_apply_do_what_they_say() {
    let cluster = Cluster::new();
    let _control = cluster.start_loop("a");
    let _agent = Agent::start(&cluster, "laptop", &[]).await;
    let two = app("shop", [service("order"), service("stock")]);
    cluster.jobs.apply(&two).await.unwrap();
    let first = cluster.until("shop", synod_jobs::AppStatus::is_settled).await;

    cluster.jobs.stop("shop", "order").await.unwrap();
    let is = |name: &'static str, state: ServiceState| {
        move |status: &synod_jobs::AppStatus| {
            let service = status.services.iter().find(|s| s.name == name).unwrap();
            service.summary.state == state && service.desired != JobState::Remove
        }
    };
    let stopped = cluster.until("shop", is("order", ServiceState::Stopped)).await;
    assert_eq!(ids(&stopped, "stock"), ids(&first, "stock"));
    assert_eq!(cluster.jobs.restart("shop", None).await.unwrap(), ["stock"]);
    let plan = cluster.jobs.apply(&two).await.unwrap();
    assert_eq!(plan.to_string(), "app shop:\n  start service order");
    cluster.until("shop", is("order", ServiceState::Ready)).await;
    let last = cluster.until("shop", is("stock", ServiceState::Ready)).await;
    assert!(ids(&last, "stock").is_disjoint(&ids(&first, "stock")));
}

#[tokio::test(start_paused = true)]
async fn ids_are_never_used_again_not_even_by_the_next_app_of_that_name() {
    let cluster = Cluster::new();
    let _control = cluster.start_loop("a");
    let _agent = Agent::start(&cluster, "laptop", &[]).await;
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        for name in ["one", "two"] {
            cluster.jobs.apply(&app(name, [service("web")])).await.unwrap();
        }
        for name in ["one", "two"] {
            let status = cluster.until(name, synod_jobs::AppStatus::is_settled).await;
            for id in ids(&status, "web") {
                assert!(seen.insert(id.clone()), "{id} again");
            }
            cluster.jobs.down(name).await.unwrap();
            cluster.until_gone(name).await;
        }
    }
    assert_eq!(seen.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_away_for_a_moment_loses_nothing_and_for_long_everything() {
    let cluster = Cluster::new();
    let _control = cluster.start_loop("a");
    let away = Agent::start(&cluster, "away", &[]).await;
    cluster.jobs.apply(&app("shop", [service("web")])).await.unwrap();
    let before = cluster.until("shop", synod_jobs::AppStatus::is_settled).await;
    away.task.abort();
    cluster.store.lease_revoke(away.lease).await.unwrap();
    let lost_at = cluster.now_ms();
    let other = Agent::start(&cluster, "other", &[]).await;
    let moved = |status: &synod_jobs::AppStatus| {
        status.is_settled() && ids(status, "web") != ids(&before, "web")
    };
    cluster.until("shop", moved).await;
    let waited = cluster.now_ms() - lost_at;
    assert!((10_000..11_000).contains(&waited), "lost after {waited} ms");
    assert_eq!(other.did(), ["start web"]);
}

#[tokio::test(start_paused = true)]
async fn an_app_larger_than_one_transaction_comes_up_and_goes() {
    let cluster = Cluster::new();
    let _control = cluster.start_loop("a");
    let agents = async |n: usize| {
        for node in 0..n {
            Agent::start(&cluster, &format!("n{node}"), &[]).await;
        }
    };
    agents(10).await;
    let mut many = service("web");
    many.instances = cluster.store.capabilities().max_ops.min(190) as u32;
    let all = many.instances as usize;
    cluster.jobs.apply(&app("shop", [many])).await.unwrap();
    let full =
        |status: &synod_jobs::AppStatus| status.is_settled() && ids(status, "web").len() == all;
    cluster.until("shop", full).await;
    cluster.jobs.down("shop").await.unwrap();
    cluster.until_gone("shop").await;
    assert!(cluster.keys("instances/").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn room_that_one_app_leaves_is_taken_by_another_that_waits() {
    let cluster = Cluster::new();
    let _control = cluster.start_loop("a");
    let _agent = Agent::start(&cluster, "laptop", &[]).await;
    let full = |name: &str| {
        let mut web = service("web");
        web.instances = crate::agent::CAPACITY;
        app(name, [web])
    };
    cluster.jobs.apply(&full("one")).await.unwrap();
    cluster.until("one", synod_jobs::AppStatus::is_settled).await;
    cluster.jobs.apply(&full("two")).await.unwrap();
    let waits = |status: &synod_jobs::AppStatus| {
        let reason = status.services[0].summary.reason.as_deref();
        reason == Some("0 of 1 nodes fit: 1 full")
    };
    cluster.until("two", waits).await;
    cluster.jobs.down("one").await.unwrap();
    cluster.until("two", synod_jobs::AppStatus::is_settled).await;
}
