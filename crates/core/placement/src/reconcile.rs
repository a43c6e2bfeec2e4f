//! What should change so that a job's instances match it.
//!
//! The unit is the *slot*: a job for three instances has slots 0, 1 and 2, and each slot holds one
//! instance that runs what the job asks for now. Two may share a slot only while one replaces the
//! other. Each slot is read by itself (`slot`); what ties slots together is the roll: of the
//! slots that serve with an earlier version, one at a time is replaced, and the next only when
//! all others serve.

use std::collections::BTreeMap;

use synod_manifest::Kind;

use crate::backoff::{Legacy, backoff, legacy, show};
use crate::place::{Request, place};
use crate::{Desired, Instance, Job, JobState, JobSummary, NodeLoad, Observed, unmet};

use slot::{Slot, Standing, standing};

mod slot;

/// What [`reconcile`] looks at.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// The job.
    pub job: &'a Job,
    /// All its instances.
    pub instances: Vec<Observed<'a>>,
    /// How the services stand that it needs.
    pub needs: BTreeMap<String, JobSummary>,
    /// The services that need it, directly or not, that are to stop too and still have instances.
    pub dependents: Vec<String>,
    /// The nodes with all that is on them, this job's instances included. An instance on a node
    /// that is not listed is lost.
    pub nodes: &'a [NodeLoad],
    /// Ends the ids of instances made now. Must be greater than any used before.
    pub serial: u64,
}

/// What to do, in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The changes; no two touch the same instance.
    pub actions: Vec<Action>,
    /// When to look again even if nothing changes, in milliseconds since the Unix epoch.
    pub wake_at_ms: Option<u64>,
    /// Whether an instance waits for room on a node.
    pub wants_room: bool,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Makes an instance, to hold or to run at once.
    Create(Instance),
    /// Writes down why an instance waits.
    Hold {
        /// The instance.
        id: String,
        /// A reason a line.
        waits: Vec<String>,
    },
    /// Deletes the record of an instance that ended, was never started, or is lost.
    Remove {
        /// The instance.
        id: String,
    },
    /// Deletes the job. Nothing of it is left.
    RemoveJob,
    /// Starts an instance.
    Run {
        /// The instance.
        id: String,
        /// Where.
        node: String,
    },
    /// Asks an instance to end.
    Stop {
        /// The instance.
        id: String,
    },
}

/// What should change so that the job's instances match it. `now_ms` counts from the Unix epoch.
#[must_use]
pub fn reconcile(view: &View<'_>, now_ms: u64) -> Plan {
    let mut planner = Planner { view, now_ms, plan: Plan::default(), starts: Vec::new() };
    match view.job.state {
        JobState::Run => planner.run(),
        JobState::Remove | JobState::Stop => planner.retire(),
    }
    planner.plan
}

struct Planner<'a> {
    view: &'a View<'a>,
    now_ms: u64,
    plan: Plan,
    /// What may run as soon as there is a node for it.
    starts: Vec<Start<'a>>,
}

enum Start<'a> {
    Held(&'a Instance),
    New(Box<Instance>),
}

impl<'a> Planner<'a> {
    fn run(&mut self) {
        let wanted = self.view.job.spec.instances;
        let is_wanted = |observed: &&Observed<'a>| observed.instance.slot < wanted;
        let view = self.view;
        for surplus in view.instances.iter().filter(|observed| !is_wanted(observed)) {
            self.end(*surplus);
        }
        let mut slots: Vec<_> = (0..wanted).map(|number| Slot::new(view, number)).collect();
        // A slot that does not serve, or is half replaced, comes first: only when there is none
        // may the next one that serves be given up.
        let calm = slots.iter().all(Slot::is_calm);
        if calm && let Some(next) = slots.iter_mut().find(|slot| slot.is_outdated()) {
            next.roll = true;
        }
        for slot in &slots {
            self.fill(slot);
        }
        self.start();
    }

    /// Ends what does not belong in the slot, and sees to it that what belongs there comes.
    fn fill(&mut self, slot: &Slot<'a>) {
        for surplus in &slot.surplus {
            self.end(*surplus);
        }
        if let Some(done) = slot.done {
            for other in slot.fresh.iter().chain(&slot.serving) {
                self.end(*other);
            }
            let others = slot.dead.iter().filter(|dead| dead.instance.id != done.instance.id);
            others.for_each(|dead| self.remove(dead.instance));
            return;
        }
        let stop_first = stops_first(self.view.job);
        let replaced = slot.fresh.is_some_and(|fresh| stop_first || fresh.is_ready());
        if let Some(serving) = slot.serving
            && (replaced || stop_first && (slot.roll || slot.is_rolling()))
        {
            self.end(serving);
        }
        match slot.fresh {
            Some(fresh) => self.release(slot, fresh, stop_first),
            None => self.create(slot, stop_first),
        }
        slot.dead.iter().for_each(|dead| self.remove(dead.instance));
    }

