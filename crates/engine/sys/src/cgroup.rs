//! Control groups: ending all of a process's descendants at once, wherever they went.
//!
//! Version 2 has `cgroup.kill`. Where only version 1 can be written, the freezer does it: freeze
//! the group so that nothing in it can fork, send KILL to all, thaw. Where neither can be written
//! there is no group, and callers fall back to process groups.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::process::Process;
use crate::signal::Signal;

/// How far this machine lets us end whole trees of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Containment {
    /// Control groups of version 1, by the freezer.
    CgroupV1,
    /// Control groups of version 2.
    CgroupV2,
    /// Process groups and what can be found of the rest.
    ProcessGroup,
}

impl fmt::Display for Containment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CgroupV1 => "cgroup-v1",
            Self::CgroupV2 => "cgroup-v2",
            Self::ProcessGroup => "process-group",
        })
    }
}

/// A control group of our own. It outlives this value: [`Cgroup::remove`] ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    directory: PathBuf,
}

/// How long a freeze may take before the processes are killed as they are.
const FREEZE_MAX: Duration = Duration::from_millis(500);

impl Cgroup {
    /// Makes a group with this name below the one of this process, in the best hierarchy that lets
    /// us, or returns `None` where none does.
    #[must_use]
    pub fn create(name: &str) -> Option<Self> {
        parents().into_iter().find_map(|parent| {
            let group = Self { directory: parent.join(name) };
            match fs::create_dir(&group.directory) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(_) => return None,
            }
            // A hierarchy may let us make groups and not fill or kill them. Version 2 asks for the
            // right to write where a process comes from, too.
            let fillable = group.joiner().is_ok() && Self::at(parent).joiner().is_ok();
            if fillable && group.containment() != Containment::ProcessGroup {
                return Some(group);
            }
            let _ = group.remove();
            None
        })
    }

    /// The group at this path, as [`Cgroup::path`] gave it.
    #[must_use]
    pub fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Where the group is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// How the group kills.
    #[must_use]
    pub fn containment(&self) -> Containment {
        let writable =
            |file| OpenOptions::new().write(true).open(self.directory.join(file)).is_ok();
        if writable("cgroup.kill") {
            Containment::CgroupV2
        } else if writable("freezer.state") {
            Containment::CgroupV1
        } else {
            Containment::ProcessGroup
        }
    }

    /// The file by which a process joins: the one that writes `0` to it.
    ///
    /// # Errors
    /// When the group is gone or not ours.
    pub fn joiner(&self) -> io::Result<File> {
        OpenOptions::new().write(true).open(self.directory.join("cgroup.procs"))
    }

    /// The processes in it.
    ///
    /// # Errors
    /// When it can't be read. A group that is gone holds none.
    pub fn pids(&self) -> io::Result<Vec<u32>> {
        match fs::read_to_string(self.directory.join("cgroup.procs")) {
            Ok(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
            Err(error) if is_gone(&error) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Sends KILL to every process in it, leaving none a chance to start another. They may take a
    /// moment to be gone.
    ///
    /// # Errors
    /// When the group can't be written. One that is gone has nothing to kill.
    pub fn kill(&self) -> io::Result<()> {
        let done = match self.containment() {
            Containment::CgroupV2 => fs::write(self.directory.join("cgroup.kill"), "1"),
            Containment::CgroupV1 => self.freeze_and_kill(),
            Containment::ProcessGroup => self.kill_each(),
        };
        match done {
            Err(error) if is_gone(&error) => Ok(()),
            done => done,
        }
    }

    /// Removes the empty group.
    ///
    /// # Errors
    /// `ResourceBusy` while a process is in it, also one that ended and was not waited for.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// As [`Cgroup::remove`], but gives the kernel up to `patience` to let go of processes that have
    /// ended. Blocks.
    ///
    /// # Errors
    /// As [`Cgroup::remove`], after that time.
    pub fn remove_within(&self, patience: Duration) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            match self.remove() {
                Err(_) if begun.elapsed() < patience => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                done => return done,
            }
        }
    }

    /// How many of its processes the kernel killed for want of memory, where it counts them.
    #[must_use]
    pub fn out_of_memory_kills(&self) -> Option<u64> {
        let text = fs::read_to_string(self.directory.join("memory.events")).ok()?;
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
        count.trim().parse().ok()
    }

    fn freeze_and_kill(&self) -> io::Result<()> {
        let state = self.directory.join("freezer.state");
        fs::write(&state, "FROZEN")?;
        let begun = Instant::now();
        // Freezing is asynchronous; reading the state drives it on. One stuck in the kernel may
        // never freeze, and is killed all the same.
        while fs::read_to_string(&state)?.trim() != "FROZEN" && begun.elapsed() < FREEZE_MAX {
            std::thread::yield_now();
        }
        let killed = self.kill_each();
        fs::write(&state, "THAWED")?;
        killed
    }

    fn kill_each(&self) -> io::Result<()> {
        for pid in self.pids()? {
            if let Some(process) = Process::find(pid) {
                process.signal(Signal::KILL)?;
            }
        }
        Ok(())
    }
}

