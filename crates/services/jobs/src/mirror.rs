//! A copy of the objects in the store at one revision, kept up with a watch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use synod_placement::{Instance, InstanceStatus, Job, Node, Observed, summary};
use synod_store::{
    Consistency, Error as StoreError, Event, EventKind, KeyRange, KeyValue, RangeRequest, Revision,
    SYNOD, Store, Watch, WatchRequest,
};

use crate::keys::{self, Corrupt, Key};
use crate::status::{AppOverview, AppStatus, InstanceReport, ServiceStatus};
use crate::{AppRecord, NotFound, ReadError};

/// A value with the revision that wrote it.
#[derive(Clone, Debug)]
pub(crate) struct Stored<T> {
    pub(crate) value: Arc<T>,
    pub(crate) revision: Revision,
}

/// Everything that is kept of one app.
#[derive(Clone, Debug, Default)]
pub(crate) struct AppState {
    pub(crate) record: Option<Stored<AppRecord>>,
    pub(crate) jobs: BTreeMap<String, Stored<Job>>,
    pub(crate) instances: BTreeMap<String, Stored<Instance>>,
    pub(crate) statuses: BTreeMap<String, InstanceStatus>,
    /// Values that cannot be read, by key.
    pub(crate) corrupt: BTreeMap<String, Corrupt>,
}

/// What to copy.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    All,
    App(String),
}

/// A copy of the objects in the store at one revision.
#[derive(Clone, Debug)]
pub(crate) struct Mirror {
    scope: Scope,
    pub(crate) revision: Revision,
    pub(crate) apps: BTreeMap<String, AppState>,
    pub(crate) nodes: BTreeMap<String, Node>,
}

impl Mirror {
    /// Reads everything in `scope` at one revision.
    pub(crate) async fn load(store: &dyn Store, scope: Scope) -> Result<Self, StoreError> {
        let ranges = match &scope {
            Scope::All => vec![KeyRange::all()],
            Scope::App(app) => vec![
                KeyRange::key(keys::app(app)),
                KeyRange::prefix(keys::jobs(app)),
                KeyRange::prefix(keys::instances(app)),
                KeyRange::prefix(keys::statuses(app)),
            ],
        };
        let (apps, nodes) = Default::default();
        let mut mirror = Self { scope, revision: Revision::ZERO, apps, nodes };
        for range in ranges {
            let mut request = RangeRequest::new(SYNOD, range);
            // The first read sets the revision, so that all show the same state.
            request.revision = (mirror.revision > Revision::ZERO).then_some(mirror.revision);
            let read = store.range(request, Consistency::Linearizable).await?;
            if mirror.revision == Revision::ZERO {
                mirror.revision = read.revision;
            }
            for kv in &read.kvs {
                mirror.put(kv);
            }
        }
        Ok(mirror)
    }

