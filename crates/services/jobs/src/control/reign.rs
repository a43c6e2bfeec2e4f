//! The loop while it holds the epoch.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use synod_placement::{
    Action, Desired, JobState, Node, NodeLoad, Observed, Plan, View, reconcile, summary,
};
use synod_store::{
    Error as StoreError, Event, EventKind, KeyRange, Op, OpResponse, RangeRequest, Revision, SYNOD,
    Store, TxnResponse, Watch,
};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::LoopOptions;
use super::batch::Batch;
use crate::AppState as Desire;
use crate::epoch::Epoch;
use crate::keys::Key;
use crate::mirror::{AppState, Mirror, Scope};

/// Why a reign ended.
#[derive(Debug)]
pub(super) enum Interrupt {
    /// Another holds the epoch, or nobody.
    Deposed,
    /// Something else than was read is in the store: read it again.
    Stale,
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for Interrupt {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A job: app and service.
type JobName = (String, String);

/// The loop while it holds the epoch.
pub(super) struct Reign<'a> {
    store: &'a dyn Store,
    options: &'a LoopOptions,
    epoch: &'a Epoch,
    mirror: Mirror,
    watch: Watch,
    renew: Interval,
    /// What to reconsider: apps, and services of them.
    dirty: BTreeMap<String, BTreeSet<String>>,
    /// When to reconsider a job even if nothing changes.
    wakes: BTreeMap<JobName, u64>,
    /// Jobs that wait for room on a node.
    crowded: BTreeSet<JobName>,
    /// Nodes that have instances and are away, and since when.
    away: BTreeMap<String, u64>,
    /// When the next of them counts as lost.
    lost_at: Option<u64>,
    /// Corrupt keys that were complained about.
    reported: BTreeSet<String>,
}

impl<'a> Reign<'a> {
    pub(super) async fn begin(
        store: &'a dyn Store,
        options: &'a LoopOptions,
        epoch: &'a Epoch,
    ) -> Result<Self, StoreError> {
        let (mirror, watch) = Mirror::follow(store, Scope::All).await?;
        // Two renewals may be late before the lease ends.
        let mut renew = tokio::time::interval(options.lease_ttl / 3);
        renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (dirty, wakes, crowded, away, lost_at, reported) = Default::default();
        let mut reign = Self {
            store,
            options,
            epoch,
            mirror,
            watch,
            renew,
            dirty,
            wakes,
            crowded,
            away,
            lost_at,
            reported,
        };
        reign.mark_all();
        Ok(reign)
    }

    /// Reconsiders what changed until the reign ends.
    pub(super) async fn rule(&mut self) -> Interrupt {
        loop {
            let acted = match self.dirty.keys().next().cloned() {
                Some(app) => self.act(&app).await,
                None => self.advance().await,
            };
            if let Err(interrupt) = acted {
                return interrupt;
            }
        }
    }

    /// Waits for the next thing to happen, and takes note of it.
    async fn advance(&mut self) -> Result<(), Interrupt> {
        let wake = self.wakes.values().copied().chain(self.lost_at).min();
        let wait = wake.map(|at| Duration::from_millis(at.saturating_sub(self.now_ms())));
        // The far end of time where nothing is to be waited for.
        let deadline = Instant::now() + wait.unwrap_or(Duration::from_secs(86_400));
        // Biased: renewing first, or a flood of changes would cost the epoch.
        tokio::select! {
            biased;
            _ = self.renew.tick() => self.keep_alive().await,
            batch = self.watch.next() => {
                let batch = batch?;
                for event in &batch.events {
                    self.on_event(event);
                }
                self.mirror.revision = batch.revision;
                Ok(())
            }
            () = tokio::time::sleep_until(deadline) => {
                self.on_wake();
                Ok(())
            }
        }
    }

    async fn keep_alive(&self) -> Result<(), Interrupt> {
        use synod_keyspace::Error::LeaseNotFound;
        match self.epoch.keep_alive(self.store).await {
            Err(StoreError::Refused(LeaseNotFound(_))) => Err(Interrupt::Deposed),
            renewed => Ok(renewed?),
        }
    }

    fn on_wake(&mut self) {
        let now = self.now_ms();
        if self.lost_at.is_some_and(|at| at <= now) {
            self.lost_at = None;
            self.mark_all();
        }
        let due: Vec<_> = self.wakes.iter().filter(|(_, at)| **at <= now).collect();
        let due: Vec<JobName> = due.into_iter().map(|(name, _)| name.clone()).collect();
        for name in due {
            self.wakes.remove(&name);
            self.mark(name);
        }
    }

