//! How a command ends: the exit codes, and errors that carry one.

use std::fmt;

use crate::launch::DirectoryHeld;

/// The exit code of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// As the command that `synod test` ran.
    Command(u8),
    /// Something else holds the name, the port or the directory.
    Conflict,
    /// Not allowed.
    Denied,
    /// Done.
    Done,
    /// Tried and failed.
    Failed,
    /// Ended by Ctrl-C.
    Interrupted,
    /// The named thing does not exist.
    NotFound,
    /// The daemon does not answer.
    Unreachable,
    /// The command line or the manifest is wrong.
    Usage,
}

impl Exit {
    /// The process's exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Command(code) => code,
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Conflict => 4,
            Self::Unreachable => 5,
            Self::Denied => 6,
            Self::Interrupted => 130,
        }
    }
}

/// An error that decides the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The exit code that `error` asks for.
pub(crate) fn exit_of(error: &anyhow::Error) -> Exit {
    if error.is::<DirectoryHeld>() {
        return Exit::Conflict;
    }
    error.downcast_ref::<Failure>().map_or(Exit::Failed, |failure| failure.exit)
}
