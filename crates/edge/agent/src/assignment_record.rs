//! What the agent keeps on disk of an instance that it started.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use synod_manifest::Service;
use synod_sys::cgroup::Cgroup;
use synod_sys::process::{Process, signal_group, with_environment};
use synod_sys::signal::Signal;

use crate::instance_directory::InstanceDirectory;

/// How long killed processes may take to be gone. The kernel ends them at their next step, but for
/// one that waits for a broken disk.
const CLEAR_MAX: Duration = Duration::from_secs(5);
/// How long the kernel may hold an emptied control group.
const REMOVE_MAX: Duration = Duration::from_secs(1);
const CLEAR_LOOK: Duration = Duration::from_millis(5);

/// The environment variable that marks a shim and all that descends from it.
pub(crate) const MARK: &str = "SYNOD_RUN";

/// What was started, enough to take it up again after a restart, and to clean up after it when its
/// shim is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AssignmentRecord {
    pub(crate) app: String,
    /// The instance's id.
    pub(crate) instance: String,
    pub(crate) slot: u32,
    /// When the instance was made; tells it from a later one of the same id.
    pub(crate) created_ms: u64,
    /// The service as it was started.
    pub(crate) service: Service,
    /// The job's version.
    pub(crate) version: String,
    pub(crate) ports: BTreeMap<String, u16>,
    /// The value of [`MARK`] in the environment of all its processes.
    pub(crate) mark: String,
    pub(crate) cgroup: Option<PathBuf>,
}

impl AssignmentRecord {
    /// Kills whatever is left of the instance, its shim too, and waits until it is gone.
    ///
    /// Blocks for as long as that takes.
    ///
    /// # Errors
    /// When something can't be killed or does not end.
    pub(crate) fn clear(&self, directory: &InstanceDirectory) -> io::Result<()> {
        let cgroup = self.cgroup.clone().map(Cgroup::at);
        let started = directory.start().ok().flatten();
        let group = started.map(|started| Process::from(started.instance));
        let mark = format!("{MARK}={}", self.mark);
        let deadline = Instant::now() + CLEAR_MAX;
        // One that is ending has no environment any more, and is still there.
        let mut seen = BTreeSet::new();
        loop {
            // The group's id is only ours while its first process is there.
            if let Some(first) = group.filter(Process::is_running) {
                signal_group(first.pid, Signal::KILL)?;
            }
            if let Some(cgroup) = &cgroup {
                cgroup.kill()?;
            }
            let marked = with_environment(&mark);
            for process in &marked {
                process.signal(Signal::KILL)?;
            }
            let left = cgroup.as_ref().map_or(Ok(Vec::new()), Cgroup::pids)?;
            let is_left = |pid: &u32| Process::find(*pid).is_some();
            seen.extend(marked.iter().copied().chain(group));
            seen.retain(Process::is_running);
            if marked.is_empty() && seen.is_empty() && !left.iter().any(is_left) {
                break;
            }
            if Instant::now() > deadline {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("processes of {} do not end: {left:?} {seen:?}", self.instance),
                ));
            }
            thread::sleep(CLEAR_LOOK);
        }
        // One that stays is empty and harmless.
        let _ = cgroup.map(|cgroup| cgroup.remove_within(REMOVE_MAX));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use synod_manifest::{Health, Kind, Restart, Stop};

    use super::*;

    fn record(mark: &str) -> AssignmentRecord {
        AssignmentRecord {
            app: "shop".into(),
            instance: "web-0-1".into(),
            slot: 0,
            created_ms: 1,
            service: Service {
                name: "web".into(),
                kind: Kind::Service,
                run: Vec::new(),
                dir: "/".into(),
                build: None,
                instances: 1,
                ports: Vec::new(),
                needs: Vec::new(),
                env: BTreeMap::new(),
                health: Health { ready: None, live: None, start: None },
                restart: Restart {
                    backoff_min: Duration::ZERO,
                    backoff_max: Duration::ZERO,
                    reset: Duration::ZERO,
                    ok_exit: Vec::new(),
                },
                stop: Stop { signal: "TERM".into(), grace: Duration::ZERO },
            },
            version: "1".into(),
            ports: BTreeMap::new(),
            mark: mark.into(),
            cgroup: None,
        }
    }

    /// Where no control group can be made, what left its group and parent is found by its mark.
    #[cfg(target_os = "linux")]
    #[test]
    fn without_a_control_group_everything_marked_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let record = record(&synod_sys::random::hex(16).unwrap());
        let mut child = Command::new("sh")
            .args(["-c", "setsid sh -c 'sleep 1000 & echo $!' & sleep 1000"])
            .env(MARK, &record.mark)
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let orphan = Process::find(line.trim().parse().unwrap()).unwrap();

        record.clear(&InstanceDirectory::at(dir.path().to_owned())).unwrap();
        assert!(!orphan.is_running());
        // The pipe ends when nobody holds it any more.
        assert_eq!(output.read_line(&mut line).unwrap(), 0);
        child.wait().unwrap();
    }
}
