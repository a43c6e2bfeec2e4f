//! A file that one process at a time holds, and that names its holder.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use thiserror::Error;

/// A held lock. Dropping it, or dying in any way, frees it; the file stays.
#[derive(Debug)]
#[must_use]
pub struct LockFile {
    file: File,
}

/// Why a lock was not taken.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process holds it.
    #[error("{path} is held by {holder}", path = .path.display())]
    Held {
        /// The lock's file.
        path: PathBuf,
        /// The holder.
        holder: Holder,
    },
    /// The file could not be opened or locked.
    #[error("{path} cannot be locked", path = .path.display())]
    Io {
        /// The lock's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// This process.
    Process(u32),
    /// One that has not written its id yet.
    Unknown,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Process(pid) => write!(f, "process {pid}"),
            Self::Unknown => write!(f, "another process"),
        }
    }
}

impl LockFile {
    /// Takes the lock at `path` without waiting and writes this process's id into the file.
    ///
    /// # Errors
    /// [`Error::Held`] when another process holds it; [`Error::Io`] when the file can't be made.
    pub fn acquire(path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        let mut file = open(path).map_err(io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Self::sign(file).map_err(io),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(Error::Held { path: path.to_owned(), holder: holder(&mut file) })
            }
            Err(error) => Err(io(error.into())),
        }
    }

    /// Takes the lock at `path`, waiting for as long as another process holds it.
    ///
    /// # Errors
    /// [`Error::Io`] when the file can't be made.
    pub fn wait(path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        let file = open(path).map_err(io)?;
        flock(&file, FlockOperation::LockExclusive).map_err(|error| io(error.into()))?;
        Self::sign(file).map_err(io)
    }

    /// Writes the holder's id into a file that is locked.
    fn sign(mut file: File) -> io::Result<Self> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self { file })
    }

    /// Who holds the lock at `path`, if anyone does.
    ///
    /// # Errors
    /// When the file exists but can't be opened or asked.
    pub fn holder(path: &Path) -> io::Result<Option<Holder>> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(None),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(Some(holder(&mut file))),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // An empty file tells a reader that the last holder left in order. Failing to empty it
        // harms nothing: the kernel's lock decides.
        let _ = self.file.set_len(0);
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn holder(file: &mut File) -> Holder {
    let mut text = String::new();
    let read = file.read_to_string(&mut text);
    match text.trim().parse() {
        Ok(pid) if read.is_ok() => Holder::Process(pid),
        _ => Holder::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_learns_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert_eq!(LockFile::holder(&path).unwrap(), None);

        let held = LockFile::acquire(&path).unwrap();
        let Err(Error::Held { holder, .. }) = LockFile::acquire(&path) else {
            panic!("taken twice");
        };
        assert_eq!(holder, Holder::Process(std::process::id()));
        assert_eq!(LockFile::holder(&path).unwrap(), Some(holder));

        let waiter = std::thread::spawn({
            let path = path.clone();
            move || LockFile::wait(&path).map(drop)
        });
        drop(held);
        waiter.join().unwrap().unwrap();
        assert_eq!(LockFile::holder(&path).unwrap(), None);
        drop(LockFile::acquire(&path).unwrap());
    }

    #[test]
    fn a_missing_directory_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let error = LockFile::acquire(&dir.path().join("no/lock")).unwrap_err();
        assert!(error.to_string().contains("no/lock"), "{error}");
    }
}
