//! Starting processes so that they inherit only what they should and end when they should.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::cgroup::Cgroup;

/// A process to start: in a process group of its own, with default signals, and with no descriptor
/// but the three standard ones.
#[derive(Clone, Debug)]
pub struct Spawn {
    /// The program's path.
    pub program: PathBuf,
    /// Its arguments, its own name first.
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Its working directory.
    pub directory: PathBuf,
    /// The control group that it joins before it runs, if the system lets it.
    pub cgroup: Option<Cgroup>,
    /// Whether the kernel kills it when the thread that started it ends. Linux only.
    pub dies_with_parent: bool,
}

/// Where a process's output goes.
#[derive(Debug)]
pub struct Output {
    /// Its standard output.
    pub stdout: OwnedFd,
    /// Its standard error.
    pub stderr: OwnedFd,
}

impl Spawn {
    /// Starts it and returns its id, which is also its group's. It reads nothing. The caller reaps
    /// it.
    ///
    /// # Errors
    /// When the program or directory is missing or not allowed, or the control group is gone.
    pub fn start(&self, output: Output) -> io::Result<u32> {
        let (name, args) = self.args.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let cgroup = self.cgroup.as_ref().map(Cgroup::joiner).transpose()?;
        let parent = self.dies_with_parent.then(std::process::id);
        let mut command = Command::new(&self.program);
        command
            .arg0(name)
            .args(args)
            .env_clear()
            .envs(self.environment.iter().map(|(key, value)| (key, value)))
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(output.stdout)
            .stderr(output.stderr)
            .process_group(0);
        let prepare = move || prepare(cgroup.as_ref(), parent);
        // SAFETY: between fork and exec `prepare` makes system calls only; it neither allocates
        // nor takes locks.
        unsafe { command.pre_exec(prepare) };
        // Not waiting for the child here leaves that to the caller.
        Ok(command.spawn()?.id())
    }
}

/// Makes what `command` starts a session of its own with default signals and no inherited
/// descriptors but the standard ones, so that it outlives the terminal and the caller.
pub fn detach(command: &mut Command) -> &mut Command {
    let prepare = || {
        // Fails only for a group leader, which a child just forked is not.
        rustix::process::setsid()?;
        reset_signals();
        close_on_exec();
        Ok(())
    };
    // SAFETY: as in `Spawn::start`.
    unsafe { command.pre_exec(prepare) }
}

/// Makes this process the leader of a session of its own, away from any terminal.
///
/// # Errors
/// When it leads a group already.
pub fn lead_session() -> io::Result<()> {
    rustix::process::setsid()?;
    Ok(())
}

/// Makes this process the parent of descendants whose own parent ended. Linux only; elsewhere init
/// gets them.
///
/// # Errors
/// Never in practice.
pub fn adopt_orphans() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}

/// Gives what was inherited by accident back: every descriptor above the standard ones is closed
/// when this process executes another program.
pub fn close_on_exec() {
    const FIRST: RawFd = 3;
    #[cfg(target_os = "linux")]
    {
        // SAFETY: only sets a flag on descriptors; nobody's memory is involved.
        let done = unsafe {
            libc::syscall(
                libc::SYS_close_range,
                FIRST as libc::c_uint,
                libc::c_uint::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            )
        };
        if done == 0 {
            return;
        }
    }
    // Before Linux 5.11, and elsewhere: one by one, as many as a shell may have passed on.
    for descriptor in FIRST..4096 {
        // SAFETY: only sets a flag; a number that is no descriptor is refused.
        unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// Takes what this process was given as standard input, and leaves `/dev/null` there, so that
/// dropping what was taken closes it.
///
/// # Errors
/// When there is no standard input, or no `/dev/null`.
pub fn take_stdin() -> io::Result<OwnedFd> {
    let taken = io::stdin().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(taken)
}

/// A pipe: the end to read and the end to write. Neither is inherited.
///
/// # Errors
/// When descriptors are used up.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    #[cfg(target_os = "linux")]
    return Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?);
    #[cfg(not(target_os = "linux"))]
    {
        let (read, write) = rustix::pipe::pipe()?;
        for end in [&read, &write] {
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
        }
        Ok((read, write))
    }
}

