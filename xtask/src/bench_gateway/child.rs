//! A process that never outlives us.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{self, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::{LOAD_DEADLINE, START_DEADLINE};

/// How often a process is looked at that cannot be waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A process, killed when this is dropped.
pub(super) struct Child {
    process: process::Child,
    line: String,
}

impl Child {
    /// Starts `program` and waits for its first line of output.
    pub(super) fn start_and_read(program: &Path, args: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        let process = command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let process =
            process.with_context(|| format!("{} cannot be started", program.display()))?;
        let mut this = Self { process, line: String::new() };
        let output = this.process.stdout.take().context("the output was asked for")?;
        // Its own thread, as a pipe cannot be read with a deadline. It ends with the process.
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(output).read_line(&mut line);
            // Nobody may be waiting any more.
            let _ = sender.send(read.map(|_| line));
        });
        let line = receiver.recv_timeout(LOAD_DEADLINE);
        let line = line.with_context(|| format!("{} says nothing", program.display()))??;
        line.trim().clone_into(&mut this.line);
        ensure!(!this.line.is_empty(), "{} ended without a word", program.display());
        Ok(this)
    }

    /// Starts a server and waits until it takes connections at `address`.
    pub(super) fn start_and_connect(command: &mut Command, address: &str) -> anyhow::Result<Self> {
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let process = process.spawn().with_context(|| format!("{command:?} cannot be started"))?;
        let mut this = Self { process, line: String::new() };
        let stderr = this.process.stderr.take().context("the errors were asked for")?;
        let errors = thread::spawn(move || {
            // Read on, so that the server never stands before a full pipe; keep the last words.
            BufReader::new(stderr).lines().map_while(Result::ok).last().unwrap_or_default()
        });
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if this.process.try_wait()?.is_some() {
                let last_words = errors.join().unwrap_or_default();
                bail!("{command:?} ended: {last_words}");
            }
            ensure!(begun.elapsed() < START_DEADLINE, "{command:?} is not at {address}");
            thread::sleep(LOOK_EVERY);
        }
        Ok(this)
    }

    /// The first line that it wrote.
    pub(super) fn line(&self) -> &str {
        &self.line
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it has ended well.
    pub(super) fn wait(&mut self, deadline: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait()? {
                ensure!(ExitStatus::success(&status), "it ended with {status}");
                return Ok(());
            }
            ensure!(begun.elapsed() < deadline, "it does not end");
            thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
