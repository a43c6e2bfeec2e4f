//! Ending an app, whatever else has ended.

use std::process::Stdio;

use crate::home::{Home, kill};

const ONE: &str = "app = \"one\"\n[service.a]\nrun = \"$OBEDIENT\"\nports = { http = \"auto\" }\n";

#[test]
fn down_ends_every_process_and_the_daemon() {
    let home = Home::new();
    home.up(&home.manifest("one.toml", ONE));
    home.run(["down", "one"]).expect_code(0);
    home.expect_nothing_running();
}

#[test]
fn down_works_without_a_live_daemon() {
    let home = Home::new();
    home.up(&home.manifest("one.toml", ONE));
    kill(home.daemon_pid(), "KILL");
    home.run(["down", "one"]).expect_code(0);
    home.expect_nothing_running();
}

#[test]
fn ctrl_c_stops_the_app_cleanly() {
    let home = Home::new();
    let manifest = home.manifest("one.toml", ONE);
    let mut up = home
        .command(["up", manifest.to_str().expect("text")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    home.wait_for("a", "a ready instance", |rows| rows.iter().any(|row| row["ready"] == true));
    kill(up.id(), "INT");
    let status = up.wait().expect("it ends");
    assert_eq!(status.code(), Some(130));
    home.expect_nothing_running();
}
