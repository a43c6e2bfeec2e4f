//! The command line's end of the admin API: HTTP/1.1 over the daemon's unix socket.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use synod_jobs::{AppOverview, AppStatus};
use synod_sys::socket::ShortPath;
use tokio::net::UnixStream;

use crate::outcome::{Exit, Failure};

/// How long a daemon that runs may take to say so.
const UP_MAX: Duration = Duration::from_secs(5);
/// How long it may take to begin an answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// A way to ask one daemon.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    socket: PathBuf,
}

/// What `GET /v1/health` answers.
#[derive(Debug, Deserialize)]
pub(crate) struct Health {
    pub(crate) gateway_port: u16,
    /// What the gateway does not apply.
    pub(crate) rejected: Vec<Rejected>,
}

/// An object that the gateway does not apply.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Rejected {
    pub(crate) object: String,
    pub(crate) reason: String,
}

impl Rejected {
    /// As people read it.
    pub(crate) fn warning(&self) -> String {
        format!("warning: the gateway does not apply {}: {}", self.object, self.reason)
    }
}

/// A refusal in the form of RFC 9457.
#[derive(Debug, Deserialize)]
struct Problem {
    title: String,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    code: Option<String>,
}

impl Client {
    pub(crate) fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Whether a daemon answers. One that was just killed may still seem to accept connections.
    pub(crate) async fn is_up(&self) -> bool {
        let version = self.get::<serde_json::Value>("/v1/version");
        tokio::time::timeout(UP_MAX, version).await.is_ok_and(|version| version.is_ok())
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.call(Method::GET, path, None::<&()>).await
    }

    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T> {
        let response = self.send(method, path, body).await?;
        let bytes = response.into_body().collect().await.map_err(hung_up)?.to_bytes();
        let bytes = if bytes.is_empty() { Bytes::from_static(b"null") } else { bytes };
        serde_json::from_slice(&bytes)
            .with_context(|| format!("the daemon's answer to {path} is not understood"))
    }

    /// How each app stands, or one of them.
    pub(crate) async fn apps(&self, only: Option<&str>) -> Result<Vec<AppStatus>> {
        if let Some(app) = only {
            return Ok(vec![self.get(&format!("/v1/apps/{app}")).await?]);
        }
        let listed: Vec<AppOverview> = self.get("/v1/apps").await?;
        let mut apps = Vec::new();
        for overview in listed {
            // One that vanished meanwhile is not there.
            if let Ok(status) = self.get(&format!("/v1/apps/{}", overview.app)).await {
                apps.push(status);
            }
        }
        Ok(apps)
    }

    /// The addresses of an app's services, as its own services get them: `<NAME>_URL` and so on.
    pub(crate) async fn environment(&self, app: &str) -> Result<BTreeMap<String, String>> {
        self.get(&format!("/v1/apps/{app}/environment")).await
    }

    /// Starts a stream of JSON values, one a line.
    pub(crate) async fn stream(&self, path: &str) -> Result<Lines> {
        let response = self.send(Method::GET, path, None::<&()>).await?;
        Ok(Lines { body: response.into_body(), buffer: Vec::new(), read: 0 })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Response<Incoming>> {
        let connected = async {
            let short = ShortPath::new(&self.socket)?;
            UnixStream::connect(short.path()).await
        };
        let stream = connected.await.map_err(|error| {
            let socket = self.socket.display();
            Failure::new(
                Exit::Unreachable,
                format!(
                    "no daemon answers at {socket} ({error}); `synod up FILE` starts one [SYN-0005]"
                ),
            )
        })?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // A command is one request long: its end ends this too.
        tokio::spawn(connection);
        let body = match body {
            Some(body) => Bytes::from(serde_json::to_vec(body)?),
            None => Bytes::new(),
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, "localhost")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .context("the request could not be built")?;
        let answer = tokio::time::timeout(ANSWER_MAX, sender.send_request(request)).await;
        let response = answer.map_err(|_| silent())?.map_err(hung_up)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let bytes = response.into_body().collect().await.map_err(hung_up)?.to_bytes();
        Err(refusal(status, &bytes).into())
    }
}

/// The connection ended before the answer did.
#[expect(clippy::needless_pass_by_value, reason = "map_err gives it by value")]
fn hung_up(error: hyper::Error) -> Failure {
    let message = format!(
        "the daemon stopped while answering ({error}); instances run on, and `synod up FILE` starts \
         it again [SYN-0005]"
    );
    Failure::new(Exit::Unreachable, message)
}

/// The daemon takes connections and does not answer.
fn silent() -> Failure {
    let message = format!(
        "the daemon has not answered for {} s; whether it did what it was asked to is not known \
         [SYN-0005]",
        ANSWER_MAX.as_secs()
    );
    Failure::new(Exit::Unreachable, message)
}

fn refusal(status: StatusCode, body: &[u8]) -> Failure {
    let exit = match status {
        StatusCode::NOT_FOUND => Exit::NotFound,
        StatusCode::CONFLICT => Exit::Conflict,
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Exit::Denied,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Exit::Usage,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => Exit::Unreachable,
        _ => Exit::Failed,
    };
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
        return Failure::new(exit, format!("the daemon answered {status}"));
    };
    let mut message = problem.detail.unwrap_or(problem.title);
    if let Some(code) = problem.code.filter(|code| code.starts_with("SYN-")) {
        message = format!("{message} [{code}]");
    }
    Failure::new(exit, message)
}

/// A stream of JSON values, one a line.
pub(crate) struct Lines {
    body: Incoming,
    buffer: Vec<u8>,
    read: usize,
}

impl Lines {
    /// The next value, or `None` when the daemon ended the stream.
    ///
    /// Cancel safety: nothing is lost when the future is dropped.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        loop {
            if let Some(end) = self.buffer[self.read..].iter().position(|byte| *byte == b'\n') {
                let line = &self.buffer[self.read..self.read + end];
                let value = serde_json::from_slice(line)
                    .context("a line of the daemon's stream is not understood")?;
                self.read += end + 1;
                return Ok(Some(value));
            }
            self.buffer.drain(..self.read);
            self.read = 0;
            match self.body.frame().await {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame.map_err(hung_up)?.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}
