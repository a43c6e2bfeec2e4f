//! Requests that are in order: where they go and how they and their answers get there.

use std::collections::BTreeMap;
use std::time::Duration;

use synod_proxy::Options;
use synod_routing::{Cluster, ClusterId, Config, Listener, Protocol, Table, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

use crate::world::{
    World, cluster, config, echo, read_to_end, read_until, route, says, scripted, serve, soon,
};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn listening(table: Table, clusters: Vec<Cluster>) -> Config {
    let listeners = BTreeMap::from([("main".to_owned(), Listener::Http(table))]);
    Config::new(1, listeners, clusters).unwrap()
}

fn to(cluster: usize) -> Vec<Target> {
    vec![Target { cluster: ClusterId(cluster), weight: 1 }]
}

#[tokio::test]
async fn host_and_path_choose_the_service() {
    let clusters = vec![
        cluster("shop/web", &[says("web").await], Protocol::Http1),
        cluster("shop/stock", &[says("stock").await], Protocol::Http1),
    ];
    let table = Table::new([
        route("shop.localhost", "/", to(0)),
        route("shop.localhost", "/stock", to(1)),
        route("stock.shop.localhost", "/", to(1)),
    ]);
    let world = World::with(listening(table, clusters), Options::default());
    for (host, path, want) in [
        ("shop.localhost", "/", "web"),
        ("SHOP.localhost:8080", "/stocks", "web"),
        ("shop.localhost", "/stock;x=1/7", "stock"),
        ("shop.localhost", "/x/%2e%2e/stock", "stock"),
        ("stock.shop.localhost", "/", "stock"),
    ] {
        assert_eq!(world.get(host, path).await, (200, want.to_owned()), "{host}{path}");
    }
    let (status, body) = world.get("other.localhost", "/x").await;
    assert_eq!(status, 404);
    assert!(body.contains("no route answers to http://other.localhost/x"), "{body}");
}

#[tokio::test]
async fn weights_split_requests_and_ready_instances_take_turns() {
    let clusters = vec![
        cluster("shop/old", &[says("old0").await, says("old1").await], Protocol::Http1),
        cluster("shop/new", &[says("new").await], Protocol::Http1),
    ];
    let targets = vec![
        Target { cluster: ClusterId(0), weight: 90 },
        Target { cluster: ClusterId(1), weight: 10 },
    ];
    let table = Table::new([route("*", "/", targets)]);
    let options = Options { seed: Some(7), ..Options::default() };
    let world = World::with(listening(table, clusters), options);
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let mut socket = world.connect().await;
    for _ in 0..400 {
        socket.write_all(GET).await.unwrap();
        let answer = read_until(&mut socket, "\r\n\r\n").await;
        let word = if answer.ends_with("\r\n\r\n") {
            let mut rest = [0; 4];
            let length = if answer.contains("content-length: 3") { 3 } else { 4 };
            socket.read_exact(&mut rest[..length]).await.unwrap();
            String::from_utf8_lossy(&rest[..length]).into_owned()
        } else {
            answer.split_once("\r\n\r\n").unwrap().1.to_owned()
        };
        *counts.entry(word).or_default() += 1;
    }
    let (old, new) = (counts["old0"] + counts["old1"], counts["new"]);
    assert_eq!(old + new, 400);
    assert!((25..=55).contains(&new), "about a tenth is new: {counts:?}");
    assert!(counts["old0"].abs_diff(counts["old1"]) <= 1, "turns are even: {counts:?}");
}

#[tokio::test]
async fn a_service_without_instances_says_why() {
    let world = World::new(&[]);
    let answer = world.raw(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("x-synod-cause: no_endpoints"), "{answer}");
    assert!(answer.contains("content-type: application/problem+json"), "{answer}");
    let body: serde_json::Value =
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body["status"], 503);
    assert_eq!(body["cause"], "no_endpoints");
    assert_eq!(body["service"], "shop/stock");
    assert_eq!(
        body["detail"],
        "no ready instance of shop/stock: stock-0-3 restarts in 4s: exited with code 3"
    );
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    // The endpoint answers each piece before the next one is sent, so nothing can be collected.
    let upstream = scripted(|_, mut socket| async move {
        read_until(&mut socket, "one").await;
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nONE\r\n";
        socket.write_all(head).await.unwrap();
        read_until(&mut socket, "two").await;
        socket.write_all(b"3\r\nTWO\r\n0\r\n\r\n").await.unwrap();
        read_to_end(&mut socket).await;
    })
    .await;
    let world = World::new(&[upstream]);
    let mut socket = world.connect().await;
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n";
    socket.write_all(head).await.unwrap();
    read_until(&mut socket, "ONE").await;
    socket.write_all(b"3\r\ntwo\r\n0\r\n\r\n").await.unwrap();
    read_until(&mut socket, "0\r\n\r\n").await;
}