    /// Takes note of a change: updates the copy, and marks the jobs that it may concern.
    fn on_event(&mut self, event: &Event) {
        let Some(key) = Key::parse(&event.kv.key) else { return };
        let service = |mirror: &Mirror, app: &str, id: &str| {
            let instance = mirror.apps.get(app)?.instances.get(id)?;
            Some(instance.value.service.clone())
        };
        // A deleted instance is known only before, a new one only after.
        let before = match key {
            Key::Instance { app, id } | Key::Status { app, id } => service(&self.mirror, app, id),
            _ => None,
        };
        self.mirror.on_event(event);
        match key {
            Key::App { app } | Key::Job { app, .. } => self.mark_app(app),
            Key::Instance { app, id } | Key::Status { app, id } => {
                if let Some(service) = before.or_else(|| service(&self.mirror, app, id)) {
                    self.mark_around(app, &service);
                }
                if event.kind() == EventKind::Delete || matches!(key, Key::Status { .. }) {
                    // It may have made room.
                    let crowded = std::mem::take(&mut self.crowded);
                    crowded.into_iter().for_each(|name| self.mark(name));
                }
            }
            Key::Node { .. } => self.mark_all(),
        }
    }

    /// Marks a service, those that wait for it, and those that may stop once it has.
    fn mark_around(&mut self, app: &str, service: &str) {
        let Some(state) = self.mirror.apps.get(app) else { return };
        let mut concerned = BTreeSet::from([service.to_owned()]);
        for (name, job) in &state.jobs {
            if job.value.spec.needs.iter().any(|need| need.service == service) {
                concerned.insert(name.clone());
            }
        }
        let mut ahead = vec![service];
        while let Some(next) = ahead.pop() {
            for need in state.jobs.get(next).iter().flat_map(|job| &job.value.spec.needs) {
                if concerned.insert(need.service.clone()) {
                    ahead.push(&need.service);
                }
            }
        }
        self.dirty.entry(app.to_owned()).or_default().extend(concerned);
    }

    fn mark(&mut self, (app, service): JobName) {
        self.dirty.entry(app).or_default().insert(service);
    }

    fn mark_app(&mut self, app: &str) {
        let dirty = self.dirty.entry(app.to_owned()).or_default();
        if let Some(state) = self.mirror.apps.get(app) {
            dirty.extend(state.jobs.keys().cloned());
            dirty.extend(state.instances.values().map(|instance| instance.value.service.clone()));
        }
    }

    fn mark_all(&mut self) {
        let apps: Vec<_> = self.mirror.apps.keys().cloned().collect();
        apps.iter().for_each(|app| self.mark_app(app));
    }

    /// Reconsiders what is marked of an app, in one transaction.
    async fn act(&mut self, app: &str) -> Result<(), Interrupt> {
        let services = self.dirty.remove(app).unwrap_or_default();
        let Some(state) = self.mirror.apps.get(app).cloned() else { return Ok(()) };
        if self.report(&state) {
            return Ok(());
        }
        let mut nodes = self.nodes();
        let most = self.store.capabilities().max_ops;
        let mut batch = Batch::new(self.epoch, most);
        for service in services {
            let name = (app.to_owned(), service);
            if !batch.has_room() {
                self.mark(name);
                continue;
            }
            self.consider(&mut batch, &state, name, &mut nodes);
        }
        let ends = state.record.as_ref().is_some_and(|r| r.value.state == Desire::Remove);
        if ends && state.jobs.is_empty() && state.instances.is_empty() {
            batch.remove_app(app, &state);
        }
        self.commit(batch).await
    }

    /// Adds what is to do for one job to the batch.
    fn consider(
        &mut self,
        batch: &mut Batch,
        state: &AppState,
        name: JobName,
        nodes: &mut [NodeLoad],
    ) {
        let (app, service) = &name;
        let Some(job) = state.jobs.get(service) else {
            return self.remove_orphans(batch, state, &name);
        };
        batch.guard(job);
        let plan = {
            let instances = state.instances_of(service);
            let needs = job.value.spec.needs.iter().filter_map(|need| {
                let needed = state.jobs.get(&need.service)?;
                let summary = summary(&needed.value, &state.instances_of(&need.service));
                Some((need.service.clone(), summary))
            });
            let view = View {
                job: &job.value,
                instances,
                needs: needs.collect(),
                dependents: stopping_dependents(state, service),
                nodes,
                serial: self.mirror.revision.get(),
            };
            reconcile(&view, self.now_ms())
        };
        let Plan { actions, wake_at_ms, wants_room } = plan;
        match wake_at_ms {
            Some(at) => drop(self.wakes.insert(name.clone(), at)),
            None => drop(self.wakes.remove(&name)),
        }
        if wants_room {
            self.crowded.insert(name.clone());
        }
        for action in actions {
            if !batch.has_room() {
                self.mark(name);
                return;
            }
            occupy(nodes, app, service, &action);
            self.add(batch, state, &name, action);
        }
    }

    fn add(&mut self, batch: &mut Batch, state: &AppState, name: &JobName, action: Action) {
        let (app, service) = name;
        tracing::debug!(app, service, ?action, "reconcile");
        if let Err(error) = batch.act(app, service, state, action) {
            tracing::error!(%error, "an instance cannot be written");
        }
    }

