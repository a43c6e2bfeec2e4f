//! A proxy between a client and endpoints that tests write by hand.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use synod_proxy::{Options, Proxy};
use synod_routing::{
    Cluster, ClusterId, Config, Endpoint, HostPattern, Listener, Protocol, Route, Table, Target,
};
use synod_task::Tasks;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An upper bound for anything that should happen.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A proxy with one HTTP listener.
pub(crate) struct World {
    pub(crate) proxy: Proxy,
    pub(crate) address: SocketAddr,
}

impl World {
    /// A proxy in front of HTTP/1.1 endpoints.
    pub(crate) fn new(endpoints: &[SocketAddr]) -> Self {
        Self::with(config(endpoints, Protocol::Http1, None), Options::default())
    }

    pub(crate) fn with(config: Config, options: Options) -> Self {
        let listeners = [("main", any_port())];
        let proxy = Proxy::start(listeners, config, options, &Tasks::new()).unwrap();
        let address = proxy.address("main").unwrap();
        Self { proxy, address }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads until the proxy closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut socket = self.connect().await;
        socket.write_all(bytes).await.unwrap();
        read_to_end(&mut socket).await
    }

    /// Sends one request and returns the status and the body.
    pub(crate) async fn get(&self, host: &str, path: &str) -> (u16, String) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        split(&self.raw(request.as_bytes()).await)
    }
}

pub(crate) fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Status and body of an answer.
pub(crate) fn split(answer: &str) -> (u16, String) {
    let status = answer.get(9..12).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    let status = status.unwrap_or_else(|| panic!("not an answer: {answer:?}"));
    (status, body.unwrap_or_default())
}

/// Everything until the peer closes. A reset counts as a close.
pub(crate) async fn read_to_end(socket: &mut TcpStream) -> String {
    let mut all = Vec::new();
    soon(async { drop(socket.read_to_end(&mut all).await) }).await;
    String::from_utf8_lossy(&all).into_owned()
}

/// Reads until what was read holds `mark`.
pub(crate) async fn read_until(socket: &mut TcpStream, mark: &str) -> String {
    let mut all = Vec::new();
    soon(async {
        while !String::from_utf8_lossy(&all).contains(mark) {
            let mut byte = [0; 512];
            let count = socket.read(&mut byte).await.unwrap();
            assert!(count > 0, "closed after {:?}", String::from_utf8_lossy(&all));
            all.extend_from_slice(&byte[..count]);
        }
    })
    .await;
    String::from_utf8_lossy(&all).into_owned()
}

pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(SOON, future).await.expect("it should have happened by now")
}

/// One listener, one route for everything, one cluster.
pub(crate) fn config(
    endpoints: &[SocketAddr],
    protocol: Protocol,
    timeout: Option<Duration>,
) -> Config {
    let cluster = cluster("shop/stock", endpoints, protocol);
    let target = Target { cluster: ClusterId(0), weight: 1 };
    let route = Route { timeout, ..route("*", "/", vec![target]) };
    let listeners = BTreeMap::from([("main".to_owned(), Listener::Http(Table::new([route])))]);
    Config::new(1, listeners, vec![cluster]).unwrap()
}

/// As [`config`], but only for one host.
pub(crate) fn only_for(host: &str, endpoints: &[SocketAddr]) -> Config {
    let target = Target { cluster: ClusterId(0), weight: 1 };
    let table = Table::new([route(host, "/", vec![target])]);
    let listeners = BTreeMap::from([("main".to_owned(), Listener::Http(table))]);
    let cluster = cluster("shop/stock", endpoints, Protocol::Http1);
    Config::new(1, listeners, vec![cluster]).unwrap()
}

pub(crate) fn cluster(service: &str, endpoints: &[SocketAddr], protocol: Protocol) -> Cluster {
    let endpoints = endpoints.iter().enumerate();
    let endpoint = |(n, &address)| Endpoint { instance: format!("stock-{n}"), address };
    Cluster {
        service: service.into(),
        protocol,
        endpoints: endpoints.map(endpoint).collect(),
        absent: vec!["stock-0-3 restarts in 4s: exited with code 3".into()],
    }
}

pub(crate) fn route(host: &str, path: &str, targets: Vec<Target>) -> Route {
    let host = HostPattern::parse(host);
    Route { name: "all".into(), host, path: path.into(), targets, timeout: None }
}

/// An endpoint that answers with what it got: `METHOD target`, the headers, a blank line, the body.
/// Speaks HTTP/1.1 and HTTP/2.
pub(crate) async fn echo() -> SocketAddr {
    serve(|request| async move {
        let (parts, body) = request.into_parts();
        let mut text = format!("{} {}\n", parts.method, parts.uri);
        for (name, value) in &parts.headers {
            text += &format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()));
        }
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned();
        text += &format!("\n{}", String::from_utf8_lossy(&body.to_bytes()));
        for (name, value) in &trailers.unwrap_or_default() {
            text += &format!("\ntrailer {name}: {}", String::from_utf8_lossy(value.as_bytes()));
        }
        Response::new(Full::from(text))
    })
    .await
}

/// An endpoint that always answers with this text.
pub(crate) async fn says(text: &'static str) -> SocketAddr {
    serve(move |_| async move { Response::new(Full::from(text)) }).await
}

pub(crate) async fn serve<F, Fut>(handler: F) -> SocketAddr
where
    F: Fn(Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let listener = TcpListener::bind(any_port()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let handler = handler.clone();
            let service = service_fn(move |request| {
                let answer = handler(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            tokio::spawn(async move {
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                drop(builder.serve_connection(TokioIo::new(socket), service).await);
            });
        }
    });
    address
}

/// An endpoint whose connections are handled by `script`, which gets their number.
pub(crate) async fn scripted<F, Fut>(script: F) -> SocketAddr
where
    F: Fn(usize, TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(any_port()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(script(number, socket));
            number += 1;
        }
    });
    address
}
