//! Processes by id and start time, so that a reused id is not mistaken for the process it had.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::process::Pid;

use crate::signal::Signal;

/// A process that is told from a later one with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// When it started, in the system's own unit; unique per id.
    pub start: u64,
}

impl Process {
    /// The process that has this id now, if there is one and it has not ended.
    #[must_use]
    pub fn find(pid: u32) -> Option<Self> {
        platform::start(pid).map(|start| Self { pid, start })
    }

    /// This process.
    ///
    /// # Errors
    /// When the system tells no start times, such as a Linux without `/proc`.
    pub fn current() -> io::Result<Self> {
        Self::find(std::process::id()).ok_or_else(|| io::Error::other("/proc is not mounted"))
    }

    /// Whether it still runs. One that ended and only waits for its parent does not.
    #[must_use]
    pub fn is_running(&self) -> bool {
        Self::find(self.pid) == Some(*self)
    }

    /// Sends it a signal. Returns whether it was there to receive it.
    ///
    /// # Errors
    /// `PermissionDenied` when it belongs to someone else.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        let watch = match ExitWatch::open(*self) {
            Ok(watch) => watch,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        watch.signal(signal)
    }
}

/// A running process held by a descriptor, which becomes readable when the process ends.
#[derive(Debug)]
pub struct ExitWatch {
    descriptor: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    process: Process,
}

impl ExitWatch {
    /// Holds `process`.
    ///
    /// # Errors
    /// `NotFound` when it no longer runs.
    pub fn open(process: Process) -> io::Result<Self> {
        platform::watch(process)
    }

    /// Sends it a signal. Returns whether it was there to receive it.
    ///
    /// # Errors
    /// `PermissionDenied` when it belongs to someone else.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        match platform::signal(self, to_rustix(signal)) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for ExitWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Sends a signal to every process of a group. Returns whether there was any.
///
/// # Errors
/// `InvalidInput` for an id that is none; `PermissionDenied` when all belong to someone else.
pub fn signal_group(group: u32, signal: Signal) -> io::Result<bool> {
    match rustix::process::kill_process_group(raw(group)?, to_rustix(signal)) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Every process below `pid`: its children, theirs, and so on. Linux only, empty elsewhere.
#[must_use]
pub fn descendants(pid: u32) -> Vec<Process> {
    platform::descendants(pid)
}

/// Every running process of this user whose environment was given `entry`, such as `KEY=value`,
/// at its start. What a process started hands its environment on, so this finds those that left
/// their group and parent behind. Linux only, empty elsewhere.
#[must_use]
pub fn with_environment(entry: &str) -> Vec<Process> {
    platform::with_environment(entry)
}

/// How many processes the kernel has killed for want of memory since boot, where it tells.
#[must_use]
pub fn out_of_memory_kills() -> Option<u64> {
    platform::out_of_memory_kills()
}

pub(crate) fn with_socket(inode: u64) -> Option<u32> {
    platform::with_socket(inode)
}

pub(crate) fn raw(pid: u32) -> io::Result<Pid> {
    // Ids 0 and 1 mean "my group" and init in kill(2); neither is ever ours to signal.
    let number = i32::try_from(pid).ok().filter(|&number| number > 1);
    number.and_then(Pid::from_raw).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

fn to_rustix(signal: Signal) -> rustix::process::Signal {
    // SAFETY: `Signal` is only made of numbers from 1 to 64, which libc's own range contains; the
    // few that libc keeps for itself are only ever sent, never handled, here.
    unsafe { rustix::process::Signal::from_raw_unchecked(signal.get()) }
}

#[cfg(target_os = "linux")]
mod platform {
    use std::collections::BTreeMap;
    use std::fs;
    use std::io;
    use std::os::unix::ffi::OsStrExt;

    use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    use super::{ExitWatch, Process, raw};

    /// What `/proc/<pid>/stat` says of a process.
    struct Stat {
        state: u8,
        parent: u32,
        start: u64,
    }

    fn stat(pid: u32) -> Option<Stat> {
        let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything, also parentheses and spaces.
        let after_name = text.iter().rposition(|&byte| byte == b')')? + 1;
        let rest = std::str::from_utf8(&text[after_name..]).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let parent = fields.next()?.parse().ok()?;
        // Field 22 of proc_pid_stat(5); the state was field 3.
        let start = fields.nth(17)?.parse().ok()?;
        Some(Stat { state, parent, start })
    }

    fn has_ended(stat: &Stat) -> bool {
        matches!(stat.state, b'Z' | b'X')
    }

    pub(super) fn start(pid: u32) -> Option<u64> {
        stat(pid).filter(|stat| !has_ended(stat)).map(|stat| stat.start)
    }

    pub(super) fn watch(process: Process) -> io::Result<ExitWatch> {
        let gone = |errno| match errno {
            rustix::io::Errno::SRCH => io::ErrorKind::NotFound.into(),
            other => io::Error::from(other),
        };
        let descriptor = pidfd_open(raw(process.pid)?, PidfdFlags::empty()).map_err(gone)?;
        // The id may have been reused before the descriptor was opened, but not since.
        if !process.is_running() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(ExitWatch { descriptor })
    }

    pub(super) fn signal(watch: &ExitWatch, signal: Signal) -> rustix::io::Result<()> {
        pidfd_send_signal(&watch.descriptor, signal)
    }

    fn pids() -> impl Iterator<Item = u32> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
    }

    pub(super) fn descendants(pid: u32) -> Vec<Process> {
        let mut children: BTreeMap<u32, Vec<Process>> = BTreeMap::new();
        for pid in pids() {
            if let Some(stat) = stat(pid).filter(|stat| !has_ended(stat)) {
                let process = Process { pid, start: stat.start };
                children.entry(stat.parent).or_default().push(process);
            }
        }
        let mut found = children.remove(&pid).unwrap_or_default();
        let mut next = 0;
        while let Some(process) = found.get(next) {
            found.extend(children.remove(&process.pid).unwrap_or_default());
            next += 1;
        }
        found
    }

    pub(super) fn with_environment(entry: &str) -> Vec<Process> {
        let given = |pid: &u32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|&byte| byte == 0).any(|pair| pair == entry.as_bytes())
        };
        pids().filter(given).filter_map(Process::find).collect()
    }

