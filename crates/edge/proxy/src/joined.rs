//! Sends small messages with one plain write.
//!
//! Head and body of a message are separate buffers, for which there is the vectored write. It
//! costs more than copying a small body behind its head.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The most bytes that are copied together.
const JOINED_MAX: usize = 1024;

/// Writes `bufs`, joined where they are small.
pub(crate) fn poll_write_joined(
    socket: &mut TcpStream,
    cx: &mut Context<'_>,
    bufs: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    let socket = Pin::new(socket);
    if let [only] = bufs {
        return socket.poll_write(cx, only);
    }
    let length: usize = bufs.iter().map(|buf| buf.len()).sum();
    if length > JOINED_MAX {
        return socket.poll_write_vectored(cx, bufs);
    }
    let mut joined = [0; JOINED_MAX];
    let mut end = 0;
    for buf in bufs {
        joined[end..end + buf.len()].copy_from_slice(buf);
        end += buf.len();
    }
    socket.poll_write(cx, &joined[..end])
}

/// A connection to an endpoint, written in this way.
pub(crate) struct Joined(TcpStream);

impl Joined {
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self(socket)
    }
}

impl AsyncRead for Joined {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Joined {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        poll_write_joined(&mut self.0, cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
