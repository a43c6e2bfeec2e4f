//! Every default of the manifest, and the bounds of what may be given instead.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::health::ProbeRole;
use crate::outline::OutlineService;
use crate::{Health, Kind, Probe, ProbeAction, Restart, Stop};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const HOUR: Duration = seconds(3600);
const DAY: Duration = seconds(24 * 3600);

pub(crate) const INSTANCES: u32 = 1;
pub(crate) const INSTANCES_RANGE: RangeInclusive<u32> = 1..=1000;

pub(crate) const BUILD_TIMEOUT: Duration = seconds(600);
pub(crate) const BUILD_TIMEOUT_RANGE: RangeInclusive<Duration> = seconds(1)..=DAY;

pub(crate) const ROUTE_PATH: &str = "/";
pub(crate) const ROUTE_TIMEOUT: Duration = seconds(30);
pub(crate) const ROUTE_TIMEOUT_RANGE: RangeInclusive<Duration> = ms(1)..=DAY;
pub(crate) const ROUTE_WEIGHT: u32 = 1;
pub(crate) const ROUTE_WEIGHT_RANGE: RangeInclusive<u32> = 0..=10_000;

/// The gateway's host for routes that name none.
pub(crate) fn route_host(app: &str) -> String {
    format!("{app}.localhost")
}

pub(crate) const PROBE_EVERY_RANGE: RangeInclusive<Duration> = ms(10)..=HOUR;
pub(crate) const PROBE_TIMEOUT_RANGE: RangeInclusive<Duration> = ms(1)..=HOUR;
pub(crate) const PROBE_FAILS_RANGE: RangeInclusive<u32> = 1..=1000;
pub(crate) const PROBE_GRACE_RANGE: RangeInclusive<Duration> = ms(0)..=DAY;

/// A probe that only says what it asks.
///
/// Readiness is asked often, for whoever waits for it waits at a terminal; liveness rarely and
/// with patience, for it ends in a restart.
pub(crate) fn probe(role: ProbeRole, action: ProbeAction) -> Probe {
    let (every, timeout, fails, grace) = match role {
        ProbeRole::Live => (seconds(5), seconds(2), 3, seconds(10)),
        ProbeRole::Ready => (ms(250), seconds(1), 1, seconds(0)),
        ProbeRole::Start => (ms(250), seconds(1), 1, seconds(60)),
    };
    Probe { action, every, timeout, fails, grace }
}

/// The health of a service that says nothing about it: ready when its first port accepts.
pub(crate) fn health(service: &OutlineService<'_>) -> Health {
    let tcp = |port: &str| ProbeAction::Tcp { port: port.to_owned() };
    let ready = match (service.kind, service.ports.first()) {
        (Kind::Service, Some(first)) => Some(probe(ProbeRole::Ready, tcp(&first.port.name))),
        _ => None,
    };
    Health { ready, live: None, start: None }
}

pub(crate) const BACKOFF_RANGE: RangeInclusive<Duration> = ms(10)..=DAY;
pub(crate) const RESET_RANGE: RangeInclusive<Duration> = ms(0)..=DAY;
pub(crate) const EXIT_CODE_RANGE: RangeInclusive<u32> = 0..=255;

/// What follows an exit when nothing is said about it.
///
/// Many servers answer TERM by exiting with 143 (128 + 15), which is well for something that
/// was told to stop; a task that was told to stop is not done.
pub(crate) fn restart(kind: Kind) -> Restart {
    let ok_exit = match kind {
        Kind::Service => vec![0, 143],
        Kind::Task => vec![0],
    };
    Restart { backoff_min: seconds(1), backoff_max: seconds(60), reset: seconds(60), ok_exit }
}

pub(crate) const STOP_GRACE_RANGE: RangeInclusive<Duration> = ms(0)..=HOUR;

/// How an instance is asked to end when nothing is said about it.
pub(crate) fn stop() -> Stop {
    Stop { signal: "TERM".to_owned(), grace: seconds(10) }
}