/// Runs in the child between fork and exec.
fn prepare(cgroup: Option<&File>, parent: Option<u32>) -> io::Result<()> {
    reset_signals();
    if let Some(joiner) = cgroup {
        // A process that can't be put there runs all the same; it is contained less well.
        join(joiner.as_raw_fd());
    }
    #[cfg(target_os = "linux")]
    if let Some(parent) = parent {
        use rustix::process::{Signal, getppid, set_parent_process_death_signal};
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // A parent that ended before the line above sends nothing any more.
        let now = getppid().map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs());
        if now != parent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = parent;
    close_on_exec();
    Ok(())
}

fn join(joiner: RawFd) {
    // SAFETY: writes one byte of a constant to a descriptor that the closure keeps open.
    unsafe { libc::write(joiner, b"0".as_ptr().cast(), 1) };
}

/// Gives every signal its default action and blocks none: ignored ones would be inherited.
fn reset_signals() {
    for number in 1..=64 {
        // SAFETY: the default action is valid for every signal; KILL, STOP and numbers that the
        // system does not have are refused.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    // SAFETY: zero is a valid set for sigemptyset to fill; the old mask is not asked for.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn run(script: &str) -> (String, Option<i32>) {
        let (read, write) = pipe().unwrap();
        let spawn = Spawn {
            program: "/bin/sh".into(),
            args: vec!["named".into(), "-c".into(), script.into()],
            environment: vec![("ONLY".into(), "this".into())],
            directory: "/".into(),
            cgroup: None,
            dies_with_parent: true,
        };
        let output = Output { stdout: write.try_clone().unwrap(), stderr: write };
        let pid = spawn.start(output).unwrap();
        let mut text = String::new();
        File::from(read).read_to_string(&mut text).unwrap();
        let raw = crate::process::raw(pid).unwrap();
        let flags = rustix::process::WaitOptions::empty();
        let (_, status) = rustix::process::waitpid(Some(raw), flags).unwrap().unwrap();
        (text, status.exit_status())
    }

    #[test]
    fn a_process_gets_exactly_what_it_was_given() {
        let (text, code) = run("echo $0 $ONLY $HOME $PWD; exit 3");
        assert_eq!((text.as_str(), code), ("named this /\n", Some(3)));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn no_descriptor_and_no_ignored_signal_is_inherited() {
        // A descriptor that a careless library would leak.
        let leak = rustix::io::dup(File::open("/dev/null").unwrap()).unwrap();
        crate::signal::ignore_write_signals();
        let (text, _) = run("ls /proc/$$/fd; grep SigIgn /proc/$$/status; ps -o pgid= -p $$ | \
            grep -qw $$ && echo leads");
        drop(leak);
        // sh itself may hold its script's descriptor 10; with -c it holds none.
        assert!(text.starts_with("0\n1\n2\n"), "{text}");
        assert!(!text.contains("3\n"), "{text}");
        let (_, ignored) = text.split_once("SigIgn:").unwrap();
        let ignored = ignored.split_whitespace().next().unwrap();
        // Signals 32 and 33 belong to the C library, which lets nobody change them.
        let ignored = u64::from_str_radix(ignored, 16).unwrap() & !0x1_8000_0000;
        assert_eq!(ignored, 0, "{text}");
        assert!(text.contains("leads"), "{text}");
    }

    #[test]
    fn a_missing_program_is_not_found() {
        let spawn = Spawn {
            program: "/no/such/program".into(),
            args: vec!["x".into()],
            environment: Vec::new(),
            directory: "/".into(),
            cgroup: None,
            dies_with_parent: false,
        };
        let (_read, write) = pipe().unwrap();
        let output = Output { stdout: write.try_clone().unwrap(), stderr: write };
        assert_eq!(spawn.start(output).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_detached_leads_its_session() {
        let mut command = Command::new("sh");
        command.args(["-c", "ps -o sid= -p $$"]).stdout(Stdio::piped());
        let child = detach(&mut command).spawn().unwrap();
        let pid = child.id();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), pid.to_string());
    }
}