    pub(super) fn out_of_memory_kills() -> Option<u64> {
        let text = fs::read_to_string("/proc/vmstat").ok()?;
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
        count.trim().parse().ok()
    }

    pub(super) fn with_socket(inode: u64) -> Option<u32> {
        let name = format!("socket:[{inode}]");
        pids().find(|pid| {
            let descriptors = fs::read_dir(format!("/proc/{pid}/fd"));
            descriptors.into_iter().flatten().flatten().any(|descriptor| {
                fs::read_link(descriptor.path())
                    .is_ok_and(|target| target.as_os_str().as_bytes() == name.as_bytes())
            })
        })
    }
}

/// Without `/proc` a process is known by its id alone, and its end is seen by asking.
#[cfg(not(target_os = "linux"))]
mod platform {
    use std::io;

    use rustix::process::{Signal, kill_process, test_kill_process};

    use super::{ExitWatch, Process, raw};

    pub(super) fn start(pid: u32) -> Option<u64> {
        test_kill_process(raw(pid).ok()?).ok().map(|()| 0)
    }

    pub(super) fn watch(process: Process) -> io::Result<ExitWatch> {
        if !process.is_running() {
            return Err(io::ErrorKind::NotFound.into());
        }
        // Readable at once: who waits on it looks again after a while.
        let (descriptor, _) = crate::spawn::pipe()?;
        Ok(ExitWatch { descriptor, process })
    }

    pub(super) fn signal(watch: &ExitWatch, signal: Signal) -> rustix::io::Result<()> {
        let pid = raw(watch.process.pid).map_err(|_| rustix::io::Errno::SRCH)?;
        kill_process(pid, signal)
    }

    pub(super) fn descendants(_pid: u32) -> Vec<Process> {
        Vec::new()
    }

    pub(super) fn with_environment(_entry: &str) -> Vec<Process> {
        Vec::new()
    }

    pub(super) fn out_of_memory_kills() -> Option<u64> {
        None
    }

    pub(super) fn with_socket(_inode: u64) -> Option<u32> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn an_ended_child_is_not_running_even_before_it_is_waited_for() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let process = Process::find(child.id()).unwrap();
        let watch = ExitWatch::open(process).unwrap();
        assert!(process.is_running());
        assert!(process.signal(Signal::KILL).unwrap());
        crate::poll::wait(&[crate::poll::Wait::read(watch.as_fd())], None).unwrap();
        assert!(!process.is_running());
        child.wait().unwrap();
        assert!(!process.signal(Signal::KILL).unwrap());
        assert_eq!(ExitWatch::open(process).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn another_start_time_is_another_process() {
        let me = Process::current().unwrap();
        let other = Process { start: me.start + 1, ..me };
        assert!(me.is_running());
        assert!(!other.is_running());
        assert!(!other.signal(Signal::KILL).unwrap());
    }

    #[test]
    fn init_and_nobody_are_never_signalled() {
        for pid in [0, 1, u32::MAX] {
            assert!(signal_group(pid, Signal::TERM).is_err());
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn descendants_and_heirs_of_an_environment_are_found() {
        let entry = format!("SYNOD_SYS_TEST={}", crate::random::hex(8).unwrap());
        let (key, value) = entry.split_once('=').unwrap();
        let mut child = Command::new("sh")
            .args(["-c", "sleep 1000 & echo $!; wait"])
            .env(key, value)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = io::BufReader::new(child.stdout.take().unwrap());
        io::BufRead::read_line(&mut output, &mut line).unwrap();
        let grandchild = Process::find(line.trim().parse().unwrap()).unwrap();

        assert!(descendants(std::process::id()).contains(&grandchild));
        assert!(descendants(child.id()).contains(&grandchild));
        let heirs = with_environment(&entry);
        assert!(heirs.contains(&grandchild) && heirs.len() == 2, "{heirs:?}");

        grandchild.signal(Signal::KILL).unwrap();
        child.wait().unwrap();
        assert!(out_of_memory_kills().is_some());
    }
}
