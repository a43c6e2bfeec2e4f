//! A client's connection, whose bytes reach the HTTP library only when they are sound.
//!
//! The [`Inspector`] decides; this wrapper holds what it does not release. A refused head is
//! replaced by a stand-in request, so that its answer takes its turn after the answers before it
//! and the library writes it; the handler knows the stand-in by its number. A refused body is cut
//! off by an error. Usually a read brings one whole request, which is looked at where it lies and
//! not copied.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use synod_routing::{Inspector, Next, Refusal};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use crate::Options;
use crate::joined::poll_write_joined;
use crate::link::{Link, Upgrade};

/// What the library gets to see in place of a refused head.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nHost: refused\r\n\r\n";
/// The most bytes held back while an upgrade is pending.
const HELD_MAX: usize = 64 * 1024;
/// After a refusal: how long, and how many bytes, to keep reading so that the close does not
/// overtake the answer (RFC 9112 §9.6).
const LINGER_TIME: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;

/// A client's connection.
pub(crate) struct Inspected {
    socket: TcpStream,
    /// Received and not handed on; the first `released` bytes may be.
    pending: BytesMut,
    released: usize,
    stage: Stage,
    inspector: Inspector,
    link: Arc<Link>,
    head_timeout: Duration,
    head_deadline: Option<Pin<Box<Sleep>>>,
    idle: Idle,
    linger: Option<(Pin<Box<Sleep>>, usize)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// By the inspector's word.
    Inspect,
    /// Held until an upgrade is answered.
    Hold,
    /// The body was refused: an error.
    Broken(Refusal),
    /// A head was refused: nothing comes after its stand-in.
    Ended,
    /// Everything passes.
    Through,
}

/// Notices silence without a clock reading per request: closes at the second tick in a row
/// without traffic.
struct Idle {
    tick: Pin<Box<Sleep>>,
    every: Duration,
    is_active: bool,
}

impl Inspected {
    /// A connection that speaks HTTP/1.1, of which `first` was already read.
    pub(crate) fn http1(socket: TcpStream, first: BytesMut, link: Arc<Link>, o: &Options) -> Self {
        let mut this = Self::new(socket, first, link, o, Stage::Inspect);
        this.inspect_pending();
        this
    }

    /// A connection that speaks something that is not inspected here.
    pub(crate) fn through(socket: TcpStream, first: BytesMut, options: &Options) -> Self {
        let released = first.len();
        let this = Self::new(socket, first, Arc::default(), options, Stage::Through);
        Self { released, ..this }
    }

    fn new(
        socket: TcpStream,
        pending: BytesMut,
        link: Arc<Link>,
        options: &Options,
        stage: Stage,
    ) -> Self {
        let every = options.idle_timeout;
        Self {
            socket,
            pending,
            released: 0,
            stage,
            inspector: Inspector::new(options.limits),
            link,
            head_timeout: options.head_timeout,
            head_deadline: None,
            idle: Idle { tick: Box::pin(sleep(every)), every, is_active: true },
            linger: None,
        }
    }

    fn inspect_pending(&mut self) {
        let (released, next) = self.inspector.inspect(&self.pending);
        self.released = released;
        self.go_on(next);
    }

    fn go_on(&mut self, next: Next) {
        match next {
            Next::Bytes => {}
            Next::Answer => {
                self.link.ask_upgrade();
                self.stage = Stage::Hold;
            }
            Next::RefuseHead(refusal) => self.refuse_head(refusal),
            Next::RefuseBody(refusal) => {
                self.link.refuse_body(refusal);
                self.stage = Stage::Broken(refusal);
            }
        }
    }

    /// Puts the stand-in behind what is released already.
    fn refuse_head(&mut self, refusal: Refusal) {
        self.link.refuse_head(self.inspector.heads(), refusal);
        self.pending.truncate(self.released);
        self.pending.extend_from_slice(STAND_IN);
        self.released = self.pending.len();
        self.stage = Stage::Ended;
    }

    fn hand_on(&mut self, buf: &mut ReadBuf<'_>) {
        let count = self.released.min(buf.remaining());
        buf.put_slice(&self.pending[..count]);
        self.pending.advance(count);
        self.released -= count;
    }

