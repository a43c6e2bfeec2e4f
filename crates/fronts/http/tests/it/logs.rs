//! Logs through the API.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use http::Method;
use serde_json::Value;

use crate::home::{Answer, End, Home, plain};

/// The newest segment of a slot, in the agent's format.
fn segment(home: &Home, service: &str) -> fs::File {
    let slot: PathBuf = home.dir.path().join("data/logs/shop").join(service).join("0");
    fs::create_dir_all(&slot).expect("a directory");
    let path = slot.join("0000000001.log");
    fs::File::options().create(true).append(true).open(path).expect("a segment")
}

fn print(home: &Home, service: &str, at_us: u64, text: &str) {
    let mut file = segment(home, service);
    writeln!(file, "{at_us} o {service}-0-1 {text}").expect("written");
}

async fn texts(mut answer: Answer) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        match answer.line().await {
            Ok(line) => texts.push(text(&line)),
            Err(end) => {
                assert_eq!(end, End::Clean);
                return texts;
            }
        }
    }
}

fn text(line: &Value) -> String {
    line["text"].as_str().expect("a line has text").to_owned()
}

async fn logs(home: &Home, query: &str) -> Vec<String> {
    let target = format!("/v1/apps/shop/logs{query}");
    texts(home.open(plain(Method::GET, &target)).await).await
}

#[tokio::test]
async fn lines_are_merged_and_picked_by_service_time_and_number() {
    let home = Home::new().await;
    print(&home, "web", 1_000_000, "one");
    print(&home, "stock", 2_000_000, "two");
    print(&home, "web", 3_000_000, "three");
    assert_eq!(logs(&home, "").await, ["one", "two", "three"]);
    assert_eq!(logs(&home, "?service=web").await, ["one", "three"]);
    assert_eq!(logs(&home, "?service=web,stock&tail=2").await, ["two", "three"]);
    assert_eq!(logs(&home, "?since_ms=2000").await, ["two", "three"]);
    assert_eq!(logs(&home, "?instance=stock-0-1").await, ["two"]);
    assert_eq!(logs(&home, "?service=none").await, Vec::<String>::new());
    home.get("/v1/apps/shop/logs?service=..%2Fother").await.problem(400, "bad-query");
    home.get("/v1/apps/shop/logs?tail=few").await.problem(400, "bad-query");
}

#[tokio::test]
async fn following_goes_on_until_the_daemon_ends() {
    let home = Home::new().await;
    print(&home, "web", 1_000_000, "before");
    let mut answer = home.open(plain(Method::GET, "/v1/apps/shop/logs?follow=true")).await;
    assert_eq!(text(&answer.line().await.expect("a line")), "before");
    print(&home, "web", 2_000_000, "after");
    assert_eq!(text(&answer.line().await.expect("a line")), "after");
    assert_eq!(home.shutdown().await.0, Vec::<&str>::new());
    assert_eq!(answer.line().await, Err(End::CutOff));
}
