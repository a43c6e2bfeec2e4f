//! The inspector and the HTTP library behind it read the same requests out of the same bytes.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use synod_routing::{Inspector, Limits, Next};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::soon;

/// Whole requests, which mostly are followed by more, and what may come loose.
const PIECES: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST /x HTTP/1.1\r\nExpect: 100-continue\r\ncontent-length:\t05 \r\nHost: a\r\n\r\n0\r\n\r\n",
    "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=\"y\"\r\nhello\r\n0\r\n\r\n",
    "PUT /x HTTP/1.1\r\nHost: a\r\ntransfer-encoding:Chunked \r\n\r\nA\r\nGET / HTTP\r\n00\r\nX: y\r\n\r\n",
    "POST /x HTTP/1.1\r\nHost: a\r\n",
    "POST /x HTTP/1.0\r\nHost: a\r\n",
    "Connection: keep-alive\r\n",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "\r\n",
    "hello",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
];

/// The bodies that the library sees in `bytes`, one per request, and whether it refused one.
async fn bodies(bytes: &[u8]) -> (Vec<usize>, bool) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let shared = seen.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let seen = shared.clone();
        async move {
            let body = request.into_body().collect().await;
            let length = body.map_or(usize::MAX, |body| body.to_bytes().len());
            seen.lock().unwrap().push(length);
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    let mut builder = http1::Builder::new();
    let connection = builder.half_close(true).serve_connection(TokioIo::new(server), service);
    let talk = async {
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answers = Vec::new();
        client.read_to_end(&mut answers).await.unwrap();
        String::from_utf8_lossy(&answers).contains(" 400 ")
    };
    // How the connection ends is not the question.
    let (_, is_refused) = soon(async { tokio::join!(connection, talk) }).await;
    let seen = seen.lock().unwrap();
    (seen.clone(), is_refused)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_find_the_same_requests(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 1..12),
        change in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut bytes = pieces.concat().into_bytes();
        if let Some((place, byte)) = change {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let mut inspector = Inspector::new(Limits::default());
        let (released, next) = inspector.inspect(&bytes);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (seen, is_refused) = runtime.block_on(bodies(&bytes[..released]));
        let heads = usize::try_from(inspector.heads()).unwrap();
        prop_assert!(seen.len() <= heads, "{} heads released, {:?} seen", heads, seen);
        // The library may be stricter, and ends HTTP/1.0 connections after one request.
        let ends_early = is_refused || bytes.windows(8).any(|word| word == b"HTTP/1.0");
        if next == Next::Bytes && inspector.is_between_requests() && !ends_early {
            prop_assert_eq!(seen.len(), heads, "{}", String::from_utf8_lossy(&bytes));
            prop_assert!(!seen.contains(&usize::MAX), "every body is whole: {:?}", seen);
        }
    }
}
