//! Who may connect.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use http::{Method, Request};
use http_body_util::Full;
use synod_http::{BindError, Token, bind_loopback, bind_unix};

use crate::home::{Home, SECRET};

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn the_unix_socket_is_for_its_owner_only() {
    let home = Home::new().await;
    assert_eq!(mode(&home.socket()), 0o600);
    assert_eq!(mode(home.socket().parent().expect("a directory")), 0o700);
}

#[tokio::test]
async fn a_directory_open_to_others_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let open = dir.path().join("open");
    fs::create_dir(&open).expect("made");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o750)).expect("changed");
    let refused = bind_unix(&open.join("api.sock")).expect_err("others may enter");
    assert!(matches!(refused, BindError::OpenDirectory { mode: 0o750, .. }), "{refused}");
    assert!(refused.to_string().contains("make it 0700"), "{refused}");
}

#[tokio::test]
async fn a_socket_left_behind_is_replaced_and_a_long_path_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("own/api.sock");
    drop(bind_unix(&path).expect("a socket"));
    assert!(path.exists(), "it was left behind");
    bind_unix(&path).expect("replaced");
    let long = dir.path().join("own").join("x".repeat(120));
    let refused = bind_unix(&long).expect_err("a path of more than 107 bytes");
    assert!(refused.to_string().contains("cannot listen on"), "{refused}");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let home = Home::new().await;
    let refused = bind_loopback(home.port).await.expect_err("the API listens there");
    assert!(refused.to_string().contains(&format!("127.0.0.1:{}", home.port)), "{refused}");
}

#[tokio::test]
async fn a_listener_beyond_loopback_is_refused() {
    let home = Home::new().await;
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.expect("a free port");
    let token = Token::new(SECRET).expect("long enough");
    let refused = home.api.serve_tcp(listener, token).expect_err("not loopback");
    assert!(refused.to_string().contains("loopback only"), "{refused}");
}

/// What the TCP listener answers to these headers: a status and a code.
async fn tcp(home: &Home, headers: &[(&str, &str)]) -> (u16, String) {
    let mut request = Request::builder().method(Method::GET).uri("/v1/version");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::default()).expect("well-formed");
    let answer = home.open_tcp(request).await.whole().await;
    let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    (answer.status.as_u16(), body["code"].as_str().unwrap_or("").to_owned())
}

#[tokio::test]
async fn tcp_asks_for_the_token_the_host_and_the_origin() {
    let home = Home::new().await;
    let (bearer, port) = (format!("Bearer {SECRET}"), home.port);
    let token = ("authorization", bearer.as_str());
    let ours = format!("localhost:{port}");
    let host = ("host", ours.as_str());
    let origin = format!("http://{ours}");
    let said = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(tcp(&home, &[host, token]).await, said(200, ""));
    assert_eq!(tcp(&home, &[host, token, ("origin", &origin)]).await, said(200, ""));
    assert_eq!(tcp(&home, &[host]).await, said(401, "unauthorized"));
    let wrong = ("authorization", "Bearer 0123456789abcdef0123456789abcdee");
    assert_eq!(tcp(&home, &[host, wrong]).await, said(401, "unauthorized"));
    let rebound = format!("evil.example:{port}");
    let refused = tcp(&home, &[("host", &rebound), token]).await;
    assert_eq!(refused, said(403, "host-not-allowed"));
    let refused = tcp(&home, &[host, token, ("origin", "http://evil.example")]).await;
    assert_eq!(refused, said(403, "origin-not-allowed"));
    let refused = tcp(&home, &[("host", "localhost"), token]).await;
    assert_eq!(refused, said(403, "host-not-allowed"), "the port is part of the host");
}

#[tokio::test]
async fn the_unix_socket_checks_host_and_origin_too() {
    let home = Home::new().await;
    let send = async |headers: &[(&str, &str)]| {
        let mut request = Request::get("/v1/version");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::default()).expect("well-formed");
        home.open(request).await.whole().await
    };
    assert_eq!(send(&[("host", "localhost")]).await.status.as_u16(), 200);
    send(&[("host", "evil.example")]).await.problem(403, "host-not-allowed");
    let foreign = [("host", "localhost"), ("origin", "null")];
    send(&foreign).await.problem(403, "origin-not-allowed");
}

#[tokio::test]
async fn asking_for_the_end_is_answered_and_heard() {
    let home = Home::new().await;
    let answer = home.send(Method::POST, "/v1/shutdown").await;
    assert_eq!(answer.status.as_u16(), 202);
    let heard = tokio::time::timeout(crate::home::PATIENCE, home.api.shutdown_requested()).await;
    heard.expect("the daemon hears it");
    assert_eq!(home.shutdown().await.0, Vec::<&str>::new());
}

#[tokio::test]
async fn an_idle_end_waits_for_the_last_app() {
    let home = Home::new().await;
    home.apply_shop().await;
    let answer = home.send(Method::POST, "/v1/shutdown?if_idle=true").await.json();
    assert_eq!(answer, serde_json::json!({ "stopping": false }));
    home.forget("shop").await;
    let answer = home.send(Method::POST, "/v1/shutdown?if_idle=true").await.json();
    assert_eq!(answer, serde_json::json!({ "stopping": true }));
    let heard = tokio::time::timeout(crate::home::PATIENCE, home.api.shutdown_requested()).await;
    heard.expect("the daemon hears it");
}

#[tokio::test]
async fn a_daemon_started_by_hand_stays_when_idle() {
    let home = Home::with(false).await;
    let answer = home.send(Method::POST, "/v1/shutdown?if_idle=true").await.json();
    assert_eq!(answer, serde_json::json!({ "stopping": false }));
    let answer = home.send(Method::POST, "/v1/shutdown").await.json();
    assert_eq!(answer, serde_json::json!({ "stopping": true }));
}
