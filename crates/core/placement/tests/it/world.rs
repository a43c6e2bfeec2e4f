//! A small world around `reconcile`: a store that applies its plans and checks each of them, and
//! an agent that does what it is told, well or badly.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use synod_manifest::{Health, Kind, Port, Protocol, Restart, Service, Stop};
use synod_placement::{
    Action, Desired, Exit, ExitCause, Instance, InstanceStatus, Job, JobState, JobSummary, Node,
    NodeLoad, Observed, Phase, Plan, View, reconcile, summary,
};

pub(crate) const BACKOFF_MIN_MS: u64 = 1_000;
pub(crate) const BACKOFF_MAX_MS: u64 = 8_000;
pub(crate) const RESET_MS: u64 = 20_000;

/// How the simulated agent ends an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Failed,
    Good,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) job: Job,
    pub(crate) instances: BTreeMap<String, Instance>,
    pub(crate) statuses: BTreeMap<String, InstanceStatus>,
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) needs: BTreeMap<String, JobSummary>,
    pub(crate) dependents: Vec<String>,
    pub(crate) now_ms: u64,
    pub(crate) serial: u64,
    pub(crate) job_gone: bool,
    /// Whether every state was reached by steps; leftovers may break bounds until they are gone.
    pub(crate) reached: bool,
    pub(crate) wake_at_ms: Option<u64>,
    penance: BTreeMap<(u32, (String, u64)), Penance>,
}

/// The back-off, told again in the plainest way: per slot and version, how often in a row it
/// failed, and until when it must not start again.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Penance {
    failures: u32,
    until_ms: u64,
}

pub(crate) fn job(kind: Kind, instances: u32, port: Option<u16>) -> Job {
    let port = Port { name: "http".into(), number: port, protocol: Protocol::Http };
    let spec = Service {
        name: "order".into(),
        kind,
        run: Vec::new(),
        dir: PathBuf::from("/app"),
        build: None,
        instances,
        ports: if kind == Kind::Service { vec![port] } else { Vec::new() },
        needs: Vec::new(),
        env: BTreeMap::new(),
        health: Health { ready: None, live: None, start: None },
        restart: Restart {
            backoff_min: Duration::from_millis(BACKOFF_MIN_MS),
            backoff_max: Duration::from_millis(BACKOFF_MAX_MS),
            reset: Duration::from_millis(RESET_MS),
            ok_exit: vec![0],
        },
        stop: Stop { signal: "TERM".into(), grace: Duration::from_secs(10) },
    };
    let (app, version) = ("shop".into(), "v1".into());
    Job { app, spec, version, restart_nonce: 0, state: JobState::Run }
}

impl World {
    pub(crate) fn new(job: Job) -> Self {
        let mut world = Self {
            job,
            instances: BTreeMap::new(),
            statuses: BTreeMap::new(),
            nodes: BTreeMap::new(),
            needs: BTreeMap::new(),
            dependents: Vec::new(),
            now_ms: 1_000_000,
            serial: 1_000,
            job_gone: false,
            reached: true,
            wake_at_ms: None,
            penance: BTreeMap::new(),
        };
        world.join("a", 100);
        world
    }

    pub(crate) fn join(&mut self, name: &str, capacity: u32) {
        let (name, attributes) = (name.to_owned(), BTreeMap::new());
        let node = Node { name: name.clone(), eligible: true, capacity, attributes };
        self.nodes.insert(name, node);
    }

