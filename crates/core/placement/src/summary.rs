//! How a service stands: the one state machine behind every view and every start gate.

use serde::{Deserialize, Serialize};
use synod_manifest::Kind;

use crate::backoff::{backoff, show};
use crate::{Desired, Instance, Job, JobState, Observed, Phase};

/// How a service stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSummary {
    /// The app.
    pub app: String,
    /// The service.
    pub service: String,
    /// Whether it runs on or to completion.
    pub kind: Kind,
    /// The short answer.
    pub state: ServiceState,
    /// How many slots should be filled.
    pub wanted: u32,
    /// In how many slots an instance runs.
    pub running: u32,
    /// In how many slots an instance takes requests; for a task, in how many it is done.
    pub ready: u32,
    /// Why it is not further, in one line.
    pub reason: Option<String>,
}

/// How a service stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceState {
    /// Some instances are ready, and some fail.
    Degraded,
    /// The task ended well.
    Done,
    /// None is ready, and some fail. It is retried.
    Failed,
    /// None was started yet.
    Pending,
    /// Every wanted instance takes requests.
    Ready,
    /// The task runs.
    Running,
    /// Some are being started.
    Starting,
    /// It should not run and does not.
    Stopped,
    /// It should not run and still does.
    Stopping,
    /// All run, and some do not take requests.
    Unready,
    /// Every wanted instance takes requests, some of them of an earlier version.
    Updating,
}

impl std::fmt::Display for ServiceState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Degraded => "degraded",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Starting => "starting",
            Self::Stopped => "stopped",
            Self::Stopping => "stopping",
            Self::Unready => "unready",
            Self::Updating => "updating",
        })
    }
}

/// How the job stands, from its instances.
#[must_use]
pub fn summary(job: &Job, instances: &[Observed<'_>]) -> JobSummary {
    let wanted = if job.state == JobState::Run { job.spec.instances } else { 0 };
    let mut all = JobSummary {
        app: job.app.clone(),
        service: job.spec.name.clone(),
        kind: job.spec.kind,
        state: ServiceState::Stopped,
        wanted,
        running: 0,
        ready: 0,
        reason: None,
    };
    if wanted == 0 {
        let left =
            instances.iter().filter(|i| !i.is_exited() && i.instance.desired != Desired::Hold);
        if left.count() > 0 {
            all.state = ServiceState::Stopping;
        }
        return all;
    }
    let slots: Vec<_> = (0..wanted).map(|slot| SlotSummary::new(job, instances, slot)).collect();
    let count = |test: fn(&SlotSummary) -> bool| {
        u32::try_from(slots.iter().filter(|slot| test(slot)).count()).unwrap_or(u32::MAX)
    };
    all.running = count(|slot| slot.running);
    all.ready = count(|slot| slot.progress == Progress::Ready);
    all.state = match slots.iter().map(|slot| slot.progress).min().expect("wanted is not 0") {
        Progress::Ready if job.spec.kind == Kind::Task => ServiceState::Done,
        Progress::Ready if slots.iter().all(|slot| slot.current) => ServiceState::Ready,
        Progress::Ready => ServiceState::Updating,
        Progress::Failed if all.ready == 0 => ServiceState::Failed,
        Progress::Failed => ServiceState::Degraded,
        Progress::Running if job.spec.kind == Kind::Task => ServiceState::Running,
        Progress::Running => ServiceState::Unready,
        Progress::Held if slots.iter().all(|slot| slot.progress == Progress::Held) => {
            ServiceState::Pending
        }
        Progress::Held | Progress::Starting => ServiceState::Starting,
    };
    let worst = slots.into_iter().filter(|slot| slot.reason.is_some());
    all.reason = worst.min_by_key(|slot| slot.progress).and_then(|slot| slot.reason);
    all
}

/// How far a slot is; the service is as far as the least of its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    Failed,
    Held,
    Starting,
    Running,
    Ready,
}

struct SlotSummary {
    progress: Progress,
    running: bool,
    /// What is ready is of the version that is wanted.
    current: bool,
    reason: Option<String>,
}

impl SlotSummary {
    fn new(job: &Job, instances: &[Observed<'_>], slot: u32) -> Self {
        let here = || instances.iter().filter(|observed| observed.instance.slot == slot);
        let current = || here().filter(|observed| observed.is_current(job));
        let running = here().any(Observed::is_running);
        let is_ready = |observed: &Observed<'_>| match job.spec.kind {
            Kind::Service => observed.is_ready(),
            Kind::Task => observed.is_current(job) && observed.is_done(),
        };
        let newest = current().max_by_key(|observed| observed.instance.serial());
        let (progress, reason) = match newest {
            Some(newest) => progress(job, *newest),
            None => (Progress::Held, None),
        };
        let up = if here().any(is_ready) { Progress::Ready } else { progress };
        Self { progress: up, running, current: current().any(is_ready), reason }
    }
}

/// How far the newest instance of a slot is, and why not further.
fn progress(job: &Job, newest: Observed<'_>) -> (Progress, Option<String>) {
    let Observed { instance, status } = newest;
    if newest.is_exited() {
        return match newest.failure() {
            Some(cause) => (Progress::Failed, Some(cause.to_string())),
            None => (Progress::Held, None),
        };
    }
    if instance.desired == Desired::Hold {
        let failed = retry(job, instance);
        let waits = (!instance.waits.is_empty()).then(|| instance.waits.join("; "));
        return match failed {
            Some(failed) => (Progress::Failed, Some(failed)),
            None => (Progress::Held, waits),
        };
    }
    let reason = status.and_then(|status| status.reason.clone()).or_else(|| {
        let previous = instance.previous.as_ref().filter(|exit| exit.failure)?;
        (instance.failures > 0).then(|| format!("the run before {}", previous.cause))
    });
    match status.map(|status| status.phase) {
        None | Some(Phase::Starting) => (Progress::Starting, reason),
        Some(_) => (Progress::Running, reason.filter(|_| !newest.is_ready())),
    }
}

/// What failed in the slot and when it is tried again, in words that stay true while time passes.
pub(crate) fn retry(job: &Job, held: &Instance) -> Option<String> {
    let exit = held.previous.as_ref().filter(|exit| exit.failure && held.failures > 0)?;
    let wait = show(backoff(&job.spec.restart, held.failures));
    Some(format!("{}, retried after {wait}", exit.cause))
}
