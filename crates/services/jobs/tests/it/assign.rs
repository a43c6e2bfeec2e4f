//! What an agent is told.

use std::sync::Arc;

use synod_jobs::{AppStatus, AssignmentChange, Assignments, Jobs, StatusUpdate};
use synod_placement::{Desired, JobState, Phase};
use synod_store::Store;

use crate::agent::Agent;
use crate::cluster::{Cluster, app, service};
use crate::meddler::Meddler;

#[tokio::test(start_paused = true)]
async fn the_list_is_whole_and_the_changes_follow_it() {
    let cluster = Cluster::new();
    let _control = cluster.start_loop("a");
    let _agent = Agent::start(&cluster, "laptop", &[]).await;
    cluster.jobs.apply(&app("shop", [service("web")])).await.unwrap();
    cluster.until("shop", AppStatus::is_settled).await;
    let (list, mut changes) = Assignments::open(cluster.store.clone(), "laptop").await.unwrap();
    let [web] = &*list else { panic!("{list:?}") };
    assert!(web.is_current() && web.instance.desired == Desired::Run);
    assert_eq!(web.status.as_ref().unwrap().phase, Phase::Running);
    assert_eq!(web.app.app.name, "shop");
    let (none, _) = Assignments::open(cluster.store.clone(), "elsewhere").await.unwrap();
    assert!(none.is_empty());

    cluster.jobs.down("shop").await.unwrap();
    let mut stopped = false;
    loop {
        for change in changes.next().await.unwrap() {
            match change {
                AssignmentChange::Set(set) => stopped |= set.instance.desired == Desired::Stop,
                AssignmentChange::Removed { app, id } => {
                    assert_eq!((app.as_str(), &id), ("shop", &web.instance.id));
                    assert!(stopped, "told to stop before it vanished");
                    return;
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_overtaken_by_compaction_reads_again_and_tells_what_differs() {
    let cluster = Cluster::new();
    let _control = cluster.start_loop("a");
    let _agent = Agent::start(&cluster, "laptop", &[]).await;
    cluster.jobs.apply(&app("shop", [service("web"), service("api")])).await.unwrap();
    cluster.until("shop", AppStatus::is_settled).await;
    let (deaf, overtake) = Meddler::deaf(&cluster.store);
    let (list, mut changes) = Assignments::open(deaf, "laptop").await.unwrap();
    let id = |service: &str| {
        let of = list.iter().find(|assignment| assignment.instance.service == service);
        of.unwrap().instance.id.clone()
    };
    cluster.jobs.stop("shop", "api").await.unwrap();
    let stopped = |status: &AppStatus| {
        let api = status.services.iter().find(|service| service.name == "api").unwrap();
        api.desired == JobState::Stop && api.instances.is_empty()
    };
    cluster.until("shop", stopped).await;
    overtake.now().await;
    let told = changes.next().await.unwrap();
    assert_eq!(told, [AssignmentChange::Removed { app: "shop".into(), id: id("api") }]);
}

#[tokio::test(start_paused = true)]
async fn status_and_loop_go_on_after_compaction_too() {
    let cluster = Cluster::new();
    let _agent = Agent::start(&cluster, "laptop", &[]).await;
    let (deaf, overtake_loop) = Meddler::deaf(&cluster.store);
    let _control = cluster.start_loop_on(deaf, "a");
    // Until the loop holds its epoch and watches.
    while cluster.keys("loops/").await.is_empty() {
        tokio::task::yield_now().await;
    }
    let (deaf, overtake_watch) = Meddler::deaf(&cluster.store);
    let mut watch = Jobs::new(deaf).watch_status("shop").await.unwrap();
    assert_eq!(watch.next().await.unwrap(), None);
    cluster.jobs.apply(&app("shop", [service("web")])).await.unwrap();
    overtake_loop.now().await;
    cluster.until("shop", AppStatus::is_settled).await;
    overtake_watch.now().await;
    assert!(watch.next().await.unwrap().is_some_and(|status| status.is_settled()));
}

#[tokio::test(start_paused = true)]
async fn a_status_does_not_outlive_its_instance() {
    let cluster = Cluster::new();
    let _control = cluster.start_loop("a");
    let _agent = Agent::start(&cluster, "laptop", &[]).await;
    cluster.jobs.apply(&app("shop", [service("web")])).await.unwrap();
    let status = cluster.until("shop", AppStatus::is_settled).await;
    let report = status.services[0].instances[0].clone();
    cluster.jobs.down("shop").await.unwrap();
    cluster.until_gone("shop").await;
    let late = StatusUpdate { app: "shop".into(), status: report.status.unwrap() };
    let writer = synod_jobs::StatusWriter::new(Arc::clone(&cluster.store) as Arc<dyn Store>);
    writer.write(&[late]).await.unwrap();
    assert!(cluster.keys("status/").await.is_empty());
}
