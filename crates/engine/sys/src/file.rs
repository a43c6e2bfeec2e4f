//! Files that are there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Whether a replaced file must outlive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Written through to the disk before this returns.
    Durable,
    /// Left to the kernel; whole all the same for every reader.
    Volatile,
}

/// Puts `bytes` at `path`, readable by this user only: a reader finds the old file or the new one.
///
/// # Errors
/// When the disk is full or the directory is missing; the old file stays then.
pub fn replace(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    // The process id keeps two writers of one name apart.
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = write(&temporary, bytes, durability).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written?;
    match (durability, path.parent()) {
        (Durability::Durable, Some(directory)) => sync_directory(directory),
        _ => Ok(()),
    }
}

/// Makes the names in `directory` outlive a power cut.
///
/// # Errors
/// When the directory is missing or the disk fails.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    File::open(directory)?.sync_all()
}

/// Reserves the first `len` bytes of a file on disk, so that writing them later neither runs out of
/// space nor grows the file. They read as zeros. File systems that can't reserve only set the
/// length.
///
/// # Errors
/// When the disk is full, or the file would be larger than this process may write.
pub fn preallocate(file: &File, len: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;

    if len == 0 {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::empty(), 0, len) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => file.set_len(len),
        result => Ok(result?),
    }
}

fn write(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    match durability {
        Durability::Durable => file.sync_all(),
        Durability::Volatile => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preallocated_bytes_are_zeros() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("segment");
        preallocate(&File::create(&path).unwrap(), 10_000).unwrap();
        assert_eq!(fs::read(&path).unwrap(), vec![0; 10_000]);
    }

    #[test]
    fn replacing_leaves_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        replace(&path, b"one", Durability::Volatile).unwrap();
        replace(&path, b"two", Durability::Durable).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(replace(&dir.path().join("no/record"), b"", Durability::Durable).is_err());
    }
}
