//! From `up` to `down`, and what outlives what.

use std::process::Stdio;

use crate::home::{Home, kill};

const PAIR: &str = r#"
app = "pair"

[service.api]
run = "$OBEDIENT say=hello"
ports = { http = "auto" }
health.ready = "http:/healthz"

[service.web]
run = "$OBEDIENT"
ports = { http = "auto" }
needs = ["api:ready", "seed:done"]
health.ready = "http:/healthz"

[service.seed]
kind = "task"
run = "$OBEDIENT say=seeding done"
needs = ["api"]
"#;

#[test]
fn up_starts_in_order_and_a_second_up_changes_nothing() {
    let home = Home::new();
    let manifest = home.manifest("pair.toml", PAIR);
    home.up(&manifest);
    let first = home.instances(None);
    assert_eq!(first.len(), 3, "{first:#?}");
    for row in &first {
        let good = row["ready"] == true || row["state"] == "done";
        assert!(good, "{row:#}");
    }
    let made = |service: &str| {
        first.iter().find(|row| row["service"] == service).expect("it is listed")["started_ms"]
            .as_u64()
            .expect("it was started")
    };
    assert!(made("api") <= made("seed") && made("seed") <= made("web"));

    let again = home.up(&manifest);
    again.expect_stderr("nothing to change");
    assert_eq!(home.instances(None), first, "a second up must touch nothing");
}

#[test]
fn a_killed_instance_comes_back_within_its_backoff() {
    let home = Home::new();
    let manifest = home.manifest("pair.toml", PAIR);
    home.up(&manifest);
    let (id, pid) = home.instance("api");
    kill(pid, "KILL");
    home.wait_for("api", "a new instance", |rows| {
        rows.iter().any(|row| row["ready"] == true && row["id"] != id.as_str())
    });
}

#[test]
fn a_killed_daemon_leaves_instances_running_and_the_next_adopts_them() {
    let home = Home::new();
    let manifest = home.manifest("pair.toml", PAIR);
    home.up(&manifest);
    let before = (home.instance("api"), home.instance("web"));
    kill(home.daemon_pid(), "KILL");
    home.up(&manifest);
    assert_eq!((home.instance("api"), home.instance("web")), before);
    let (status, body) = home.get("web.pair.localhost", "/pid");
    assert_eq!((status, body), (200, before.1.1.to_string()));
}

#[test]
fn a_daemon_restart_keeps_every_instance() {
    let home = Home::new();
    let manifest = home.manifest("pair.toml", PAIR);
    home.up(&manifest);
    let before = home.instance("api");
    home.run(["daemon", "restart"]).expect_code(0);
    home.wait_for("api", "the adopted instance", |rows| {
        rows.iter().any(|row| row["ready"] == true)
    });
    assert_eq!(home.instance("api"), before);
}

#[test]
fn a_killed_shim_ends_its_instance_and_both_are_replaced() {
    let home = Home::new();
    let manifest = home.manifest("pair.toml", PAIR);
    home.up(&manifest);
    let (id, pid) = home.instance("api");
    kill(parent_of(pid), "KILL");
    home.wait_for("api", "a replacement", |rows| {
        rows.iter().any(|row| row["ready"] == true && row["id"] != id.as_str())
    });
    assert!(!home.processes().contains(&pid), "the instance must die with its shim");
}

fn parent_of(pid: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("PPid:")).expect("it has a parent");
    line.trim_start_matches("PPid:").trim().parse().expect("a pid")
}

#[test]
fn logs_are_kept_across_restarts_and_parsed() {
    let home = Home::new();
    let manifest = home.manifest("pair.toml", PAIR);
    home.up(&manifest);
    let (id, _) = home.instance("api");
    home.run(["restart", "api"]).expect_code(0);
    home.wait_for("api", "a new instance", |rows| {
        rows.len() == 1 && rows[0]["ready"] == true && rows[0]["id"] != id.as_str()
    });
    let logs = home.run(["logs", "api", "--output", "json"]);
    logs.expect_code(0);
    let lines: Vec<serde_json::Value> =
        logs.stdout().lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect();
    let hellos = lines.iter().filter(|line| line["text"] == "hello").count();
    assert_eq!(hellos, 2, "one from each instance: {lines:#?}");
    let parsed =
        lines.iter().filter(|line| line["text"] == "listening" && line["level"] == "info").count();
    assert_eq!(parsed, 2, "structured lines are parsed: {lines:#?}");
    let text = home.run(["logs", "api", "--tail", "1"]).stdout();
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_test_runs_its_command_against_the_app_and_leaves_nothing() {
    let home = Home::new();
    let manifest = home.manifest("pair.toml", PAIR);
    let manifest = manifest.to_str().expect("text");
    let ran = home.run(["test", manifest, "--", "sh", "-c", "test -n \"$API_URL\" && exit 7"]);
    ran.expect_code(7);
    home.expect_nothing_running();
    let ran = home.run(["test", manifest, "--", "true"]);
    ran.expect_code(0);
    home.expect_nothing_running();
}

#[test]
fn several_commands_at_once_start_one_daemon() {
    let home = Home::new();
    let ups: Vec<_> = ["one", "two", "three"]
        .map(|name| {
            let text = format!(
                "app = \"{name}\"\n[service.a]\nrun = \"$OBEDIENT\"\nports = {{ http = \"auto\" }}\n"
            );
            let manifest = home.manifest(&format!("{name}.toml"), &text);
            home.command(["up", manifest.to_str().expect("text"), "--detach"])
                .spawn()
                .expect("the binary runs")
        })
        .into();
    for mut up in ups {
        assert_eq!(up.wait().expect("it ends").code(), Some(0));
    }
    assert_eq!(home.instances(None).len(), 3);
}

#[test]
fn instances_without_a_daemon_are_not_hidden() {
    let home = Home::new();
    home.up(&home.manifest("pair.toml", PAIR));
    home.run(["daemon", "stop"]).expect_code(0);
    let ran = home.run(["ps"]);
    ran.expect_code(0);
    ran.expect_stderr("instances of pair");
}

#[test]
fn a_test_refuses_an_app_that_runs_already() {
    let home = Home::new();
    let manifest = home.manifest("pair.toml", PAIR);
    home.up(&manifest);
    let before = home.instance("api");
    let ran = home.run(["test", manifest.to_str().expect("text"), "--", "true"]);
    ran.expect_code(4);
    ran.expect_stderr("nothing was changed");
    assert_eq!(home.instance("api"), before);
}

#[test]
fn a_reader_that_has_read_enough_ends_a_command_in_peace() {
    let home = Home::new();
    home.up(&home.manifest("pair.toml", PAIR));
    let mut logs = home
        .command(["logs", "--follow"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // Closed before the first line: each write meets a broken pipe.
    drop(logs.stdout.take());
    let output = logs.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
