//! One loop at a time, and another when it is gone.

use std::time::Duration;

use synod_jobs::AppStatus;
use synod_store::{Consistency, KeyRange, RangeRequest, SYNOD, Store};

use crate::agent::Agent;
use crate::cluster::{Cluster, app, service};

async fn holder(cluster: &Cluster) -> Option<(String, synod_store::LeaseId)> {
    let request = RangeRequest::new(SYNOD, KeyRange::key("loops/jobs"));
    let read = cluster.store.range(request, Consistency::Linearizable).await.unwrap();
    let kv = read.kvs.first()?;
    Some((kv.value.to_text_lossy(), kv.lease?))
}

async fn bring_up(cluster: &Cluster, name: &str) {
    cluster.jobs.apply(&app(name, [service("web")])).await.unwrap();
    cluster.until(name, AppStatus::is_settled).await;
}

#[tokio::test(start_paused = true)]
async fn the_second_loop_waits_and_goes_on_when_the_first_resigns() {
    let cluster = Cluster::new();
    let _agent = Agent::start(&cluster, "laptop", &[]).await;
    let (cancel, first) = cluster.start_loop("first");
    bring_up(&cluster, "one").await;
    let _second = cluster.start_loop("second");
    bring_up(&cluster, "two").await;
    assert_eq!(holder(&cluster).await.unwrap().0, "first");
    let before = cluster.now_ms();
    cancel.send(()).unwrap();
    first.await.unwrap();
    bring_up(&cluster, "three").await;
    assert_eq!(holder(&cluster).await.unwrap().0, "second");
    assert!(cluster.now_ms() - before < 1_000, "nobody waited for a lease");
}

#[tokio::test(start_paused = true)]
async fn when_a_loop_is_killed_another_goes_on_after_its_lease() {
    let cluster = Cluster::new();
    let _agent = Agent::start(&cluster, "laptop", &[]).await;
    let (_cancel, first) = cluster.start_loop("first");
    bring_up(&cluster, "one").await;
    let _second = cluster.start_loop("second");
    // Longer than the lease: the first one renews it.
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(holder(&cluster).await.unwrap().0, "first");
    first.abort();
    bring_up(&cluster, "two").await;
    assert_eq!(holder(&cluster).await.unwrap().0, "second");
}

#[tokio::test(start_paused = true)]
async fn the_same_holder_goes_on_at_once_after_it_was_killed() {
    let cluster = Cluster::new();
    let _agent = Agent::start(&cluster, "laptop", &[]).await;
    let (_cancel, first) = cluster.start_loop("laptop");
    bring_up(&cluster, "one").await;
    first.abort();
    let before = cluster.now_ms();
    let _again = cluster.start_loop("laptop");
    bring_up(&cluster, "two").await;
    assert!(cluster.now_ms() - before < 1_000, "nobody waited for a lease");
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_lost_its_epoch_unknowingly_writes_nothing() {
    let cluster = Cluster::new();
    let _agent = Agent::start(&cluster, "laptop", &[]).await;
    let _first = cluster.start_loop("first");
    bring_up(&cluster, "one").await;
    let (_, lease) = holder(&cluster).await.unwrap();
    // In one go, without letting the first loop run: its epoch ends, another begins.
    assert!(cluster.store.expire(lease));
    cluster.put("loops/jobs", "usurper").await;
    cluster.jobs.apply(&app("two", [service("web")])).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(cluster.keys("instances/two/").await.is_empty(), "the usurper does nothing");
    let usurped = synod_store::DeleteRange::new(SYNOD, KeyRange::key("loops/jobs"));
    let free = synod_store::Txn::new(vec![synod_store::Op::Delete(usurped)]);
    cluster.store.txn(free).await.unwrap();
    cluster.until("two", AppStatus::is_settled).await;
}
