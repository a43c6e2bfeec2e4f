//! Values that nobody of ours wrote.

use std::time::Duration;

use synod_jobs::{AppStatus, ReadError};

use crate::agent::Agent;
use crate::cluster::{Cluster, app, service};

#[tokio::test(start_paused = true)]
async fn garbage_is_an_error_that_names_the_key() {
    for key in ["apps/shop", "jobs/shop/web", "instances/shop/web-0-1", "status/shop/web-0-1"] {
        for value in ["", "{", "null", "[1]", r#"{"id":7}"#, "\u{0}\u{1}"] {
            let cluster = Cluster::new();
            cluster.jobs.apply(&app("shop", [service("web")])).await.unwrap();
            cluster.put(key, value).await;
            let error = cluster.jobs.status("shop").await.unwrap_err();
            assert!(matches!(error, ReadError::Corrupt(_)), "{error}");
            assert!(error.to_string().contains(key), "{error}");
            assert!(cluster.jobs.down("shop").await.is_err());
            assert!(cluster.jobs.plan(&app("shop", [service("web")])).await.is_err());
            assert!(cluster.jobs.apps().await.is_err());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_with_garbage_is_left_as_it_is_and_others_go_on() {
    let cluster = Cluster::new();
    let _control = cluster.start_loop("a");
    let agent = Agent::start(&cluster, "laptop", &[]).await;
    cluster.jobs.apply(&app("shop", [service("web"), service("api")])).await.unwrap();
    cluster.until("shop", AppStatus::is_settled).await;
    let before = cluster.dump("instances/shop/").await;
    cluster.put("jobs/shop/web", "garbage").await;
    cluster.put("nodes/ghost", "garbage").await;
    cluster.put("instances/x", "garbage").await;
    cluster.jobs.apply(&app("other", [service("web")])).await.unwrap();
    cluster.until("other", AppStatus::is_settled).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.dump("instances/shop/").await, before);
    let stops = agent.did().iter().filter(|line| line.starts_with("stop")).count();
    assert_eq!(stops, 0, "nothing was stopped for want of knowledge");
}
