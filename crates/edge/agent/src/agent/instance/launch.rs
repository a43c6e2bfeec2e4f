//! From an assignment to a running process.

use std::future::pending;
use std::time::Duration;

use synod_jobs::Assignment;
use synod_placement::{Exit, ExitCause};
use synod_sys::cgroup::Cgroup;
use synod_sys::signal::Signal;
use tokio::time::{Instant, timeout, timeout_at};

use super::{InstanceTask, Wanted, lost};
use crate::assignment_record::{AssignmentRecord, MARK};
use crate::clock::now_ms;
use crate::driver::ShimLink;
use crate::environment::{Missing, Surroundings};
use crate::log::slot_directory;
use crate::shim::protocol::ShimStatus;
use crate::shim::spec::ShimSpec;
use crate::start_check::{StartError, find_program};

/// How long a start waits for addresses that nothing refers to but every instance is told.
const ADDRESSES_MAX: Duration = Duration::from_secs(1);
/// How long a shim may take to start its instance.
const START_MAX: Duration = Duration::from_secs(10);

/// A running instance: its shim, how it stood first, and the record of it.
pub(super) type Launched = (ShimLink, ShimStatus, AssignmentRecord);

impl InstanceTask {
    /// Starts the instance, or says how it ended without.
    pub(super) async fn launch(&mut self, assignment: &Assignment) -> Result<Launched, Exit> {
        if *self.wanted.borrow_and_update() == Wanted::Stop {
            return Err(not_started());
        }
        if !assignment.is_current() {
            // It is about to be replaced; its job is no longer what it was made for.
            self.until_unwanted().await;
            return Err(not_started());
        }
        let Some((spec, record)) =
            self.prepare(assignment).await.map_err(|error| failed(&error))?
        else {
            return Err(not_started());
        };
        let started = self.start(&spec, &record).await;
        match started {
            Ok((link, status)) => Ok((link, status, record)),
            Err(error) => {
                self.clear(&record).await;
                Err(failed(&error))
            }
        }
    }

    /// Finds and fills in all that the start needs. `None` when it is not wanted any more.
    async fn prepare(
        &mut self,
        assignment: &Assignment,
    ) -> Result<Option<(ShimSpec, AssignmentRecord)>, StartError> {
        let service = &assignment.job.spec;
        let held = self.context.ports.choose(&service.ports)?;
        let ports = held.numbers.clone();
        self.ports = Some(held);
        let Some((command, environment)) = self.surroundings(assignment, &ports).await else {
            return Ok(None);
        };
        let program = command.first().map(String::as_str).unwrap_or_default();
        let path = environment.get("PATH").map(String::as_str);
        let program = find_program(program, &service.dir, path)?;
        let mark = synod_sys::random::hex(16).map_err(StartError::NoPort)?;
        let cgroup = Cgroup::create(&format!("synod-{mark}"));
        let record = AssignmentRecord {
            app: self.app.clone(),
            instance: self.id.clone(),
            slot: assignment.instance.slot,
            created_ms: self.created_ms,
            service: service.clone(),
            version: assignment.instance.version.clone(),
            ports,
            mark: mark.clone(),
            cgroup: cgroup.map(|cgroup| cgroup.path().to_owned()),
        };
        let mut environment = environment;
        environment.insert(MARK.to_owned(), mark);
        let signal = Signal::parse(&service.stop.signal).unwrap_or(Signal::TERM);
        let (logs, slot) = (&self.context.logs, assignment.instance.slot);
        let spec = ShimSpec {
            instance: self.id.clone(),
            directory: self.directory.path().to_owned(),
            log_directory: slot_directory(logs, &self.app, &service.name, slot),
            log_limits: self.context.log_limits,
            program,
            args: command,
            environment,
            working_directory: service.dir.clone(),
            cgroup: record.cgroup.clone(),
            stop_signal: signal.get(),
            stop_grace_ms: millis(service.stop.grace),
            orphan_after_ms: assignment.app.orphan_after_ms,
        };
        Ok(Some((spec, record)))
    }

    /// The command and environment, once every address in them is there. `None` when the instance
    /// is not wanted any more.
    async fn surroundings(
        &mut self,
        assignment: &Assignment,
        ports: &std::collections::BTreeMap<String, u16>,
    ) -> Option<(Vec<String>, std::collections::BTreeMap<String, String>)> {
        let mut addresses = self.context.addresses.clone();
        let told_by = Instant::now() + ADDRESSES_MAX;
        loop {
            let book = addresses.borrow_and_update().clone();
            let surroundings = Surroundings {
                app: &assignment.app.app,
                service: &assignment.job.spec,
                instance: &self.id,
                slot: assignment.instance.slot,
                ports,
                addresses: &book,
            };
            let command = surroundings.command();
            let environment = surroundings.environment(&self.context.environment);
            let (missing, until) = match (command, environment, surroundings.unbound()) {
                (Ok(command), Ok(environment), None) => return Some((command, environment)),
                (Ok(command), Ok(environment), Some(_)) if Instant::now() >= told_by => {
                    return Some((command, environment));
                }
                (Ok(_), Ok(_), Some(missing)) => (missing, Some(told_by)),
                (Err(missing), ..) | (_, Err(missing), _) => (missing, None),
            };
            self.wait_for(&missing);
            let changed = async {
                match until {
                    Some(until) => drop(timeout_at(until, addresses.changed()).await),
                    None => drop(addresses.changed().await),
                }
            };
            tokio::select! {
                biased;
                () = self.until_unwanted() => return None,
                () = changed => {}
            }
        }
    }

    fn wait_for(&mut self, missing: &Missing) {
        self.status.reason = Some(missing.to_string());
        self.tell();
    }

    async fn start(
        &mut self,
        spec: &ShimSpec,
        record: &AssignmentRecord,
    ) -> Result<(ShimLink, ShimStatus), std::io::Error> {
        self.status.reason = None;
        self.directory.create()?;
        self.directory.write_assignment(record)?;
        let mut link = self.context.driver.start(spec, &record.mark).await?;
        match timeout(START_MAX, link.next()).await {
            Ok(Some(status)) => Ok((link, status)),
            Ok(None) => {
                let log = std::fs::read_to_string(self.directory.shim_log()).unwrap_or_default();
                let text = format!("its shim ended at once: {}", log.trim());
                Err(std::io::Error::other(text))
            }
            Err(_) => Err(std::io::Error::other("its shim does not answer")),
        }
    }

    /// Completes once the instance should stop.
    async fn until_unwanted(&mut self) {
        if self.wanted.wait_for(|wanted| *wanted == Wanted::Stop).await.is_err() {
            // The agent is ending, and this task with it.
            pending::<()>().await;
        }
    }
}

fn failed(error: &impl std::fmt::Display) -> Exit {
    Exit { cause: ExitCause::StartFailed(error.to_string()), failure: true, at_ms: now_ms() }
}

/// The end of an instance that was stopped before it was started.
fn not_started() -> Exit {
    let never = ExitCause::StartFailed("it was stopped before it was started".into());
    Exit { cause: never, failure: false, at_ms: lost().at_ms }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
