//! Resource limits.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the number of files this process may open as far as it may without privilege, and
/// returns it. Never lowers it.
///
/// # Errors
/// When the system refuses.
pub fn raise_open_files() -> io::Result<u64> {
    let now = getrlimit(Resource::Nofile);
    let wanted = now.maximum.unwrap_or(1 << 20);
    let current = now.current.unwrap_or(u64::MAX);
    if current >= wanted {
        return Ok(current);
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: now.maximum })?;
    Ok(wanted)
}

/// Limits how large a file this process and those it starts may write; `None` lifts the soft limit
/// as far as the hard one allows. A write beyond it fails with `EFBIG` where `SIGXFSZ` is ignored.
///
/// # Errors
/// When the limit lies above the hard one.
pub fn limit_file_size(bytes: Option<u64>) -> io::Result<()> {
    let now = getrlimit(Resource::Fsize);
    let current = bytes.or(now.maximum);
    Ok(setrlimit(Resource::Fsize, Rlimit { current, maximum: now.maximum })?)
}

/// As [`limit_file_size`], for another process of the same user.
///
/// # Errors
/// When the process is gone or belongs to someone else.
#[cfg(target_os = "linux")]
pub fn limit_file_size_of(pid: u32, bytes: Option<u64>) -> io::Result<()> {
    let pid = crate::process::raw(pid)?;
    let maximum = getrlimit(Resource::Fsize).maximum;
    let new = Rlimit { current: bytes.or(maximum), maximum };
    rustix::process::prlimit(Some(pid), Resource::Fsize, new)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raising_twice_gives_the_same() {
        let first = raise_open_files().unwrap();
        assert!(first >= 256);
        assert_eq!(raise_open_files().unwrap(), first);
    }
}
