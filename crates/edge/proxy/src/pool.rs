//! Connections to endpoints, kept for the next request.
//!
//! A pool is a map from endpoint and protocol to a [`Bucket`]; a configuration holds the buckets of
//! its endpoints, so that a request does not look anything up. HTTP/1.1 connections serve one
//! request at a time: the newest idle one is taken, so that the rest grows old and goes. HTTP/2
//! connections are shared by up to [`STREAMS_MAX`] requests.
//!
//! A server may close an idle connection just when it is taken. What is known to be closed is
//! skipped; a request that may not be sent twice also asks the socket itself first.

use std::collections::HashMap;
use std::net::{self, SocketAddr};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use std::{fmt, io};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use synod_routing::Protocol;
use synod_task::{TaskKind, Tasks};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Options;
use crate::body::RequestBody;
use crate::joined::Joined;
use crate::spawner::Spawner;

/// The most requests at once on one HTTP/2 connection. Servers commonly allow 100.
const STREAMS_MAX: usize = 100;
/// Flow-control windows for HTTP/2: what one request and one connection may buffer.
pub(crate) const STREAM_WINDOW: u32 = 64 * 1024;
pub(crate) const CONNECTION_WINDOW: u32 = 1024 * 1024;

const DRIVE: TaskKind = TaskKind::new("proxy-upstream");

/// All buckets, by endpoint and protocol.
pub(crate) struct Pool {
    buckets: Mutex<HashMap<(SocketAddr, Protocol), Weak<Bucket>>>,
    options: Arc<Options>,
    tasks: Tasks,
}

impl Pool {
    pub(crate) fn new(options: Arc<Options>, tasks: Tasks) -> Self {
        Self { buckets: Mutex::default(), options, tasks }
    }

    /// The bucket of an endpoint. It lives while a configuration or a request holds it.
    pub(crate) fn bucket(&self, address: SocketAddr, protocol: Protocol) -> Arc<Bucket> {
        let mut buckets = self.buckets.lock();
        buckets.retain(|_, bucket| bucket.strong_count() > 0);
        let entry = buckets.entry((address, protocol)).or_default();
        if let Some(bucket) = entry.upgrade() {
            return bucket;
        }
        let bucket = Arc::new(Bucket {
            address,
            protocol,
            idle: Mutex::default(),
            shared: tokio::sync::Mutex::default(),
            slots: Arc::new(Semaphore::new(self.options.upstream_requests_max)),
            options: self.options.clone(),
            tasks: self.tasks.clone(),
        });
        *entry = Arc::downgrade(&bucket);
        bucket
    }

    /// Closes connections that were idle for too long.
    pub(crate) fn sweep(&self) {
        let buckets: Vec<_> = self.buckets.lock().values().filter_map(Weak::upgrade).collect();
        let now = Instant::now();
        for bucket in buckets {
            bucket.idle.lock().retain(|idle| bucket.is_fresh(idle, now));
        }
    }
}

/// The connections to one endpoint.
pub(crate) struct Bucket {
    address: SocketAddr,
    protocol: Protocol,
    idle: Mutex<Vec<Idle>>,
    shared: tokio::sync::Mutex<Vec<Shared>>,
    slots: Arc<Semaphore>,
    options: Arc<Options>,
    tasks: Tasks,
}

/// An HTTP/1.1 connection without a request.
struct Idle {
    connection: Connection,
    since: Instant,
}

struct Connection {
    sender: http1::SendRequest<RequestBody>,
    /// The same socket, to look for a close that the connection's task has not seen yet.
    probe: net::TcpStream,
    born: Instant,
}

/// An HTTP/2 connection.
struct Shared {
    sender: http2::SendRequest<RequestBody>,
    streams: Arc<AtomicUsize>,
    born: Instant,
}

/// Which connections will do for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Any that is not known to be closed: the request can be sent again.
    Any,
    /// Only a new one.
    New,
    /// One whose socket says that it is open: the request cannot be sent again.
    Sound,
}

/// Why no connection could be had.
#[derive(Debug)]
pub(crate) enum Unavailable {
    Connect(io::Error),
    Handshake(hyper::Error),
    Overloaded,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::Handshake(error) => error.fmt(f),
            Self::Overloaded => f.write_str("too many requests at once"),
        }
    }
}

impl Bucket {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// A connection for one request.
    pub(crate) async fn lease(self: &Arc<Self>, want: Want) -> Result<Lease, Unavailable> {
        let slot = match self.slots.clone().try_acquire_owned() {
            Ok(slot) => slot,
            Err(_) => self.wait_for_slot().await?,
        };
        let carrier = match self.protocol {
            Protocol::Http2 => self.share().await?,
            Protocol::Http1 | Protocol::Tcp => match self.take_idle(want) {
                Some(connection) => Carrier::Reused(connection),
                None => Carrier::New(self.open().await?),
            },
        };
        Ok(Lease { bucket: self.clone(), carrier, _slot: slot })
    }

    async fn wait_for_slot(&self) -> Result<OwnedSemaphorePermit, Unavailable> {
        let slot = self.slots.clone().acquire_owned();
        let slot = tokio::time::timeout(self.options.connect_timeout, slot).await;
        slot.map_err(|_| Unavailable::Overloaded)?.map_err(|_| Unavailable::Overloaded)
    }

