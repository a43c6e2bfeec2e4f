//! A daemon of its own for one test: temporary directories, the real binary, and a check at the
//! end that nothing stays running.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The longest that any awaited event may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One test's world.
pub(crate) struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// A path in the test's working directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a manifest whose `$OBEDIENT` is the test service.
    pub(crate) fn manifest(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        let text = text.replace("$OBEDIENT", &obedient().display().to_string());
        fs::write(&path, text).expect("the manifest can be written");
        path
    }

    /// The command line with this test's data directory.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_synod"));
        command
            .args(args)
            .env("SYNOD_DATA_DIR", self.data_dir())
            .env("SYNOD_GATEWAY_PORT", "0")
            .env("NO_COLOR", "1")
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        Ran(self.command(args).output().expect("the binary runs"))
    }

    /// Brings an app up and waits until it is ready.
    pub(crate) fn up(&self, manifest: &Path) -> Ran {
        let manifest = manifest.to_str().expect("temporary paths are text");
        let ran = self.run(["up", manifest, "--detach"]);
        ran.expect_code(0);
        ran
    }

    /// `ps --output json`.
    pub(crate) fn ps(&self) -> Value {
        let ran = self.run(["ps", "--output", "json"]);
        ran.expect_code(0);
        serde_json::from_slice(&ran.0.stdout).expect("ps prints JSON")
    }

    /// The instances of all apps, or of one service.
    pub(crate) fn instances(&self, service: Option<&str>) -> Vec<Value> {
        let ps = self.ps();
        let instances = ps["instances"].as_array().expect("ps lists instances");
        let wanted = |row: &&Value| service.is_none_or(|service| row["service"] == service);
        instances.iter().filter(wanted).cloned().collect()
    }

    /// The one running instance of a service: its id and process id.
    pub(crate) fn instance(&self, service: &str) -> (String, u32) {
        let rows = self.instances(Some(service));
        let row = rows.iter().find(|row| row["ready"] == true).expect("one instance is ready");
        let pid = row["pid"].as_u64().expect("a running instance has a pid");
        (row["id"].as_str().expect("an id is text").into(), u32::try_from(pid).expect("a pid"))
    }

    /// Waits until `condition` holds of the instances of a service.
    pub(crate) fn wait_for(&self, service: &str, what: &str, condition: impl Fn(&[Value]) -> bool) {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let rows = self.instances(Some(service));
            if condition(&rows) {
                return;
            }
            assert!(Instant::now() < give_up, "{service}: {what} did not come: {rows:#?}");
        }
    }

    /// The process id of the daemon.
    pub(crate) fn daemon_pid(&self) -> u32 {
        let ran = self.run(["daemon", "status", "--output", "json"]);
        ran.expect_code(0);
        let status: Value = serde_json::from_slice(&ran.0.stdout).expect("status prints JSON");
        let pid = status["health"]["pid"].as_u64().expect("the daemon tells its pid");
        u32::try_from(pid).expect("a pid")
    }

    /// The gateway's port.
    pub(crate) fn gateway_port(&self) -> u16 {
        let ps = self.ps();
        let port = ps["gateway_port"].as_u64().expect("ps tells the gateway's port");
        u16::try_from(port).expect("a port")
    }

    /// `GET` through the gateway.
    pub(crate) fn get(&self, host: &str, path: &str) -> (u16, String) {
        get(self.gateway_port(), host, path).expect("the gateway answers")
    }

    /// Processes whose command line or environment names this test's data directory.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let needle = self.data_dir().display().to_string();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("/proc lists processes").flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
            if pid == std::process::id() {
                continue;
            }
            let names = |file: &str| {
                fs::read(entry.path().join(file))
                    .is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(&needle))
            };
            if names("cmdline") || names("environ") {
                found.push(pid);
            }
        }
        found
    }

    /// Waits until no process of this test is left.
    pub(crate) fn expect_nothing_running(&self) {
        let give_up = Instant::now() + PATIENCE;
        while !self.processes().is_empty() {
            assert!(Instant::now() < give_up, "still running: {:?}", self.processes());
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = self.command(["down", "--all"]).output();
        let _ = self.command(["daemon", "stop"]).output();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.data_dir().join("daemon.log")).unwrap_or_default();
            eprintln!("daemon.log:\n{log}");
            for pid in self.processes() {
                kill(pid, "KILL");
            }
        } else {
            self.expect_nothing_running();
        }
    }
}

/// What a command did.
pub(crate) struct Ran(pub(crate) Output);

impl Ran {
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    #[track_caller]
    pub(crate) fn expect_code(&self, code: i32) {
        let (stdout, stderr) = (self.stdout(), self.stderr());
        assert_eq!(self.0.status.code(), Some(code), "stdout:\n{stdout}\nstderr:\n{stderr}");
    }

    #[track_caller]
    pub(crate) fn expect_stderr(&self, part: &str) {
        assert!(self.stderr().contains(part), "no {part:?} in stderr:\n{}", self.stderr());
    }
}

/// The service that does as it is told.
fn obedient() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_synod"));
    let dir = binary.parent().expect("a binary is in a directory");
    let path = dir.join("examples").join("obedient");
    assert!(path.exists(), "{} is built along with the tests", path.display());
    path
}

/// Sends a signal by name.
pub(crate) fn kill(pid: u32, signal: &str) {
    let status = Command::new("kill").args(["-s", signal, &pid.to_string()]).status();
    assert!(status.expect("kill runs").success() || signal == "KILL");
}

/// `GET` from a loopback port.
pub(crate) fn get(port: u16, host: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    Ok((status, body.to_owned()))
}
