//! What people see: waits, back-off, summaries.

use synod_manifest::{Kind, Need, NeedCondition};
use synod_placement::{Desired, JobSummary, ServiceState};

use crate::world::{BACKOFF_MIN_MS, End, RESET_MS, World, job};

fn only(world: &World) -> String {
    assert_eq!(world.instances.len(), 1);
    world.instances.keys().next().unwrap().clone()
}

/// Fails the only instance after it ran that long; returns what waits in its place.
fn fail(world: &mut World, ran_ms: u64) -> String {
    let id = only(world);
    world.agent(&id, None);
    world.now_ms += ran_ms;
    world.agent(&id, Some(End::Failed));
    world.step();
    only(world)
}

#[test]
fn a_crash_is_waited_for_with_its_cause_twice_as_long_each_time() {
    let mut world = World::new(job(Kind::Service, 1, None));
    world.step();
    for wait in [1, 2, 4, 8, 8] {
        let id = fail(&mut world, 10);
        let line = format!("restarts after {wait}s: exited with code 3");
        assert_eq!(world.instances[&id].waits, [line]);
        assert_eq!(world.wake_at_ms, Some(world.now_ms + wait * BACKOFF_MIN_MS));
        let summary = world.summary();
        assert_eq!(summary.state, ServiceState::Failed);
        let reason = format!("exited with code 3, retried after {wait}s");
        assert_eq!(summary.reason, Some(reason));
        world.now_ms = world.wake_at_ms.unwrap();
        world.step();
        assert_eq!(world.instances[&id].desired, Desired::Run);
    }
}

#[test]
fn running_long_enough_makes_the_next_wait_the_first_again() {
    let mut world = World::new(job(Kind::Service, 1, None));
    world.step();
    for _ in 0..3 {
        fail(&mut world, 10);
        world.now_ms = world.wake_at_ms.unwrap();
        world.step();
    }
    fail(&mut world, RESET_MS);
    assert_eq!(world.wake_at_ms, Some(world.now_ms + BACKOFF_MIN_MS));
}

#[test]
fn a_good_exit_of_a_service_is_restarted_without_blame() {
    let mut world = World::new(job(Kind::Service, 1, None));
    world.step();
    let id = only(&world);
    world.agent(&id, None);
    world.agent(&id, Some(End::Good));
    world.step();
    let next = &world.instances[&only(&world)];
    assert_eq!((next.failures, next.desired), (0, Desired::Hold));
    assert_eq!(next.waits, ["restarts after 1s: exited with code 0"]);
    assert_eq!(world.summary().state, ServiceState::Pending);
}

#[test]
fn a_restart_by_the_user_does_not_wait() {
    let mut world = World::new(job(Kind::Service, 1, None));
    world.step();
    fail(&mut world, 10);
    world.job.restart_nonce += 1;
    world.step();
    let next = &world.instances[&only(&world)];
    assert_eq!((next.failures, next.desired), (0, Desired::Run));
}

#[test]
fn a_task_that_is_done_is_left_alone_until_it_changes() {
    let mut world = World::new(job(Kind::Task, 1, None));
    world.settle();
    let id = only(&world);
    assert_eq!(world.summary().state, ServiceState::Done);
    world.now_ms += 1_000_000;
    assert!(world.step().actions.is_empty());
    world.job.version = "v2".into();
    world.settle();
    assert_ne!(only(&world), id);
    world.assert_ideal();
}

#[test]
fn an_instance_waits_until_its_needs_hold_and_says_for_what() {
    let mut shop = job(Kind::Service, 1, None);
    let condition = NeedCondition::Ready;
    shop.spec.needs = vec![Need { service: "stock".into(), condition }];
    let mut world = World::new(shop);
    world.step();
    let id = only(&world);
    assert_eq!(world.instances[&id].waits, ["stock does not exist"]);
    let mut stock = JobSummary { service: "stock".into(), ..world.summary() };
    stock.state = ServiceState::Starting;
    world.needs.insert("stock".into(), stock.clone());
    world.step();
    assert_eq!(world.instances[&id].waits, ["stock is not ready (0 of 1)"]);
    assert_eq!(world.summary().reason.unwrap(), "stock is not ready (0 of 1)");
    let ready = JobSummary { state: ServiceState::Ready, ready: 1, ..stock.clone() };
    world.needs.insert("stock".into(), ready);
    world.step();
    assert_eq!(world.instances[&id].desired, Desired::Run);
    // A gate is for starting only.
    world.needs.insert("stock".into(), stock);
    assert!(world.step().actions.is_empty());
}

#[test]
fn without_room_an_instance_waits_and_the_plan_says_so() {
    let mut world = World::new(job(Kind::Service, 2, None));
    world.nodes.clear();
    world.join("small", 1);
    let plan = world.step();
    assert!(plan.wants_room);
    let held = world.instances.values().find(|i| i.desired == Desired::Hold).unwrap();
    assert_eq!(held.waits, ["0 of 1 nodes fit: 1 full"]);
    world.join("more", 1);
    world.settle();
    world.assert_ideal();
}

#[test]
fn what_a_lost_node_ran_is_replaced_elsewhere_without_blame() {
    let mut world = World::new(job(Kind::Service, 2, None));
    world.settle();
    world.nodes.clear();
    world.join("b", 10);
    world.step();
    assert!(world.instances.values().all(|i| i.node.as_deref() == Some("b") && i.failures == 0));
    world.settle();
    world.assert_ideal();
}

#[test]
fn one_of_several_failing_is_degraded() {
    let mut world = World::new(job(Kind::Service, 2, None));
    world.settle();
    let id = world.instances.keys().next().unwrap().clone();
    world.agent(&id, Some(End::Failed));
    let summary = world.summary();
    assert_eq!((summary.state, summary.ready), (ServiceState::Degraded, 1));
    assert_eq!(summary.reason.unwrap(), "exited with code 3");
}
