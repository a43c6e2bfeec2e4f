//! Being told when something in a directory changes.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

/// Changes in watched directories. It tells *that* something changed, not what: whoever waits
/// looks for itself.
#[derive(Debug)]
pub struct DirectoryWatch {
    #[cfg(target_os = "linux")]
    inotify: std::os::fd::OwnedFd,
}

#[cfg(target_os = "linux")]
impl DirectoryWatch {
    /// A watch over nothing yet.
    ///
    /// # Errors
    /// When the user's number of watches or descriptors is used up.
    pub fn new() -> io::Result<Self> {
        use rustix::fs::inotify::{CreateFlags, init};
        Ok(Self { inotify: init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)? })
    }

    /// Also watches `directory`: names made, moved or removed in it, and files written. Watching a
    /// directory again is harmless.
    ///
    /// # Errors
    /// When it does not exist, or the user's number of watches is used up.
    pub fn add(&self, directory: &Path) -> io::Result<()> {
        use rustix::fs::inotify::{WatchFlags, add_watch};
        let changes = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MODIFY
            | WatchFlags::MOVED_TO
            | WatchFlags::ONLYDIR;
        add_watch(&self.inotify, directory, changes)?;
        Ok(())
    }

    /// Waits until something changed, until `until` is readable or closed, or for `timeout`; and
    /// takes all changes so far.
    ///
    /// # Errors
    /// When the system refuses to wait.
    pub fn wait(&self, until: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<()> {
        use std::os::fd::AsFd;

        use crate::poll::{Wait, wait};
        wait(&[Wait::read(self.inotify.as_fd()), Wait::read(until)], timeout)?;
        let mut buffer = [0_u8; 4096];
        loop {
            match rustix::io::read(&self.inotify, &mut buffer) {
                Ok(0) | Err(rustix::io::Errno::WOULDBLOCK) => return Ok(()),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Without inotify every wait ends after a while, as if something had changed.
#[cfg(not(target_os = "linux"))]
impl DirectoryWatch {
    /// A watch over nothing yet.
    ///
    /// # Errors
    /// Never.
    pub fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Also watches `directory`.
    ///
    /// # Errors
    /// Never.
    pub fn add(&self, _directory: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Waits until `until` is readable or closed, or for a fifth of a second.
    ///
    /// # Errors
    /// When the system refuses to wait.
    pub fn wait(&self, until: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<()> {
        let look = Duration::from_millis(200);
        let timeout = timeout.map_or(look, |timeout| timeout.min(look));
        crate::poll::wait(&[crate::poll::Wait::read(until)], Some(timeout))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_write_ends_the_wait() {
        let dir = tempfile::tempdir().unwrap();
        let watch = DirectoryWatch::new().unwrap();
        watch.add(dir.path()).unwrap();
        let (read, _write) = crate::spawn::pipe().unwrap();
        std::fs::write(dir.path().join("file"), "x").unwrap();
        watch.wait(read.as_fd(), Some(Duration::from_secs(60))).unwrap();
    }

    #[test]
    fn closing_the_pipe_ends_the_wait() {
        let watch = DirectoryWatch::new().unwrap();
        let (read, write) = crate::spawn::pipe().unwrap();
        drop(write);
        watch.wait(read.as_fd(), None).unwrap();
    }
}
