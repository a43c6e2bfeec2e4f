//! An API with its sockets for one test, and a client that sees every byte of an answer's head.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use synod_agent::log::LogReader;
use synod_http::{Api, Health, Parts, Rejected, Token, bind_loopback, bind_unix};
use synod_jobs::Jobs;
use synod_manifest::Options;
use synod_registry::{Addresses, Registry};
use synod_store::testing::MemoryStore;
use synod_store::{DeleteRange, KeyRange, Op, SYNOD, Store, Txn};
use synod_task::{Overdue, Tasks};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// The longest that anything awaited may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Home {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: MemoryStore,
    pub(crate) api: Api,
    pub(crate) tasks: Tasks,
    /// The port of the TCP listener.
    pub(crate) port: u16,
}

impl Home {
    /// The API of a daemon that was started for its apps' sake.
    pub(crate) async fn new() -> Self {
        Self::with(true).await
    }

    /// The API of a daemon that ends when idle, or does not.
    pub(crate) async fn with(ends_when_idle: bool) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (store, tasks) = (MemoryStore::new(), Tasks::new());
        let port: Arc<dyn Store> = Arc::new(store.clone());
        let parts = Parts {
            jobs: Jobs::new(port.clone()),
            registry: Registry::new(port.clone()),
            addresses: Addresses::new(port),
            logs: LogReader::new(&dir.path().join("data")),
            health: Health {
                version: "1.2.3".into(),
                pid: 4711,
                node: "here".into(),
                gateway_port: 8080,
                started_ms: 1,
            },
            rejected: Arc::new(|| {
                let (object, reason) = ("route shop/web".into(), "its host is taken".into());
                vec![Rejected { object, reason }]
            }),
            ends_when_idle,
        };
        let api = Api::new(parts, tasks.clone());
        api.serve_unix(bind_unix(&dir.path().join("data/api.sock")).expect("a socket"));
        let listener = bind_loopback(0).await.expect("a free port");
        let token = Token::new(SECRET).expect("long enough");
        let port = api.serve_tcp(listener, token).expect("a loopback listener").port();
        Self { dir, store, api, tasks, port }
    }

    pub(crate) fn jobs(&self) -> Jobs {
        Jobs::new(Arc::new(self.store.clone()))
    }

    pub(crate) fn registry(&self) -> Registry {
        Registry::new(Arc::new(self.store.clone()))
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("data/api.sock")
    }

    /// Sends a request over the unix socket and waits for the head of the answer.
    pub(crate) async fn open(&self, request: Request<Full<Bytes>>) -> Answer {
        let stream = UnixStream::connect(self.socket()).await.expect("the API listens");
        send(stream, request).await
    }

    /// Sends a request over TCP.
    pub(crate) async fn open_tcp(&self, request: Request<Full<Bytes>>) -> Answer {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("the API listens");
        send(stream, request).await
    }

    pub(crate) async fn get(&self, target: &str) -> Whole {
        self.open(plain(Method::GET, target)).await.whole().await
    }

    pub(crate) async fn send(&self, method: Method, target: &str) -> Whole {
        self.open(plain(method, target)).await.whole().await
    }

    pub(crate) async fn post(&self, target: &str, body: &Value) -> Whole {
        self.post_text(target, &body.to_string()).await
    }

    pub(crate) async fn post_text(&self, target: &str, body: &str) -> Whole {
        let request = Request::post(target)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::from(body.to_owned()));
        self.open(request.expect("well-formed")).await.whole().await
    }

    /// Applies a manifest of two services.
    pub(crate) async fn apply_shop(&self) {
        let applied = self.post("/v1/apply", &json!({ "app": shop() })).await;
        assert_eq!(applied.status, StatusCode::OK, "{applied:?}");
    }

    /// Deletes an app with its jobs, as the loop does once all has stopped.
    pub(crate) async fn forget(&self, app: &str) {
        let ops = [format!("apps/{app}"), format!("jobs/{app}/")]
            .map(|prefix| Op::Delete(DeleteRange::new(SYNOD, KeyRange::prefix(prefix))));
        self.store.txn(Txn::new(ops.into())).await.expect("deleted");
    }

    pub(crate) async fn shutdown(&self) -> Overdue {
        self.tasks.shutdown(PATIENCE).await
    }
}

/// The JSON of an app of two services, `stock` and `web`.
pub(crate) fn shop() -> Value {
    let text = r#"
app = "shop"
[service.stock]
run = "stock"
ports = { http = "auto" }
[service.web]
run = "web"
needs = ["stock"]
ports = { http = "auto" }
[route.main]
to = "web"
"#;
    let app = synod_manifest::parse(text, Path::new("/srv/shop/app.toml"), &Options::default());
    serde_json::to_value(app.expect("a good manifest")).expect("JSON")
}

pub(crate) fn plain(method: Method, target: &str) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(target).header("host", "localhost");
    request.body(Full::default()).expect("well-formed")
}

async fn send<I>(io: I, request: Request<Full<Bytes>>) -> Answer
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(io)).await.expect("a connection");
    tokio::spawn(connection);
    let answer = tokio::time::timeout(PATIENCE, sender.send_request(request)).await;
    let (head, body) = answer.expect("an answer in time").expect("an answer").into_parts();
    Answer { status: head.status, headers: head.headers, body, buffer: Vec::new() }
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    buffer: Vec<u8>,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Clean,
    CutOff,
}

impl Answer {
    pub(crate) async fn whole(self) -> Whole {
        let body = tokio::time::timeout(PATIENCE, self.body.collect()).await;
        let body = body.expect("a body in time").expect("a whole body").to_bytes();
        Whole { status: self.status, headers: self.headers, body }
    }

    /// The next line of a stream, or how it ended.
    pub(crate) async fn line(&mut self) -> Result<Value, End> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(serde_json::from_slice(&line).expect("a line is JSON"));
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await;
            match frame.expect("a frame in time") {
                None => return Err(End::Clean),
                Some(Err(_)) => return Err(End::CutOff),
                Some(Ok(frame)) => {
                    self.buffer.extend_from_slice(frame.data_ref().expect("only data"));
                }
            }
        }
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Whole {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert!(self.status.is_success(), "{self:?}");
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// The problem document, whose status and code must be these.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem: Value = serde_json::from_slice(&self.body).expect("the body is JSON");
        assert_eq!((&problem["status"], &problem["code"]), (&json!(status), &json!(code)));
        for text in ["type", "title", "detail"] {
            assert!(problem[text].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
        problem
    }
}
