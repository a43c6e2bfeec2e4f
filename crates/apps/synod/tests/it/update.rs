//! Changing what runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::home::{Home, get};

fn app(env: &str) -> String {
    format!(
        "app = \"roll\"\n[service.a]\nrun = \"$OBEDIENT\"\nports = {{ http = \"auto\" }}\n\
         instances = 2\nenv = {{ MARK = \"{env}\" }}\n\
         [service.b]\nrun = \"$OBEDIENT\"\nports = {{ http = \"auto\" }}\n"
    )
}

#[test]
fn a_change_touches_only_what_differs_and_loses_no_request() {
    let home = Home::new();
    let manifest = home.manifest("roll.toml", &app("one"));
    home.up(&manifest);
    let untouched = home.instance("b");
    let port = home.gateway_port();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut answers = 0;
            while !over.load(Ordering::Relaxed) {
                let (status, body) = get(port, "a.roll.localhost", "/slow/5").expect("an answer");
                assert_eq!(status, 200, "no request is lost in a rolling update: {body}");
                answers += 1;
            }
            answers
        });
        home.manifest("roll.toml", &app("two"));
        let plan = home.run(["up", manifest.to_str().expect("text"), "--plan"]);
        plan.expect_code(0);
        assert!(plan.stdout().contains('a') && plan.stdout().contains("env"), "{}", plan.stdout());
        home.up(&manifest);
        over.store(true, Ordering::Relaxed);
        assert!(load.join().expect("the load ran") > 0);
    });
    assert_eq!(home.get("a.roll.localhost", "/env/MARK"), (200, "two".into()));
    assert_eq!(home.instance("b"), untouched);
    home.wait_for("a", "the old instances to go", |rows| rows.len() == 2);
}

#[test]
fn scaling_restarts_nobody() {
    let home = Home::new();
    let manifest = home.manifest("roll.toml", &app("one"));
    home.up(&manifest);
    let before: Vec<_> = home.instances(Some("a")).iter().map(|row| row["pid"].clone()).collect();
    home.manifest("roll.toml", &app("one").replace("instances = 2", "instances = 3"));
    home.up(&manifest);
    let after: Vec<_> = home.instances(Some("a")).iter().map(|row| row["pid"].clone()).collect();
    assert_eq!(after.len(), 3);
    assert!(before.iter().all(|pid| after.contains(pid)), "{before:?} {after:?}");
}

#[test]
fn a_stopped_service_stays_stopped_until_up() {
    let home = Home::new();
    let manifest = home.manifest("roll.toml", &app("one"));
    home.up(&manifest);
    home.run(["stop", "b"]).expect_code(0);
    home.wait_for("b", "nothing", <[_]>::is_empty);
    assert_eq!(home.get("b.roll.localhost", "/").0, 503);
    let ps = home.run(["ps", "roll"]).stdout();
    assert!(ps.contains("roll/b is stopped"), "{ps}");
    home.up(&manifest);
    home.instance("b");
}

#[test]
fn an_app_under_a_new_name_warns_of_the_old_one() {
    let home = Home::new();
    let manifest = home.manifest("roll.toml", &app("one"));
    home.up(&manifest);
    home.manifest("roll.toml", &app("one").replace("\"roll\"", "\"stone\""));
    home.up(&manifest).expect_stderr("synod down roll");
}
