//! Services that behave badly, and what their users see.

use crate::home::Home;

#[test]
fn a_service_that_ends_at_once_is_never_taken_for_ready() {
    let home = Home::new();
    let manifest = home.manifest(
        "brief.toml",
        "app = \"brief\"\n[service.a]\nrun = \"sh -c 'echo a last word; exit 3'\"\n\
         restart = { backoff = \"10ms..20ms\" }\n\
         [service.b]\nrun = \"sleep 1000\"\nneeds = [\"a\"]\n",
    );
    let ran = home.run(["up", manifest.to_str().expect("text"), "--detach"]);
    ran.expect_code(1);
    ran.expect_stderr("a last word");
    ran.expect_stderr("exited with code 3");
    assert!(home.instances(Some("b")).iter().all(|row| row["started_ms"].is_null()));
}

#[test]
fn logs_of_a_service_that_prints_without_a_pause_come_to_an_end() {
    let home = Home::new();
    let manifest =
        home.manifest("flood.toml", "app = \"flood\"\n[service.a]\nrun = \"yes a-line\"\n");
    home.up(&manifest);
    let ran = home.run(["logs", "a", "--tail", "3"]);
    ran.expect_code(0);
    assert_eq!(ran.stdout().lines().filter(|line| line.ends_with("a-line")).count(), 3);
    home.run(["down", "flood"]).expect_code(0);
    home.expect_nothing_running();
}
