//! Start gates: what of a needed service still keeps an instance from starting.

use synod_manifest::{Kind, Need, NeedCondition};

use crate::{JobSummary, ServiceState};

/// Why `need` does not hold yet, in one line; `None` when it holds. `summary` is how the needed
/// service stands, if there is one.
///
/// A task that is done holds under every condition: it is never readier than that.
#[must_use]
pub fn unmet(need: &Need, summary: Option<&JobSummary>) -> Option<String> {
    let name = &need.service;
    let Some(summary) = summary else {
        return Some(format!("{name} does not exist"));
    };
    let JobSummary { state, wanted, running, ready, .. } = summary;
    let done = *state == ServiceState::Done;
    let up = *wanted > 0;
    let (holds, gate) = match need.condition {
        NeedCondition::Done => (done, "done".to_owned()),
        NeedCondition::Ready => {
            (done || up && ready >= wanted, format!("ready ({ready} of {wanted})"))
        }
        NeedCondition::Started => {
            (done || up && running >= wanted, format!("started ({running} of {wanted})"))
        }
    };
    if holds {
        return None;
    }
    let kind = if summary.kind == Kind::Task { "task " } else { "" };
    Some(match (state, &summary.reason) {
        (ServiceState::Stopped | ServiceState::Stopping, _) => format!("{kind}{name} is stopped"),
        // Only what failed is quoted: a probe's last answer may change with every question, and
        // each change would be a write here.
        (ServiceState::Failed, Some(reason)) => format!("{kind}{name} failed: {reason}"),
        _ => format!("{kind}{name} is not {gate}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        condition: NeedCondition,
        state: ServiceState,
        reason: Option<&str>,
    ) -> Option<String> {
        let kind = if condition == NeedCondition::Done { Kind::Task } else { Kind::Service };
        let summary = JobSummary {
            app: "shop".into(),
            service: "stock".into(),
            kind,
            state,
            wanted: 2,
            running: 2,
            ready: if state == ServiceState::Ready { 2 } else { 1 },
            reason: reason.map(Into::into),
        };
        unmet(&Need { service: "stock".into(), condition }, Some(&summary))
    }

    #[test]
    fn the_reason_names_what_is_missing_and_how_much() {
        use NeedCondition::{Done, Ready, Started};
        use ServiceState as S;
        assert_eq!(check(Ready, S::Ready, None), None);
        assert_eq!(check(Started, S::Unready, None), None);
        assert_eq!(check(Done, S::Done, None), None);
        assert_eq!(check(Ready, S::Starting, None).unwrap(), "stock is not ready (1 of 2)");
        assert_eq!(check(Ready, S::Stopping, None).unwrap(), "stock is stopped");
        assert_eq!(check(Done, S::Running, None).unwrap(), "task stock is not done");
        let reason = "exited with code 3, retried after 4s";
        let failed = "task stock failed: exited with code 3, retried after 4s";
        assert_eq!(check(Done, S::Failed, Some(reason)).unwrap(), failed);
    }
}
