use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::log::LogReader;

/// A server that answers each connection with the next of some texts, the last one for ever.
async fn server(answers: &'static [&'static str]) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let number = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for number in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = answers[number.min(answers.len() - 1)];
            // What was asked is read first: closing a socket with unread bytes resets it.
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    Target {
        app: "shop".into(),
        service: "web".into(),
        instance: "web-0-1".into(),
        ports: BTreeMap::from([("http".into(), number)]),
        started_ms: 0,
        logs: LogReader::new(std::path::Path::new("/nonexistent")),
    }
}

fn http() -> ProbeAction {
    ProbeAction::Http { port: "http".into(), path: "/up".into() }
}

fn probe(fails: u32) -> Probe {
    Probe {
        action: http(),
        every: Duration::from_millis(5),
        timeout: Duration::from_secs(5),
        fails,
        grace: Duration::ZERO,
    }
}

const GOOD: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const BAD: &str = "HTTP/1.1 500 Oh\r\ncontent-length: 9\r\n\r\nno stock\n";

#[tokio::test]
async fn answers_are_judged_by_their_status() {
    for (answer, expected) in [
        (GOOD, Ok(())),
        ("HTTP/1.0 302 Found\r\n\r\n", Ok(())),
        (BAD, Err("answered 500: no stock")),
        ("HTTP/1.1 404\r\n\r\n", Err("answered 404")),
        ("HTTP/1.1 199 Odd\r\n\r\n", Err("answered 199")),
        ("SSH-2.0-server\r\n", Err("got no HTTP answer")),
        ("", Err("got no HTTP answer")),
    ] {
        let answer: &'static str = answer;
        let target = server(Box::leak(Box::new([answer]))).await;
        let question = target.question(&http());
        let said = target.ask(&http()).await;
        assert_eq!(said, expected.map_err(|answer| format!("{question} {answer}")), "{answer}");
    }
}

#[tokio::test]
async fn readiness_is_lost_after_failures_in_a_row_and_found_again_at_once() {
    let target = server(&[BAD, GOOD, BAD, GOOD, BAD, BAD, BAD, GOOD]).await;
    let health = Health { ready: Some(probe(3)), live: None, start: None };
    let (prober, mut verdict) = Prober::new(Kind::Service, health, target, Before::default());
    assert!(!verdict.borrow().ready);
    let mut changes = vec![false];
    let seen = async {
        while changes.len() < 4 {
            verdict.changed().await.unwrap();
            let ready = verdict.borrow_and_update().ready;
            if changes.last() != Some(&ready) {
                changes.push(ready);
            }
        }
    };
    tokio::select! {
        () = seen => {}
        () = prober.run() => {}
    }
    // One failure between two passes did not count.
    assert_eq!(changes, [false, true, false, true]);
    let last = verdict.borrow().clone();
    assert_eq!((last.reason, last.failed), (None, None));
}

#[tokio::test]
async fn nothing_else_is_asked_before_start_has_passed() {
    let target = server(&[BAD, BAD, GOOD, BAD]).await;
    let start = Probe { grace: Duration::from_secs(30), ..probe(1) };
    let health = Health { ready: None, live: Some(probe(1)), start: Some(start) };
    let (prober, mut verdict) = Prober::new(Kind::Service, health, target, Before::default());
    tokio::select! {
        failed = verdict.wait_for(|verdict| verdict.failed.is_some()) => {
            let reason = failed.unwrap().failed.clone().unwrap();
            // Two failures of `start` were borne, the first of `live` was not.
            assert!(reason.starts_with("live: GET /up"), "{reason}");
        }
        () = prober.run() => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_never_passes_fails_at_its_deadline() {
    let target = Target { ports: BTreeMap::new(), ..server(&[GOOD]).await };
    let start = Probe { grace: Duration::from_secs(7), every: Duration::from_secs(1), ..probe(1) };
    let health = Health { ready: None, live: None, start: Some(start) };
    let begun = Instant::now();
    let (prober, mut verdict) = Prober::new(Kind::Service, health, target, Before::default());
    tokio::select! {
        failed = verdict.wait_for(|verdict| verdict.failed.is_some()) => {
            assert!(failed.unwrap().failed.as_ref().unwrap().contains("(for 7s)"));
        }
        () = prober.run() => {}
    }
    assert_eq!(begun.elapsed(), Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn live_failures_in_its_grace_do_not_count() {
    let target = Target { ports: BTreeMap::new(), ..server(&[GOOD]).await };
    let live = Probe { grace: Duration::from_secs(60), every: Duration::from_secs(1), ..probe(2) };
    let health = Health { ready: None, live: Some(live), start: None };
    let begun = Instant::now();
    let (prober, mut verdict) = Prober::new(Kind::Service, health, target, Before::default());
    tokio::select! {
        _ = verdict.wait_for(|verdict| verdict.failed.is_some()) => {}
        () = prober.run() => {}
    }
    assert!(begun.elapsed() >= Duration::from_secs(61), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_service_without_probes_is_ready_once_it_has_run_for_a_moment() {
    let target = Target { started_ms: now_ms(), ..server(&[BAD]).await };
    let health = Health { ready: None, live: None, start: None };
    let begun = Instant::now();
    let (prober, mut verdict) =
        Prober::new(Kind::Service, health.clone(), target, Before::default());
    assert!(!verdict.borrow().ready);
    tokio::select! {
        _ = verdict.wait_for(|verdict| verdict.ready) => {}
        () = prober.run() => {}
    }
    assert!(begun.elapsed() <= UNPROBED_MIN && !begun.elapsed().is_zero());

    // One that has run for long, as after a restart of the daemon, need not wait.
    let begun = Instant::now();
    let target = server(&[BAD]).await;
    let (prober, mut verdict) =
        Prober::new(Kind::Service, health.clone(), target, Before::default());
    tokio::select! {
        _ = verdict.wait_for(|verdict| verdict.ready) => {}
        () = prober.run() => {}
    }
    assert!(begun.elapsed() < UNPROBED_MIN);

    let target = server(&[BAD]).await;
    let (prober, mut verdict) = Prober::new(Kind::Task, health, target, Before::default());
    tokio::select! {
        _ = verdict.changed() => panic!("a task takes no requests"),
        () = prober.run() => {}
        () = sleep(UNPROBED_MIN * 10) => {}
    }
}
