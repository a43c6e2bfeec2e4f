//! What a manifest wants of an app, beside what is there.

use std::collections::BTreeMap;

use synod_manifest::Service;
use synod_placement::{Job, JobState};

use super::Snapshot;
use crate::keys::Corrupt;
use crate::mirror::Stored;
use crate::plan::{Change, Plan, Row, Target};
use crate::version::{changed, version};
use crate::{AppRecord, AppState, Apply, ApplyError};

/// What must be written to make a manifest true, and the same for people.
#[derive(Debug)]
pub(super) struct Desire {
    pub(super) plan: Plan,
    /// The app's new record, unless it stays as it is.
    pub(super) record: Option<AppRecord>,
    /// The jobs that change.
    pub(super) jobs: Vec<Job>,
}

impl Desire {
    pub(super) fn new(apply: &Apply, snapshot: &Snapshot) -> Result<Self, ApplyError> {
        let old = snapshot.found.record.as_ref().map(|record| &*record.value);
        if let Some(old) = old.filter(|old| old.app.path != apply.app.path) {
            return Err(ApplyError::PathConflict {
                app: apply.app.name.clone(),
                existing: old.app.path.clone(),
                requested: apply.app.path.clone(),
            });
        }
        let plan = Plan { app: apply.app.name.clone(), rows: Vec::new() };
        let mut desire = Self { plan, record: None, jobs: Vec::new() };
        let builds = builds(apply, old);
        desire.services(apply, &builds, snapshot)?;
        desire.routes(apply, old);
        desire.record(apply, builds, old);
        Ok(desire)
    }

    fn services(
        &mut self,
        apply: &Apply,
        builds: &BTreeMap<String, String>,
        snapshot: &Snapshot,
    ) -> Result<(), Corrupt> {
        let there = &snapshot.found.jobs;
        for (name, spec) in &apply.app.services {
            let build = builds.get(name).map(String::as_str);
            let (change, job) = service(&apply.app.name, spec, build, there.get(name))?;
            self.row(Target::Service, name, change);
            self.jobs.extend(job);
        }
        for (name, old) in there.iter().filter(|(name, _)| !apply.app.services.contains_key(*name))
        {
            // On its way out already: nothing new.
            if old.value.state != JobState::Remove {
                self.row(Target::Service, name, Change::Remove);
                self.jobs.push(Job { state: JobState::Remove, ..(*old.value).clone() });
            }
        }
        self.plan.rows.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }

    fn routes(&mut self, apply: &Apply, old: Option<&AppRecord>) {
        let mut rows = Vec::new();
        for (name, route) in &apply.app.routes {
            rows.push((
                name,
                match old.and_then(|old| old.app.routes.get(name)) {
                    None => Change::Create,
                    Some(old) if old == route => Change::Unchanged,
                    Some(old) => {
                        let fields = [
                            ("host", old.host != route.host),
                            ("path", old.path != route.path),
                            ("to", old.to != route.to),
                            ("timeout", old.timeout != route.timeout),
                        ];
                        let fields = fields.iter().filter(|(_, changed)| *changed);
                        let fields = fields.map(|(field, _)| (*field).to_owned()).collect();
                        Change::Update { fields, restarts: false }
                    }
                },
            ));
        }
        let old = old.iter().flat_map(|old| old.app.routes.keys());
        let gone = old.filter(|name| !apply.app.routes.contains_key(*name));
        rows.extend(gone.map(|name| (name, Change::Remove)));
        rows.sort_by_key(|(name, _)| *name);
        for (name, change) in rows {
            self.row(Target::Route, name, change);
        }
    }

    fn record(&mut self, apply: &Apply, builds: BTreeMap<String, String>, old: Option<&AppRecord>) {
        let mut record = AppRecord {
            app: apply.app.clone(),
            builds,
            orphan_after_ms: apply.orphan_after_ms,
            generation: old.map_or(0, |old| old.generation),
            state: AppState::Run,
        };
        // Also when only jobs change: who adds a job must be seen to have changed the record.
        if old != Some(&record) || !self.jobs.is_empty() {
            record.generation += 1;
            self.record = Some(record);
        }
    }

    fn row(&mut self, target: Target, name: &str, change: Change) {
        self.plan.rows.push(Row { target, name: name.to_owned(), change });
    }
}

/// What is built for each service that asks for it: as said now, else as it was.
fn builds(apply: &Apply, old: Option<&AppRecord>) -> BTreeMap<String, String> {
    let built = apply.app.services.iter().filter(|(_, spec)| spec.build.is_some());
    let fingerprint =
        |name| apply.builds.get(name).or_else(|| old.and_then(|old| old.builds.get(name))).cloned();
    built.filter_map(|(name, _)| Some((name.clone(), fingerprint(name)?))).collect()
}

/// What becomes of one service, and its job if that changes.
fn service(
    app: &str,
    spec: &Service,
    build: Option<&str>,
    old: Option<&Stored<Job>>,
) -> Result<(Change, Option<Job>), Corrupt> {
    let job = Job {
        app: app.to_owned(),
        spec: spec.clone(),
        version: version(spec, build)?,
        restart_nonce: old.map_or(0, |old| old.value.restart_nonce),
        state: JobState::Run,
    };
    let Some(old) = old.map(|old| &*old.value) else {
        return Ok((Change::Create, Some(job)));
    };
    if *old == job {
        return Ok((Change::Unchanged, None));
    }
    let fields = changed(&old.spec, spec)?;
    let change = match old.state {
        JobState::Remove => Change::Create,
        JobState::Stop => Change::Start { fields },
        JobState::Run if fields.is_empty() => {
            Change::Restart { why: "it was built anew".to_owned() }
        }
        JobState::Run => Change::Update { fields, restarts: old.version != job.version },
    };
    Ok((change, Some(job)))
}