    /// Ends instances that belong to no job.
    fn remove_orphans(&mut self, batch: &mut Batch, state: &AppState, name: &JobName) {
        for orphan in state.instances_of(&name.1) {
            let Observed { instance, .. } = orphan;
            if !batch.has_room() {
                return self.mark(name.clone());
            }
            let id = instance.id.clone();
            let is_gone = orphan.is_exited() || instance.desired == Desired::Hold;
            let action = match instance.desired {
                _ if is_gone || !self.is_there(instance.node.as_deref()) => Action::Remove { id },
                Desired::Stop => continue,
                _ => Action::Stop { id },
            };
            self.add(batch, state, name, action);
        }
    }

    /// Writes the batch, and reads up to it.
    async fn commit(&mut self, batch: Batch) -> Result<(), Interrupt> {
        if batch.is_empty() {
            return Ok(());
        }
        let key = KeyRange::key(self.epoch.key());
        let otherwise = Op::Range(RangeRequest::new(SYNOD, key));
        let answer = self.store.txn(batch.into_txn(otherwise)).await?;
        if !answer.succeeded {
            return Err(self.why_refused(&answer));
        }
        let changed = answer.changed.iter().find(|(keyspace, _)| *keyspace == SYNOD);
        let written = changed.map_or(Revision::ZERO, |(_, revision)| *revision);
        while self.mirror.revision < written {
            self.advance().await?;
        }
        Ok(())
    }

    fn why_refused(&self, answer: &TxnResponse) -> Interrupt {
        let kv = match answer.responses.first() {
            Some(OpResponse::Range(read)) => read.kvs.first(),
            _ => None,
        };
        if self.epoch.is_held_in(kv.map(|kv| &**kv)) {
            Interrupt::Stale
        } else {
            Interrupt::Deposed
        }
    }

    /// Whether something of the app cannot be read; complains about it once. Such an app is left
    /// alone: acting on half of what is known could stop what should run.
    fn report(&mut self, state: &AppState) -> bool {
        for (key, error) in &state.corrupt {
            if self.reported.insert(key.clone()) {
                tracing::error!(%error, "an app is left as it is; delete or repair the value");
            }
        }
        !state.corrupt.is_empty()
    }

    /// The nodes with what is on them. One that went away a moment ago is listed, but takes
    /// nothing new: its instances may well run on, and it may come back.
    fn nodes(&mut self) -> Vec<NodeLoad> {
        let now = self.now_ms();
        let listed = self.mirror.nodes.values().cloned().map(|node| (node.name.clone(), node));
        let mut loads: BTreeMap<_, _> = listed.map(|(name, n)| (name, NodeLoad::new(n))).collect();
        let (mut away, mut lost_at) = (BTreeMap::new(), None::<u64>);
        for state in self.mirror.apps.values() {
            for instance in state.instances.values().map(|instance| &instance.value) {
                let Some(name) = &instance.node else { continue };
                if !loads.contains_key(name) {
                    let since = self.away.get(name).copied().unwrap_or(now);
                    away.insert(name.clone(), since);
                    let at = since.saturating_add(self.lost_after_ms());
                    if now < at {
                        lost_at = Some(lost_at.unwrap_or(at).min(at));
                        let attributes = BTreeMap::new();
                        let name = name.clone();
                        let node = Node { name, eligible: false, capacity: 0, attributes };
                        loads.insert(node.name.clone(), NodeLoad::new(node));
                    }
                }
                let status = state.statuses.get(&instance.id);
                if !(Observed { instance, status }.is_exited())
                    && let Some(load) = loads.get_mut(name)
                {
                    load.add(&instance.app, &instance.service);
                }
            }
        }
        (self.away, self.lost_at) = (away, lost_at);
        loads.into_values().collect()
    }

    fn is_there(&self, node: Option<&str>) -> bool {
        let lost = |name| {
            let since = self.away.get(name).copied();
            since.is_some_and(|since| since.saturating_add(self.lost_after_ms()) <= self.now_ms())
        };
        node.is_some_and(|name| self.mirror.nodes.contains_key(name) || !lost(name))
    }

    fn lost_after_ms(&self) -> u64 {
        u64::try_from(self.options.lost_after.as_millis()).unwrap_or(u64::MAX)
    }

    fn now_ms(&self) -> u64 {
        (self.options.now_ms)()
    }
}

/// The services that must be gone before `service` may stop.
fn stopping_dependents(state: &AppState, service: &str) -> Vec<String> {
    let dependents = state.dependents(service).into_iter();
    let waits_for = dependents.filter(|name| {
        let stops = state.jobs.get(*name).is_some_and(|job| job.value.state != JobState::Run);
        stops && !state.instances_of(name).is_empty()
    });
    waits_for.map(str::to_owned).collect()
}

/// Takes up the room that an action will need.
fn occupy(nodes: &mut [NodeLoad], app: &str, service: &str, action: &Action) {
    let node = match action {
        Action::Create(instance) => instance.node.as_ref(),
        Action::Run { node, .. } => Some(node),
        _ => None,
    };
    if let Some(load) = nodes.iter_mut().find(|load| Some(&load.node.name) == node) {
        load.add(app, service);
    }
}
