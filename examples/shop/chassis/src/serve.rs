//! Listening, and ending politely.

use std::io;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Instant;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::log;

/// Serves `router` and `GET /healthz` on the port in `PORT` until SIGTERM or SIGINT, then takes no
/// new connections, finishes the requests it has, and returns.
///
/// # Errors
/// When `PORT` is missing or no number, or the port is taken.
pub async fn serve(router: Router) -> io::Result<()> {
    let port = std::env::var("PORT").map_err(|_| io::Error::other("set PORT to listen on"))?;
    let port: u16 =
        port.parse().map_err(|_| io::Error::other(format!("PORT is {port:?}, not a port")))?;
    // Before the first request can come, so that no signal is missed.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        log::info("draining", json!({}));
    };

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener = listener.map_err(|error| io::Error::other(format!("port {port}: {error}")))?;
    log::info("listening", json!({ "address": listener.local_addr()?.to_string() }));
    // The health route comes after the logging layer, so that probes do not fill the log.
    let router =
        router.layer(middleware::from_fn(logged)).route("/healthz", get(|| async { "ok" }));
    axum::serve(listener, router).with_graceful_shutdown(stop).await?;
    log::info("stopped", json!({}));
    Ok(())
}

/// How a service's `main` ends: its error, if it has one, as the last line of its log.
pub fn exit(ended: io::Result<()>) -> ExitCode {
    let Err(error) = ended else { return ExitCode::SUCCESS };
    log::error("cannot go on", json!({ "error": error.to_string() }));
    ExitCode::FAILURE
}

async fn logged(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let began = Instant::now();
    let response = next.run(request).await;
    let (status, elapsed) = (response.status().as_u16(), began.elapsed());
    let fields = json!({
        "method": method, "path": path, "status": status, "elapsed_us": elapsed.as_micros() as u64,
    });
    let level = if status < 500 { log::info } else { log::warn };
    level("request", fields);
    response
}
