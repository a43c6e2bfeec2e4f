//! A store, the loop and an agent, in one process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use synod_jobs::{AppStatus, Apply, Jobs, Loop, LoopOptions};
use synod_manifest::{
    App, Health, Kind, Need, NeedCondition, Port, Protocol, Restart, Route, RouteTarget, Segment,
    Service, Stop, Template,
};
use synod_store::testing::MemoryStore;
use synod_store::{KeyRange, KeyValue, Op, Put, RangeRequest, SYNOD, Store, Txn};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// An upper bound, in the test's own time, on everything that is waited for.
pub(crate) const DEADLINE: Duration = Duration::from_secs(600);

pub(crate) struct Cluster {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) jobs: Jobs,
    started: Instant,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let jobs = Jobs::new(store.clone());
        Self { store, jobs, started: Instant::now() }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        now_ms(self.started)
    }

    /// Starts a loop; dropping or sending what it returns cancels it.
    pub(crate) fn start_loop(&self, holder: &str) -> (oneshot::Sender<()>, JoinHandle<()>) {
        self.start_loop_on(self.store.clone(), holder)
    }

    pub(crate) fn start_loop_on(
        &self,
        store: Arc<dyn Store>,
        holder: &str,
    ) -> (oneshot::Sender<()>, JoinHandle<()>) {
        let (cancel, cancelled) = oneshot::channel();
        let started = self.started;
        let options = LoopOptions::new(holder, move || now_ms(started));
        let control = Loop::new(store, options);
        let run = async move {
            let cancelled = async { drop(cancelled.await) };
            control.run(cancelled).await.expect("the store goes on");
        };
        (cancel, tokio::spawn(run))
    }

    /// Waits until the app stands so.
    pub(crate) async fn until(&self, app: &str, test: impl Fn(&AppStatus) -> bool) -> AppStatus {
        let mut watch = self.jobs.watch_status(app).await.unwrap();
        let mut last = None;
        let wait = async {
            loop {
                last = watch.next().await.unwrap();
                if let Some(status) = last.as_ref().filter(|status| test(status)) {
                    return status.clone();
                }
            }
        };
        match tokio::time::timeout(DEADLINE, wait).await {
            Ok(status) => status,
            Err(_) => panic!("the app never stood so; in the end: {last:#?}"),
        }
    }

    /// Waits until there is no such app.
    pub(crate) async fn until_gone(&self, app: &str) {
        let mut watch = self.jobs.watch_status(app).await.unwrap();
        let wait = async { while watch.next().await.unwrap().is_some() {} };
        tokio::time::timeout(DEADLINE, wait).await.expect("the app goes");
    }

    pub(crate) async fn put(&self, key: &str, value: &str) {
        let put = Put::new(SYNOD, key, value);
        self.store.txn(Txn::new(vec![Op::Put(put)])).await.unwrap();
    }

    /// All keys that start so.
    pub(crate) async fn keys(&self, prefix: &str) -> Vec<String> {
        self.dump(prefix).await.into_iter().map(|(key, _)| key).collect()
    }

    /// All keys that start so, with their values.
    pub(crate) async fn dump(&self, prefix: &str) -> Vec<(String, String)> {
        let request = RangeRequest::new(SYNOD, KeyRange::prefix(prefix));
        let read = self.store.range(request, synod_store::Consistency::Linearizable).await;
        let show = |kv: &Arc<KeyValue>| (kv.key.to_text_lossy(), kv.value.to_text_lossy());
        read.unwrap().kvs.iter().map(show).collect()
    }
}

fn now_ms(started: Instant) -> u64 {
    1_000_000 + u64::try_from(started.elapsed().as_millis()).unwrap()
}

pub(crate) fn service(name: &str) -> Service {
    let port = Port { name: "http".into(), number: None, protocol: Protocol::Http };
    let [backoff_min, backoff_max, reset] = [1, 60, 60].map(Duration::from_secs);
    Service {
        name: name.into(),
        kind: Kind::Service,
        run: vec![text("./server")],
        dir: PathBuf::from("/shop"),
        build: None,
        instances: 1,
        ports: vec![port],
        needs: Vec::new(),
        env: BTreeMap::new(),
        health: Health { ready: None, live: None, start: None },
        restart: Restart { backoff_min, backoff_max, reset, ok_exit: vec![0] },
        stop: Stop { signal: "TERM".into(), grace: Duration::from_secs(10) },
    }
}

pub(crate) fn task(name: &str) -> Service {
    Service { kind: Kind::Task, ports: Vec::new(), ..service(name) }
}

pub(crate) fn needs(mut service: Service, needs: &[(&str, NeedCondition)]) -> Service {
    let need = |(name, condition): &(&str, NeedCondition)| Need {
        service: (*name).into(),
        condition: *condition,
    };
    service.needs = needs.iter().map(need).collect();
    service
}

pub(crate) fn text(text: &str) -> Template {
    Template { segments: vec![Segment::Literal(text.into())] }
}

pub(crate) fn route(name: &str, service: &str) -> Route {
    let target = RouteTarget { service: service.into(), port: "http".into(), weight: 1 };
    Route {
        name: name.into(),
        host: "shop.localhost".into(),
        path: "/".into(),
        to: vec![target],
        timeout: Duration::from_secs(30),
    }
}

pub(crate) fn app(name: &str, services: impl IntoIterator<Item = Service>) -> Apply {
    let services = services.into_iter().map(|service| (service.name.clone(), service));
    let app = App {
        name: name.into(),
        path: PathBuf::from("/shop/app.toml"),
        services: services.collect(),
        routes: BTreeMap::new(),
    };
    Apply { app, builds: BTreeMap::new(), orphan_after_ms: None }
}

/// stock and seed, order that needs both, web that needs order.
pub(crate) fn shop() -> Apply {
    use NeedCondition::{Done, Ready};
    let order = needs(service("order"), &[("stock", Ready), ("seed", Done)]);
    let web = needs(service("web"), &[("order", Ready)]);
    let seed = needs(task("seed"), &[("stock", Ready)]);
    app("shop", [service("stock"), seed, order, web])
}
