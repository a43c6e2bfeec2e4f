//! A new version takes over slot by slot, and never at the cost of what serves.

use proptest::prelude::*;
use synod_manifest::Kind;
use synod_placement::{Desired, Phase, ServiceState};

use crate::world::{End, World, job};

/// How the new version behaves at each step of its agent.
fn behaviour() -> impl Strategy<Value = Vec<(usize, Option<End>)>> {
    let end = prop_oneof![3 => Just(None), 1 => Just(Some(End::Failed))];
    proptest::collection::vec((0_usize..8, end), 0..150)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn start_first_keeps_every_wanted_instance_ready(
        wanted in 1_u32..5,
        steps in behaviour(),
    ) {
        let mut world = World::new(job(Kind::Service, wanted, None));
        world.settle();
        world.job.version = "v2".into();
        for (at, end) in steps {
            world.step();
            prop_assert!(world.ready() >= wanted as usize, "{world:#?}");
            world.now_ms += 300;
            let id = world.instances.keys().nth(at % world.instances.len()).cloned().unwrap();
            // What serves stays well; what is new may fail before it serves.
            let serves = world.statuses.get(&id).is_some_and(|status| status.ready);
            world.agent(&id, end.filter(|_| !serves));
        }
        world.settle();
        world.assert_ideal();
    }

    #[test]
    fn stop_first_gives_up_one_slot_at_a_time(
        wanted in 1_u32..5,
        steps in behaviour(),
    ) {
        let mut world = World::new(job(Kind::Service, wanted, Some(8080)));
        world.settle();
        world.job.version = "v2".into();
        for (at, end) in steps {
            world.step();
            prop_assert!(world.ready() + 1 >= wanted as usize, "{world:#?}");
            world.now_ms += 300;
            let id = world.instances.keys().nth(at % world.instances.len()).cloned();
            if let Some(id) = id {
                let serves = world.statuses.get(&id).is_some_and(|status| status.ready);
                world.agent(&id, end.filter(|_| !serves));
            }
        }
        world.settle();
        world.assert_ideal();
    }
}

#[test]
fn a_stuck_version_is_superseded_while_the_last_good_one_serves() {
    let mut world = World::new(job(Kind::Service, 1, None));
    world.settle();
    world.job.version = "stuck".into();
    world.step();
    let stuck = world.instances.values().find(|i| i.version == "stuck").unwrap().id.clone();
    world.agent(&stuck, None);
    assert_eq!(world.summary().state, ServiceState::Updating);
    world.job.version = "good".into();
    world.step();
    assert_eq!(world.instances[&stuck].desired, Desired::Stop);
    assert!(world.instances.values().any(|i| i.version == "v1" && i.desired == Desired::Run));
    world.settle();
    world.assert_ideal();
}

#[test]
fn an_instance_that_does_not_serve_is_replaced_at_once() {
    let mut world = World::new(job(Kind::Service, 3, None));
    world.step();
    world.job.version = "v2".into();
    world.step();
    let old = world.instances.values().filter(|i| i.version == "v1");
    assert!(old.clone().count() == 3 && { old }.all(|i| i.desired == Desired::Stop));
    assert_eq!(world.instances.values().filter(|i| i.version == "v2").count(), 3);
}

#[test]
fn a_fixed_port_is_free_before_it_is_taken_again() {
    let mut world = World::new(job(Kind::Service, 1, Some(8080)));
    world.settle();
    let old = world.instances.keys().next().unwrap().clone();
    world.job.version = "v2".into();
    world.step();
    for phase in [Phase::Draining, Phase::Stopping] {
        world.agent(&old, None);
        assert_eq!(world.statuses[&old].phase, phase);
        assert!(world.step().actions.is_empty(), "the port is still taken");
    }
    world.agent(&old, None);
    world.step();
    assert_eq!(world.instances.values().next().unwrap().version, "v2");
}
