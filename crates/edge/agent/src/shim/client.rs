//! A connection to a shim, never waited for.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use synod_sys::poll::Wait;

use super::protocol::{Reply, Request, Role};

/// A peer that lets this much pile up does not read, and is left.
const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// No request is longer.
const LINE_BYTES_MAX: usize = 64 << 10;

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Client {
    stream: File,
    input: Vec<u8>,
    output: Vec<u8>,
    /// `None` before it said hello.
    pub(super) role: Option<Role>,
    open: bool,
}

impl Client {
    pub(super) fn new(stream: impl Into<OwnedFd>, role: Option<Role>) -> io::Result<Self> {
        let stream = File::from(stream.into());
        synod_sys::poll::set_nonblocking(&stream)?;
        Ok(Self { stream, input: Vec::new(), output: Vec::new(), role, open: true })
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn is_daemon(&self) -> bool {
        self.role == Some(Role::Daemon)
    }

    pub(super) fn close(&mut self) {
        self.open = false;
    }

    pub(super) fn wait(&self) -> Wait<'_> {
        let fd = self.stream.as_fd();
        if self.output.is_empty() { Wait::read(fd) } else { Wait::read_write(fd) }
    }

    /// Reads what has arrived and returns the requests that are whole.
    pub(super) fn receive(&mut self) -> Vec<Request> {
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(count) if count > 0 && self.input.len() <= LINE_BYTES_MAX => {
                    self.input.extend_from_slice(&chunk[..count]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => {
                    self.open = false;
                    break;
                }
            }
        }
        let mut requests = Vec::new();
        while let Some(end) = self.input.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.input.drain(..=end).collect();
            match serde_json::from_slice(&line) {
                Ok(request) => requests.push(request),
                Err(error) => {
                    let reason = format!("not a request of this shim's protocol: {error}");
                    self.send(&Reply::Refused { reason });
                }
            }
        }
        requests
    }

    /// Sends a reply as far as the peer takes it now; the rest follows with [`Client::flush`].
    pub(super) fn send(&mut self, reply: &Reply) {
        let line = serde_json::to_vec(reply).expect("replies hold nothing that JSON can't");
        self.output.extend_from_slice(&line);
        self.output.push(b'\n');
        self.flush();
        if self.output.len() > OUTPUT_BYTES_MAX {
            self.open = false;
        }
    }

    pub(super) fn flush(&mut self) {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(count) => {
                    self.output.drain(..count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.open = false;
                    return;
                }
            }
        }
    }
}
