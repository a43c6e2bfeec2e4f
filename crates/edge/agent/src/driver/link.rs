//! The daemon's connection to a shim.

use std::io;
use std::time::Duration;

use synod_sys::process::Process;
use synod_sys::socket::ShortPath;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout};

use crate::instance_directory::{ExitRecord, InstanceDirectory};
use crate::shim::protocol::{PROTOCOL, Reply, Request, Role, ShimStatus, StopReason, is_supported};

/// How long a shim that runs may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);
const ANSWER_LOOK: Duration = Duration::from_millis(10);

/// A connection to a shim. Dropping it leaves the shim and its instance as they are.
#[derive(Debug)]
pub(crate) struct ShimLink {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    /// The shim, when it is our child: kept so that the runtime reaps it.
    _child: Option<Child>,
}

/// What was found of an instance that was started before.
#[derive(Debug)]
pub(crate) enum Adoption {
    /// It ended, and its shim wrote down how. Nothing but its records is left.
    Ended(ExitRecord),
    /// Its shim is gone without a word, or does not speak to us. Processes may be left.
    Lost,
    /// Its shim answers.
    Running(Box<ShimLink>, ShimStatus),
}

impl ShimLink {
    pub(super) fn new(stream: UnixStream, child: Option<Child>) -> Self {
        let (reader, writer) = stream.into_split();
        Self { lines: BufReader::new(reader).lines(), writer, _child: child }
    }

    /// Takes up an instance whose shim was started before.
    pub(crate) async fn adopt(directory: &InstanceDirectory) -> io::Result<Adoption> {
        let deadline = Instant::now() + ANSWER_MAX;
        loop {
            if let Ok(connected) = timeout(ANSWER_MAX, Self::connect(directory)).await
                && let Ok((link, status)) = connected
            {
                return Ok(Adoption::Running(Box::new(link), status));
            }
            // It may have ended just now, and then it has left its record before.
            let shim = directory.start()?.map(|started| Process::from(started.shim));
            let gone = !shim.is_some_and(|shim| shim.is_running());
            match directory.exit()? {
                Some(exit) if gone => return Ok(Adoption::Ended(exit)),
                None if gone => return Ok(Adoption::Lost),
                _ if Instant::now() > deadline => return Ok(Adoption::Lost),
                _ => sleep(ANSWER_LOOK).await,
            }
        }
    }

    async fn connect(directory: &InstanceDirectory) -> io::Result<(Self, ShimStatus)> {
        let path = ShortPath::new(&directory.socket())?;
        let mut link = Self::new(UnixStream::connect(path.path()).await?, None);
        link.send(&Request::Hello { protocol: PROTOCOL, role: Role::Daemon }).await?;
        match link.reply().await? {
            Some(Reply::Hello { protocol, status }) if is_supported(protocol) => Ok((link, status)),
            Some(Reply::Hello { protocol, .. }) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("the shim speaks protocol {protocol}, this daemon {PROTOCOL}"),
            )),
            Some(Reply::Refused { reason }) => Err(io::Error::other(reason)),
            Some(Reply::Status { .. }) | None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// The shim's next status; `None` when the connection is gone.
    ///
    /// Cancel safety: nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Option<ShimStatus> {
        loop {
            match self.reply().await {
                Ok(Some(Reply::Hello { status, .. } | Reply::Status { status })) => {
                    return Some(status);
                }
                Ok(Some(Reply::Refused { reason })) => {
                    tracing::warn!(reason, "a shim refused a request");
                }
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// Asks the shim to end its instance.
    pub(crate) async fn stop(&mut self, reason: StopReason) -> io::Result<()> {
        self.send(&Request::Stop { grace_ms: None, reason }).await
    }

    /// Tells a shim whose instance has ended that this is known, so that it need not stay.
    pub(crate) async fn forget(&mut self) {
        // A shim that has left already can't be told, and need not.
        let _ = self.send(&Request::Forget).await;
    }

    async fn reply(&mut self) -> io::Result<Option<Reply>> {
        let Some(line) = self.lines.next_line().await? else { return Ok(None) };
        Ok(Some(serde_json::from_str(&line)?))
    }

    async fn send(&mut self, request: &Request) -> io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.writer.write_all(&line).await
    }
}
