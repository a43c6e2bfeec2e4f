//! What people and their tools do with apps.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use synod_placement::{Job, JobState};
use synod_store::{
    Check, Compare, Error as StoreError, KeyRange, Op, Ordering, Put, Revision, SYNOD, Store, Txn,
};

use crate::keys::{self, Corrupt};
use crate::mirror::{AppState as Found, Mirror, Scope};
use crate::plan::Plan;
use crate::{
    AppOverview, AppRecord, AppState, AppStatus, Apply, ApplyError, ChangeError, NotFound,
    ReadError, StatusWatch,
};

use desire::Desire;

mod desire;

/// How often an operation starts again when others change the same app meanwhile.
const ATTEMPTS: usize = 16;

/// Plans, applies, stops and shows apps. Keeps nothing but the store; cheap to clone.
///
/// Each operation is one transaction that compares what it was reckoned from. It says what should
/// be; [`Loop`](crate::Loop) and the agents make it so, and [`Jobs::watch_status`] tells when.
#[derive(Clone)]
pub struct Jobs {
    store: Arc<dyn Store>,
}

impl Jobs {
    /// Works on `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// What [`Jobs::apply`] would change now.
    ///
    /// # Errors
    /// When the app's name belongs to another manifest, or the store fails.
    pub async fn plan(&self, apply: &Apply) -> Result<Plan, ApplyError> {
        let found = self.read(&apply.app.name).await?;
        Ok(Desire::new(apply, &found)?.plan)
    }

    /// Makes the manifest the app's truth. Services that did not change are not touched.
    ///
    /// A service that was stopped is started, and an app that is being taken down stays.
    ///
    /// Cancel safety: when dropped, it may or may not have happened.
    ///
    /// # Errors
    /// When the app's name belongs to another manifest, or the store fails.
    pub async fn apply(&self, apply: &Apply) -> Result<Plan, ApplyError> {
        for _ in 0..ATTEMPTS {
            let found = self.read(&apply.app.name).await?;
            let desire = Desire::new(apply, &found)?;
            let mut change = Change::of(&apply.app.name, &found);
            if let Some(record) = &desire.record {
                change.put(keys::app(&apply.app.name), record)?;
            }
            for job in &desire.jobs {
                change.put(keys::job(&job.app, &job.spec.name), job)?;
            }
            if self.commit(change).await? {
                return Ok(desire.plan);
            }
        }
        Err(ApplyError::Conflict { app: apply.app.name.clone() })
    }

    /// Takes the app down: its services stop, those that others need last, and then all that is
    /// kept of it is deleted. Returns at once; [`StatusWatch`] yields `None` when it is done.
    ///
    /// # Errors
    /// When there is no such app, or the store fails.
    pub async fn down(&self, app: &str) -> Result<(), ChangeError> {
        self.change(app, |record, jobs| {
            record.state = AppState::Remove;
            jobs.iter_mut().for_each(|job| job.state = JobState::Remove);
            Ok(())
        })
        .await
    }

    /// Replaces the instances of a service, or of all that are not stopped, by new ones, without
    /// any back-off. Returns the services.
    ///
    /// # Errors
    /// When there is no such app or service, the app is being taken down, or the store fails.
    pub async fn restart(
        &self,
        app: &str,
        service: Option<&str>,
    ) -> Result<Vec<String>, ChangeError> {
        let mut restarted = Vec::new();
        self.change(app, |record, jobs| {
            restarted.clear();
            stays(record)?;
            let named = service.map(|name| find(jobs, name)).transpose()?;
            for (index, job) in jobs.iter_mut().enumerate() {
                let is_meant = match named {
                    Some(named) => named == index,
                    None => job.state == JobState::Run,
                };
                if is_meant {
                    job.restart_nonce += 1;
                    job.state = JobState::Run;
                    restarted.push(job.spec.name.clone());
                }
            }
            Ok(())
        })
        .await?;
        Ok(restarted)
    }

    /// Stops a service. It stays stopped until it is restarted or its app is applied again.
    ///
    /// # Errors
    /// When there is no such app or service, the app is being taken down, or the store fails.
    pub async fn stop(&self, app: &str, service: &str) -> Result<(), ChangeError> {
        self.change(app, |record, jobs| {
            stays(record)?;
            let index = find(jobs, service)?;
            jobs[index].state = JobState::Stop;
            Ok(())
        })
        .await
    }

    /// All apps by name.
    ///
    /// # Errors
    /// When the store fails, or a value in it cannot be read.
    pub async fn apps(&self) -> Result<Vec<AppOverview>, ReadError> {
        let mirror = Mirror::load(&*self.store, Scope::All).await?;
        let mut apps = Vec::new();
        for (name, state) in &mirror.apps {
            match mirror.app(name) {
                Ok(_) => {}
                // Leftovers without a record are no app.
                Err(ReadError::NotFound(_)) => continue,
                Err(error) => return Err(error),
            }
            apps.extend(state.record.iter().map(|record| state.overview(&record.value)));
        }
        Ok(apps)
    }

