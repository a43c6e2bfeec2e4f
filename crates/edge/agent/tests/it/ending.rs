//! How instances end, and that all of each does.

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use synod_agent::log::SegmentLimits;
use synod_agent::offline;
use synod_placement::{Desired, ExitCause, InstanceStatus, Phase};
use synod_sys::process::Process;
use synod_sys::signal::Signal;

use crate::world::{APP, World, instance, until};

/// Prints its process id and those of a child and of an orphan outside its process group.
const FAMILY: &str = "setsid sh -c 'sleep 1000 & echo orphan $!' & sleep 1000 & echo child $!; \
    echo main $$; wait; sleep 1000";

async fn family(world: &World) -> Vec<Process> {
    let mut found = Vec::new();
    for member in ["orphan ", "child ", "main "] {
        let line = world.until_printed(member).await.text;
        let pid = line.strip_prefix(member).unwrap().parse().unwrap();
        found.push(Process::find(pid).unwrap());
    }
    found
}

fn kill(pid: u32) {
    assert!(Process::find(pid).unwrap().signal(Signal::KILL).unwrap());
}

#[tokio::test]
async fn an_instance_that_is_asked_to_end_ends_well() {
    let world = World::new().await;
    let script = "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.01; done";
    world.assign("web-0-1", &world.script(script)).await;
    world.until_printed("up").await;
    world.stop("web-0-1").await;
    let status = world.until_exited("web-0-1").await;
    let exit = status.exit.unwrap();
    assert_eq!((exit.cause, exit.failure), (ExitCause::Code(7), false));
    assert_eq!((status.pid, status.ready), (None, false));
    assert_eq!(world.printed().await, ["up", "bye"]);
    world.end().await;
}

#[tokio::test]
async fn one_that_ignores_the_signal_is_killed_after_its_grace() {
    let world = World::new().await;
    // Ignored signals stay ignored over exec.
    let mut service = world.script("trap '' TERM; echo deaf; exec sleep 1000");
    service.stop.grace = Duration::from_millis(300);
    world.assign("web-0-1", &service).await;
    world.until_printed("deaf").await;
    let begun = Instant::now();
    world.stop("web-0-1").await;
    let stopping = world.until("web-0-1", |status| status.phase >= Phase::Stopping).await;
    assert_eq!(stopping.phase, Phase::Stopping);
    let exit = world.until_exited("web-0-1").await.exit.unwrap();
    assert!(begun.elapsed() >= service.stop.grace);
    assert_eq!((exit.cause, exit.failure), (ExitCause::Signal(9), false));
    world.end().await;
}

#[tokio::test]
async fn the_chosen_signal_is_sent() {
    let world = World::new().await;
    let script = "trap 'echo interrupted; exit 0' INT; echo up; while :; do sleep 0.01; done";
    let mut service = world.script(script);
    service.stop.signal = "INT".into();
    world.assign("web-0-1", &service).await;
    world.until_printed("up").await;
    world.stop("web-0-1").await;
    world.until_exited("web-0-1").await;
    world.until_printed("interrupted").await;
    world.end().await;
}

#[tokio::test]
async fn a_stop_reaches_those_that_left_the_process_group() {
    let world = World::new().await;
    world.assign("web-0-1", &world.script(FAMILY)).await;
    let family = family(&world).await;
    world.stop("web-0-1").await;
    let exit = world.until_exited("web-0-1").await.exit.unwrap();
    assert_eq!((exit.cause, exit.failure), (ExitCause::Signal(15), false));
    assert!(!family.iter().any(Process::is_running));
    world.end().await;
}

#[tokio::test]
async fn killing_the_instance_ends_all_of_it_and_is_recorded() {
    let world = World::new().await;
    world.assign("web-0-1", &world.script(FAMILY)).await;
    let family = family(&world).await;
    let status = world.until_running("web-0-1").await;
    kill(status.pid.unwrap());
    let exit = world.until_exited("web-0-1").await.exit.unwrap();
    assert_eq!((exit.cause, exit.failure), (ExitCause::Signal(9), true));
    assert!(!family.iter().any(Process::is_running));
    world.end().await;
}

#[tokio::test]
async fn killing_the_shim_ends_all_of_its_instance() {
    let world = World::new().await;
    world.assign("web-0-1", &world.script(FAMILY)).await;
    let family = family(&world).await;
    world.until_running("web-0-1").await;
    kill(world.shim("web-0-1"));
    let exit = world.until_exited("web-0-1").await.exit.unwrap();
    assert_eq!((exit.cause, exit.failure), (ExitCause::ShimLost, true));
    assert!(!family.iter().any(Process::is_running));
    world.end().await;
}

#[tokio::test]
async fn exit_codes_are_told_and_judged() {
    let world = World::new().await;
    let mut service = world.script("exit 3");
    world.assign("web-0-1", &service).await;
    let exit = world.until_exited("web-0-1").await.exit.unwrap();
    assert_eq!((exit.cause, exit.failure), (ExitCause::Code(3), true));
    service.restart.ok_exit = vec![0, 3];
    world.assign("web-0-2", &service).await;
    let exit = world.until_exited("web-0-2").await.exit.unwrap();
    assert_eq!((exit.cause, exit.failure), (ExitCause::Code(3), false));
    world.end().await;
}

#[tokio::test]
async fn what_is_printed_last_is_kept() {
    let world = World::new().await;
    let script = "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done; printf end";
    world.assign("web-0-1", &world.script(script)).await;
    world.until_exited("web-0-1").await;
    let lines = world.printed().await;
    assert_eq!(
        (lines.len(), lines[4999].as_str(), lines[5000].as_str()),
        (5001, "line 4999", "end")
    );
    world.end().await;
}

