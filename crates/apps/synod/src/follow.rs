//! Watching an app until it is where it should get.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use synod_agent::log::LogLine;
use synod_jobs::AppStatus;
use synod_placement::{Phase, ServiceState};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::client::{Client, Health, Lines};
use crate::log_lines;
use crate::outcome::{Exit, Failure};
use crate::terminal::{Terminal, Tone};
use crate::view::{Live, Tally};

/// How many lines are shown of a service that fails.
const LINES_OF_FAILED: usize = 20;

/// After so many failures in a row, waiting for a service is given up.
const FAILURES_TO_GIVE_UP: u32 = 3;

/// What a wait came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// The app was taken down by someone else.
    Gone,
    /// The user wants to end it.
    Interrupted,
    /// Every service is ready, done, or stopped as asked.
    Settled,
}

/// One app on the screen.
pub(crate) struct Follow {
    app: String,
    client: Client,
    live: Live,
    lines: Lines,
    /// Failed instances whose last lines were shown.
    shown: BTreeSet<String>,
    terminal: Terminal,
}

/// Ctrl-C, and the polite signal that ends processes.
pub(crate) struct Interrupts {
    int: Signal,
    term: Signal,
}

impl Interrupts {
    pub(crate) fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be listened for");
        Ok(Self { int: listen(SignalKind::interrupt())?, term: listen(SignalKind::terminate())? })
    }

    /// The next one. Cancel safety: none is lost.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.int.recv() => {}
            _ = self.term.recv() => {}
        }
    }
}

impl Follow {
    pub(crate) async fn open(client: &Client, app: &str, terminal: Terminal) -> Result<Self> {
        let health: Health = client.get("/v1/health").await?;
        let lines = client.stream(&format!("/v1/apps/{app}/watch")).await?;
        Ok(Self {
            app: app.to_owned(),
            client: client.clone(),
            live: Live::new(terminal, health.gateway_port),
            lines,
            shown: BTreeSet::new(),
            terminal,
        })
    }

    /// Waits until every service is where it should get.
    ///
    /// `left` is what is said, where they do not get there, of what runs.
    pub(crate) async fn until_settled(
        &mut self,
        interrupts: &mut Interrupts,
        patience: Duration,
        left: &str,
    ) -> Result<Reached> {
        let give_up = tokio::time::sleep(patience);
        tokio::pin!(give_up);
        let mut last: Option<AppStatus> = None;
        loop {
            tokio::select! {
                biased;
                () = interrupts.next() => return Ok(Reached::Interrupted),
                status = self.lines.next::<AppStatus>() => {
                    let Some(status) = status? else { return Ok(self.gone()) };
                    self.show(&status).await?;
                    if status.is_settled() {
                        self.live.finish(&status);
                        self.warn_of_rejected().await?;
                        return Ok(Reached::Settled);
                    }
                    if let Some(service) = hopeless(&status) {
                        let message = format!("{}/{service} keeps failing", self.app);
                        return Err(self.unready(&status, &message, left).await?.into());
                    }
                    last = Some(status);
                }
                () = &mut give_up => {
                    let waited = humantime::format_duration(patience);
                    let message = format!("{} is not ready after {waited}", self.app);
                    return Err(match &last {
                        Some(status) => self.unready(status, &message, left).await?,
                        None => Failure::new(Exit::Unreachable, message),
                    }
                    .into());
                }
            }
        }
    }

    /// Shows the app until the user ends it, here or elsewhere.
    pub(crate) async fn until_interrupted(
        &mut self,
        interrupts: &mut Interrupts,
    ) -> Result<Reached> {
        let mut settled = false;
        loop {
            tokio::select! {
                biased;
                () = interrupts.next() => return Ok(Reached::Interrupted),
                status = self.lines.next::<AppStatus>() => {
                    let Some(status) = status? else { return Ok(self.gone()) };
                    if status.is_settled() && !settled {
                        settled = true;
                        if !self.terminal.is_live() {
                            self.live.finish(&status);
                        }
                        self.live.say(&format!("{} is ready; Ctrl-C stops it", self.app));
                        self.warn_of_rejected().await?;
                    }
                    self.show(&status).await?;
                }
            }
        }
    }

    /// Shows the app until nothing of it is left.
    pub(crate) async fn until_gone(&mut self) -> Result<()> {
        while let Some(status) = self.lines.next::<AppStatus>().await? {
            self.live.show(&status);
        }
        self.live.clear();
        Ok(())
    }

    /// Says which routes and the like the gateway does not apply.
    async fn warn_of_rejected(&mut self) -> Result<()> {
        let health: Health = self.client.get("/v1/health").await?;
        for rejected in &health.rejected {
            self.live.say(&rejected.warning());
        }
        Ok(())
    }

    fn gone(&mut self) -> Reached {
        self.live.clear();
        self.terminal.say(&format!("{} was taken down", self.app));
        Reached::Gone
    }

    async fn show(&mut self, status: &AppStatus) -> Result<()> {
        let failed = status.services.iter().flat_map(|service| {
            let of_service = service.instances.iter().filter(|report| {
                report.status.as_ref().is_some_and(|status| {
                    let failure = status.exit.as_ref().is_some_and(|exit| exit.failure);
                    status.phase == Phase::Exited && failure
                })
            });
            of_service.map(|report| (service.name.clone(), report.instance.id.clone()))
        });
        for (service, instance) in failed.collect::<Vec<_>>() {
            if self.shown.insert(instance) {
                self.show_last_lines(&service).await?;
            }
        }
        self.live.show(status);
        Ok(())
    }

    async fn show_last_lines(&mut self, service: &str) -> Result<()> {
        let services = BTreeSet::from([service.to_owned()]);
        let tail = Some(LINES_OF_FAILED);
        let mut lines =
            log_lines::open(&self.client, &self.app, &services, tail, None, false).await?;
        let mut text = Vec::new();
        while let Some(line) = lines.next::<LogLine>().await? {
            text.push(format!("  {}", log_lines::shown(&line, &self.terminal)));
        }
        let name = format!("{}/{service}", self.app);
        if !text.is_empty() {
            let head = format!("the last lines of {name}:");
            self.live.say(&format!(
                "{}\n{}",
                self.terminal.paint(Tone::Strong, &head),
                text.join("\n")
            ));
        }
        Ok(())
    }

    /// Says of each service that is not ready why, with its last lines.
    async fn unready(&mut self, status: &AppStatus, message: &str, left: &str) -> Result<Failure> {
        let tally = Tally::of(status);
        for (service, _) in &tally.open {
            let report = status.services.iter().find(|listed| listed.name == *service);
            let seen = report.is_some_and(|report| {
                report.instances.iter().any(|report| self.shown.contains(&report.instance.id))
            });
            if !seen {
                self.show_last_lines(service).await?;
            }
        }
        let open = tally.open.iter().map(|(service, reason)| format!("\n  {service}: {reason}"));
        let open: String = open.collect();
        Ok(Failure::new(Exit::Failed, format!("{message}:{open}\n{left} [SYN-0008]")))
    }
}

/// A service that failed so often that waiting is no use.
fn hopeless(status: &AppStatus) -> Option<&str> {
    let hopeless = status.services.iter().find(|service| {
        service.summary.state == ServiceState::Failed
            && service
                .instances
                .iter()
                .any(|report| report.instance.failures >= FAILURES_TO_GIVE_UP)
    });
    hopeless.map(|service| service.name.as_str())
}
