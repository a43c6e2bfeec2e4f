//! What an agent is told.

use std::sync::Arc;

use synod_jobs::{AppStatus, AssignmentChange, Assignments, StatusUpdate};
use synod_placement::{Desired, Phase};
use synod_store::{Consistency, KeyRange, RangeRequest, SYNOD, Store};

use crate::agent::Agent;
use crate::cluster::{Cluster, app, service};

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
    let (cancel, control) = cluster.start_loop("a");
    let agent = Agent::start(&cluster, "laptop", &[]).await;
    cluster.jobs.apply(&app("shop", [service("web"), service("api")])).await.unwrap();
    cluster.until("shop", AppStatus::is_settled).await;
    let (list, mut changes) = Assignments::open(cluster.store.clone(), "laptop").await.unwrap();
    let api = list.iter().find(|assignment| assignment.instance.service == "api").unwrap().clone();
    cluster.jobs.stop("shop", "api").await.unwrap();
    let stopped = |status: &AppStatus| status.is_settled() && cluster_has_one(status);
    cluster.until("shop", stopped).await;
    cancel.send(()).unwrap();
    control.await.unwrap();
    drop(agent);
    // More than a watch holds ready, and then no history to read it from.
    for n in 0..64 {
        cluster.put("noise", &n.to_string()).await;
    }
    let all = RangeRequest::new(SYNOD, KeyRange::all());
    let newest = cluster.store.range(all, Consistency::Linearizable).await.unwrap().revision;
    cluster.store.compact(SYNOD, newest).await.unwrap();
    let mut removed = false;
    while !removed {
        for change in changes.next().await.unwrap() {
            removed |=
                matches!(&change, AssignmentChange::Removed { id, .. } if *id == api.instance.id);
        }
    }
}

fn cluster_has_one(status: &AppStatus) -> bool {
    status.services.iter().map(|service| service.instances.len()).sum::<usize>() == 1
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