#[tokio::test]
async fn logs_rotate_and_outlive_their_instances() {
    let mut world = World::without_agent();
    world.log_limits = SegmentLimits { segment_bytes: 4096, segments: 2 };
    world.start_agent();
    let script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done";
    world.assign("web-0-1", &world.script(script)).await;
    world.until_exited("web-0-1").await;
    world.forget("web-0-1").await;
    world.assign("web-0-2", &world.script("echo second")).await;
    world.until_exited("web-0-2").await;

    let slot = world.data_dir().join("logs/shop/web/0");
    assert_eq!(fs::read_dir(slot).unwrap().count(), 2);
    let lines = world.printed().await;
    assert_eq!(lines.last().unwrap(), "second");
    assert_eq!(lines[lines.len() - 2], "line 1999");
    assert!(lines.len() > 10 && lines.len() < 1990, "{}", lines.len());
    world.end().await;
}

#[tokio::test]
async fn a_full_disk_costs_lines_and_nothing_else() {
    let world = World::new().await;
    let fifo = world.work_dir().join("say");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let script = "echo up; while read -r line; do echo \"$line\"; done < say; exec sleep 1000";
    world.assign("web-0-1", &world.script(script)).await;
    world.until_printed("up").await;
    let pid = world.until_running("web-0-1").await.pid;
    let mut say = fs::OpenOptions::new().write(true).open(&fifo).unwrap();

    // A file size limit refuses the shim's writes as a full disk does.
    let shim = world.shim("web-0-1");
    synod_sys::limit::limit_file_size_of(shim, Some(0)).unwrap();
    writeln!(say, "lost").unwrap();
    let lost = |status: &InstanceStatus| {
        status.reason.as_ref().is_some_and(|reason| reason.contains("1 lines are lost"))
    };
    assert!(world.until("web-0-1", lost).await.ready);

    synod_sys::limit::limit_file_size_of(shim, None).unwrap();
    writeln!(say, "kept").unwrap();
    world.until_printed("kept").await;
    let status = world.until("web-0-1", |status| status.reason.is_none()).await;
    assert_eq!((status.phase, status.pid), (Phase::Running, pid));
    let lines = world.printed().await;
    assert_eq!(lines[0], "up");
    assert!(lines[1].starts_with("1 lines are missing here: "), "{lines:?}");
    assert_eq!(lines[2..], ["kept"]);
    drop(say);
    world.end().await;
}

#[tokio::test]
async fn a_removed_record_ends_its_instance_and_clears_its_directory() {
    let world = World::new().await;
    world.assign("web-0-1", &world.script("exec sleep 1000")).await;
    world.until_running("web-0-1").await;
    assert!(world.instance_dir("web-0-1").exists());
    world.forget("web-0-1").await;
    until("its directory stays", || !world.instance_dir("web-0-1").exists()).await;
    assert_eq!(world.status("web-0-1").await, None);
    world.end().await;
}

#[tokio::test]
async fn another_instance_of_the_same_id_waits_for_the_end_of_the_first() {
    let world = World::new().await;
    world.assign("web-0-1", &world.script("echo run; exec sleep 1000")).await;
    let first = world.until_running("web-0-1").await.pid;
    let mut again = instance("web-0-1", "web", Desired::Run);
    again.created_ms = 2;
    world.write_instance(&again).await;
    let second = world.until("web-0-1", |status| status.pid.is_some() && status.pid != first).await;
    assert_eq!(second.phase, Phase::Running);
    assert!(Process::find(first.unwrap()).is_none());
    world.end().await;
}

#[tokio::test]
async fn instances_are_ended_without_a_daemon() {
    let mut world = World::new().await;
    world.assign("web-0-1", &world.script("echo one; exec sleep 1000")).await;
    world.assign("web-0-2", &world.script(FAMILY)).await;
    family(&world).await;
    world.until_running("web-0-1").await;
    world.until_running("web-0-2").await;
    world.kill_agent().await;
    let data_dir = world.data_dir();
    let stopped =
        tokio::task::spawn_blocking(move || offline::stop_all(&data_dir, APP, None)).await;
    let stopped = stopped.unwrap().unwrap();
    assert_eq!(stopped.len(), 2);
    assert!(stopped.iter().all(|stopped| stopped.was_running));
    assert_eq!(world.left(), [] as [u32; 0]);

    // The next daemon learns how they ended.
    world.start_agent();
    let exit = world.until_exited("web-0-1").await.exit.unwrap();
    assert_eq!((exit.cause, exit.failure), (ExitCause::Signal(15), false));
    world.end().await;
}

#[tokio::test]
async fn a_damaged_record_keeps_nothing_from_being_ended() {
    let mut world = World::new().await;
    for id in ["web-0-1", "web-0-2"] {
        world.assign(id, &world.script("exec sleep 1000")).await;
        world.until_running(id).await;
    }
    world.kill_agent().await;
    let data_dir = world.data_dir();
    let record = data_dir.join("instances").join(APP).join("web-0-1/assignment.json");
    fs::write(record, "{").unwrap();
    let stopped = tokio::task::spawn_blocking(move || offline::stop_all(&data_dir, APP, None));
    stopped.await.unwrap().expect_err("a record could not be read");
    assert_eq!(world.left(), [] as [u32; 0]);
}