    pub(crate) fn observed(&self) -> Vec<Observed<'_>> {
        let observe = |instance| Observed { instance, status: self.status(instance) };
        self.instances.values().map(observe).collect()
    }

    fn status(&self, instance: &Instance) -> Option<&InstanceStatus> {
        self.statuses.get(&instance.id)
    }

    pub(crate) fn summary(&self) -> JobSummary {
        summary(&self.job, &self.observed())
    }

    /// Whether it takes up room: the agent was told to run it, and it has not ended.
    pub(crate) fn occupies(&self, instance: &Instance) -> bool {
        let exited = self.status(instance).is_some_and(|status| status.phase == Phase::Exited);
        let on_node = instance.node.as_ref().is_some_and(|node| self.nodes.contains_key(node));
        let told = instance.desired != Desired::Hold || self.status(instance).is_some();
        told && on_node && !exited
    }

    fn loads(&self) -> Vec<NodeLoad> {
        let mut loads: Vec<_> = self.nodes.values().cloned().map(NodeLoad::new).collect();
        for instance in self.instances.values().filter(|instance| self.occupies(instance)) {
            let load =
                loads.iter_mut().find(|load| Some(&load.node.name) == instance.node.as_ref());
            load.expect("it is on a node").add(&instance.app, &instance.service);
        }
        loads
    }

    /// Reconciles once, checks the plan, and applies it.
    pub(crate) fn step(&mut self) -> Plan {
        self.serial += 1;
        let nodes = self.loads();
        let view = View {
            job: &self.job,
            instances: self.observed(),
            needs: self.needs.clone(),
            dependents: self.dependents.clone(),
            nodes: &nodes,
            serial: self.serial,
        };
        let plan = reconcile(&view, self.now_ms);
        let again = reconcile(&view, self.now_ms);
        assert_eq!(plan, again, "the same view gives the same plan");
        self.apply(&plan);
        self.forgive();
        self.wake_at_ms = plan.wake_at_ms;
        if let Some(wake) = plan.wake_at_ms {
            assert!(wake > self.now_ms, "a wake lies ahead");
        }
        plan
    }

    fn apply(&mut self, plan: &Plan) {
        let mut touched = BTreeSet::new();
        for action in &plan.actions {
            let id = match action {
                Action::Create(instance) => &instance.id,
                Action::Hold { id, .. }
                | Action::Remove { id }
                | Action::Run { id, .. }
                | Action::Stop { id } => id,
                Action::RemoveJob => continue,
            };
            assert!(touched.insert(id.clone()), "{id} is touched twice: {plan:?}");
        }
        for action in plan.actions.clone() {
            match action {
                Action::Create(instance) => {
                    assert_eq!(instance.desired == Desired::Run, instance.waits.is_empty());
                    if instance.desired == Desired::Run {
                        self.may_start(&instance);
                    }
                    let old = self.instances.insert(instance.id.clone(), instance);
                    assert_eq!(old, None, "ids are used once");
                }
                Action::Hold { id, waits } => {
                    let instance = self.instances.get_mut(&id).expect("it is there");
                    assert_eq!(instance.desired, Desired::Hold);
                    assert!(!waits.is_empty() && instance.waits != waits, "it says something new");
                    instance.waits = waits;
                }
                Action::Remove { id } => {
                    let instance = self.instances.remove(&id).expect("it is there");
                    assert!(!self.occupies(&instance), "{id} still runs");
                    self.statuses.remove(&id);
                }
                Action::RemoveJob => {
                    assert_eq!(self.job.state, JobState::Remove);
                    assert!(self.dependents.is_empty());
                    self.job_gone = true;
                }
                Action::Run { id, node } => {
                    let instance = self.instances.get_mut(&id).expect("it is there");
                    assert_eq!(instance.desired, Desired::Hold);
                    instance.desired = Desired::Run;
                    instance.node = Some(node);
                    instance.waits.clear();
                    let instance = instance.clone();
                    self.may_start(&instance);
                }
                Action::Stop { id } => {
                    let instance = self.instances.get_mut(&id).expect("it is there");
                    assert_ne!(instance.desired, Desired::Stop, "told once");
                    instance.desired = Desired::Stop;
                    let instance = self.instances[&id].clone();
                    assert!(self.occupies(&instance), "only what runs is told to stop");
                }
            }
        }
        if self.job_gone {
            assert!(self.instances.is_empty(), "a job goes last");
        }
        self.check_bounds(plan);
    }

    fn check_bounds(&self, plan: &Plan) {
        for load in self.loads() {
            let placed = plan.actions.iter().any(|action| match action {
                Action::Create(instance) => instance.node.as_ref() == Some(&load.node.name),
                Action::Run { node, .. } => *node == load.node.name,
                _ => false,
            });
            let fits = load.used() <= load.node.capacity;
            assert!(fits || !placed, "{} is overfilled", load.node.name);
        }
        if !self.reached {
            return;
        }
        let wanted = if self.job.state == JobState::Run { self.job.spec.instances } else { 0 };
        let stays = |instance: &&Instance| {
            instance.desired == Desired::Hold
                || instance.desired == Desired::Run && self.occupies(instance)
        };
        let staying = self.instances.values().filter(stays).count();
        let surge = usize::from(!self.stops_first());
        // Whoever needs the service keeps it beyond what is wanted of it.
        let bound = wanted as usize + surge;
        assert!(!self.dependents.is_empty() || staying <= bound, "{staying} > {bound}");
        for slot in 0..wanted {
            let here = self.instances.values().filter(|i| i.slot == slot && self.occupies(i));
            assert!(here.count() <= 1 + surge, "slot {slot} is crowded");
        }
    }

    pub(crate) fn stops_first(&self) -> bool {
        let fixed = self.job.spec.ports.iter().any(|port| port.number.is_some());
        self.job.spec.kind == Kind::Task || fixed
    }

    fn may_start(&self, instance: &Instance) {
        assert!(instance.node.is_some());
        let version = (instance.version.clone(), instance.restart_nonce);
        let penance = self.penance.get(&(instance.slot, version));
        if let Some(penance) = penance.filter(|_| self.reached) {
            assert!(self.now_ms >= penance.until_ms, "{} starts too early", instance.id);
            let bad = instance.previous.as_ref().is_some_and(|exit| exit.failure);
            assert!(!bad || instance.failures == penance.failures, "failures are counted");
        }
    }

    /// Lets the agent take one step with an instance, if there is one to take.
    pub(crate) fn agent(&mut self, id: &str, end: Option<End>) {
        let Some(instance) = self.instances.get(id).filter(|i| self.occupies(i)) else { return };
        let (desired, slot) = (instance.desired, instance.slot);
        let version = (instance.version.clone(), instance.restart_nonce);
        let status = self.statuses.entry(id.to_owned()).or_insert_with(|| starting(id));
        if desired == Desired::Stop {
            status.ready = false;
            status.phase = match status.phase {
                Phase::Starting | Phase::Running => Phase::Draining,
                Phase::Draining => Phase::Stopping,
                Phase::Stopping | Phase::Exited => Phase::Exited,
            };
            if status.phase == Phase::Exited {
                let cause = ExitCause::Signal(15);
                status.exit = Some(Exit { cause, failure: false, at_ms: self.now_ms });
            }
            return;
        }
        let Some(end) = end else {
            status.ready = status.phase == Phase::Running;
            status.phase = Phase::Running;
            status.started_ms.get_or_insert(self.now_ms);
            return;
        };
        let failure = end == End::Failed;
        status.ready = false;
        status.phase = Phase::Exited;
        let cause = ExitCause::Code(if failure { 3 } else { 0 });
        status.exit = Some(Exit { cause, failure, at_ms: self.now_ms });
        let ran_ms = self.now_ms - status.started_ms.unwrap_or(self.now_ms);
        self.repent(slot, version, failure, ran_ms);
    }

    fn repent(&mut self, slot: u32, version: (String, u64), failure: bool, ran_ms: u64) {
        let before = self.penance.remove(&(slot, version.clone()));
        let before = before.map_or(0, |p| if ran_ms >= RESET_MS { 0 } else { p.failures });
        let failures = before + u32::from(failure);
        let mut wait_ms = BACKOFF_MIN_MS;
        if failure {
            for _ in 1..failures {
                wait_ms = (wait_ms * 2).min(BACKOFF_MAX_MS);
            }
        }
        let until_ms = self.now_ms + wait_ms;
        self.penance.insert((slot, version), Penance { failures, until_ms });
    }

    /// The history of a slot that nobody wants is of no account any more.
    fn forgive(&mut self) {
        let wanted = if self.job.state == JobState::Run { self.job.spec.instances } else { 0 };
        self.penance.retain(|(slot, _), _| *slot < wanted);
    }

    pub(crate) fn ready(&self) -> usize {
        self.observed().iter().filter(|observed| observed.is_ready()).count()
    }

    /// Lets all agents do well until nothing more happens.
    pub(crate) fn settle(&mut self) {
        for _ in 0..300 {
            let plan = self.step();
            if self.job_gone {
                return;
            }
            let before = self.statuses.clone();
            let ids: Vec<_> = self.instances.keys().cloned().collect();
            let is_task = self.job.spec.kind == Kind::Task;
            for id in ids {
                let runs = self.statuses.get(&id).is_some_and(|s| s.phase == Phase::Running);
                self.agent(&id, (is_task && runs).then_some(End::Good));
            }
            if !plan.actions.is_empty() || self.statuses != before {
                continue;
            }
            match self.wake_at_ms {
                Some(wake) => self.now_ms = wake,
                None => return,
            }
        }
        panic!("it does not come to rest: {self:#?}");
    }

    /// Checks that the world is as the job asks, said in the plainest way.
    pub(crate) fn assert_ideal(&self) {
        let wanted = if self.job.state == JobState::Run { self.job.spec.instances } else { 0 };
        let slots: Vec<_> = self.instances.values().map(|instance| instance.slot).collect();
        let mut sorted = slots.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..wanted).collect::<Vec<_>>(), "one instance a slot: {self:#?}");
        for observed in self.observed() {
            assert!(observed.is_current(&self.job), "of the version that is wanted");
            match self.job.spec.kind {
                Kind::Service => assert!(observed.is_ready(), "ready"),
                Kind::Task => assert!(observed.is_done(), "done"),
            }
        }
        assert_eq!(self.job_gone, self.job.state == JobState::Remove, "the job goes when asked");
    }
}

fn starting(id: &str) -> InstanceStatus {
    InstanceStatus {
        id: id.to_owned(),
        phase: Phase::Starting,
        ready: false,
        reason: None,
        pid: None,
        ports: BTreeMap::new(),
        started_ms: None,
        exit: None,
    }
}
