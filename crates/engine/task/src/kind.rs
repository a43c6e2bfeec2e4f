//! What kind of task it is: name, reaction to cancellation, consequence of failure.

use std::fmt::Display;

/// What a task is called and how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskKind {
    /// The name in logs and in the result of a shutdown.
    pub name: &'static str,
    /// What cancelling means.
    pub on_cancel: OnCancel,
    /// What an error or a panic means.
    pub on_failure: OnFailure,
}

impl TaskKind {
    /// A task that is dropped where it stands when cancelled, and whose failure is logged. Fits
    /// what serves one connection or waits for events.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, on_cancel: OnCancel::Abort, on_failure: OnFailure::Log }
    }

    /// The same, but it ends by itself after cancellation and is waited for.
    #[must_use]
    pub const fn waits(self) -> Self {
        Self { on_cancel: OnCancel::Wait, ..self }
    }

    /// The same, but its failure stops the node.
    #[must_use]
    pub const fn vital(self) -> Self {
        Self { on_failure: OnFailure::StopNode, ..self }
    }
}

/// What cancelling a task means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCancel {
    /// Its future is dropped at the next await.
    Abort,
    /// It looks at [`Tasks::cancelled`](crate::Tasks::cancelled) itself, finishes what it holds
    /// and returns; a shutdown waits for it up to its deadline.
    Wait,
}

/// What an error or a panic of a task means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// It is logged; the rest goes on.
    Log,
    /// The node cannot go on: [`Tasks::failed`](crate::Tasks::failed) answers with the reason.
    StopNode,
}

/// What a task's future may return: nothing, or a result whose error is a failure.
pub trait Outcome {
    /// The failure in one line, if it is one.
    fn failure(self) -> Option<String>;
}

impl Outcome for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<E: Display> Outcome for Result<(), E> {
    fn failure(self) -> Option<String> {
        self.err().map(|error| format!("{error:#}"))
    }
}
