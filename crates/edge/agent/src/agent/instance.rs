//! One instance's life: prepared, started, watched over, ended.

mod launch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use synod_jobs::Assignment;
use synod_placement::{Exit, ExitCause, InstanceStatus, Phase};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::context::Context;
use super::ports::HeldPorts;
use super::registration::RegistryEntry;
use crate::assignment_record::AssignmentRecord;
use crate::clock::now_ms;
use crate::driver::{Adoption, ShimLink};
use crate::instance_directory::{ExitRecord, InstanceDirectory};
use crate::log::LogReader;
use crate::probe::{Before, Prober, Target, Verdict};
use crate::shim::protocol::{ShimStatus, StopReason};

/// How long past its grace an instance may take to be gone before its shim is given up.
const OVERTIME: Duration = Duration::from_secs(10);

/// What should become of an instance that has a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Run,
    Stop,
}

/// Takes one instance through its life.
pub(crate) struct InstanceTask {
    context: Arc<Context>,
    app: String,
    id: String,
    created_ms: u64,
    directory: InstanceDirectory,
    wanted: watch::Receiver<Wanted>,
    status: InstanceStatus,
    /// The last status written, or on its way.
    told: Option<InstanceStatus>,
    /// How its output can't be kept.
    log_trouble: Option<String>,
    /// Its ports, from when they are chosen to its end.
    ports: Option<HeldPorts>,
}

/// Why watching over an instance ended.
enum Turn {
    /// It ended by itself.
    Ended(ExitRecord),
    /// The connection to its shim is gone.
    Lost,
    /// A probe failed.
    Failed(String),
    /// It is not wanted any more.
    Unwanted,
}

impl InstanceTask {
    pub(crate) fn new(
        context: Arc<Context>,
        app: &str,
        id: &str,
        created_ms: u64,
        wanted: watch::Receiver<Wanted>,
        before: Option<InstanceStatus>,
    ) -> Self {
        let fresh = InstanceStatus {
            id: id.to_owned(),
            phase: Phase::Starting,
            ready: false,
            reason: None,
            pid: None,
            ports: BTreeMap::new(),
            started_ms: None,
            exit: None,
        };
        Self {
            directory: InstanceDirectory::new(&context.data_dir, app, id),
            context,
            app: app.to_owned(),
            id: id.to_owned(),
            created_ms,
            wanted,
            status: before.clone().unwrap_or(fresh),
            told: before,
            log_trouble: None,
            ports: None,
        }
    }

    /// Starts an instance that never was, and sees it to its end.
    pub(crate) async fn run_new(mut self, assignment: Assignment) {
        match self.launch(&assignment).await {
            Ok((link, status, record)) => {
                let entry = RegistryEntry::new(self.context.clone(), &record, false);
                self.run(link, status, &record, entry, Before::default()).await;
            }
            Err(exit) => self.finish(exit),
        }
    }

    /// Takes up an instance that an earlier agent started, and sees it to its end.
    pub(crate) async fn run_found(mut self, record: AssignmentRecord) {
        let mut entry = RegistryEntry::new(self.context.clone(), &record, true);
        let before = Before { ready: self.told.as_ref().is_some_and(|status| status.ready) };
        match ShimLink::adopt(&self.directory).await {
            Ok(Adoption::Running(link, status)) => {
                tracing::info!(instance = self.id, "instance taken up");
                self.run(*link, status, &record, entry, before).await;
            }
            found => {
                let exit = match found {
                    Ok(Adoption::Ended(exit)) => exit,
                    _ => lost(),
                };
                self.clear(&record).await;
                entry.leave().await;
                self.finish(self.exit(&record, exit));
            }
        }
    }

    /// Ends an instance that ran and of which nothing is found.
    pub(crate) async fn run_lost(mut self) {
        self.finish(Exit { cause: ExitCause::ShimLost, failure: true, at_ms: now_ms() });
    }

    /// From a shim that answers to the end.
    async fn run(
        &mut self,
        mut link: ShimLink,
        status: ShimStatus,
        record: &AssignmentRecord,
        mut entry: RegistryEntry,
        before: Before,
    ) {
        if self.ports.is_none() {
            self.ports = Some(self.context.ports.hold(record.ports.clone()));
        }
        let target = Target {
            app: self.app.clone(),
            service: record.service.name.clone(),
            instance: self.id.clone(),
            ports: record.ports.clone(),
            started_ms: status.started_ms,
            logs: LogReader::new(&self.context.data_dir),
        };
        let service = &record.service;
        let (prober, mut verdict) =
            Prober::new(service.kind, service.health.clone(), target, before);
        let probing = prober.run();
        tokio::pin!(probing);
        self.status.ports.clone_from(&record.ports);
        self.status.started_ms = Some(status.started_ms);
        self.on_shim_status(&status);
        let mut ended = status.exit.clone();
        let mut stopping = status.stopping;
        let exit = loop {
            if let Some(exit) = ended.take() {
                break exit;
            }
            if stopping {
                break self.until_ended(&mut link, record).await;
            }
            self.on_verdict(&verdict.borrow_and_update());
            self.tell();
            let turn = {
                let watching = self.watch_over(&mut link, &mut entry, &mut verdict);
                tokio::select! {
                    turn = watching => turn,
                    () = &mut probing => unreachable!("probing never ends"),
                }
            };
            match turn {
                Turn::Ended(exit) => ended = Some(exit),
                Turn::Failed(reason) => {
                    self.status.ready = false;
                    self.status.reason = Some(reason.clone());
                    entry.sync(false).await;
                    self.stop(&mut link, StopReason::Probe(reason)).await;
                    stopping = true;
                }
                Turn::Unwanted => {
                    self.status.ready = false;
                    self.status.phase = Phase::Draining;
                    self.tell();
                    entry.drain().await;
                    self.stop(&mut link, StopReason::Asked).await;
                    stopping = true;
                }
                Turn::Lost => match ShimLink::adopt(&self.directory).await {
                    Ok(Adoption::Running(again, status)) => {
                        link = *again;
                        (ended, stopping) = (status.exit, status.stopping);
                    }
                    Ok(Adoption::Ended(exit)) => ended = Some(exit),
                    Ok(Adoption::Lost) | Err(_) => {
                        self.clear(record).await;
                        ended = Some(lost());
                    }
                },
            }
        };
        link.forget().await;
        entry.leave().await;
        self.ports = None;
        self.finish(self.exit(record, exit));
    }

