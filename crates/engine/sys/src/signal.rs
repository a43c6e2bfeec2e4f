//! Signals: their names, and their arrival as bytes on a pipe.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// A signal's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

/// The signals that programs are asked to do things with, by name without `SIG`.
const NAMES: [(&str, i32); 16] = [
    ("ABRT", libc::SIGABRT),
    ("ALRM", libc::SIGALRM),
    ("BUS", libc::SIGBUS),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("FPE", libc::SIGFPE),
    ("HUP", libc::SIGHUP),
    ("ILL", libc::SIGILL),
    ("INT", libc::SIGINT),
    ("KILL", libc::SIGKILL),
    ("QUIT", libc::SIGQUIT),
    ("SEGV", libc::SIGSEGV),
    ("TERM", libc::SIGTERM),
    ("USR1", libc::SIGUSR1),
    ("USR2", libc::SIGUSR2),
    ("WINCH", libc::SIGWINCH),
];

impl Signal {
    /// A child changed state.
    pub const CHLD: Self = Self(libc::SIGCHLD);
    /// The terminal's interrupt.
    pub const INT: Self = Self(libc::SIGINT);
    /// Ends a process at once.
    pub const KILL: Self = Self(libc::SIGKILL);
    /// Asks a process to end.
    pub const TERM: Self = Self(libc::SIGTERM);

    /// A signal by its number, if there is one with it.
    #[must_use]
    pub fn new(number: i32) -> Option<Self> {
        (1..=64).contains(&number).then_some(Self(number))
    }

    /// A signal by its name, with or without `SIG`, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let upper = name.to_ascii_uppercase();
        let short = upper.strip_prefix("SIG").unwrap_or(&upper);
        NAMES.iter().find(|(name, _)| *name == short).map(|&(_, number)| Self(number))
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|&&(_, number)| number == self.0) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None => write!(f, "signal {}", self.0),
        }
    }
}

/// Lets writes beyond a limit and to a closed pipe fail with an error instead of a signal. What
/// [`crate::spawn`] starts has the defaults again.
pub fn ignore_write_signals() {
    for number in [libc::SIGPIPE, libc::SIGXFSZ] {
        // SAFETY: ignoring a signal installs no handler, so nothing of ours runs on one.
        unsafe { libc::signal(number, libc::SIG_IGN) };
    }
}

/// Signals of this process, readable as bytes on a pipe: the number of each, in order of arrival.
/// Arrivals may be merged when the pipe is full, as signals are.
#[derive(Debug)]
pub struct SignalPipe {
    read: OwnedFd,
}

static WRITE_END: AtomicI32 = AtomicI32::new(-1);

impl SignalPipe {
    /// Catches `signals` from now on. At most once per process: there is one table of handlers.
    ///
    /// # Errors
    /// `AlreadyExists` the second time; or when the system is out of descriptors.
    pub fn install(signals: &[Signal]) -> io::Result<Self> {
        let (read, write) = crate::spawn::pipe()?;
        crate::poll::set_nonblocking(&read)?;
        crate::poll::set_nonblocking(&write)?;
        let free =
            WRITE_END.compare_exchange(-1, write.as_raw_fd(), Ordering::SeqCst, Ordering::SeqCst);
        if free.is_err() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        // The handlers use it until the process ends.
        std::mem::forget(write);
        for signal in signals {
            catch(*signal)?;
        }
        Ok(Self { read })
    }

    /// The signals that arrived since the last call; empty when none did.
    ///
    /// # Errors
    /// Never in practice: the pipe lives as long as the process.
    pub fn take(&self) -> io::Result<Vec<Signal>> {
        let mut taken = Vec::new();
        let mut buffer = [0; 64];
        loop {
            match rustix::io::read(&self.read, &mut buffer) {
                Ok(0) | Err(rustix::io::Errno::WOULDBLOCK) => return Ok(taken),
                Ok(count) => {
                    taken.extend(buffer[..count].iter().map(|&number| Signal(i32::from(number))));
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for SignalPipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}

fn catch(signal: Signal) -> io::Result<()> {
    // SAFETY: the structure is plain data for which zero is a valid value; the handler only does
    // what POSIX allows in one (an atomic load and write(2)), and keeps errno.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(signal.0, &raw const action, std::ptr::null_mut())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

extern "C" fn on_signal(number: libc::c_int) {
    let errno = errno_location();
    // SAFETY: write(2) is async-signal-safe and reads one byte of a local; errno's location is
    // this thread's own.
    unsafe {
        let saved = *errno;
        let byte = u8::try_from(number).unwrap_or(0);
        let end = WRITE_END.load(Ordering::SeqCst);
        libc::write(end, (&raw const byte).cast(), 1);
        *errno = saved;
    }
}

fn errno_location() -> *mut libc::c_int {
    // SAFETY: both return the address of this thread's errno, which always exists.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::__errno_location()
    }
    // SAFETY: as above.
    #[cfg(not(target_os = "linux"))]
    unsafe {
        libc::__error()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_with_and_without_their_prefix() {
        assert_eq!(Signal::parse("TERM"), Some(Signal::TERM));
        assert_eq!(Signal::parse("sigint"), Some(Signal::INT));
        assert_eq!(Signal::parse("NONE"), None);
        assert_eq!(Signal::KILL.to_string(), "SIGKILL");
        assert_eq!(Signal::new(0), None);
        assert_eq!(Signal::new(40).unwrap().to_string(), "signal 40");
    }

    #[test]
    fn a_caught_signal_is_a_byte_on_the_pipe() {
        let winch = Signal::parse("WINCH").unwrap();
        let pipe = SignalPipe::install(&[winch]).unwrap();
        assert_eq!(pipe.take().unwrap(), []);
        // SAFETY: sends a caught signal to this process.
        unsafe { libc::kill(libc::getpid(), libc::SIGWINCH) };
        crate::poll::wait(&[crate::poll::Wait::read(pipe.as_fd())], None).unwrap();
        assert_eq!(pipe.take().unwrap(), [winch]);
        let again = SignalPipe::install(&[winch]).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }
}