    /// Reads everything in `scope`, and watches it from there on.
    pub(crate) async fn follow(
        store: &dyn Store,
        scope: Scope,
    ) -> Result<(Self, Watch), StoreError> {
        loop {
            let mirror = Self::load(store, scope.clone()).await?;
            let from = Some(mirror.revision.next());
            let request = WatchRequest { keyspace: SYNOD, range: KeyRange::all(), from };
            match store.watch(request).await {
                Ok(watch) => return Ok((mirror, watch)),
                Err(error) if is_compacted(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes in an event; says whether it was about anything in scope.
    pub(crate) fn on_event(&mut self, event: &Event) -> bool {
        match event.kind() {
            EventKind::Delete => self.delete(&event.kv),
            EventKind::Put => self.put(&event.kv),
        }
    }

    fn in_scope<'k>(&self, kv: &'k KeyValue) -> Option<Key<'k>> {
        let key = Key::parse(&kv.key)?;
        let of = match key {
            Key::App { app }
            | Key::Instance { app, .. }
            | Key::Job { app, .. }
            | Key::Status { app, .. } => Some(app),
            Key::Node { .. } => None,
        };
        match &self.scope {
            Scope::All => Some(key),
            Scope::App(app) => (of == Some(app)).then_some(key),
        }
    }

    fn put(&mut self, kv: &KeyValue) -> bool {
        let Some(key) = self.in_scope(kv) else { return false };
        let of = |apps: &mut BTreeMap<String, AppState>, app: &str| {
            std::mem::take(apps.entry(app.to_owned()).or_default())
        };
        match key {
            Key::App { app } => {
                let mut state = of(&mut self.apps, app);
                state.record = state.read(kv).map(|value| Stored::new(value, kv));
                self.apps.insert(app.to_owned(), state);
            }
            Key::Instance { app, id } => {
                let mut state = of(&mut self.apps, app);
                let value = state.read(kv).map(|value| Stored::new(value, kv));
                set(&mut state.instances, id, value);
                self.apps.insert(app.to_owned(), state);
            }
            Key::Job { app, service } => {
                let mut state = of(&mut self.apps, app);
                let value = state.read(kv).map(|value| Stored::new(value, kv));
                set(&mut state.jobs, service, value);
                self.apps.insert(app.to_owned(), state);
            }
            Key::Node { node } => {
                let value = keys::decode::<Node>(kv).inspect_err(|error| {
                    tracing::warn!(%error, "a node's record is not usable; the node counts as gone");
                });
                set(&mut self.nodes, node, value.ok());
            }
            Key::Status { app, id } => {
                let mut state = of(&mut self.apps, app);
                let value = state.read(kv);
                set(&mut state.statuses, id, value);
                self.apps.insert(app.to_owned(), state);
            }
        }
        true
    }

    fn delete(&mut self, kv: &KeyValue) -> bool {
        let Some(key) = self.in_scope(kv) else { return false };
        if let Key::Node { node } = key {
            self.nodes.remove(node);
            return true;
        }
        let (Key::App { app }
        | Key::Instance { app, .. }
        | Key::Job { app, .. }
        | Key::Status { app, .. }) = key
        else {
            return false;
        };
        let Some(state) = self.apps.get_mut(app) else { return true };
        state.corrupt.remove(&kv.key.to_text_lossy());
        match key {
            Key::App { .. } => state.record = None,
            Key::Instance { id, .. } => drop(state.instances.remove(id)),
            Key::Job { service, .. } => drop(state.jobs.remove(service)),
            Key::Status { id, .. } => drop(state.statuses.remove(id)),
            Key::Node { .. } => {}
        }
        if state.is_empty() {
            self.apps.remove(app);
        }
        true
    }

    /// The app, if there is one and all that is kept of it can be read.
    pub(crate) fn app(&self, app: &str) -> Result<&AppState, ReadError> {
        let state = self.apps.get(app);
        if let Some(corrupt) = state.and_then(|state| state.corrupt.values().next()) {
            return Err(corrupt.clone().into());
        }
        match state {
            Some(state) if state.record.is_some() => Ok(state),
            _ => Err(NotFound::new("app", app, self.apps.keys()).into()),
        }
    }
}

impl AppState {
    fn read<T: DeserializeOwned>(&mut self, kv: &KeyValue) -> Option<T> {
        let key = kv.key.to_text_lossy();
        match keys::decode(kv) {
            Ok(value) => {
                self.corrupt.remove(&key);
                Some(value)
            }
            Err(error) => {
                self.corrupt.insert(key, error);
                None
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.record.is_none()
            && self.jobs.is_empty()
            && self.instances.is_empty()
            && self.statuses.is_empty()
            && self.corrupt.is_empty()
    }

    /// The instances of a service, oldest first within a slot.
    pub(crate) fn instances_of(&self, service: &str) -> Vec<Observed<'_>> {
        let all = self.instances.values().map(|instance| &*instance.value);
        let of = all.filter(|instance| instance.service == service);
        let observed =
            of.map(|instance| Observed { instance, status: self.statuses.get(&instance.id) });
        let mut observed: Vec<_> = observed.collect();
        observed.sort_by_key(|observed| (observed.instance.slot, observed.instance.serial()));
        observed
    }

    /// The services that need `service`, directly or through others.
    pub(crate) fn dependents(&self, service: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut ahead = vec![service];
        while let Some(needed) = ahead.pop() {
            for (name, job) in &self.jobs {
                let needs = job.value.spec.needs.iter().any(|need| need.service == needed);
                if needs && found.insert(name.as_str()) {
                    ahead.push(name);
                }
            }
        }
        found
    }

    pub(crate) fn overview(&self, record: &AppRecord) -> AppOverview {
        let summaries = self.jobs.iter();
        AppOverview {
            app: record.app.name.clone(),
            path: record.app.path.clone(),
            state: record.state,
            services: summaries
                .map(|(name, job)| summary(&job.value, &self.instances_of(name)))
                .collect(),
        }
    }

    pub(crate) fn status(&self, record: &AppRecord, revision: Revision) -> AppStatus {
        AppStatus {
            app: record.app.name.clone(),
            path: record.app.path.clone(),
            generation: record.generation,
            state: record.state,
            revision: revision.get(),
            services: self.jobs.iter().map(|(name, job)| self.service(name, &job.value)).collect(),
            routes: record.app.routes.clone(),
        }
    }

    fn service(&self, name: &str, job: &Job) -> ServiceStatus {
        let observed = self.instances_of(name);
        let report = |observed: &Observed<'_>| InstanceReport {
            instance: observed.instance.clone(),
            status: observed.status.cloned(),
        };
        ServiceStatus {
            name: name.to_owned(),
            kind: job.spec.kind,
            desired: job.state,
            summary: summary(job, &observed),
            version: job.version.clone(),
            needs: job.spec.needs.clone(),
            ports: job.spec.ports.clone(),
            instances: observed.iter().map(report).collect(),
        }
    }
}

impl<T> Stored<T> {
    fn new(value: T, kv: &KeyValue) -> Self {
        Self { value: Arc::new(value), revision: kv.mod_revision }
    }
}

fn set<T>(map: &mut BTreeMap<String, T>, key: &str, value: Option<T>) {
    match value {
        Some(value) => drop(map.insert(key.to_owned(), value)),
        None => drop(map.remove(key)),
    }
}

/// Whether a watch was overtaken, so that the range must be read again.
pub(crate) fn is_compacted(error: &StoreError) -> bool {
    matches!(error, StoreError::Refused(synod_keyspace::Error::Compacted { .. }))
}
