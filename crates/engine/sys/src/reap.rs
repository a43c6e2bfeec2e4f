//! Children that ended.

use std::io;

use rustix::process::{WaitOptions, wait};

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It exited with this code.
    Code(i32),
    /// It died of this signal.
    Signal(i32),
}

/// What a look for ended children found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaped {
    /// This child ended; it is gone now.
    Child(u32, End),
    /// There is no child left.
    NoChildren,
    /// There are children, none of which ended.
    StillRunning,
}

/// Takes one ended child of this process, whichever it is, without waiting. Only for programs that
/// start all their children themselves: it also takes those that `std::process::Child` waits for.
///
/// # Errors
/// Never in practice.
pub fn any() -> io::Result<Reaped> {
    loop {
        return match wait(WaitOptions::NOHANG) {
            Ok(None) => Ok(Reaped::StillRunning),
            Ok(Some((pid, status))) => {
                let end = match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => End::Code(code),
                    (None, Some(signal)) => End::Signal(signal),
                    // Stops and continuations are not asked for.
                    (None, None) => continue,
                };
                Ok(Reaped::Child(pid.as_raw_nonzero().get().unsigned_abs(), end))
            }
            Err(rustix::io::Errno::CHILD) => Ok(Reaped::NoChildren),
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => Err(error.into()),
        };
    }
}
