//! How long from an instance's declaration to its status saying that it runs: assignment, shim,
//! process, status. The slowest of 100 is its p99.
//!
//! The store is in memory; a durable one adds its own latency twice. This program is also the shim
//! that it starts.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use synod_agent::{Agent, AgentOptions};
use synod_jobs::{AppRecord, AppState, keys};
use synod_manifest::{App, Health, Kind, Restart, Segment, Service, Stop, Template};
use synod_placement::{Desired, Instance, InstanceStatus, Job, JobState, Phase};
use synod_store::testing::MemoryStore;
use synod_store::{
    DeleteRange, KeyRange, Op, Put, Revision, SYNOD, Store, Txn, Watch, WatchRequest,
};
use synod_task::{TaskKind, Tasks};
use tokio::runtime::Runtime;
use tokio::sync::watch;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("shim") {
        return synod_agent::shim::main();
    }
    divan::main();
    ExitCode::SUCCESS
}

#[divan::bench(name = "instance/declared_to_running", sample_count = 100, sample_size = 1)]
fn declared_to_running(bencher: divan::Bencher<'_, '_>) {
    let runtime = Runtime::new().unwrap();
    let data = tempfile::tempdir().unwrap();
    let store = MemoryStore::new();
    let tasks = Tasks::new();
    let gateway = watch::Sender::new(Revision::new(u64::MAX));
    let options = AgentOptions::new(
        "local",
        data.path(),
        Arc::new(store.clone()),
        gateway.subscribe(),
        tasks.child(),
    );
    runtime.block_on(async {
        declare_app(&store).await;
        tasks.spawn(TaskKind::new("agent"), Agent::run(options));
        // The first one also waits for the agent to be there.
        run(&store, 0).await;
        stop(&store, 0).await;
    });
    let mut serial = 0;
    let next = || {
        serial += 1;
        serial
    };
    bencher.with_inputs(next).bench_local_values(|serial| {
        runtime.block_on(run(&store, serial));
        Ended { runtime: &runtime, store: &store, serial }
    });
    runtime.block_on(tasks.shutdown(Duration::from_secs(10))).0.clear();
}

/// Ends an instance when dropped, which divan does outside the measured time.
struct Ended<'a> {
    runtime: &'a Runtime,
    store: &'a MemoryStore,
    serial: u64,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.runtime.block_on(stop(self.store, self.serial));
    }
}

async fn declare_app(store: &MemoryStore) {
    let text = |text: &str| Template { segments: vec![Segment::Literal(text.into())] };
    let service = Service {
        name: "web".into(),
        kind: Kind::Service,
        run: vec![text("sleep"), text("1000")],
        dir: "/".into(),
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
        stop: Stop { signal: "KILL".into(), grace: Duration::from_secs(10) },
    };
    let record = AppRecord {
        app: App {
            name: "bench".into(),
            path: "/app.toml".into(),
            services: BTreeMap::from([("web".into(), service.clone())]),
            routes: BTreeMap::new(),
        },
        builds: BTreeMap::new(),
        orphan_after_ms: Some(1000),
        generation: 1,
        state: AppState::Run,
    };
    let job = Job {
        app: "bench".into(),
        spec: service,
        version: "1".into(),
        restart_nonce: 0,
        state: JobState::Run,
    };
    put(store, &keys::app("bench"), &record).await;
    put(store, &keys::job("bench", "web"), &job).await;
}

async fn put<T: serde::Serialize>(store: &MemoryStore, key: &str, value: &T) {
    let put = Put::new(SYNOD, key, keys::encode(key, value).unwrap());
    store.txn(Txn::new(vec![Op::Put(put)])).await.unwrap();
}

fn instance(serial: u64, desired: Desired) -> Instance {
    Instance {
        id: format!("web-0-{serial}"),
        app: "bench".into(),
        service: "web".into(),
        slot: 0,
        version: "1".into(),
        restart_nonce: 0,
        node: Some("local".into()),
        desired,
        waits: Vec::new(),
        failures: 0,
        not_before_ms: 0,
        created_ms: serial,
        previous: None,
    }
}

async fn run(store: &MemoryStore, serial: u64) {
    let mut statuses = watch_status(store, serial).await;
    let instance = instance(serial, Desired::Run);
    put(store, &keys::instance("bench", &instance.id), &instance).await;
    until(&mut statuses, Phase::Running).await;
}

async fn stop(store: &MemoryStore, serial: u64) {
    let mut statuses = watch_status(store, serial).await;
    let instance = instance(serial, Desired::Stop);
    let key = keys::instance("bench", &instance.id);
    put(store, &key, &instance).await;
    until(&mut statuses, Phase::Exited).await;
    let keys = [key, keys::status("bench", &instance.id)];
    let delete = |key| Op::Delete(DeleteRange::new(SYNOD, KeyRange::key(key)));
    store.txn(Txn::new(keys.map(delete).into())).await.unwrap();
}

async fn watch_status(store: &MemoryStore, serial: u64) -> Watch {
    let range = KeyRange::key(keys::status("bench", &format!("web-0-{serial}")));
    store.watch(WatchRequest { keyspace: SYNOD, range, from: None }).await.unwrap()
}

async fn until(statuses: &mut Watch, phase: Phase) {
    loop {
        for event in statuses.next().await.unwrap().events {
            let status: InstanceStatus = keys::decode(&event.kv).unwrap();
            if status.phase >= phase {
                assert_eq!(status.phase, phase, "{status:?}");
                return;
            }
        }
    }
}
