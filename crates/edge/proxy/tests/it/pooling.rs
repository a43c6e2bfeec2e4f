//! Connections to endpoints: reused, and not trusted further than they can be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use synod_proxy::Options;
use synod_routing::Protocol;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::world::{World, any_port, config, read_to_end, read_until, says, scripted, soon};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async fn exchange(socket: &mut TcpStream, request: &str) -> String {
    socket.write_all(request.as_bytes()).await.unwrap();
    read_until(socket, "\r\n\r\n").await
}

fn get() -> &'static str {
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
}

#[tokio::test]
async fn connections_are_reused() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = connections.clone();
    let upstream = scripted(move |number, mut socket| {
        counter.store(number + 1, Ordering::Relaxed);
        async move {
            loop {
                read_until(&mut socket, "\r\n\r\n").await;
                socket.write_all(OK).await.unwrap();
            }
        }
    })
    .await;
    let world = World::new(&[upstream]);
    for _ in 0..3 {
        let mut socket = world.connect().await;
        for _ in 0..3 {
            socket.write_all(get().as_bytes()).await.unwrap();
            read_until(&mut socket, "ok").await;
        }
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

/// An endpoint that answers once per connection, reads the next request and closes without a word.
async fn closes_on_the_second(requests: watch::Sender<usize>) -> std::net::SocketAddr {
    scripted(move |_, mut socket| {
        let requests = requests.clone();
        async move {
            read_until(&mut socket, "\r\n\r\n").await;
            requests.send_modify(|count| *count += 1);
            socket.write_all(OK).await.unwrap();
            read_until(&mut socket, "\r\n\r\n").await;
            requests.send_modify(|count| *count += 1);
        }
    })
    .await
}

#[tokio::test]
async fn a_repeatable_request_survives_a_close_without_answer() {
    let (requests, seen) = watch::channel(0);
    let world = World::new(&[closes_on_the_second(requests).await]);
    let mut socket = world.connect().await;
    socket.write_all(get().as_bytes()).await.unwrap();
    read_until(&mut socket, "ok").await;
    socket.write_all(get().as_bytes()).await.unwrap();
    let answer = read_until(&mut socket, "ok").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(*seen.borrow(), 3, "the second request was sent twice");
    assert_eq!(world.proxy.counts()["main"].retries, 1);
}

#[tokio::test]
async fn a_request_that_may_have_been_seen_is_not_repeated() {
    let (requests, seen) = watch::channel(0);
    let world = World::new(&[closes_on_the_second(requests).await]);
    let mut socket = world.connect().await;
    socket.write_all(get().as_bytes()).await.unwrap();
    read_until(&mut socket, "ok").await;
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";
    let answer = exchange(&mut socket, post).await;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    assert_eq!(*seen.borrow(), 2);
}

#[tokio::test]
async fn a_request_that_may_not_be_repeated_avoids_a_closed_connection() {
    let (closed, mut is_closed) = watch::channel(false);
    let upstream = scripted(move |number, mut socket| {
        let closed = closed.clone();
        async move {
            read_until(&mut socket, "\r\n\r\n").await;
            socket.write_all(OK).await.unwrap();
            if number == 0 {
                drop(socket);
                closed.send_replace(true);
            } else {
                read_to_end(&mut socket).await;
            }
        }
    })
    .await;
    let world = World::new(&[upstream]);
    let mut socket = world.connect().await;
    socket.write_all(get().as_bytes()).await.unwrap();
    read_until(&mut socket, "ok").await;
    soon(is_closed.wait_for(|closed| *closed)).await.unwrap();
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";
    socket.write_all(post.as_bytes()).await.unwrap();
    let answer = read_until(&mut socket, "ok").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_passed_over() {
    let gone = TcpListener::bind(any_port()).await.unwrap().local_addr().unwrap();
    let world = World::new(&[gone, says("here").await]);
    for _ in 0..4 {
        assert_eq!(world.get("a", "/").await, (200, "here".to_owned()));
    }
    let alone = World::new(&[gone]);
    let answer = alone.raw(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("x-synod-cause: connect_failed"), "{answer}");
    assert!(answer.contains("stock-0 of shop/stock took no connection"), "{answer}");
}

#[tokio::test]
async fn requests_over_the_cap_of_an_endpoint_are_refused_in_time() {
    let upstream = scripted(|_, mut socket| async move { drop(read_to_end(&mut socket).await) });
    let options = Options {
        upstream_requests_max: 1,
        connect_timeout: Duration::from_millis(50),
        ..Options::default()
    };
    let world = World::with(config(&[upstream.await], Protocol::Http1, None), options);
    let mut first = world.connect().await;
    first.write_all(get().as_bytes()).await.unwrap();
    soon(async {
        while world.proxy.counts()["main"].requests_in_flight == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (status, body) = world.get("a", "/").await;
    assert_eq!(status, 503);
    assert!(body.contains("overloaded"), "{body}");
}