    /// Watches over an instance that runs, and tells what changes, until something has to be done.
    async fn watch_over(
        &mut self,
        link: &mut ShimLink,
        entry: &mut RegistryEntry,
        verdict: &mut watch::Receiver<Verdict>,
    ) -> Turn {
        let mut lease = self.context.lease.subscribe();
        loop {
            if *self.wanted.borrow_and_update() == Wanted::Stop {
                return Turn::Unwanted;
            }
            entry.sync(self.status.ready).await;
            tokio::select! {
                biased;
                status = link.next() => match status {
                    Some(ShimStatus { exit: Some(exit), .. }) => return Turn::Ended(exit),
                    Some(status) => {
                        self.on_shim_status(&status);
                        self.on_verdict(&verdict.borrow());
                    }
                    None => return Turn::Lost,
                },
                _ = self.wanted.changed() => {}
                _ = verdict.changed() => {
                    let verdict = verdict.borrow_and_update().clone();
                    if let Some(reason) = verdict.failed {
                        return Turn::Failed(reason);
                    }
                    self.on_verdict(&verdict);
                }
                _ = lease.changed() => {}
                () = entry.again() => {}
            }
            self.tell();
        }
    }

    fn on_shim_status(&mut self, status: &ShimStatus) {
        self.status.phase = if status.stopping { Phase::Stopping } else { Phase::Running };
        self.status.pid = status.process.map(|process| process.pid);
        self.log_trouble = status.log_trouble.as_ref().map(|trouble| {
            let dropped = status.dropped_lines;
            format!("its output can't be kept, {dropped} lines are lost: {trouble}")
        });
    }

    fn on_verdict(&mut self, verdict: &Verdict) {
        self.status.ready = verdict.ready && self.status.phase == Phase::Running;
        self.status.reason = verdict.reason.clone().or_else(|| self.log_trouble.clone());
    }

    /// Asks the shim to end the instance.
    async fn stop(&mut self, link: &mut ShimLink, reason: StopReason) {
        self.status.phase = Phase::Stopping;
        self.tell();
        // A shim that is gone is found out by whoever waits for the end.
        let _ = link.stop(reason).await;
    }

    /// Waits for the end of an instance that was asked to end.
    async fn until_ended(&mut self, link: &mut ShimLink, record: &AssignmentRecord) -> ExitRecord {
        let deadline = Instant::now() + record.service.stop.grace + OVERTIME;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match timeout(left, link.next()).await {
                Ok(Some(ShimStatus { exit: Some(exit), .. })) => return exit,
                Ok(Some(_)) => {}
                Ok(None) => match ShimLink::adopt(&self.directory).await {
                    Ok(Adoption::Running(again, status)) => {
                        *link = *again;
                        match status.exit {
                            Some(exit) => return exit,
                            None => self.stop(link, StopReason::Asked).await,
                        }
                    }
                    Ok(Adoption::Ended(exit)) => return exit,
                    Ok(Adoption::Lost) | Err(_) => {
                        self.clear(record).await;
                        return ExitRecord { asked: true, ..lost() };
                    }
                },
                Err(_) => {
                    tracing::warn!(instance = self.id, "its shim does not end it; both are killed");
                    self.clear(record).await;
                    return ExitRecord { asked: true, ..lost() };
                }
            }
        }
    }

    /// Kills what is left of an instance whose shim is gone.
    async fn clear(&self, record: &AssignmentRecord) {
        let (record, directory) = (record.clone(), self.directory.clone());
        // Blocking work that ends by itself within seconds, so it needs no place in the task tree.
        let cleared = tokio::task::spawn_blocking(move || record.clear(&directory)).await;
        match cleared {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(instance = self.id, %error, "not cleaned up"),
            Err(error) => tracing::error!(instance = self.id, %error, "not cleaned up"),
        }
    }

    fn exit(&self, record: &AssignmentRecord, exit: ExitRecord) -> Exit {
        let well = matches!(&exit.cause, ExitCause::Code(code)
            if record.service.restart.ok_exit.contains(code));
        Exit { failure: !exit.asked && !well, cause: exit.cause, at_ms: exit.at_ms }
    }

    /// The end, in the status.
    fn finish(&mut self, exit: Exit) {
        tracing::info!(instance = self.id, cause = ?exit.cause, "instance ended");
        self.status.phase = Phase::Exited;
        self.status.ready = false;
        self.status.reason = None;
        self.status.pid = None;
        self.status.exit = Some(exit);
        self.tell();
    }

    fn tell(&mut self) {
        if self.told.as_ref() != Some(&self.status) {
            self.told = Some(self.status.clone());
            self.context.statuses.set(&self.app, self.status.clone());
        }
    }
}

/// The end of an instance whose shim is gone.
fn lost() -> ExitRecord {
    ExitRecord { cause: ExitCause::ShimLost, asked: false, at_ms: now_ms() }
}
