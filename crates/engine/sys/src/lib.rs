//! System calls: the only crate with unsafe code and operating system switches.
//!
//! Small safe functions, each doing one thing that the standard library leaves out: starting and
//! ending processes so that nothing is left over, signals as bytes on a pipe, locks with a
//! holder's name, waiting on descriptors and directories. Nothing here decides; callers do.
//!
//! Linux is the supported system. macOS compiles and does what it can: no parent-death signal, no
//! subreaper, no cgroups. Each function says what it does there.

#[cfg(not(unix))]
compile_error!(
    "synod runs on Linux and, best effort, on macOS; on Windows use WSL2 and build it inside"
);

pub mod cgroup;
pub mod directory;
pub mod file;
pub mod limit;
pub mod lock;
pub mod poll;
pub mod port;
pub mod process;
pub mod random;
pub mod reap;
pub mod signal;
pub mod socket;
pub mod spawn;
pub mod terminal;
