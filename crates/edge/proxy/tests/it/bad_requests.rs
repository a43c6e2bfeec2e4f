//! Raw bytes in, for each rule of framing, host, path and headers.

use tokio::io::AsyncWriteExt;

use crate::world::{World, echo, read_to_end, read_until, split};

/// What a row expects.
enum Want {
    /// This status, and the connection closed.
    Refused(u16),
    /// Passed on; the endpoint saw this text.
    Seen(&'static str),
    /// Passed on; the endpoint did not see this text.
    Unseen(&'static str),
}
use Want::{Refused, Seen, Unseen};

async fn check(rows: &[(&str, String, Want)]) {
    let world = World::new(&[echo().await]);
    for (name, request, want) in rows {
        let answer = world.raw(request.as_bytes()).await;
        let (status, body) = split(&answer);
        match want {
            Refused(code) => {
                assert_eq!(status, *code, "{name}: {answer}");
                assert!(answer.contains("x-synod-cause: bad_request"), "{name}: {answer}");
                assert!(answer.contains("connection: close"), "{name}: {answer}");
                assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{name}: {answer}");
            }
            Seen(text) => {
                assert_eq!(status, 200, "{name}: {answer}");
                assert!(body.contains(text), "{name}: {body:?} lacks {text:?}");
            }
            Unseen(text) => {
                assert_eq!(status, 200, "{name}: {answer}");
                assert!(!body.contains(text), "{name}: {body:?} holds {text:?}");
            }
        }
    }
}

/// A POST with these header lines and this body.
fn post(lines: &str, body: &str) -> String {
    format!("POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n{body}")
}

fn get(lines: &str) -> String {
    format!("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n")
}

fn path(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

fn host(lines: &str) -> String {
    format!("GET /x HTTP/1.1\r\nConnection: close\r\n{lines}\r\n")
}

#[tokio::test]
async fn framing_has_one_reading() {
    let chunked = "Transfer-Encoding: chunked\r\n";
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let zero = "0\r\n\r\n";
    check(&[
        (
            "CL then TE",
            post(
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                &(zero.to_owned() + smuggled),
            ),
            Refused(400),
        ),
        (
            "TE then CL",
            post(
                "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                &(zero.to_owned() + smuggled),
            ),
            Refused(400),
        ),
        (
            "TE identity, chunked",
            post("Transfer-Encoding: identity, chunked\r\n", zero),
            Refused(400),
        ),
        ("TE twice", post(&chunked.repeat(2), zero), Refused(400)),
        ("TE xchunked", post("Transfer-Encoding: xchunked\r\n", zero), Refused(400)),
        (
            "TE chunked, identity",
            post("Transfer-Encoding: chunked, identity\r\n", zero),
            Refused(400),
        ),
        ("TE with a vertical tab", post("Transfer-Encoding: \x0bchunked\r\n", zero), Refused(400)),
        ("space before the colon", post("Transfer-Encoding : chunked\r\n", zero), Refused(400)),
        (
            "HTTP/1.0 with TE",
            format!("POST / HTTP/1.0\r\nHost: a\r\n{chunked}\r\n{zero}"),
            Refused(400),
        ),
        ("CL twice", post("Content-Length: 2\r\nContent-Length: 2\r\n", "ab"), Refused(400)),
        ("CL 2, 2", post("Content-Length: 2, 2\r\n", "ab"), Refused(400)),
        ("CL differing", post("Content-Length: 2\r\nContent-Length: 3\r\n", "abc"), Refused(400)),
        ("CL +2", post("Content-Length: +2\r\n", "ab"), Refused(400)),
        ("CL -1", post("Content-Length: -1\r\n", ""), Refused(400)),
        ("CL 0x2", post("Content-Length: 0x2\r\n", "ab"), Refused(400)),
        ("CL empty", post("Content-Length:\r\n", ""), Refused(400)),
        ("obs-fold", get("X: a\r\n b\r\n"), Refused(400)),
        ("bare LF", "GET / HTTP/1.1\nHost: a\n\n".into(), Refused(400)),
        ("bare LF in the head", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n".into(), Refused(400)),
        ("bare CR in a value", get("X: a\rb\r\n"), Refused(400)),
        ("NUL in a value", get("X: a\0b\r\n"), Refused(400)),
        ("empty name", get(": x\r\n"), Refused(400)),
        ("no colon", get("x\r\n"), Refused(400)),
        ("doubled spaces", "GET  /  HTTP/1.1\r\nHost: a\r\n\r\n".into(), Refused(400)),
        ("chunked", post(chunked, "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"), Seen("\n\nabc")),
        ("chunk extension is dropped", post(chunked, "2;a=b\r\nab\r\n0\r\n\r\n"), Seen("\n\nab")),
        ("chunk extension with a bare LF", post(chunked, "2;a=b\nab\r\n0\r\n\r\n"), Refused(400)),
        (
            "chunk size overflow",
            post(chunked, "fffffffffffffffff\r\nab\r\n0\r\n\r\n"),
            Refused(400),
        ),
        ("chunk size 0x2", post(chunked, "0x2\r\nab\r\n0\r\n\r\n"), Refused(400)),
        ("chunk without CRLF", post(chunked, "2\r\nab0\r\n\r\n"), Refused(400)),
        ("chunk with a bare LF", post(chunked, "2\nab\r\n0\r\n\r\n"), Refused(400)),
        (
            "trailer content-length is dropped",
            post(
                "Transfer-Encoding: chunked\r\nTrailer: Content-Length, X-Sum\r\n",
                "0\r\nContent-Length: 3\r\nX-Sum: 7\r\n\r\n",
            ),
            Unseen("trailer content-length"),
        ),
        (
            "GET with a body keeps it",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
             2\r\nab\r\n0\r\n\r\n"
                .into(),
            Seen("\n\nab"),
        ),
        ("an empty line before the request", format!("\r\n{}", get("")), Seen("GET /x")),
    ])
    .await;
}

#[tokio::test]
async fn the_host_is_one_and_plain() {
    check(&[
        ("no Host", host(""), Refused(400)),
        ("no Host in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n".into(), Refused(400)),
        ("two Hosts", host("Host: a\r\nHost: b\r\n"), Refused(400)),
        ("two equal Hosts", host("Host: a\r\nHost: a\r\n"), Refused(400)),
        ("Host a@b", host("Host: a@b\r\n"), Refused(400)),
        ("Host a:8x", host("Host: a:8x\r\n"), Refused(400)),
        ("Host a/b", host("Host: a/b\r\n"), Refused(400)),
        (
            "absolute target of another host",
            "GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            Refused(400),
        ),
        (
            "absolute target of the same host",
            "GET http://a/x?y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".into(),
            Seen("GET /x?y\n"),
        ),
        ("Host is passed on", host("Host: a:81\r\n"), Seen("\nhost: a:81\n")),
    ])
    .await;
}

#[tokio::test]
async fn paths_have_one_spelling() {
    check(&[
        ("dot segments", path("/a/../admin"), Seen("GET /admin\n")),
        ("encoded dot segments", path("/a/%2e%2e/admin"), Seen("GET /admin\n")),
        ("double slash", path("//admin"), Seen("GET /admin\n")),
        ("backslash", path("/a\\..\\admin"), Seen("GET /admin\n")),
        ("encoded slash", path("/a%2f..%2fadmin"), Refused(400)),
        ("encoded backslash", path("/a%5c..%5cadmin"), Refused(400)),
        ("encoded NUL", path("/a%00"), Refused(400)),
        ("dots with a parameter", path("/a/..;/admin"), Seen("GET /admin\n")),
        ("parameter", path("/admin;x=1"), Seen("GET /admin;x=1\n")),
        ("fragment", path("/admin#f"), Refused(400)),
        ("encoded letter", path("/%61dmin"), Seen("GET /admin\n")),
        ("broken escape", path("/a%zz"), Refused(400)),
        ("the query stays as it is", path("/a/../b?c=/../%zz"), Seen("GET /b?c=/../%zz\n")),
    ])
    .await;
}

#[tokio::test]
async fn headers_of_this_connection_end_here() {
    let huge = format!("X: {}\r\n", "y".repeat(70 * 1024));
    let many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    let just: String = (0..95).map(|n| format!("X-{n}: y\r\n")).collect();
    let nominating = |token: &str, lines: &str| {
        format!("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close, {token}\r\n{lines}\r\n")
    };
    check(&[
        ("nominated", nominating("X-Id", "X-Id: 7\r\n"), Unseen("x-id")),
        (
            "identity is not stripped",
            nominating("Authorization", "Authorization: me\r\n"),
            Seen("authorization: me"),
        ),
        (
            "forwarding is not stripped",
            nominating("X-Forwarded-For", ""),
            Seen("x-forwarded-for: 127.0.0.1"),
        ),
        ("Host nominated", nominating("Host", ""), Refused(400)),
        ("Keep-Alive", get("Keep-Alive: timeout=5\r\n"), Unseen("keep-alive")),
        ("Proxy-Connection", get("Proxy-Connection: close\r\n"), Unseen("proxy-connection")),
        ("Proxy-Authorization", get("Proxy-Authorization: x\r\n"), Unseen("proxy-auth")),
        ("TE gzip", get("TE: gzip\r\n"), Unseen("te: ")),
        ("TE trailers", get("TE: gzip, trailers\r\n"), Seen("\nte: trailers\n")),
        ("Upgrade foo", nominating("Upgrade", "Upgrade: foo\r\n"), Unseen("upgrade")),
        (
            "Upgrade h2c",
            nominating("Upgrade, HTTP2-Settings", "Upgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"),
            Unseen("http2-settings"),
        ),
        ("underscore", get("X_Id: 7\r\n"), Unseen("x_id")),
        ("obs-text passes", get("X: caf\u{e9}\r\n"), Seen("x: caf\u{e9}")),
        ("200 headers", get(&many), Refused(431)),
        ("97 headers", get(&just), Seen("x-94: y")),
        ("70 KB header", get(&huge), Refused(431)),
        ("CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n".into(), Refused(405)),
        (
            "spoofed address",
            get("X-Forwarded-For: 8.8.8.8\r\n"),
            Seen("x-forwarded-for: 127.0.0.1\n"),
        ),
        ("spoofed host", get("X-Forwarded-Host: evil\r\n"), Seen("x-forwarded-host: a\n")),
        (
            "spoofed protocol",
            get("X-Forwarded-Proto: https\r\n"),
            Seen("x-forwarded-proto: http\n"),
        ),
        ("Forwarded", get("Forwarded: for=8.8.8.8\r\n"), Unseen("8.8.8.8")),
        ("X-Real-IP", get("X-Real-IP: 8.8.8.8\r\n"), Unseen("8.8.8.8")),
    ])
    .await;
}

#[tokio::test]
async fn a_refusal_takes_its_turn_among_pipelined_answers() {
    let world = World::new(&[echo().await]);
    let good = "POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";
    let answer = world.raw(format!("{good}{good}GET / HTTP/1.1\r\n\r\n{good}").as_bytes()).await;
    let order: Vec<_> = answer.matches("HTTP/1.1 ").collect();
    assert_eq!(order.len(), 3, "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{answer}");
    assert!(answer.rfind("HTTP/1.1 400") > answer.rfind("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("the host header is missing"), "{answer}");
}

#[tokio::test]
async fn a_stand_in_cannot_be_had_by_asking_for_it() {
    let world = World::new(&[echo().await]);
    let (status, body) = world.get("refused", "/").await;
    assert_eq!(status, 200);
    assert!(body.contains("host: refused"), "{body}");
}

#[tokio::test]
async fn a_head_that_comes_too_slowly_is_refused() {
    let options = synod_proxy::Options {
        head_timeout: std::time::Duration::from_millis(50),
        ..Default::default()
    };
    let config = crate::world::config(&[], synod_routing::Protocol::Http1, None);
    let world = World::with(config, options);
    let mut socket = world.connect().await;
    socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").await.unwrap();
    let answer = read_to_end(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn a_silent_connection_is_closed_but_a_waiting_one_is_not() {
    let (release, released) = tokio::sync::watch::channel(false);
    let upstream = crate::world::serve(move |_| {
        let mut released = released.clone();
        async move {
            released.wait_for(|open| *open).await.unwrap();
            http::Response::new(http_body_util::Full::from("late"))
        }
    })
    .await;
    let options = synod_proxy::Options {
        idle_timeout: std::time::Duration::from_millis(30),
        ..Default::default()
    };
    let world = World::with(crate::world::only_for("a", &[upstream]), options);
    let mut waiting = world.connect().await;
    waiting.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    // Begun later and closed for silence: by then the waiting one has been silent for longer.
    let mut silent = world.connect().await;
    silent.write_all(b"OPTIONS /none HTTP/1.1\r\nHost: b\r\n\r\n").await.unwrap();
    assert!(read_to_end(&mut silent).await.starts_with("HTTP/1.1 404"));
    release.send(true).unwrap();
    read_until(&mut waiting, "late").await;
    assert_eq!(read_to_end(&mut waiting).await, "", "and then it is closed for silence");
}