    /// How an app stands.
    ///
    /// # Errors
    /// When there is no such app, the store fails, or a value in it cannot be read.
    pub async fn status(&self, app: &str) -> Result<AppStatus, ReadError> {
        let state = self.read(app).await?;
        match &state.found.record {
            Some(record) => Ok(state.found.status(&record.value, state.revision)),
            None => Err(self.not_found(app).await?.into()),
        }
    }

    /// Follows how an app stands. There need not be such an app yet.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn watch_status(&self, app: &str) -> Result<StatusWatch, ReadError> {
        StatusWatch::open(self.store.clone(), app).await
    }

    async fn read(&self, app: &str) -> Result<Snapshot, ReadError> {
        let mut mirror = Mirror::load(&*self.store, Scope::App(app.to_owned())).await?;
        let found = mirror.apps.remove(app).unwrap_or_default();
        if let Some(corrupt) = found.corrupt.values().next() {
            return Err(corrupt.clone().into());
        }
        Ok(Snapshot { found, revision: mirror.revision })
    }

    /// That there is no such app, and which one may be meant.
    async fn not_found(&self, app: &str) -> Result<NotFound, StoreError> {
        let mirror = Mirror::load(&*self.store, Scope::All).await?;
        let apps = mirror.apps.iter().filter(|(_, state)| state.record.is_some());
        Ok(NotFound::new("app", app, apps.map(|(name, _)| name)))
    }

    /// Changes the record and the jobs of an app that is there.
    async fn change(
        &self,
        app: &str,
        mut edit: impl FnMut(&mut AppRecord, &mut [Job]) -> Result<(), ChangeError>,
    ) -> Result<(), ChangeError> {
        for _ in 0..ATTEMPTS {
            let snapshot = self.read(app).await?;
            let Some(old) = &snapshot.found.record else {
                return Err(self.not_found(app).await?.into());
            };
            let mut record = (*old.value).clone();
            let old_jobs = snapshot.found.jobs.values();
            let mut jobs: Vec<Job> = old_jobs.map(|job| (*job.value).clone()).collect();
            edit(&mut record, &mut jobs)?;
            let mut change = Change::of(app, &snapshot);
            if record != *old.value {
                change.put(keys::app(app), &record)?;
            }
            for (job, old) in jobs.iter().zip(snapshot.found.jobs.values()) {
                if *job != *old.value {
                    change.put(keys::job(app, &job.spec.name), job)?;
                }
            }
            if self.commit(change).await? {
                return Ok(());
            }
        }
        Err(ChangeError::Conflict { app: app.to_owned() })
    }

    /// Whether the change was made; not when others were faster.
    async fn commit(&self, change: Change) -> Result<bool, StoreError> {
        if change.puts.is_empty() {
            return Ok(true);
        }
        let txn = Txn { compares: change.compares, then: change.puts, otherwise: Vec::new() };
        Ok(self.store.txn(txn).await?.succeeded)
    }
}

/// What was found of an app, at one revision.
struct Snapshot {
    found: Found,
    revision: Revision,
}

/// A transaction in the making: all that it was reckoned from must still be so.
struct Change {
    compares: Vec<Compare>,
    puts: Vec<Op>,
}

impl Change {
    fn of(app: &str, snapshot: &Snapshot) -> Self {
        let record = snapshot.found.record.as_ref().map_or(Revision::ZERO, |r| r.revision);
        let mut compares = vec![unchanged(keys::app(app), record)];
        // Whoever adds a job changes the record too.
        for (service, job) in &snapshot.found.jobs {
            compares.push(unchanged(keys::job(app, service), job.revision));
        }
        Self { compares, puts: Vec::new() }
    }

    fn put<T: Serialize>(&mut self, key: String, value: &T) -> Result<(), Corrupt> {
        let value = keys::encode(&key, value)?;
        self.puts.push(Op::Put(Put::new(SYNOD, key, value)));
        Ok(())
    }
}

/// That a key was last written at `revision`; zero means that it is not there.
pub(crate) fn unchanged(key: String, revision: Revision) -> Compare {
    let check = Check::ModRevision(Ordering::Equal, revision);
    Compare { keyspace: SYNOD, range: KeyRange::key(key), check }
}

fn stays(record: &AppRecord) -> Result<(), ChangeError> {
    match record.state {
        AppState::Remove => Err(ChangeError::Removing { app: record.app.name.clone() }),
        AppState::Run => Ok(()),
    }
}

/// The service's place in the list. One that is on its way out counts as gone.
fn find(jobs: &[Job], service: &str) -> Result<usize, NotFound> {
    let is_meant = |job: &Job| job.spec.name == service && job.state != JobState::Remove;
    jobs.iter().position(is_meant).ok_or_else(|| {
        let there: BTreeSet<_> = jobs.iter().map(|job| &job.spec.name).collect();
        NotFound::new("service", service, there.into_iter().filter(|name| *name != service))
    })
}

impl From<ReadError> for ApplyError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Corrupt(error) => Self::Corrupt(error),
            ReadError::NotFound(_) => unreachable!("applying looks for nothing by name"),
            ReadError::Store(error) => Self::Store(error),
        }
    }
}
