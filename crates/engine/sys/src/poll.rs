//! Waiting on several descriptors, for programs of one thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

/// A descriptor and what to wait for.
#[derive(Clone, Copy, Debug)]
pub struct Wait<'a> {
    fd: BorrowedFd<'a>,
    interest: PollFlags,
}

impl<'a> Wait<'a> {
    /// Until there is something to read, or the other end is gone.
    #[must_use]
    pub fn read(fd: BorrowedFd<'a>) -> Self {
        Self { fd, interest: PollFlags::IN }
    }

    /// As [`Wait::read`], and also until there is room to write.
    #[must_use]
    pub fn read_write(fd: BorrowedFd<'a>) -> Self {
        Self { fd, interest: PollFlags::IN | PollFlags::OUT }
    }
}

/// What a wait ended with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// There is something to read, or the other end is gone.
    pub readable: bool,
    /// There is room to write.
    pub writable: bool,
}

/// Waits until one of `waits` is ready or `timeout` is over, and says which are, in their order. A
/// signal ends the wait with none ready.
///
/// # Errors
/// When the system refuses, which it does only for lack of memory.
pub fn wait(waits: &[Wait<'_>], timeout: Option<Duration>) -> io::Result<Vec<Readiness>> {
    let mut fds: Vec<PollFd<'_>> =
        waits.iter().map(|wait| PollFd::from_borrowed_fd(wait.fd, wait.interest)).collect();
    let timeout = timeout.map(|timeout| Timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    match rustix::event::poll(&mut fds, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let ended = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    let readiness = |fd: &PollFd<'_>| Readiness {
        readable: fd.revents().intersects(PollFlags::IN | ended),
        writable: fd.revents().contains(PollFlags::OUT),
    };
    Ok(fds.iter().map(readiness).collect())
}

/// Lets reads and writes of `fd` fail with `WouldBlock` instead of waiting.
///
/// # Errors
/// When `fd` is no open descriptor.
pub fn set_nonblocking(fd: &impl AsFd) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(fd, true)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_ready_is_told() {
        let (quiet, _keep) = crate::spawn::pipe().unwrap();
        let (ended, write) = crate::spawn::pipe().unwrap();
        let waits = [Wait::read(quiet.as_fd()), Wait::read(ended.as_fd())];
        let none = wait(&waits, Some(Duration::ZERO)).unwrap();
        assert_eq!(none, [Readiness::default(); 2]);
        drop(write);
        let ready = wait(&waits, None).unwrap();
        assert!(!ready[0].readable && ready[1].readable);
    }
}
