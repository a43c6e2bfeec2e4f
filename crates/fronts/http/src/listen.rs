//! Sockets, and the tasks that serve them.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use synod_sys::socket::ShortPath;
use synod_task::{TaskKind, Tasks};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;

use crate::api::Api;
use crate::guard::Guard;
use crate::token::Token;

/// Connections of one listener; more wait in the kernel's queue. Above the streams and blocking
/// queries that may be open, so that a plain request always finds room.
const CONNECTIONS_MAX: usize = 256;
/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

const LISTENER: TaskKind = TaskKind::new("api-listener");
const CONNECTION: TaskKind = TaskKind::new("api-connection").waits();

/// Why a socket could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Others may enter the socket's directory.
    #[error("directory {} is open to others (mode {mode:o}); make it 0700", path.display())]
    OpenDirectory {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The system refused.
    #[error("cannot listen on {at}")]
    System {
        /// The path or address.
        at: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Makes the unix socket at `path` with mode 0600, in a directory that only its owner may enter,
/// which is made where it is missing. A socket left there is replaced: the caller must hold the
/// lock of its data directory.
///
/// # Errors
/// When the directory is open to others, or the system refuses.
///
/// # Panics
/// Outside a tokio runtime.
pub fn bind_unix(path: &Path) -> Result<UnixListener, BindError> {
    let system = |source| BindError::System { at: path.display().to_string(), source };
    if let Some(directory) = path.parent() {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.and_then(|()| fs::metadata(directory)).map_err(system).and_then(|found| {
            let mode = found.mode() & 0o777;
            let open = mode & 0o077 != 0;
            let path = directory.to_path_buf();
            if open { Err(BindError::OpenDirectory { path, mode }) } else { Ok(()) }
        })?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(system(error)),
        _ => {}
    }
    let short = ShortPath::new(path).map_err(system)?;
    let listener = UnixListener::bind(short.path()).map_err(system)?;
    // Nobody else could enter the directory meanwhile.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(system)?;
    Ok(listener)
}

/// Listens on a port of 127.0.0.1; 0 takes a free one.
///
/// # Errors
/// When the system refuses, as for a port that is taken.
pub async fn bind_loopback(port: u16) -> Result<TcpListener, BindError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| BindError::System { at: address.to_string(), source })
}

impl Api {
    /// Serves the API on a unix socket.
    pub fn serve_unix(&self, listener: UnixListener) {
        let router = self.router(Guard { port: None, token: None });
        self.tasks().spawn(LISTENER, accept(self.tasks().clone(), router, listener));
    }

    /// Serves the API on a TCP socket, to those who have the token.
    ///
    /// # Errors
    /// When the listener is not on a loopback address: without TLS the token would be readable on
    /// the way.
    pub fn serve_tcp(&self, listener: TcpListener, token: Token) -> io::Result<SocketAddr> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            return Err(io::Error::other(format!(
                "the admin API is served on loopback only, not on {address}"
            )));
        }
        let router = self.router(Guard { port: Some(address.port()), token: Some(token) });
        self.tasks().spawn(LISTENER, accept(self.tasks().clone(), router, listener));
        Ok(address)
    }
}

/// Accepts connections for ever. The listener pauses by itself when the system refuses one, which
/// is mostly for want of descriptors.
async fn accept<L: Listener>(tasks: Tasks, router: Router, mut listener: L) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let permit = Arc::clone(&room).acquire_owned().await.expect("it is never closed");
        let (io, _) = listener.accept().await;
        let (router, stop) = (router.clone(), tasks.clone());
        tasks.spawn(CONNECTION, async move {
            serve(io, router, &stop).await;
            drop(permit);
        });
    }
}

/// Serves one connection, after cancellation to the end of the request under way.
async fn serve<I>(io: I, router: Router, tasks: &Tasks)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let mut connection =
        pin!(http.serve_connection(TokioIo::new(io), TowerToHyperService::new(router)));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = tasks.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A client that went away, most often.
        tracing::debug!(%error, "a connection of the admin API ended");
    }
}
