//! Asking an instance how it is.
//!
//! `start` must pass once before anything else is asked; an instance that does not pass it by its
//! deadline has failed. Then `ready` and `live` are asked side by side: the first decides whether
//! the instance takes requests, the second whether it goes on. All probing of an instance is one
//! future, [`Prober::run`], that lives in the instance's own task.

mod ask;

use std::future::pending;
use std::time::Duration;

use synod_manifest::{Health, Kind, Probe, ProbeAction};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

pub(crate) use ask::Target;

use crate::clock::now_ms;

/// Until a probe first passes it is asked more often than later: from one question to the next it
/// waits this long, then twice as long, up to the probe's own interval.
const FIRST_WAIT: Duration = Duration::from_millis(20);
/// A service that has no probe counts as ready once it has run for so long: most of what cannot
/// start ends sooner, and must not be taken for ready in between.
const UNPROBED_MIN: Duration = Duration::from_millis(500);

/// What the probes say of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether it takes requests.
    pub(crate) ready: bool,
    /// Why it is not ready, or how a probe fails.
    pub(crate) reason: Option<String>,
    /// Why it has to be ended.
    pub(crate) failed: Option<String>,
}

/// What is known of an instance that was probed before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Before {
    /// Whether it was ready, and so has started.
    pub(crate) ready: bool,
}

/// The probes of one instance.
pub(crate) struct Prober {
    kind: Kind,
    health: Health,
    target: Target,
    verdict: watch::Sender<Verdict>,
    started: Instant,
}

impl Prober {
    /// Probes the instance at `target` as `health` says, and what they say. A task without probes
    /// takes no requests and is never ready.
    pub(crate) fn new(
        kind: Kind,
        health: Health,
        target: Target,
        before: Before,
    ) -> (Self, watch::Receiver<Verdict>) {
        let health = Health { start: health.start.filter(|_| !before.ready), ..health };
        let (verdict, said) = watch::channel(Verdict { ready: before.ready, ..Verdict::default() });
        (Self { kind, health, target, verdict, started: Instant::now() }, said)
    }

    /// Asks until the instance has failed, and then does nothing. Never returns.
    pub(crate) async fn run(self) {
        if let Some(start) = &self.health.start
            && let Err(reason) = self.until_started(start).await
        {
            self.fail("start", &reason);
            return pending().await;
        }
        let ready = async {
            match &self.health.ready {
                Some(probe) => self.watch_ready(probe).await,
                None => self.assume_ready().await,
            }
        };
        let live = async {
            match &self.health.live {
                Some(probe) => self.watch_live(probe).await,
                None => pending::<()>().await,
            }
        };
        tokio::join!(ready, live);
    }

    async fn until_started(&self, probe: &Probe) -> Result<(), String> {
        let deadline = self.started + probe.grace;
        let mut last = "no answer yet".to_owned();
        let asking = async {
            let mut wait = FirstWaits::new(probe.every);
            while let Err(reason) = self.ask(probe).await {
                last.clone_from(&reason);
                self.say(|verdict| verdict.reason = Some(format!("start: {reason}")));
                wait.next().await;
            }
        };
        tokio::select! {
            biased;
            () = asking => Ok(()),
            () = sleep_until(deadline) => Err(format!("{last} (for {:?})", probe.grace)),
        }
    }

    async fn assume_ready(&self) {
        if self.kind == Kind::Service {
            if self.health.start.is_none() && !self.verdict.borrow().ready {
                let reason = format!("has no probe; ready once it has run for {UNPROBED_MIN:?}");
                self.say(|verdict| verdict.reason = Some(reason));
                let ran_ms = now_ms().saturating_sub(self.target.started_ms);
                sleep(UNPROBED_MIN.saturating_sub(Duration::from_millis(ran_ms))).await;
            }
            self.say(|verdict| (verdict.ready, verdict.reason) = (true, None));
        }
        pending::<()>().await;
    }

    async fn watch_ready(&self, probe: &Probe) {
        let once = matches!(probe.action, ProbeAction::Log { .. });
        if once && self.verdict.borrow().ready {
            // It passed before a restart of ours, and the line may be gone from the log.
            return pending().await;
        }
        let mut first = FirstWaits::new(probe.every);
        let mut failures = 0;
        loop {
            match self.ask(probe).await {
                Ok(()) => {
                    failures = 0;
                    self.say(|verdict| (verdict.ready, verdict.reason) = (true, None));
                    if once {
                        return pending().await;
                    }
                }
                Err(reason) => {
                    failures += u32::from(self.counts(probe));
                    let lost = failures >= probe.fails;
                    self.say(|verdict| {
                        verdict.ready = verdict.ready && !lost;
                        verdict.reason = Some(format!("ready: {reason}"));
                    });
                }
            }
            if self.verdict.borrow().ready {
                sleep(probe.every).await;
            } else {
                first.next().await;
            }
        }
    }

    async fn watch_live(&self, probe: &Probe) {
        let once = matches!(probe.action, ProbeAction::Log { .. });
        let mut failures = 0;
        loop {
            match self.ask(probe).await {
                Ok(()) if once => return pending().await,
                Ok(()) => failures = 0,
                Err(reason) => {
                    failures += u32::from(self.counts(probe));
                    if failures >= probe.fails.max(1) {
                        self.fail("live", &reason);
                        return pending().await;
                    }
                }
            }
            sleep(probe.every).await;
        }
    }

    fn counts(&self, probe: &Probe) -> bool {
        self.started.elapsed() >= probe.grace
    }

    async fn ask(&self, probe: &Probe) -> Result<(), String> {
        if let ProbeAction::Log { pattern } = &probe.action {
            // Waiting for a line has no timeout of its own.
            let question = self.target.question(&probe.action);
            self.say(|verdict| {
                if !verdict.ready {
                    verdict.reason = Some(format!("waits for {question}"));
                }
            });
            return self.target.printed(pattern).await;
        }
        match tokio::time::timeout(probe.timeout, self.target.ask(&probe.action)).await {
            Ok(answer) => answer,
            Err(_) => {
                let question = self.target.question(&probe.action);
                Err(format!("{question} was not answered within {:?}", probe.timeout))
            }
        }
    }

    fn fail(&self, probe: &str, reason: &str) {
        self.say(|verdict| {
            verdict.ready = false;
            verdict.reason = Some(format!("{probe}: {reason}"));
            verdict.failed = Some(format!("{probe}: {reason}"));
        });
    }

    fn say(&self, change: impl FnOnce(&mut Verdict)) {
        self.verdict.send_if_modified(|verdict| {
            let before = verdict.clone();
            change(verdict);
            *verdict != before
        });
    }
}

/// Waits that grow up to the probe's interval.
struct FirstWaits {
    next: Duration,
    most: Duration,
}

impl FirstWaits {
    fn new(most: Duration) -> Self {
        Self { next: FIRST_WAIT.min(most), most }
    }

    async fn next(&mut self) {
        sleep(self.next).await;
        self.next = (self.next * 2).min(self.most);
    }
}

#[cfg(test)]
mod tests;