    /// Makes the slot's next instance unless something else must go first.
    fn create(&mut self, slot: &Slot<'a>, stop_first: bool) {
        let may = match (stop_first, slot.serving) {
            (true, serving) => serving.is_none() && slot.stopping() == 0,
            (false, None) => slot.stopping() < 2,
            (false, Some(_)) => (slot.roll || slot.is_rolling()) && slot.stopping() < 1,
        };
        if !may {
            return;
        }
        let View { job, serial, .. } = self.view;
        let legacy = match slot.dead.last() {
            Some(last) if last.is_current(job) => legacy(&job.spec.restart, *last, self.now_ms),
            // Another version, or a restart that a user asked for: a clean slate.
            Some(last) => Legacy {
                previous: last.status.and_then(|status| status.exit.clone()),
                ..Legacy::default()
            },
            None => Legacy::default(),
        };
        let mut instance = Instance {
            id: format!("{}-{}-{serial}", job.spec.name, slot.number),
            app: job.app.clone(),
            service: job.spec.name.clone(),
            slot: slot.number,
            version: job.version.clone(),
            restart_nonce: job.restart_nonce,
            node: None,
            desired: Desired::Hold,
            waits: Vec::new(),
            failures: legacy.failures,
            not_before_ms: legacy.not_before_ms,
            created_ms: self.now_ms,
            previous: legacy.previous,
        };
        instance.waits = self.waits(&instance);
        if instance.waits.is_empty() {
            self.starts.push(Start::New(Box::new(instance)));
        } else {
            self.plan.actions.push(Action::Create(instance));
        }
    }

    /// Lets a held instance go once nothing keeps it; else writes down what does.
    fn release(&mut self, slot: &Slot<'a>, fresh: Observed<'a>, stop_first: bool) {
        let held = fresh.instance;
        if held.desired != Desired::Hold {
            return;
        }
        let mut waits = self.waits(held);
        if stop_first && (slot.serving.is_some() || slot.stopping() > 0) {
            waits.push("the instance before it has not ended".to_owned());
        }
        if waits.is_empty() {
            self.starts.push(Start::Held(held));
        } else {
            self.hold(held, waits);
        }
    }

    /// What keeps the instance from starting, nodes aside.
    fn waits(&mut self, instance: &Instance) -> Vec<String> {
        let View { job, needs, .. } = self.view;
        let mut waits = Vec::new();
        if instance.not_before_ms > self.now_ms {
            let wake = self.plan.wake_at_ms.unwrap_or(u64::MAX).min(instance.not_before_ms);
            self.plan.wake_at_ms = Some(wake);
            // A good exit of a service is no failure, and waits the least.
            let ended_well = instance.previous.as_ref().is_some_and(|exit| !exit.failure);
            let failures = if ended_well { 1 } else { instance.failures };
            let wait = show(backoff(&job.spec.restart, failures));
            waits.push(match &instance.previous {
                Some(exit) => format!("restarts after {wait}: {}", exit.cause),
                None => format!("restarts after {wait}"),
            });
        }
        let unmet = |need| unmet(need, needs.get(&need.service));
        waits.extend(job.spec.needs.iter().filter_map(unmet));
        waits
    }

    /// Places all that may run, as one batch.
    fn start(&mut self) {
        let request =
            || Request { app: self.view.job.app.clone(), service: self.view.job.spec.name.clone() };
        let batch: Vec<_> = self.starts.iter().map(|_| request()).collect();
        let placed = place(&batch, self.view.nodes);
        for (start, node) in std::mem::take(&mut self.starts).into_iter().zip(placed) {
            self.plan.wants_room |= node.is_err();
            match (start, node) {
                (Start::Held(held), Ok(node)) => {
                    self.plan.actions.push(Action::Run { id: held.id.clone(), node });
                }
                (Start::Held(held), Err(reasons)) => self.hold(held, vec![reasons.to_string()]),
                (Start::New(mut new), Ok(node)) => {
                    new.desired = Desired::Run;
                    new.node = Some(node);
                    self.plan.actions.push(Action::Create(*new));
                }
                (Start::New(mut new), Err(reasons)) => {
                    new.waits = vec![reasons.to_string()];
                    self.plan.actions.push(Action::Create(*new));
                }
            }
        }
    }

    /// Stops all, dependents first, and in the end removes a job that should vanish.
    fn retire(&mut self) {
        let is_needed = !self.view.dependents.is_empty();
        let mut left = is_needed;
        for observed in &self.view.instances {
            let runs =
                matches!(standing(self.view, *observed), Standing::Live | Standing::Stopping);
            left |= runs;
            if !(runs && is_needed) {
                self.end(*observed);
            }
        }
        if !left && self.view.job.state == JobState::Remove {
            self.plan.actions.push(Action::RemoveJob);
        }
    }

    /// One step nearer to the instance's end: stops what runs, removes what does not.
    fn end(&mut self, observed: Observed<'_>) {
        match standing(self.view, observed) {
            Standing::Dead | Standing::Held => self.remove(observed.instance),
            Standing::Live => {
                self.plan.actions.push(Action::Stop { id: observed.instance.id.clone() });
            }
            Standing::Stopping => {}
        }
    }

    fn hold(&mut self, held: &Instance, waits: Vec<String>) {
        if held.waits != waits {
            self.plan.actions.push(Action::Hold { id: held.id.clone(), waits });
        }
    }

    fn remove(&mut self, instance: &Instance) {
        self.plan.actions.push(Action::Remove { id: instance.id.clone() });
    }
}

/// Whether the old instance of a slot must be gone before the new one starts: when they would
/// fight over a port, or when running twice at once is not what a task expects.
fn stops_first(job: &Job) -> bool {
    job.spec.kind == Kind::Task || job.spec.ports.iter().any(|port| port.number.is_some())
}
