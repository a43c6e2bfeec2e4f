//! Builds: once, before anything starts, and never left behind.

use std::fs;
use std::time::Instant;

use crate::home::{Home, PATIENCE, kill};

/// An app whose one service is built by `command` in `src`.
fn built_by(home: &Home, command: &str) -> std::path::PathBuf {
    fs::create_dir_all(home.path("src")).expect("a directory");
    home.manifest(
        "built.toml",
        &format!(
            "app = \"built\"\n[service.a]\nrun = \"$OBEDIENT\"\nports = {{ http = \"auto\" }}\n\
             dir = \"src\"\nbuild = {command:?}\n"
        ),
    )
}

#[test]
fn a_build_runs_once_until_an_input_changes() {
    let home = Home::new();
    let manifest = built_by(&home, "echo built >> ../builds.txt");
    fs::write(home.path("src/input"), "one").expect("a file");
    let builds = || fs::read_to_string(home.path("builds.txt")).unwrap_or_default();
    home.up(&manifest);
    assert_eq!(builds(), "built\n");
    home.up(&manifest);
    assert_eq!(builds(), "built\n", "nothing changed, nothing is built");
    fs::write(home.path("src/input"), "another").expect("a file");
    home.up(&manifest);
    assert_eq!(builds(), "built\nbuilt\n");
}

#[test]
fn a_failing_build_is_shown_and_starts_nothing() {
    let home = Home::new();
    let manifest = built_by(&home, "echo a hint; exit 3");
    let ran = home.run(["up", manifest.to_str().expect("text"), "--detach"]);
    ran.expect_code(1);
    ran.expect_stderr("a hint");
    ran.expect_stderr("exit status: 3");
    ran.expect_stderr("SYN-0011");
    assert_eq!(home.instances(None).len(), 0);
}

#[test]
fn a_build_that_takes_too_long_is_killed_whole() {
    let home = Home::new();
    fs::create_dir_all(home.path("src")).expect("a directory");
    let manifest = home.manifest(
        "slow.toml",
        "app = \"slow\"\n[service.a]\nrun = \"true\"\ndir = \"src\"\n\
         build = { command = \"sleep 1000 & wait\", timeout = \"1s\" }\n",
    );
    let ran = home.run(["up", manifest.to_str().expect("text"), "--detach"]);
    ran.expect_code(1);
    ran.expect_stderr("build.timeout");
    home.expect_nothing_running();
}

#[test]
fn an_interrupted_build_is_killed_and_changes_nothing() {
    let home = Home::new();
    let manifest = built_by(&home, "echo started > ../started; sleep 1000");
    let mut up = home
        .command(["up", manifest.to_str().expect("text"), "--detach"])
        .spawn()
        .expect("the binary runs");
    let give_up = Instant::now() + PATIENCE;
    while !home.path("started").exists() {
        assert!(Instant::now() < give_up, "the build did not start");
        std::thread::yield_now();
    }
    kill(up.id(), "INT");
    assert_eq!(up.wait().expect("it ends").code(), Some(130));
    home.expect_nothing_running();
}
