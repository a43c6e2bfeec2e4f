//! What stops in which order, and what goes away when.

use synod_manifest::Kind;
use synod_placement::{Action, JobState, ServiceState};

use crate::world::{World, job};

#[test]
fn a_needed_service_stops_only_after_those_that_need_it() {
    let mut world = World::new(job(Kind::Service, 2, None));
    world.settle();
    world.job.state = JobState::Remove;
    world.dependents = vec!["web".into()];
    assert!(world.step().actions.is_empty());
    assert_eq!(world.ready(), 2);
    world.dependents.clear();
    world.settle();
    world.assert_ideal();
    assert!(world.job_gone);
}

#[test]
fn a_job_without_instances_still_waits_for_its_dependents() {
    let mut world = World::new(job(Kind::Task, 1, None));
    world.job.state = JobState::Remove;
    world.dependents = vec!["web".into()];
    assert!(world.step().actions.is_empty());
    world.dependents.clear();
    assert_eq!(world.step().actions, [Action::RemoveJob]);
}

#[test]
fn scaling_down_takes_the_highest_slots() {
    let mut world = World::new(job(Kind::Service, 4, None));
    world.settle();
    let kept: Vec<_> = world.instances.keys().take(2).cloned().collect();
    world.job.spec.instances = 2;
    world.settle();
    assert_eq!(world.instances.keys().cloned().collect::<Vec<_>>(), kept);
}

#[test]
fn a_stopped_job_keeps_nothing_but_itself() {
    let mut world = World::new(job(Kind::Service, 2, None));
    world.settle();
    world.job.state = JobState::Stop;
    world.step();
    assert_eq!(world.summary().state, ServiceState::Stopping);
    world.settle();
    assert!(world.instances.is_empty() && !world.job_gone);
    assert_eq!(world.summary().state, ServiceState::Stopped);
}
