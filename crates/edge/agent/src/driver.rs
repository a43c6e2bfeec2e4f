//! The `process` driver: instances as plain processes, each under a shim.
//!
//! The daemon never forks: it starts the shim as another program, hands it the spec on a socket
//! pair and keeps the other end. A shim that outlived its daemon is found by its directory and
//! reached by its socket.

mod link;

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::process::Command;

pub(crate) use link::{Adoption, ShimLink};

use crate::assignment_record::MARK;
use crate::instance_directory::InstanceDirectory;
use crate::shim::spec::ShimSpec;

/// Starts shims.
#[derive(Clone, Debug)]
pub(crate) struct ProcessDriver {
    shim: Vec<OsString>,
}

impl ProcessDriver {
    /// `shim` is the program and first arguments that run a shim.
    pub(crate) fn new(shim: Vec<OsString>) -> Self {
        Self { shim }
    }

    /// Starts a shim, marked with `mark`, and hands it the spec. Its first status says whether the
    /// instance started.
    pub(crate) async fn start(&self, spec: &ShimSpec, mark: &str) -> io::Result<ShimLink> {
        let (program, args) = self.shim.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let log = InstanceDirectory::at(spec.directory.clone()).shim_log();
        let log = OpenOptions::new().append(true).create(true).mode(0o600).open(log)?;
        let child = Command::new(program)
            .args(args)
            .env_clear()
            .env(MARK, mark)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let mut stream = UnixStream::from_std(ours)?;
        let mut line = serde_json::to_vec(spec)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        Ok(ShimLink::new(stream, Some(child)))
    }
}
