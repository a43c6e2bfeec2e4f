//! Two writers at the worst moment: what was reckoned from an older state is not written.

use synod_jobs::{AppStatus, Jobs};
use synod_placement::{JobState, ServiceState};

use crate::agent::Agent;
use crate::cluster::{Cluster, app, service, text};
use crate::meddler::Meddler;

#[tokio::test(start_paused = true)]
async fn an_apply_sees_a_stop_that_came_between() {
    let cluster = Cluster::new();
    let two = app("shop", [service("order"), service("stock")]);
    cluster.jobs.apply(&two).await.unwrap();
    let other = cluster.jobs.clone();
    let meddler = Meddler::new(&cluster.store, "apps/", async move {
        other.stop("shop", "order").await.unwrap();
    });
    let mut changed = two;
    changed.app.services.get_mut("stock").unwrap().run.push(text("--fast"));
    let plan = Jobs::new(meddler).apply(&changed).await.unwrap();
    assert!(plan.to_string().contains("start service order"), "{plan}");
    let status = cluster.jobs.status("shop").await.unwrap();
    assert!(status.services.iter().all(|service| service.desired == JobState::Run));
}

#[tokio::test(start_paused = true)]
async fn of_two_first_applies_the_later_one_finds_the_earlier() {
    let cluster = Cluster::new();
    let other = cluster.jobs.clone();
    let meddler = Meddler::new(&cluster.store, "apps/", async move {
        let mut elsewhere = app("shop", [service("order")]);
        elsewhere.app.path = "/elsewhere/app.toml".into();
        other.apply(&elsewhere).await.unwrap();
    });
    let error = Jobs::new(meddler).apply(&app("shop", [service("order")])).await.unwrap_err();
    assert!(matches!(error, synod_jobs::ApplyError::PathConflict { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_loop_starts_nothing_that_was_stopped_meanwhile() {
    let cluster = Cluster::new();
    let agent = Agent::start(&cluster, "laptop", &[]).await;
    let other = cluster.jobs.clone();
    let meddler = Meddler::new(&cluster.store, "instances/", async move {
        other.stop("shop", "order").await.unwrap();
    });
    let _control = cluster.start_loop_on(meddler, "a");
    cluster.jobs.apply(&app("shop", [service("order"), service("stock")])).await.unwrap();
    cluster.until("shop", AppStatus::is_settled).await;
    assert_eq!(agent.did(), ["start stock"]);
}

#[tokio::test(start_paused = true)]
async fn more_than_fits_one_transaction_takes_several() {
    let cluster = Cluster::new();
    let agent = Agent::start(&cluster, "laptop", &[]).await;
    let _control = cluster.start_loop_on(Meddler::narrow(&cluster.store, 8), "a");
    let services = ["a", "b", "c", "d", "e"].map(service);
    cluster.jobs.apply(&app("shop", services)).await.unwrap();
    let ready = |status: &AppStatus| {
        status.services.iter().all(|service| service.summary.state == ServiceState::Ready)
    };
    cluster.until("shop", ready).await;
    assert_eq!(agent.did().len(), 5);
    cluster.jobs.down("shop").await.unwrap();
    cluster.until_gone("shop").await;
    assert!(cluster.keys("instances/").await.is_empty());
}
