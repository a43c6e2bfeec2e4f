//! One client's connection: which protocol it speaks, and its requests until it ends.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use bytes::BytesMut;
use http::HeaderValue;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use synod_routing::Listener;
use synod_task::Tasks;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::Counters;
use crate::alarm::Alarm;
use crate::forward::forward;
use crate::inspected::Inspected;
use crate::link::Link;
use crate::pool::{CONNECTION_WINDOW, STREAM_WINDOW};
use crate::proxy::Shared;
use crate::spawner::Spawner;
use crate::tunnel;

/// How an HTTP/2 client begins (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How many headers the library takes unasked. A limit of our own makes it allocate for each
/// request.
const HEADERS_INLINE: usize = 100;
/// The most requests at once on a client's HTTP/2 connection.
const STREAMS_MAX: u32 = 200;

/// What the requests of a connection have in common.
pub(crate) struct Downstream {
    pub(crate) shared: Arc<Shared>,
    pub(crate) listener: Arc<str>,
    pub(crate) counters: Arc<Counters>,
    /// The client's address, as `X-Forwarded-For` tells it.
    pub(crate) peer: HeaderValue,
    /// For the deadlines of its requests.
    pub(crate) alarm: Alarm,
    /// The reader's side, for HTTP/1.1.
    pub(crate) link: Option<Arc<Link>>,
    /// Where joined connections run.
    pub(crate) tunnels: Tasks,
}

/// Where a connection came in.
#[derive(Clone)]
pub(crate) struct Entrance {
    pub(crate) shared: Arc<Shared>,
    pub(crate) listener: Arc<str>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) tasks: Tasks,
}

impl Entrance {
    /// Serves a connection until it ends, or until the listener is told to and its requests are
    /// answered.
    pub(crate) async fn serve(self, mut socket: TcpStream) {
        let _held = self.counters.connected();
        // A socket that cannot be set is about to fail anyway.
        let _ = socket.set_nodelay(true);
        if let Some(Listener::Tcp(cluster)) =
            self.shared.snapshot.load().config.listener(&self.listener)
        {
            let cluster = *cluster;
            tokio::select! {
                biased;
                () = self.tasks.cancelled() => {}
                () = tunnel::relay(&self.shared, socket, cluster) => {}
            }
            return;
        }
        let Ok(peer) = socket.peer_addr() else { return };
        let Ok(peer) = HeaderValue::try_from(peer.ip().to_canonical().to_string()) else { return };
        let mut first = BytesMut::new();
        let begun = tokio::select! {
            biased;
            () = self.tasks.cancelled() => return,
            begun = tokio::time::timeout(
                self.shared.options.head_timeout,
                speaks_http2(&mut socket, &mut first),
            ) => begun,
        };
        let mut downstream = Downstream {
            shared: self.shared,
            listener: self.listener,
            counters: self.counters,
            peer,
            alarm: Alarm::default(),
            link: None,
            tunnels: self.tasks.clone(),
        };
        match begun {
            Ok(Some(true)) => serve_http2(downstream, self.tasks, socket, first).await,
            Ok(Some(false)) => {
                downstream.link = Some(Arc::default());
                serve_http1(downstream, self.tasks, socket, first).await;
            }
            // The client left, or said nothing that could be answered.
            Ok(None) | Err(_) => {}
        }
    }
}

/// Reads until it is clear whether the client speaks HTTP/2; `None` when it left before.
async fn speaks_http2(socket: &mut TcpStream, first: &mut BytesMut) -> Option<bool> {
    loop {
        if socket.read_buf(first).await.ok()? == 0 {
            return None;
        }
        let common = first.len().min(PREFACE.len());
        if first[..common] != PREFACE[..common] {
            return Some(false);
        }
        if common == PREFACE.len() {
            return Some(true);
        }
    }
}

async fn serve_http1(downstream: Downstream, tasks: Tasks, socket: TcpStream, first: BytesMut) {
    let link = downstream.link.clone().unwrap_or_default();
    let options = downstream.shared.options.clone();
    let io = Inspected::http1(socket, first, link, &options);
    let downstream = Arc::new(downstream);
    let service = service_fn(move |request| {
        let downstream = downstream.clone();
        async move { Ok::<_, Infallible>(forward(downstream, request).await) }
    });
    let mut builder = http1::Builder::new();
    // The inspector keeps the limits and deadlines.
    builder.header_read_timeout(None);
    if options.limits.headers_max > HEADERS_INLINE {
        builder.max_headers(options.limits.headers_max);
    }
    let connection = builder.serve_connection(TokioIo::new(io), service).with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        ended = connection.as_mut() => return log_end(ended),
        () = tasks.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    log_end(connection.await);
}

async fn serve_http2(downstream: Downstream, tasks: Tasks, socket: TcpStream, first: BytesMut) {
    let options = downstream.shared.options.clone();
    let io = Inspected::through(socket, first, &options);
    let downstream = Arc::new(downstream);
    let service = service_fn(move |request| {
        let downstream = downstream.clone();
        async move { Ok::<_, Infallible>(forward(downstream, request).await) }
    });
    let head_size = u32::try_from(options.limits.head_size_max).unwrap_or(u32::MAX);
    let connection = http2::Builder::new(Spawner::new(tasks.clone()))
        .timer(TokioTimer::new())
        .max_header_list_size(head_size)
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(1024)
        .keep_alive_interval(options.idle_timeout)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        ended = connection.as_mut() => return log_end(ended),
        () = tasks.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    log_end(connection.await);
}

fn log_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a client's connection ended early");
    }
}
