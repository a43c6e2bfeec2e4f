//! From any state, through any mishaps, to what the job asks for; and then silence.

use std::collections::BTreeMap;

use proptest::prelude::*;
use synod_manifest::Kind;
use synod_placement::{Desired, Exit, ExitCause, Instance, InstanceStatus, Job, JobState, Phase};

use crate::world::{End, World, job};

/// Something that happens.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// The agent takes a step with the instance of that number; with an end, it ends instead.
    Agent(usize, Option<End>),
    NewVersion,
    NodeGone,
    NodeJoins,
    Reconcile,
    Restart,
    Scale(u32),
    State(JobState),
    Time(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    let end =
        prop_oneof![3 => Just(None), 2 => Just(Some(End::Failed)), 1 => Just(Some(End::Good))];
    let state = prop_oneof![4 => Just(JobState::Run), 1 => Just(JobState::Stop)];
    prop_oneof![
        12 => (0_usize..12, end).prop_map(|(at, end)| Happening::Agent(at, end)),
        1 => Just(Happening::NewVersion),
        1 => Just(Happening::NodeGone),
        1 => Just(Happening::NodeJoins),
        12 => Just(Happening::Reconcile),
        1 => Just(Happening::Restart),
        1 => (0_u32..5).prop_map(Happening::Scale),
        1 => state.prop_map(Happening::State),
        4 => prop_oneof![1_u64..3_000, 15_000_u64..30_000].prop_map(Happening::Time),
    ]
}

fn any_job() -> impl Strategy<Value = Job> {
    let kind = prop_oneof![3 => Just(Kind::Service), 1 => Just(Kind::Task)];
    let port = prop_oneof![2 => Just(None), 1 => Just(Some(8080))];
    (kind, 0_u32..5, port).prop_map(|(kind, instances, port)| job(kind, instances, port))
}

fn happen(world: &mut World, happening: Happening) {
    match happening {
        Happening::Agent(at, end) => {
            let id = world.instances.keys().nth(at % world.instances.len().max(1)).cloned();
            if let Some(id) = id {
                world.agent(&id, end);
            }
        }
        Happening::NewVersion => world.job.version = format!("v{}", world.serial),
        Happening::NodeGone => drop(world.nodes.pop_last()),
        Happening::NodeJoins => {
            world.serial += 1;
            world.join(&format!("n{}", world.serial), 3);
        }
        Happening::Reconcile => drop(world.step()),
        Happening::Restart => world.job.restart_nonce += 1,
        Happening::Scale(instances) => world.job.spec.instances = instances,
        Happening::State(state) => world.job.state = state,
        Happening::Time(ms) => world.now_ms += ms,
    }
}

fn any_instance() -> impl Strategy<Value = (Instance, Option<InstanceStatus>)> {
    let node = prop_oneof![Just(None), Just(Some("a")), Just(Some("b")), Just(Some("gone"))];
    let desired = prop_oneof![Just(Desired::Hold), Just(Desired::Run), Just(Desired::Stop)];
    let made = (0_u32..6, 0_u64..500, 1_u8..3, 0_u64..2, node, desired, 0_u32..4, 0_u64..9_000);
    let phase = prop_oneof![
        Just(Phase::Starting),
        Just(Phase::Running),
        Just(Phase::Draining),
        Just(Phase::Stopping),
        Just(Phase::Exited),
    ];
    let status = proptest::option::of((phase, any::<bool>(), proptest::option::of(any::<bool>())));
    (made, status).prop_map(|(made, status)| {
        let (slot, serial, version, restart_nonce, node, desired, failures, backoff) = made;
        let id = format!("order-{slot}-{serial}");
        let instance = Instance {
            id: id.clone(),
            app: "shop".into(),
            service: "order".into(),
            slot,
            version: format!("v{version}"),
            restart_nonce,
            node: node.map(Into::into),
            desired,
            waits: vec!["left over".into()],
            failures,
            not_before_ms: 995_000 + backoff,
            created_ms: 900_000,
            previous: None,
        };
        let status = status.map(|(phase, ready, failure)| InstanceStatus {
            id,
            phase,
            ready: ready && phase == Phase::Running,
            reason: None,
            pid: None,
            ports: BTreeMap::new(),
            started_ms: Some(950_000),
            exit: (phase == Phase::Exited).then_some(failure).flatten().map(|failure| Exit {
                cause: ExitCause::Code(1),
                failure,
                at_ms: 990_000,
            }),
        });
        (instance, status)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_leftovers_become_what_the_job_asks_for(
        job in any_job(),
        state in prop_oneof![3 => Just(JobState::Run), 1 => Just(JobState::Stop), 1 => Just(JobState::Remove)],
        left in proptest::collection::vec(any_instance(), 0..12),
    ) {
        let mut world = World::new(job);
        world.join("b", 100);
        world.job.state = state;
        world.reached = false;
        for (instance, status) in left {
            world.statuses.extend(status.map(|status| (instance.id.clone(), status)));
            world.instances.insert(instance.id.clone(), instance);
        }
        world.settle();
        world.assert_ideal();
    }

    #[test]
    fn after_any_mishaps_the_job_gets_what_it_asks_for(
        job in any_job(),
        happenings in proptest::collection::vec(happening(), 0..120),
    ) {
        let mut world = World::new(job);
        for happening in happenings {
            happen(&mut world, happening);
        }
        world.join("spare", 100);
        world.settle();
        world.assert_ideal();
    }

    #[test]
    fn a_plan_carried_out_leaves_nothing_to_plan(
        job in any_job(),
        happenings in proptest::collection::vec(happening(), 0..120),
    ) {
        let mut world = World::new(job);
        for happening in happenings {
            happen(&mut world, happening);
            if !world.step().actions.is_empty() {
                let again = world.step();
                prop_assert!(again.actions.is_empty(), "{:?}", again.actions);
            }
        }
    }
}
