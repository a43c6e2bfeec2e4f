//! HTTP/2 without TLS, on either side.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use synod_routing::Protocol;
use tokio::net::TcpStream;

use crate::world::{World, config, echo, soon};

async fn send<B>(address: SocketAddr, request: Request<B>) -> hyper::Result<Response<Incoming>>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let socket = TcpStream::connect(address).await.unwrap();
    let builder = http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    soon(sender.send_request(request)).await
}

fn request(path: &str) -> http::request::Builder {
    Request::builder().version(Version::HTTP_2).uri(format!("http://shop.localhost{path}"))
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn http2_clients_reach_http1_endpoints() {
    let world = World::new(&[echo().await]);
    let sent = request("/a/../b?c").header("x_id", "7").header("te", "trailers");
    let response = send(world.address, sent.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    let seen = text(response).await;
    assert!(seen.starts_with("GET /b?c\n"), "{seen}");
    assert!(seen.contains("host: shop.localhost\n"), "{seen}");
    assert!(seen.contains("x-forwarded-host: shop.localhost\n"), "{seen}");
    assert!(!seen.contains("x_id"), "{seen}");
}

#[tokio::test]
async fn http1_clients_reach_http2_endpoints() {
    let world = World::with(config(&[echo().await], Protocol::Http2, None), Default::default());
    let (status, seen) = world.get("shop.localhost", "/x").await;
    assert_eq!(status, 200);
    assert!(seen.starts_with("GET http://shop.localhost/x\n"), "{seen}");
}

#[tokio::test]
async fn bodies_and_trailers_pass_as_grpc_needs_them() {
    let world = World::with(config(&[echo().await], Protocol::Http2, None), Default::default());
    let trailers = HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        http::HeaderValue::from_static("0"),
    )]);
    let frames = [Frame::data(Bytes::from_static(b"ab")), Frame::trailers(trailers)];
    let frames = frames.map(Ok::<_, std::convert::Infallible>);
    let body = StreamBody::new(futures_util::stream::iter(frames));
    let sent = request("/pkg.Service/Call").method("POST").header("te", "trailers");
    let seen = text(send(world.address, sent.body(body).unwrap()).await.unwrap()).await;
    assert!(seen.contains("te: trailers\n"), "{seen}");
    assert!(seen.ends_with("\n\nab\ntrailer grpc-status: 0"), "{seen}");
}

#[tokio::test]
async fn hosts_that_disagree_are_refused() {
    let world = World::new(&[echo().await]);
    for (lines, want) in [
        (&["other"][..], 400),
        (&["shop.localhost", "shop.localhost"][..], 400),
        (&["SHOP.localhost"][..], 200),
    ] {
        let sent = lines.iter().fold(request("/"), |sent, host| sent.header("host", *host));
        let sent = sent.body(Full::<Bytes>::default()).unwrap();
        assert_eq!(send(world.address, sent).await.unwrap().status(), want, "{lines:?}");
    }
}

#[tokio::test]
async fn paths_and_sizes_have_the_same_limits() {
    let world = World::new(&[echo().await]);
    for (path, want) in [("/a%2fb", 400), ("/a%zz", 400), ("/%61", 200)] {
        let sent = request(path).body(Full::<Bytes>::default()).unwrap();
        assert_eq!(send(world.address, sent).await.unwrap().status(), want, "{path}");
    }
    let many = (0..200).fold(request("/"), |sent, n| sent.header(format!("x-{n}"), "y"));
    let sent = many.body(Full::<Bytes>::default()).unwrap();
    assert_eq!(send(world.address, sent).await.unwrap().status(), 431);
}

#[tokio::test]
async fn connect_is_refused() {
    let world = World::new(&[echo().await]);
    let sent = Request::connect("shop.localhost:80").body(Full::<Bytes>::default()).unwrap();
    assert_eq!(send(world.address, sent).await.unwrap().status(), 405);
}

/// A frame of HTTP/2: length, type, flags, stream.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// A header in HPACK: literal, new name, no Huffman.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

#[tokio::test]
async fn what_would_smuggle_into_http1_is_reset() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::new(&[echo().await]);
    let rows: &[(&str, &[(&str, &str)])] = &[
        ("transfer-encoding", &[("transfer-encoding", "chunked")]),
        ("connection", &[("connection", "close")]),
        ("upper-case name", &[("X-Id", "7")]),
        ("CR LF in a value", &[("x", "a\r\nb: c")]),
        ("NUL in a value", &[("x", "a\0b")]),
        ("unknown pseudo-header", &[(":evil", "x")]),
        ("length that no body follows", &[("content-length", "5")]),
    ];
    for (name, headers) in rows {
        let mut block: Vec<u8> = Vec::new();
        for (name, value) in
            [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a")]
        {
            block.extend(literal(name, value));
        }
        for (name, value) in *headers {
            block.extend(literal(name, value));
        }
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(4, 0, 0, &[]));
        // HEADERS with END_HEADERS and END_STREAM.
        bytes.extend(frame(1, 5, 1, &block));
        let mut socket = world.connect().await;
        socket.write_all(&bytes).await.unwrap();
        // RST_STREAM on stream 1, or GOAWAY; never an answer.
        let kind = soon(async {
            loop {
                let mut head = [0; 9];
                socket.read_exact(&mut head).await.unwrap();
                let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
                socket.read_exact(&mut payload).await.unwrap();
                if matches!(head[3], 0 | 1 | 3 | 7) {
                    return head[3];
                }
            }
        })
        .await;
        assert!(kind == 3 || kind == 7, "{name}: frame of kind {kind}");
    }
}
