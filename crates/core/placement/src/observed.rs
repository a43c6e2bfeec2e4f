//! An instance together with what its agent says of it.

use crate::{Desired, ExitCause, Instance, InstanceStatus, Job, Phase};

/// An instance together with what its agent says of it, if it said anything yet.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// What is wanted.
    pub instance: &'a Instance,
    /// What is.
    pub status: Option<&'a InstanceStatus>,
}

impl Observed<'_> {
    /// Whether it runs what the job asks for now.
    #[must_use]
    pub fn is_current(&self, job: &Job) -> bool {
        self.instance.version == job.version && self.instance.restart_nonce == job.restart_nonce
    }

    /// Whether it ended.
    #[must_use]
    pub fn is_exited(&self) -> bool {
        self.is_in(Phase::Exited)
    }

    /// Whether it takes requests and should.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_running() && self.status.is_some_and(|status| status.ready)
    }

    /// Whether its process runs and should.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.instance.desired == Desired::Run && self.is_in(Phase::Running)
    }

    /// Whether it ended by itself and well.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let exit = self.status.and_then(|status| status.exit.as_ref());
        self.instance.desired == Desired::Run
            && self.is_exited()
            && exit.is_some_and(|exit| !exit.failure)
    }

    /// Why it failed, if it ended by itself and not well.
    #[must_use]
    pub fn failure(&self) -> Option<&ExitCause> {
        let exit = self.status.filter(|_| self.is_exited())?.exit.as_ref()?;
        exit.failure.then_some(&exit.cause)
    }

    fn is_in(&self, phase: Phase) -> bool {
        self.status.is_some_and(|status| status.phase == phase)
    }
}
