//! Unix sockets whose path may be long.
//!
//! An address holds about 100 bytes of path, and data directories of tests and of deep homes are
//! longer. On Linux a descriptor of the directory gives a short name for it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// The longest path an address holds on every system we know.
const ADDRESS_BYTES: usize = 100;

/// A path that fits an address and leads to the socket it was made for, as long as it lives.
#[derive(Debug)]
pub struct ShortPath {
    path: PathBuf,
    _directory: Option<File>,
}

impl ShortPath {
    /// A short path to `path`, whose directory must exist.
    ///
    /// # Errors
    /// When the directory can't be opened, or the path is too long on a system without `/proc`.
    pub fn new(path: &Path) -> io::Result<Self> {
        if path.as_os_str().len() <= ADDRESS_BYTES {
            return Ok(Self { path: path.to_owned(), _directory: None });
        }
        if !cfg!(target_os = "linux") {
            let text = format!("{} is too long for a socket: use a shorter one", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let directory = File::open(directory)?;
        let path = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
        Ok(Self { path, _directory: Some(directory) })
    }

    /// The path to bind or connect to.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn a_socket_in_a_deep_directory_is_reached() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("d".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let path = deep.join("s.sock");
        let bound = ShortPath::new(&path).unwrap();
        let listener = UnixListener::bind(bound.path()).unwrap();
        drop(bound);
        assert!(path.exists());
        let _stream = UnixStream::connect(ShortPath::new(&path).unwrap().path()).unwrap();
        listener.accept().unwrap();
    }
}
