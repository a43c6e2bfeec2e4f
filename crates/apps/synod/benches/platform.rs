//! What a person waits for, measured from outside: `cargo bench -p synod --bench platform`.
//!
//! - `ready`: from the start of the daemon's process until it answers on its socket.
//! - `idle memory`: its resident memory a second later.
//! - `declared to running`: from the moment an instance is written to the store until its process
//!   runs, for instances that are made one after the other by scaling a service up.
//! - `second up`: `synod up` with nothing changed, from start to exit.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const STARTS: usize = 100;
const INSTANCES: usize = 100;
const UPS: usize = 100;

fn main() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bench = Bench { dir, used: RefCell::default() };
    bench.measure_ready();
    bench.measure_instances();
}

struct Bench {
    dir: tempfile::TempDir,
    /// The data directories on which a daemon was started.
    used: RefCell<BTreeSet<PathBuf>>,
}

impl Drop for Bench {
    /// Also a measurement that failed leaves nothing running.
    fn drop(&mut self) {
        for data_dir in self.used.borrow().iter() {
            for args in [["down", "--all"], ["daemon", "stop"]] {
                let _ = command(data_dir, &args).output();
            }
        }
    }
}

impl Bench {
    fn measure_ready(&self) {
        let mut times = Vec::new();
        let mut memory = Vec::new();
        for round in 0..STARTS {
            let data_dir = self.dir.path().join(format!("state-{round}"));
            let start = Instant::now();
            self.run(&data_dir, &["daemon", "start"]);
            times.push(start.elapsed());
            if round == 0 {
                // The one wait that is part of what is measured: idle means idle for a while.
                std::thread::sleep(Duration::from_secs(1));
                memory.push(resident_mib(self.daemon_pid(&data_dir)));
            }
            self.run(&data_dir, &["daemon", "stop"]);
            fs::remove_dir_all(&data_dir).expect("an ended daemon's directory can be removed");
            self.used.borrow_mut().remove(&data_dir);
        }
        report("ready (command line included)", &mut times);
        println!("{:32} {:.1} MiB", "idle memory", memory[0]);
    }

    fn measure_instances(&self) {
        let data_dir = self.dir.path().join("state-instances");
        let manifest = self.dir.path().join("app.toml");
        let mut declared = Vec::new();
        for count in 1..=INSTANCES {
            let text = format!(
                "app = \"bench\"\n[service.a]\nrun = \"sleep 1000000\"\ninstances = {count}\n"
            );
            fs::write(&manifest, text).expect("the manifest can be written");
            self.run(&data_dir, &["up", path(&manifest), "--detach"]);
        }
        let ps: Value = serde_json::from_str(&self.run(&data_dir, &["ps", "--output", "json"]))
            .expect("ps prints JSON");
        for row in ps["instances"].as_array().expect("ps lists instances") {
            let at = |name: &str| row[name].as_u64().expect("a time");
            declared.push(Duration::from_millis(at("started_ms") - at("created_ms")));
        }
        report("declared to running", &mut declared);
        let mut ups = Vec::new();
        for _ in 0..UPS {
            let start = Instant::now();
            self.run(&data_dir, &["up", path(&manifest), "--detach"]);
            ups.push(start.elapsed());
        }
        report("second up, 100 instances", &mut ups);
        println!(
            "{:32} {:.1} MiB",
            "memory with 100 instances",
            resident_mib(self.daemon_pid(&data_dir))
        );
        self.run(&data_dir, &["down", "bench"]);
    }

    fn run(&self, data_dir: &Path, args: &[&str]) -> String {
        self.used.borrow_mut().insert(data_dir.to_owned());
        let output = command(data_dir, args).output().expect("the binary runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn daemon_pid(&self, data_dir: &Path) -> u64 {
        let status = self.run(data_dir, &["daemon", "status", "--output", "json"]);
        let status: Value = serde_json::from_str(&status).expect("status prints JSON");
        status["health"]["pid"].as_u64().expect("the daemon tells its pid")
    }
}

fn command(data_dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_synod"));
    command
        .args(args)
        .env("SYNOD_DATA_DIR", data_dir)
        .env("SYNOD_GATEWAY_PORT", "0")
        .stdin(Stdio::null());
    command
}

fn path(path: &Path) -> &str {
    path.to_str().expect("temporary paths are text")
}

fn resident_mib(pid: u64) -> f64 {
    let status =
        fs::read_to_string(PathBuf::from(format!("/proc/{pid}/status"))).expect("the daemon runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it has memory");
    let kib: f64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("KiB");
    kib / 1024.0
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!("{what:32} median {:.1?}  p99 {:.1?}  n {}", at(50), at(99), times.len());
}