#[tokio::test]
async fn trailers_pass_without_those_that_frame() {
    let upstream = scripted(|_, mut socket| async move {
        let head = read_until(&mut socket, "x-sum: 7\r\n\r\n").await;
        assert!(!head.contains("content-length"), "{head}");
        let answer =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Host\r\n\r\n\
            2\r\nab\r\n0\r\nX-Sum: 8\r\nHost: evil\r\n\r\n";
        socket.write_all(answer).await.unwrap();
        read_to_end(&mut socket).await;
    })
    .await;
    let world = World::new(&[upstream]);
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X-Sum\r\n\
        Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\n\r\n";
    let mut socket = world.connect().await;
    socket.write_all(request).await.unwrap();
    let answer = read_until(&mut socket, "x-sum: 8\r\n\r\n").await;
    assert!(!answer.contains("evil"), "{answer}");
}

#[tokio::test]
async fn hop_by_hop_headers_of_answers_end_here() {
    let upstream = scripted(|_, mut socket| async move {
        read_until(&mut socket, "\r\n\r\n").await;
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x-id\r\nX-Id: 7\r\n\
            Keep-Alive: timeout=5\r\nProxy-Authenticate: x\r\nX-Kept: 1\r\n\r\nok";
        socket.write_all(answer).await.unwrap();
    })
    .await;
    let world = World::new(&[upstream]);
    let answer = world.raw(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    for gone in ["x-id", "keep-alive", "proxy-authenticate"] {
        assert!(!answer.contains(gone), "{answer}");
    }
    assert!(answer.contains("x-kept: 1") && answer.ends_with("ok"), "{answer}");
}

const UPGRADE: &str =
    "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[tokio::test]
async fn a_websocket_holds_bytes_until_it_is_granted() {
    let (grant, granted) = watch::channel(false);
    let upstream = scripted(move |_, mut socket| {
        let mut granted = granted.clone();
        async move {
            let head = read_until(&mut socket, "\r\n\r\n").await;
            assert!(head.contains("connection: upgrade"), "{head}");
            assert!(head.contains("upgrade: websocket"), "{head}");
            assert!(head.ends_with("\r\n\r\n"), "nothing is sent ahead: {head:?}");
            granted.wait_for(|open| *open).await.unwrap();
            let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nhello";
            socket.write_all(answer).await.unwrap();
            read_until(&mut socket, "early and late").await;
            socket.write_all(b"bye").await.unwrap();
        }
    })
    .await;
    let world = World::new(&[upstream]);
    let mut socket = world.connect().await;
    socket.write_all(format!("{UPGRADE}early").as_bytes()).await.unwrap();
    grant.send(true).unwrap();
    let answer = read_until(&mut socket, "hello").await;
    assert!(answer.contains("sec-websocket-accept: x"), "{answer}");
    assert!(answer.contains("upgrade: websocket"), "{answer}");
    socket.write_all(b" and late").await.unwrap();
    assert_eq!(read_to_end(&mut socket).await, "bye");
}

#[tokio::test]
async fn bytes_after_a_declined_upgrade_are_the_next_request() {
    let world = World::new(&[echo().await]);
    let next = "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = world.raw(format!("{UPGRADE}{next}").as_bytes()).await;
    assert!(answer.contains("GET /chat"), "{answer}");
    assert!(answer.contains("GET /next"), "{answer}");
    let answer = world.raw(format!("{UPGRADE}GET / HTTP/1.1\r\n\r\n").as_bytes()).await;
    assert!(answer.contains("HTTP/1.1 400"), "the next one is inspected too: {answer}");
}

#[tokio::test]
async fn an_answer_that_switches_unasked_is_not_passed_on() {
    let upstream = scripted(|_, mut socket| async move {
        read_until(&mut socket, "\r\n\r\n").await;
        let answer = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
        socket.write_all(answer).await.unwrap();
        read_to_end(&mut socket).await;
    })
    .await;
    let (status, _) = World::new(&[upstream]).get("a", "/").await;
    assert_eq!(status, 502);
}

#[tokio::test]
async fn an_endpoint_that_never_answers_times_out() {
    let upstream = scripted(|_, mut socket| async move { drop(read_to_end(&mut socket).await) });
    let timeout = Some(Duration::from_millis(50));
    let config = config(&[upstream.await], Protocol::Http1, timeout);
    let (status, body) = World::with(config, Options::default()).get("a", "/").await;
    assert_eq!(status, 504);
    assert!(body.contains("shop/stock did not finish within 50ms"), "{body}");
}

#[tokio::test]
async fn an_answer_that_never_ends_is_cut_off_in_time() {
    let upstream = scripted(|_, mut socket| async move {
        read_until(&mut socket, "\r\n\r\n").await;
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart").await.unwrap();
        read_to_end(&mut socket).await;
    });
    let timeout = Some(Duration::from_millis(200));
    let config = config(&[upstream.await], Protocol::Http1, timeout);
    let world = World::with(config, Options::default());
    let mut socket = world.connect().await;
    socket.write_all(GET).await.unwrap();
    let answer = read_to_end(&mut socket).await;
    assert!(answer.ends_with("part"), "{answer}");
}

#[tokio::test]
async fn an_answer_cut_off_by_the_endpoint_is_cut_off_for_the_client() {
    let upstream = scripted(|_, mut socket| async move {
        read_until(&mut socket, "\r\n\r\n").await;
        let part = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n";
        socket.write_all(part).await.unwrap();
    });
    let world = World::new(&[upstream.await]);
    let mut socket = world.connect().await;
    socket.write_all(GET).await.unwrap();
    let answer = read_to_end(&mut socket).await;
    assert!(answer.contains("part"), "{answer}");
    assert!(!answer.contains("\r\n0\r\n"), "it must not look complete: {answer}");
}

#[tokio::test]
async fn an_unreadable_answer_is_a_bad_gateway() {
    let upstream = scripted(|_, mut socket| async move {
        read_until(&mut socket, "\r\n\r\n").await;
        socket.write_all(b"nonsense\r\n\r\n").await.unwrap();
        read_to_end(&mut socket).await;
    });
    let answer = World::new(&[upstream.await])
        .raw(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    assert!(answer.contains("x-synod-cause: upstream_failed"), "{answer}");
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_request_at_the_endpoint() {
    let (seen, mut ended) = watch::channel(0);
    let upstream = scripted(move |_, mut socket| {
        let seen = seen.clone();
        async move {
            read_until(&mut socket, "\r\n\r\n").await;
            seen.send_replace(1);
            read_to_end(&mut socket).await;
            seen.send_replace(2);
        }
    })
    .await;
    let world = World::new(&[upstream]);
    let mut socket = world.connect().await;
    socket.write_all(GET).await.unwrap();
    soon(ended.wait_for(|stage| *stage == 1)).await.unwrap();
    drop(socket);
    soon(ended.wait_for(|stage| *stage == 2)).await.unwrap();
}

#[tokio::test]
async fn head_answers_have_a_length_but_no_body() {
    let world = World::new(&[serve(|_| async {
        http::Response::new(http_body_util::Full::from("12345"))
    })
    .await]);
    let answer = world.raw(b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("content-length: 5"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}
