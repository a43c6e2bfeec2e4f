//! Ending an app, whatever else has ended.

use std::io::{BufRead, BufReader};
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

#[test]
fn a_second_ctrl_c_kills_what_does_not_end() {
    let home = Home::new();
    let manifest = home.manifest(
        "stubborn.toml",
        "app = \"stubborn\"\n[service.a]\nstop = { grace = \"10m\" }\n\
         run = [\"sh\", \"-c\", \"trap '' TERM; while :; do sleep 1; done\"]\n",
    );
    let mut up = home
        .command(["up", manifest.to_str().expect("text")])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut said = BufReader::new(up.stderr.take().expect("stderr is piped")).lines();
    let mut wait_for = |what: &str| {
        let found = said.by_ref().map_while(Result::ok).any(|line| line.contains(what));
        assert!(found, "{what} was not said");
    };
    wait_for("stubborn is ready");
    kill(up.id(), "INT");
    wait_for("stopping; Ctrl-C again kills");
    wait_for("a-0-");
    kill(up.id(), "INT");
    wait_for("killing");
    wait_for("stubborn is down");
    assert_eq!(up.wait().expect("it ends").code(), Some(130));
    home.expect_nothing_running();
}

#[test]
fn down_without_a_store_ends_what_is_named_and_nothing_else() {
    let home = Home::new();
    home.up(&home.manifest("one.toml", ONE));
    home.up(&home.manifest("two.toml", &ONE.replace("\"one\"", "\"two\"")));
    home.run(["daemon", "stop"]).expect_code(0);
    std::fs::remove_dir_all(home.data_dir().join("store")).expect("the store can be removed");
    home.run(["down", "three"]).expect_code(3);
    home.run(["down"]).expect_code(2);
    let running = home.processes().len();
    home.run(["down", "one"]).expect_code(0);
    assert_eq!(home.processes().len(), running / 2, "the other app runs on");
    home.run(["down", "--all"]).expect_code(0);
    home.expect_nothing_running();
}