/// What this machine lets us do, by trying.
#[must_use]
pub fn containment() -> Containment {
    let Ok(name) = crate::random::hex(8) else {
        return Containment::ProcessGroup;
    };
    match Cgroup::create(&format!("synod-probe-{name}")) {
        Some(group) => {
            let containment = group.containment();
            let _ = group.remove();
            containment
        }
        None => Containment::ProcessGroup,
    }
}

fn is_gone(error: &io::Error) -> bool {
    // A group removed while its file is open answers "no such device".
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

/// This process's own groups, best hierarchy first.
fn parents() -> Vec<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    hierarchies(&groups, &mounts)
}

fn hierarchies(groups: &str, mounts: &str) -> Vec<PathBuf> {
    let mounted = |kind: &str, option: Option<&str>| {
        mounts.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let [_, place, found, options, ..] = fields[..] else { return None };
            let fits = found == kind
                && option.is_none_or(|option| options.split(',').any(|one| one == option));
            fits.then(|| PathBuf::from(place))
        })
    };
    let own = |controllers: &str| {
        groups.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let found = fields.nth(1)?;
            let path = fields.next()?;
            let fits = found.split(',').any(|one| one == controllers);
            fits.then(|| path.trim_start_matches('/').to_owned())
        })
    };
    let v2 = mounted("cgroup2", None).zip(own(""));
    let v1 = mounted("cgroup", Some("freezer")).zip(own("freezer"));
    [v2, v1].into_iter().flatten().map(|(mount, own)| mount.join(own)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spawn::{Output, Spawn};

    const MOUNTS: &str = "\
tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup /sys/fs/cgroup/cpu cgroup rw,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/freezer cgroup rw,freezer 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
";

    #[test]
    fn hierarchies_are_found_best_first() {
        let groups = "3:cpu,cpuacct:/a\n2:freezer:/b/c\n0::/d\n";
        let found = hierarchies(groups, MOUNTS);
        let expected = ["/sys/fs/cgroup/unified/d", "/sys/fs/cgroup/freezer/b/c"];
        assert_eq!(found, expected.map(PathBuf::from));
        assert_eq!(hierarchies("", MOUNTS), [] as [PathBuf; 0]);
        assert_eq!(hierarchies("0::/\n", "cgroup2 /c cgroup2 rw 0 0"), [PathBuf::from("/c/")]);
    }

    /// Starts a process that forks children out of its group, and kills them in each hierarchy
    /// that this machine has.
    #[test]
    fn a_kill_reaches_those_that_left_their_group() {
        for parent in parents() {
            let name = format!("synod-test-{}", crate::random::hex(8).unwrap());
            let group = Cgroup::at(parent.join(name));
            if fs::create_dir(group.path()).is_err() {
                continue;
            }
            let (read, write) = crate::spawn::pipe().unwrap();
            let script = "setsid sh -c 'sleep 1000 & wait' & echo started; wait";
            let spawn = Spawn {
                program: "/bin/sh".into(),
                args: vec!["sh".into(), "-c".into(), script.into()],
                environment: std::env::vars_os().collect(),
                directory: "/".into(),
                cgroup: Some(group.clone()),
                dies_with_parent: false,
            };
            let pid = spawn.start(Output { stdout: write.try_clone().unwrap(), stderr: write });
            let pid = pid.unwrap();
            let mut line = String::new();
            let mut output = io::BufReader::new(File::from(read));
            io::BufRead::read_line(&mut output, &mut line).unwrap();
            assert!(group.pids().unwrap().contains(&pid));

            group.kill().unwrap();
            // The pipe ends when the last process that holds it is gone.
            io::copy(&mut output, &mut io::sink()).unwrap();
            let raw = crate::process::raw(pid).unwrap();
            rustix::process::waitpid(Some(raw), rustix::process::WaitOptions::empty()).unwrap();
            group.remove_within(Duration::from_secs(20)).unwrap();
            assert_eq!(group.pids().unwrap(), []);
            group.kill().unwrap();
        }
    }
}
