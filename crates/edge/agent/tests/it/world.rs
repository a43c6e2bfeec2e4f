//! A node with an agent, and the control plane's hand in its store.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use synod_agent::log::{LogLine, LogQuery, LogReader, SegmentLimits, Stream};
use synod_agent::{Agent, AgentOptions, offline};
use synod_jobs::{AppRecord, AppState, keys};
use synod_manifest::{
    App, Health, Kind, Port, Probe, ProbeAction, Protocol, Restart, Segment, Service, Stop,
    Template,
};
use synod_placement::{Desired, Instance, InstanceStatus, Job, JobState, Phase};
use synod_store::testing::MemoryStore;
use synod_store::{
    DeleteRange, KeyRange, Op, Put, RangeRequest, Revision, SYNOD, Store, Txn, WatchRequest,
};
use synod_sys::process::Process;
use synod_task::{TaskKind, Tasks};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;

/// Far more than anything here takes; only a failure waits for it.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) const APP: &str = "shop";

pub(crate) struct World {
    dir: TempDir,
    pub(crate) store: MemoryStore,
    pub(crate) gateway: watch::Sender<Revision>,
    pub(crate) log_limits: SegmentLimits,
    pub(crate) orphan_after_ms: Option<u64>,
    agent: Option<Tasks>,
}

impl World {
    /// A node whose gateway follows at once, with its agent running.
    pub(crate) async fn new() -> Self {
        let mut world = Self::without_agent();
        world.start_agent();
        world
    }

    pub(crate) fn without_agent() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            store: MemoryStore::new(),
            gateway: watch::Sender::new(Revision::new(u64::MAX)),
            log_limits: SegmentLimits::default(),
            orphan_after_ms: None,
            agent: None,
        }
    }

    pub(crate) fn start_agent(&mut self) {
        let tasks = Tasks::new();
        let mut options = AgentOptions::new(
            "local",
            self.data_dir(),
            Arc::new(self.store.clone()),
            self.gateway.subscribe(),
            tasks.child(),
        );
        options.shim = vec![shim_program().into()];
        options.log_limits = self.log_limits;
        options.lease_ttl = Duration::from_secs(1);
        tasks.spawn(TaskKind::new("agent"), Agent::run(options));
        self.agent = Some(tasks);
    }

    /// Ends the agent as a killed daemon would: at once, telling nobody.
    pub(crate) async fn kill_agent(&mut self) {
        let tasks = self.agent.take().unwrap();
        assert!(tasks.shutdown(SOON).await.0.is_empty());
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Where the services' working directory is.
    pub(crate) fn work_dir(&self) -> &Path {
        self.dir.path()
    }

    /// A service that runs a script with `sh`.
    pub(crate) fn script(&self, script: &str) -> Service {
        self.command(&["sh", "-c", script])
    }

    pub(crate) fn command(&self, command: &[&str]) -> Service {
        Service {
            name: "web".into(),
            kind: Kind::Service,
            run: command.iter().map(|part| text(part)).collect(),
            dir: self.dir.path().to_owned(),
            build: None,
            instances: 1,
            ports: Vec::new(),
            needs: Vec::new(),
            env: BTreeMap::new(),
            health: Health { ready: None, live: None, start: None },
            restart: Restart {
                backoff_min: Duration::from_secs(1),
                backoff_max: Duration::from_secs(60),
                reset: Duration::from_secs(60),
                ok_exit: vec![0],
            },
            stop: Stop { signal: "TERM".into(), grace: Duration::from_secs(20) },
        }
    }

    /// Assigns an instance of `service` to the node, to be run.
    pub(crate) async fn assign(&self, id: &str, service: &Service) {
        self.assign_as(id, service, Desired::Run).await;
    }

    pub(crate) async fn assign_as(&self, id: &str, service: &Service, desired: Desired) {
        let app = App {
            name: APP.into(),
            path: "/app.toml".into(),
            services: BTreeMap::from([(service.name.clone(), service.clone())]),
            routes: BTreeMap::new(),
        };
        let record = AppRecord {
            app,
            orphan_after_ms: self.orphan_after_ms,
            generation: 1,
            builds: BTreeMap::new(),
            state: AppState::Run,
        };
        let job = Job {
            app: APP.into(),
            spec: service.clone(),
            version: "1".into(),
            restart_nonce: 0,
            state: JobState::Run,
        };
        let ops = vec![
            put(&keys::app(APP), &record),
            put(&keys::job(APP, &service.name), &job),
            put(&keys::instance(APP, id), &instance(id, &service.name, desired)),
        ];
        self.store.txn(Txn::new(ops)).await.unwrap();
    }

    pub(crate) async fn write_instance(&self, instance: &Instance) {
        let op = put(&keys::instance(APP, &instance.id), instance);
        self.store.txn(Txn::new(vec![op])).await.unwrap();
    }

    /// Asks for an instance's end.
    pub(crate) async fn stop(&self, id: &str) {
        self.write_instance(&instance(id, "web", Desired::Stop)).await;
    }

    /// Deletes an instance's record and status, as the loop does with ended ones.
    pub(crate) async fn forget(&self, id: &str) {
        let keys = [keys::instance(APP, id), keys::status(APP, id)];
        let delete = |key| Op::Delete(DeleteRange::new(SYNOD, KeyRange::key(key)));
        self.store.txn(Txn::new(keys.map(delete).into())).await.unwrap();
    }

    pub(crate) async fn status(&self, id: &str) -> Option<InstanceStatus> {
        let request = RangeRequest::new(SYNOD, KeyRange::key(keys::status(APP, id)));
        let found = self.store.range(request, Default::default()).await.unwrap();
        found.kvs.first().map(|kv| keys::decode(kv).unwrap())
    }

    /// The first status of an instance, from now on, that is as asked.
    pub(crate) async fn until(
        &self,
        id: &str,
        is: impl Fn(&InstanceStatus) -> bool,
    ) -> InstanceStatus {
        let range = KeyRange::key(keys::status(APP, id));
        let request = WatchRequest { keyspace: SYNOD, range, from: None };
        let mut watch = self.store.watch(request).await.unwrap();
        let waited = timeout(SOON, async {
            loop {
                if let Some(status) = self.status(id).await
                    && is(&status)
                {
                    return status;
                }
                watch.next().await.unwrap();
            }
        });
        match waited.await {
            Ok(status) => status,
            Err(_) => panic!("{id} stays {:?}", self.status(id).await),
        }
    }

    pub(crate) async fn until_running(&self, id: &str) -> InstanceStatus {
        self.until(id, |status| {
            assert_ne!(status.phase, Phase::Exited, "{status:?}");
            status.phase == Phase::Running
        })
        .await
    }

    pub(crate) async fn until_exited(&self, id: &str) -> InstanceStatus {
        self.until(id, |status| status.phase == Phase::Exited).await
    }

    pub(crate) fn logs(&self) -> LogReader {
        LogReader::new(&self.data_dir())
    }

    /// The first line, from the beginning of the log, that contains a text.
    pub(crate) async fn until_printed(&self, part: &str) -> LogLine {
        let query = LogQuery { follow: true, ..LogQuery::new(APP) };
        let mut lines = self.logs().query(query).unwrap();
        let found = async {
            loop {
                let line = lines.next().await.unwrap().unwrap();
                if line.text.contains(part) {
                    return line;
                }
            }
        };
        timeout(SOON, found).await.unwrap_or_else(|_| panic!("{part} is not printed"))
    }

    /// What was printed but for standard error.
    pub(crate) async fn printed(&self) -> Vec<String> {
        let mut lines = self.logs().query(LogQuery::new(APP)).unwrap();
        let mut texts = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            // Shells report on standard error which of their children died.
            if line.stream != Stream::Stderr {
                texts.push(line.text);
            }
        }
        texts
    }

    pub(crate) fn instance_dir(&self, id: &str) -> PathBuf {
        self.data_dir().join("instances").join(APP).join(id)
    }

    /// The process id of an instance's shim.
    pub(crate) fn shim(&self, id: &str) -> u32 {
        let text = fs::read(self.instance_dir(id).join("start.json")).unwrap();
        let record: serde_json::Value = serde_json::from_slice(&text).unwrap();
        record["shim"]["pid"].as_u64().unwrap().try_into().unwrap()
    }

    /// The processes that work in this world's directories: all shims, and all instances that did
    /// not change theirs.
    pub(crate) fn left(&self) -> Vec<u32> {
        let root = fs::canonicalize(self.dir.path()).unwrap();
        let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let place = fs::read_link(entry.path().join("cwd")).ok()?;
            place.starts_with(&root).then_some(pid)
        });
        pids.filter(|pid| Process::find(*pid).is_some()).collect()
    }

    /// Removes every instance, and checks that nothing of them is left on the machine.
    pub(crate) async fn end(mut self) {
        if self.agent.is_none() {
            self.start_agent();
        }
        let all = KeyRange::prefix(keys::instances(APP));
        let delete = Op::Delete(DeleteRange::new(SYNOD, all));
        self.store.txn(Txn::new(vec![delete])).await.unwrap();
        let instances = self.data_dir().join("instances");
        until("processes or directories are left", || {
            self.left().is_empty()
                && fs::read_dir(&instances).is_ok_and(|mut entries| entries.next().is_none())
        })
        .await;
        self.kill_agent().await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Also a test that failed leaves nothing running.
        let _ = offline::stop_all(&self.data_dir(), APP, Some(Duration::ZERO));
    }
}