    /// Takes what was read into `buf` from `start` on, and leaves there what may be handed on.
    fn take(&mut self, buf: &mut ReadBuf<'_>, start: usize) {
        if self.stage == Stage::Through && self.pending.is_empty() {
            return;
        }
        let read = &buf.filled()[start..];
        if self.stage == Stage::Inspect && self.pending.is_empty() {
            let (released, next) = self.inspector.inspect(read);
            self.pending.extend_from_slice(&read[released..]);
            buf.set_filled(start + released);
            self.go_on(next);
            return;
        }
        self.pending.extend_from_slice(read);
        buf.set_filled(start);
        if self.stage == Stage::Inspect {
            self.inspect_pending();
        }
    }

    /// Waits for the two deadlines of a reader that has nothing to read.
    fn poll_deadlines(&mut self, cx: &mut Context<'_>) -> Poll<Overdue> {
        if self.stage == Stage::Inspect && !self.pending.is_empty() {
            let timeout = self.head_timeout;
            let deadline = self.head_deadline.get_or_insert_with(|| Box::pin(sleep(timeout)));
            ready!(deadline.as_mut().poll(cx));
            return Poll::Ready(Overdue::Head);
        }
        self.head_deadline = None;
        // The tick is watched also while a request is under way: the library does not read again
        // just because an answer is complete.
        while self.idle.tick.as_mut().poll(cx).is_ready() {
            let is_waiting = self.stage == Stage::Inspect
                && self.inspector.is_between_requests()
                && self.link.is_idle(self.inspector.heads());
            if is_waiting && !std::mem::take(&mut self.idle.is_active) {
                return Poll::Ready(Overdue::Idle);
            }
            let next = Instant::now() + self.idle.every;
            self.idle.tick.as_mut().reset(next);
        }
        Poll::Pending
    }
}

enum Overdue {
    Head,
    Idle,
}

impl AsyncRead for Inspected {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.released > 0 {
                this.hand_on(buf);
                return Poll::Ready(Ok(()));
            }
            match this.stage {
                Stage::Inspect | Stage::Through => {}
                Stage::Ended => return Poll::Pending,
                Stage::Broken(refusal) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, refusal)));
                }
                Stage::Hold => match this.link.upgrade_answer(cx.waker()) {
                    Some(Upgrade::Accepted) => {
                        this.inspector.upgraded();
                        this.stage = Stage::Through;
                        this.released = this.pending.len();
                        continue;
                    }
                    Some(_) => {
                        this.inspector.declined();
                        this.stage = Stage::Inspect;
                        this.inspect_pending();
                        continue;
                    }
                    None if this.pending.len() >= HELD_MAX => return Poll::Pending,
                    None => {}
                },
            }
            let start = buf.filled().len();
            match Pin::new(&mut this.socket).poll_read(cx, buf) {
                Poll::Ready(Ok(())) if buf.filled().len() > start => {
                    this.idle.is_active = true;
                    this.take(buf, start);
                    if buf.filled().len() > start {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Ready(end) => return Poll::Ready(end),
                Poll::Pending => match ready!(this.poll_deadlines(cx)) {
                    Overdue::Head => this.refuse_head(Refusal::HeadTimeout),
                    Overdue::Idle => return Poll::Ready(Ok(())),
                },
            }
        }
    }
}

impl AsyncWrite for Inspected {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.idle.is_active = true;
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.idle.is_active = true;
        poll_write_joined(&mut self.socket, cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.socket).poll_shutdown(cx))?;
        if !matches!(this.stage, Stage::Broken(_) | Stage::Ended) {
            return Poll::Ready(Ok(()));
        }
        let (deadline, left) =
            this.linger.get_or_insert_with(|| (Box::pin(sleep(LINGER_TIME)), LINGER_BYTES));
        let mut sink = [0; 4096];
        while *left > 0 && deadline.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut sink);
            ready!(Pin::new(&mut this.socket).poll_read(cx, &mut buf))?;
            if buf.filled().is_empty() {
                break;
            }
            *left = left.saturating_sub(buf.filled().len());
        }
        Poll::Ready(Ok(()))
    }
}
