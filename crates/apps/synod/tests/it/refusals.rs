//! What is refused, and how it is said.

use std::net::TcpListener;

use crate::home::Home;

#[test]
fn a_bad_manifest_names_line_column_and_the_nearest_key() {
    let home = Home::new();
    let manifest =
        home.manifest("bad.toml", "app = \"bad\"\n[service.a]\nrun = \"true\"\nhelth = 1\n");
    let ran = home.run(["check", manifest.to_str().expect("text")]);
    ran.expect_code(2);
    ran.expect_stderr("4:1");
    ran.expect_stderr("health");
    ran.expect_stderr("SYN-0001");
}

#[test]
fn a_cycle_is_refused_before_anything_starts() {
    let home = Home::new();
    let manifest = home.manifest(
        "cycle.toml",
        "app = \"c\"\n[service.a]\nrun = \"true\"\nneeds = [\"b\"]\n\
         [service.b]\nrun = \"true\"\nneeds = [\"a\"]\n",
    );
    let ran = home.run(["up", manifest.to_str().expect("text")]);
    ran.expect_code(2);
    ran.expect_stderr("cycle");
    assert!(!home.data_dir().exists(), "nothing was started");
}

#[test]
fn a_missing_program_is_named() {
    let home = Home::new();
    let manifest = home
        .manifest("missing.toml", "app = \"missing\"\n[service.a]\nrun = \"no-such-program-x\"\n");
    let ran = home.run(["up", manifest.to_str().expect("text"), "--detach", "--wait", "5s"]);
    ran.expect_code(1);
    ran.expect_stderr("no-such-program-x");
    home.run(["down", "missing"]).expect_code(0);
}

#[test]
fn a_taken_port_is_named() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port();
    let manifest = home.manifest(
        "taken.toml",
        &format!(
            "app = \"taken\"\n[service.a]\nrun = \"$OBEDIENT\"\nports = {{ http = {port} }}\n"
        ),
    );
    let ran = home.run(["up", manifest.to_str().expect("text"), "--detach", "--wait", "5s"]);
    ran.expect_code(1);
    ran.expect_stderr(&port.to_string());
}

#[test]
fn a_second_daemon_on_the_directory_is_refused_with_the_holder() {
    let home = Home::new();
    home.run(["daemon", "start"]).expect_code(0);
    let ran = home.run(["daemon", "run"]);
    ran.expect_code(4);
    ran.expect_stderr(&home.daemon_pid().to_string());
    ran.expect_stderr("SYN-0003");
}

#[test]
fn the_same_app_from_another_file_is_a_conflict_that_names_both() {
    let home = Home::new();
    let text = "app = \"one\"\n[service.a]\nrun = \"$OBEDIENT\"\nports = { http = \"auto\" }\n";
    home.up(&home.manifest("one.toml", text));
    let other = home.manifest("other.toml", text);
    let ran = home.run(["up", other.to_str().expect("text"), "--detach"]);
    ran.expect_code(4);
    ran.expect_stderr("one.toml");
    ran.expect_stderr("other.toml");
}

#[test]
fn a_damaged_data_directory_is_reported_and_not_cut() {
    let home = Home::new();
    let text = "app = \"one\"\n[service.a]\nrun = \"$OBEDIENT\"\nports = { http = \"auto\" }\n";
    let manifest = home.manifest("one.toml", text);
    home.up(&manifest);
    home.run(["daemon", "stop"]).expect_code(0);
    let log = first_log_segment(&home.data_dir().join("store"));
    let mut bytes = std::fs::read(&log).expect("the log is readable");
    bytes[300] ^= 0x40;
    std::fs::write(&log, bytes).expect("the log is writable");
    let ran = home.run(["up", manifest.to_str().expect("text"), "--detach"]);
    ran.expect_code(1);
    ran.expect_stderr(log.file_name().and_then(|name| name.to_str()).expect("text"));
    ran.expect_stderr("SYN-0004");
    // The store is beyond reach, the instances are not.
    home.run(["down", "one"]).expect_code(0);
    home.expect_nothing_running();
}

fn first_log_segment(dir: &std::path::Path) -> std::path::PathBuf {
    let mut pending = vec![dir.to_owned()];
    let mut segments = Vec::new();
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                pending.push(path);
            } else if path
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"wal-"))
            {
                segments.push(path);
            }
        }
    }
    segments.into_iter().min().expect("the store has a log")
}

#[test]
fn names_that_do_not_exist_are_refused_with_the_nearest() {
    let home = Home::new();
    let text = "app = \"one\"\n[service.api]\nrun = \"$OBEDIENT\"\nports = { http = \"auto\" }\n";
    home.up(&home.manifest("one.toml", text));
    let ran = home.run(["restart", "apu"]);
    ran.expect_code(3);
    ran.expect_stderr("api");
    home.run(["down", "two"]).expect_code(3);
}

#[test]
fn a_wrong_name_among_several_changes_nothing() {
    let home = Home::new();
    let text = "app = \"one\"\n[service.api]\nrun = \"$OBEDIENT\"\nports = { http = \"auto\" }\n";
    home.up(&home.manifest("one.toml", text));
    let before = home.instance("api");
    home.run(["stop", "api", "apu"]).expect_code(3);
    home.run(["logs", "apu"]).expect_code(3);
    assert_eq!(home.instance("api"), before);
}

#[test]
fn a_data_directory_may_lie_deep() {
    let home = Home::new();
    let text = "app = \"one\"\n[service.api]\nrun = \"$OBEDIENT\"\nports = { http = \"auto\" }\n";
    let manifest = home.manifest("one.toml", text);
    let deep = home.data_dir().join("d".repeat(150));
    for args in [["up", manifest.to_str().expect("text"), "-d"], ["down", "one", "-q"]] {
        let ran = home.command(args).env("SYNOD_DATA_DIR", &deep).output().expect("it runs");
        assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    }
}