    fn take_idle(&self, want: Want) -> Option<Connection> {
        if want == Want::New {
            return None;
        }
        let now = Instant::now();
        let mut idle = self.idle.lock();
        while let Some(candidate) = idle.pop() {
            if self.is_fresh(&candidate, now)
                && (want == Want::Any || candidate.connection.is_silent())
            {
                return Some(candidate.connection);
            }
        }
        None
    }

    fn is_fresh(&self, idle: &Idle, now: Instant) -> bool {
        !idle.connection.sender.is_closed()
            && now.duration_since(idle.since) < self.options.upstream_idle_timeout
            && self.is_young(idle.connection.born, now)
    }

    fn is_young(&self, born: Instant, now: Instant) -> bool {
        now.duration_since(born) < self.options.upstream_age_max
    }

    async fn connect(&self) -> Result<TcpStream, Unavailable> {
        connect(self.address, self.options.connect_timeout).await.map_err(Unavailable::Connect)
    }

    async fn open(&self) -> Result<Connection, Unavailable> {
        let socket = self.connect().await?;
        let probe = socket.as_fd().try_clone_to_owned().map_err(Unavailable::Connect)?;
        let handshake = http1::Builder::new().handshake(TokioIo::new(Joined::new(socket))).await;
        let (sender, connection) = handshake.map_err(Unavailable::Handshake)?;
        // Its errors reach whoever waits for an answer; an idle one has nobody to tell.
        self.tasks.spawn(DRIVE, async { drop(connection.with_upgrades().await) });
        Ok(Connection { sender, probe: probe.into(), born: Instant::now() })
    }

    /// A place on a shared connection. The lock is held while one opens, so that a burst of first
    /// requests does not open one each.
    async fn share(&self) -> Result<Carrier, Unavailable> {
        let mut all = self.shared.lock().await;
        let now = Instant::now();
        all.retain(|shared| {
            let is_used = shared.streams.load(Ordering::Relaxed) > 0;
            !shared.sender.is_closed() && (is_used || self.is_young(shared.born, now))
        });
        let free = all.iter().find(|shared| {
            shared.streams.load(Ordering::Relaxed) < STREAMS_MAX && self.is_young(shared.born, now)
        });
        if let Some(shared) = free {
            return Ok(shared.carrier());
        }
        let socket = self.connect().await?;
        let handshake = http2::Builder::new(Spawner::new(self.tasks.clone()))
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(self.options.limits.head_size_max).unwrap_or(65536))
            .keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(10))
            .handshake(TokioIo::new(socket))
            .await;
        let (sender, connection) = handshake.map_err(Unavailable::Handshake)?;
        self.tasks.spawn(DRIVE, async { drop(connection.await) });
        let shared = Shared { sender, streams: Arc::default(), born: Instant::now() };
        let carrier = shared.carrier();
        all.push(shared);
        Ok(carrier)
    }
}

/// Opens a connection that sends small writes at once.
pub(crate) async fn connect(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let socket = tokio::time::timeout(timeout, TcpStream::connect(address)).await;
    let socket = socket.map_err(|_| {
        io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {timeout:?}"))
    })??;
    socket.set_nodelay(true)?;
    Ok(socket)
}

impl Connection {
    /// Whether the socket has nothing to say: no end, no error, no unasked bytes.
    fn is_silent(&self) -> bool {
        let peeked = self.probe.peek(&mut [0]);
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl Shared {
    fn carrier(&self) -> Carrier {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Carrier::Stream(self.sender.clone(), Stream(self.streams.clone()))
    }
}

/// Counts as one of a connection's requests until it is dropped.
struct Stream(Arc<AtomicUsize>);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that is one request's until it is given back. Dropping it closes it, unless it is
/// shared.
pub(crate) struct Lease {
    bucket: Arc<Bucket>,
    carrier: Carrier,
    _slot: OwnedSemaphorePermit,
}

enum Carrier {
    New(Connection),
    Reused(Connection),
    Stream(
        http2::SendRequest<RequestBody>,
        #[expect(dead_code, reason = "counts by living")] Stream,
    ),
}

impl Lease {
    /// Whether it carried a request before, so that its peer may have closed it meanwhile.
    pub(crate) fn is_reused(&self) -> bool {
        !matches!(self.carrier, Carrier::New(_))
    }

    /// Sends the request. The error holds the request when none of it was sent.
    pub(crate) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        match &mut self.carrier {
            Carrier::New(connection) | Carrier::Reused(connection) => {
                // Its task may not have noticed yet that it is done with the request before.
                if !connection.sender.is_ready() {
                    // An error shows again, with the request, when sending.
                    let _ = connection.sender.ready().await;
                }
                connection.sender.try_send_request(request).await
            }
            Carrier::Stream(sender, _) => sender.try_send_request(request).await,
        }
    }

    /// Keeps the connection for another request. Only after the answer's last byte, and when all
    /// of the request was sent.
    pub(crate) fn give_back(self) {
        let (Carrier::New(connection) | Carrier::Reused(connection)) = self.carrier else {
            return;
        };
        let now = Instant::now();
        if connection.sender.is_closed() || !self.bucket.is_young(connection.born, now) {
            return;
        }
        let mut idle = self.bucket.idle.lock();
        if idle.len() < self.bucket.options.upstream_idle_max {
            idle.push(Idle { connection, since: now });
        }
    }
}
