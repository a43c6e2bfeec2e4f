//! How long a slot waits before it is started again.

use std::time::Duration;

use synod_manifest::Restart;

use crate::{Desired, Exit, Observed};

/// What an ended instance leaves to the one after it in its slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Legacy {
    pub(crate) failures: u32,
    pub(crate) not_before_ms: u64,
    pub(crate) previous: Option<Exit>,
}

/// The wait after so many failures in a row: doubles from `backoff_min` to `backoff_max`.
pub(crate) fn backoff(restart: &Restart, failures: u32) -> Duration {
    let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    restart.backoff_min.saturating_mul(factor).min(restart.backoff_max.max(restart.backoff_min))
}

/// What `ended`, of the version that is wanted now, leaves to its successor.
///
/// An exit that was asked for wipes the slate clean; a lost node leaves it as it was. Neither costs
/// a wait.
pub(crate) fn legacy(restart: &Restart, ended: Observed<'_>, now_ms: u64) -> Legacy {
    let Observed { instance, status } = ended;
    let exit = status.and_then(|status| status.exit.clone());
    if !ended.is_exited() || instance.desired == Desired::Stop {
        let failures = if ended.is_exited() { 0 } else { instance.failures };
        return Legacy { failures, not_before_ms: 0, previous: exit };
    }
    // An agent's clock that is ahead must not stretch the wait.
    let ended_ms = exit.as_ref().map_or(now_ms, |exit| exit.at_ms.min(now_ms));
    let started_ms = status.and_then(|status| status.started_ms).unwrap_or(ended_ms);
    let ran_well = millis(restart.reset) <= ended_ms.saturating_sub(started_ms);
    let before = if ran_well { 0 } else { instance.failures };
    // An exit without a cause is a status that somebody else made up: the careful reading.
    let failed = exit.as_ref().is_none_or(|exit| exit.failure);
    let failures = before + u32::from(failed);
    let wait = if failed { backoff(restart, failures) } else { restart.backoff_min };
    Legacy { failures, not_before_ms: ended_ms.saturating_add(millis(wait)), previous: exit }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A wait for the eye: whole seconds, or milliseconds.
pub(crate) fn show(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_from_the_least_to_the_most() {
        let [backoff_min, backoff_max] = [1, 60].map(Duration::from_secs);
        let reset = backoff_max;
        let restart = Restart { backoff_min, backoff_max, reset, ok_exit: vec![0] };
        let waits = [1, 2, 3, 6, 7, 8, 99].map(|failures| backoff(&restart, failures).as_secs());
        assert_eq!(waits, [1, 2, 4, 32, 60, 60, 60]);
    }
}