/// Waits for what nothing tells of: processes of others and their files.
pub(crate) async fn until(what: &str, is: impl Fn() -> bool) {
    let looking = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(timeout(SOON, looking).await.is_ok(), "{what}");
}

/// As [`until`], for what has to be asked for.
pub(crate) async fn until_async(what: &str, is: impl AsyncFn() -> bool) {
    let looking = async {
        while !is().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(timeout(SOON, looking).await.is_ok(), "{what}");
}

pub(crate) fn instance(id: &str, service: &str, desired: Desired) -> Instance {
    Instance {
        id: id.into(),
        app: APP.into(),
        service: service.into(),
        slot: 0,
        version: "1".into(),
        restart_nonce: 0,
        node: Some("local".into()),
        desired,
        waits: Vec::new(),
        failures: 0,
        not_before_ms: 0,
        created_ms: 1,
        previous: None,
    }
}

pub(crate) fn text(literal: &str) -> Template {
    Template { segments: vec![Segment::Literal(literal.into())] }
}

pub(crate) fn port(name: &str, number: Option<u16>) -> Port {
    Port { name: name.into(), number, protocol: Protocol::Http }
}

pub(crate) fn probe(action: ProbeAction) -> Probe {
    Probe {
        action,
        every: Duration::from_millis(20),
        timeout: Duration::from_secs(5),
        fails: 2,
        grace: Duration::ZERO,
    }
}

fn put<T: serde::Serialize>(key: &str, value: &T) -> Op {
    Op::Put(Put::new(SYNOD, key, keys::encode(key, value).unwrap()))
}

fn shim_program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples/shim");
    assert!(program.exists(), "run `cargo build -p synod-agent --example shim` first");
    program
}
