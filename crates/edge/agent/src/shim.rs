//! The shim: a small process between the daemon and one instance.
//!
//! An instance should outlive the daemon that started it, must not block on a daemon that is gone,
//! and its end must not be lost. So each instance is the child of a process of its own, the same
//! binary executed again, of one thread and without a runtime. It
//!
//! - starts the instance in its own process group and control group, to be killed by the kernel if
//!   the shim dies, and takes up every process that the instance leaves behind;
//! - writes what the instance prints to its slot's log;
//! - answers on a socket, and to the daemon that started it on the connection it was given;
//! - ends the instance when asked: a signal, then after the grace period KILL to all that is left;
//! - writes down how it ended, synced, and leaves.
//!
//! It decides nothing else: no restarts, no probes.

mod client;
mod outputs;
pub(crate) mod protocol;
pub(crate) mod spec;
mod supervisor;

use std::fs::File;
use std::io::{self, Read};
use std::process::ExitCode;

use spec::ShimSpec;
use supervisor::Supervisor;

/// No spec is longer: the kernel takes no larger environment.
const SPEC_BYTES_MAX: usize = 16 << 20;

/// Runs a shim until its instance has ended. Call it at the start of a program, before any thread
/// is started; the agent executes the program with its spec on standard input.
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is the instance directory's shim.log.
            eprintln!("shim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    // A leader of a session already is one that was started by hand; that is as good.
    let _ = synod_sys::spawn::lead_session();
    synod_sys::spawn::close_on_exec();
    synod_sys::spawn::adopt_orphans()?;
    synod_sys::signal::ignore_write_signals();
    let mut daemon = File::from(synod_sys::spawn::take_stdin()?);
    let spec = read_spec(&mut daemon)?;
    // Nothing is kept busy by the shim but its own directory, and its socket's name stays short.
    std::env::set_current_dir(&spec.directory)?;
    Supervisor::start(spec, daemon)?.run()
}

/// Reads the first line.
fn read_spec(from: &mut File) -> io::Result<ShimSpec> {
    let mut line = Vec::new();
    let mut chunk = [0; 4096];
    while line.last() != Some(&b'\n') {
        // The daemon sends nothing behind the spec before it was answered.
        let count = from.read(&mut chunk)?;
        if count == 0 || line.len() > SPEC_BYTES_MAX {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.extend_from_slice(&chunk[..count]);
    }
    Ok(serde_json::from_slice(&line)?)
}
