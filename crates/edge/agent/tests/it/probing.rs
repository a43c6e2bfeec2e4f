//! Probes decide over real instances.

use std::time::Duration;

use synod_manifest::{Probe, ProbeAction};
use synod_placement::{ExitCause, Phase};

use crate::world::{World, port, probe};

fn tcp() -> Probe {
    probe(ProbeAction::Tcp { port: "http".into() })
}

const SERVER: &str = "exec python3 -u -c '
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        found = os.path.exists(self.path[1:])
        self.send_response(200 if found else 503)
        self.end_headers()
        self.wfile.write(b\"no \" + self.path.encode())
    def log_message(self, *args): pass
http.server.HTTPServer((\"127.0.0.1\", int(os.environ[\"PORT\"])), Handler).serve_forever()'";

#[tokio::test]
async fn a_failing_live_probe_ends_the_instance_with_its_answer() {
    let world = World::new().await;
    let mut service = world.script("exec sleep 1000");
    service.ports = vec![port("http", None)];
    service.health.live = Some(tcp());
    world.assign("web-0-1", &service).await;
    let status = world.until_exited("web-0-1").await;
    let exit = status.exit.unwrap();
    let ExitCause::Probe(answer) = exit.cause else { panic!("{:?}", exit.cause) };
    assert!(exit.failure);
    assert!(answer.starts_with("live: a connection to port "), "{answer}");
    assert!(answer.contains(&status.ports["http"].to_string()), "{answer}");
    world.end().await;
}

#[tokio::test]
async fn an_instance_that_does_not_start_in_time_is_ended() {
    let world = World::new().await;
    let mut service = world.script("exec sleep 1000");
    service.ports = vec![port("http", None)];
    service.health.start = Some(Probe { grace: Duration::from_millis(150), ..tcp() });
    world.assign("web-0-1", &service).await;
    let waiting = world.until("web-0-1", |status| status.reason.is_some()).await;
    assert!(!waiting.ready);
    let exit = world.until_exited("web-0-1").await.exit.unwrap();
    let ExitCause::Probe(answer) = exit.cause else { panic!("{:?}", exit.cause) };
    assert!(answer.starts_with("start: "), "{answer}");
    world.end().await;
}

#[tokio::test]
async fn readiness_follows_the_answers() {
    let world = World::new().await;
    let mut service = world.script(SERVER);
    service.ports = vec![port("http", None)];
    let action = ProbeAction::Http { port: "http".into(), path: "/healthy".into() };
    service.health.ready = Some(probe(action));
    service.health.start = Some(Probe { grace: Duration::from_secs(30), ..tcp() });
    world.assign("web-0-1", &service).await;
    let status = world
        .until("web-0-1", |status| {
            status.reason.as_ref().is_some_and(|reason| reason.starts_with("ready: "))
        })
        .await;
    let reason = status.reason.unwrap();
    assert!(reason.contains("answered 503: no /healthy"), "{reason}");
    assert_eq!((status.phase, status.ready), (Phase::Running, false));

    let file = world.work_dir().join("healthy");
    std::fs::write(&file, "").unwrap();
    let status = world.until("web-0-1", |status| status.ready).await;
    assert_eq!(status.reason, None);
    std::fs::remove_file(&file).unwrap();
    world.until("web-0-1", |status| !status.ready).await;
    std::fs::write(&file, "").unwrap();
    let again = world.until("web-0-1", |status| status.ready).await;
    assert_eq!(again.pid, status.pid);
    world.end().await;
}

#[tokio::test]
async fn a_line_makes_an_instance_ready() {
    let world = World::new().await;
    let fifo = world.work_dir().join("go");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let mut service = world.script("echo preparing; read x < go; echo listening on 80; sleep 1000");
    service.health.ready = Some(probe(ProbeAction::Log { pattern: r"listening on \d+".into() }));
    world.assign("web-0-1", &service).await;
    let status = world.until("web-0-1", |status| status.reason.is_some()).await;
    assert!(status.reason.unwrap().contains("listening on"));
    world.until_printed("preparing").await;
    assert!(!world.status("web-0-1").await.unwrap().ready);
    std::fs::write(&fifo, "x\n").unwrap();
    let status = world.until("web-0-1", |status| status.ready).await;
    assert_eq!(status.reason, None);
    world.end().await;
}
