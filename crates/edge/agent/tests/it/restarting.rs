//! Daemons come and go; instances stay.

use synod_manifest::ProbeAction;
use synod_placement::{ExitCause, Phase};
use synod_sys::process::Process;
use synod_sys::signal::Signal;

use crate::world::{World, probe, until};

#[tokio::test]
async fn an_instance_outlives_its_daemon_and_is_taken_up_by_the_next() {
    let mut world = World::new().await;
    let mut service = world.script("echo first; exec sleep 1000");
    // A line that is not printed again: what was ready stays ready.
    service.health.ready = Some(probe(ProbeAction::Log { pattern: "^first$".into() }));
    world.assign("web-0-1", &service).await;
    let before = world.until("web-0-1", |status| status.ready).await;
    world.kill_agent().await;
    assert!(Process::find(before.pid.unwrap()).is_some());

    world.start_agent();
    // The next agent has handled what it found when it has started something new.
    world.assign("web-0-2", &world.script("exec sleep 1000")).await;
    world.until_running("web-0-2").await;
    let after = world.status("web-0-1").await.unwrap();
    assert_eq!(after, before);
    world.stop("web-0-1").await;
    let exit = world.until_exited("web-0-1").await.exit.unwrap();
    assert_eq!((exit.cause, exit.failure), (ExitCause::Signal(15), false));
    world.end().await;
}

#[tokio::test]
async fn an_end_without_a_daemon_is_not_lost() {
    let mut world = World::new().await;
    world
        .assign(
            "web-0-1",
            &world.script("echo up; trap 'exit 9' USR1; while :; do sleep 0.01; done"),
        )
        .await;
    world.until_printed("up").await;
    let pid = world.until_running("web-0-1").await.pid.unwrap();
    let shim = Process::find(world.shim("web-0-1")).unwrap();
    world.kill_agent().await;
    Process::find(pid).unwrap().signal(Signal::parse("USR1").unwrap()).unwrap();
    until("the shim stays", || !shim.is_running()).await;

    world.start_agent();
    let exit = world.until_exited("web-0-1").await.exit.unwrap();
    assert_eq!((exit.cause, exit.failure), (ExitCause::Code(9), true));
    world.end().await;
}

#[tokio::test]
async fn a_shim_that_was_killed_without_a_daemon_is_found_out_later() {
    let mut world = World::new().await;
    world.assign("web-0-1", &world.script("setsid sleep 1000 & echo up; wait")).await;
    world.until_printed("up").await;
    world.until_running("web-0-1").await;
    let shim = Process::find(world.shim("web-0-1")).unwrap();
    world.kill_agent().await;
    shim.signal(Signal::KILL).unwrap();
    until("the shim stays", || !shim.is_running()).await;

    world.start_agent();
    let exit = world.until_exited("web-0-1").await.exit.unwrap();
    assert_eq!((exit.cause, exit.failure), (ExitCause::ShimLost, true));
    until("something is left", || world.left().is_empty()).await;
    world.end().await;
}

#[tokio::test]
async fn an_orphan_ends_after_its_time_and_not_before() {
    let mut world = World::without_agent();
    world.orphan_after_ms = Some(200);
    world.start_agent();
    world.assign("web-0-1", &world.script("echo up; exec sleep 1000")).await;
    world.until_printed("up").await;
    world.until_running("web-0-1").await;
    let shim = Process::find(world.shim("web-0-1")).unwrap();
    let begun = std::time::Instant::now();
    world.kill_agent().await;
    until("the orphan stays", || !shim.is_running()).await;
    assert!(begun.elapsed().as_millis() >= 200, "{:?}", begun.elapsed());

    world.start_agent();
    let exit = world.until_exited("web-0-1").await.exit.unwrap();
    assert_eq!((exit.cause, exit.failure), (ExitCause::Signal(15), false));
    world.end().await;
}

#[tokio::test]
async fn what_was_stopped_meanwhile_is_stopped_by_the_next_daemon() {
    let mut world = World::new().await;
    world.assign("web-0-1", &world.script("exec sleep 1000")).await;
    world.assign("web-0-2", &world.script("exec sleep 1000")).await;
    world.until_running("web-0-1").await;
    world.until_running("web-0-2").await;
    world.kill_agent().await;
    world.stop("web-0-1").await;
    world.forget("web-0-2").await;
    world.start_agent();
    let exit = world.until_exited("web-0-1").await.exit.unwrap();
    assert!(!exit.failure);
    until("the forgotten one stays", || !world.instance_dir("web-0-2").exists()).await;
    world.end().await;
}

#[tokio::test]
async fn what_ran_and_left_no_trace_is_lost_and_not_started_again() {
    let mut world = World::new().await;
    world.assign("web-0-1", &world.script("exec sleep 1000")).await;
    world.until_running("web-0-1").await;
    let shim = Process::find(world.shim("web-0-1")).unwrap();
    world.kill_agent().await;
    shim.signal(Signal::KILL).unwrap();
    until("the instance stays", || world.left().is_empty()).await;
    let record = std::fs::read(world.instance_dir("web-0-1").join("assignment.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    std::fs::remove_dir_all(world.instance_dir("web-0-1")).unwrap();
    if let Some(cgroup) = record["cgroup"].as_str() {
        // Nobody else knows of it any more.
        let cgroup = synod_sys::cgroup::Cgroup::at(cgroup.into());
        cgroup.remove_within(crate::world::SOON).unwrap();
    }
    world.start_agent();
    let status = world.until_exited("web-0-1").await;
    assert_eq!(status.phase, Phase::Exited);
    assert_eq!(status.exit.unwrap().cause, ExitCause::ShimLost);
    world.end().await;
}
