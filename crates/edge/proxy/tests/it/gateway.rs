//! A gateway in front of a store: what is written there is routed here.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use synod_jobs::keys;
use synod_proxy::{Gateway, GatewayOptions};
use synod_registry::{
    Address, AddressKey, Addresses, Health, Protocol, RegisteredPort, Registration,
};
use synod_store::testing::MemoryStore;
use synod_store::{
    BoxFuture, Capabilities, Consistency, DeleteRange, Error, KeyRange, KeyspaceId, LeaseId,
    LeaseStatus, Op, Put, RangeRequest, RangeResponse, Revision, SYNOD, Store, Txn, TxnResponse,
    Watch, WatchRequest,
};
use synod_task::Tasks;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::world::{any_port, read_to_end, read_until, says, scripted, soon, split};

struct World {
    store: Arc<dyn Store>,
    gateway: Gateway,
    tasks: Tasks,
}

impl World {
    async fn new() -> Self {
        Self::on(Arc::new(MemoryStore::default())).await
    }

    async fn on(store: Arc<dyn Store>) -> Self {
        let tasks = Tasks::new();
        let options = GatewayOptions::new(any_port());
        let gateway = Gateway::start(store.clone(), options, tasks.child()).await.unwrap();
        Self { store, gateway, tasks }
    }

    /// Writes a value and waits until the gateway has applied it.
    async fn put(&self, key: &str, value: &Value) {
        self.write(Op::Put(Put::new(SYNOD, key, value.to_string()))).await;
    }

    async fn delete(&self, key: &str) {
        self.write(Op::Delete(DeleteRange::new(SYNOD, KeyRange::key(key)))).await;
    }

    async fn write(&self, op: Op) {
        let revision = self.store.txn(Txn::new(vec![op])).await.unwrap().changed[0].1;
        self.applied(revision).await;
    }

    async fn applied(&self, revision: Revision) {
        soon(self.gateway.applied().wait_for(|applied| *applied >= revision)).await.unwrap();
    }

    async fn register(&self, service: &str, address: SocketAddr, health: Health) {
        let port = RegisteredPort { number: address.port(), protocol: Protocol::Http };
        let registration = Registration {
            app: "shop".into(),
            service: service.into(),
            instance: format!("{service}-0-1"),
            node: "local".into(),
            version: "v1".into(),
            address: address.ip(),
            ports: BTreeMap::from([("http".to_owned(), port)]),
            health,
            since_ms: 0,
        };
        let key = format!("registry/shop/{service}/{service}-0-1");
        self.put(&key, &serde_json::to_value(registration).unwrap()).await;
    }

    async fn get(&self, host: &str, path: &str) -> (u16, String) {
        get(SocketAddr::from(([127, 0, 0, 1], self.gateway.port())), host, path).await
    }

    async fn address(&self, key: &AddressKey) -> Option<Address> {
        Addresses::new(self.store.clone()).get(key).await.unwrap()
    }
}

async fn get(address: SocketAddr, host: &str, path: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    split(&read_to_end(&mut socket).await)
}

fn service(name: &str, port: &str, protocol: &str) -> Value {
    json!({
        "name": name, "kind": "service", "run": [], "dir": "/", "build": null, "instances": 1,
        "ports": [{"name": port, "number": null, "protocol": protocol}],
        "needs": [], "env": {}, "health": {"ready": null, "live": null, "start": null},
        "restart": {
            "backoff_min": {"secs": 1, "nanos": 0}, "backoff_max": {"secs": 1, "nanos": 0},
            "reset": {"secs": 1, "nanos": 0}, "ok_exit": []
        },
        "stop": {"signal": "TERM", "grace": {"secs": 1, "nanos": 0}}
    })
}

fn route(name: &str, path: &str, to: &[(&str, u32)]) -> Value {
    let to: Vec<_> = to
        .iter()
        .map(|(service, weight)| json!({"service": service, "port": "http", "weight": weight}))
        .collect();
    json!({
        "name": name, "host": "shop.localhost", "path": path, "to": to,
        "timeout": {"secs": 30, "nanos": 0}
    })
}

/// The app `shop` of services `web` and `stock`, each with an HTTP port.
fn shop(routes: &[Value]) -> Value {
    let by_name = |values: &[Value]| -> Value {
        values.iter().map(|v| (v["name"].as_str().unwrap().to_owned(), v.clone())).collect()
    };
    let services = [service("web", "http", "http"), service("stock", "http", "http")];
    json!({
        "app": {
            "name": "shop", "path": "/app.toml",
            "services": by_name(&services), "routes": by_name(routes)
        },
        "orphan_after_ms": null, "generation": 1, "state": "run"
    })
}

fn stock() -> AddressKey {
    AddressKey::service("shop", "stock", "http")
}

#[tokio::test]
async fn services_and_routes_are_reached_by_name_and_by_stable_address() {
    let world = World::new().await;
    let routes = [route("all", "/", &[("web", 1)]), route("api", "/api", &[("stock", 1)])];
    world.put("apps/shop", &shop(&routes)).await;
    world.register("web", says("web").await, Health::Passing).await;
    world.register("stock", says("stock").await, Health::Passing).await;
    for (host, path, want) in [
        ("shop.localhost", "/", "web"),
        ("shop.localhost", "/api/7", "stock"),
        ("stock.shop.localhost", "/", "stock"),
        ("web.shop.localhost:8080", "/", "web"),
    ] {
        assert_eq!(world.get(host, path).await, (200, want.to_owned()), "{host}{path}");
    }
    assert_eq!(world.get("localhost", "/").await.0, 404);
    assert_eq!(world.gateway.status(), vec![]);

    let address = world.address(&stock()).await.unwrap();
    assert!((20_000..30_000).contains(&address.port), "{address}");
    let any_host = address.to_string();
    assert_eq!(get(address.socket_addr(), &any_host, "/").await, (200, "stock".into()));
    let api = world.address(&AddressKey::route("shop", "api")).await.unwrap();
    assert_eq!(get(api.socket_addr(), &any_host, "/api").await, (200, "stock".into()));
    assert_eq!(get(api.socket_addr(), &any_host, "/").await.0, 404);
    assert_ne!(api, address);
    assert!(world.gateway.counts()["gateway"].answers[1] >= 4);
}

#[tokio::test]
async fn an_unserved_service_says_what_its_instances_do() {
    let world = World::new().await;
    world.put("apps/shop", &shop(&[])).await;
    let (status, body) = world.get("stock.shop.localhost", "/").await;
    assert_eq!(status, 503);
    assert!(body.contains("no ready instance of shop/stock: none is running"), "{body}");

    let mut instance = json!({
        "id": "stock-0-3", "app": "shop", "service": "stock", "slot": 0, "version": "v1",
        "restart_nonce": 0, "node": "local", "desired": "hold",
        "waits": ["restarts in 4s: exited with code 3"], "failures": 1, "not_before_ms": 0,
        "created_ms": 0, "previous": null
    });
    world.put(&keys::instance("shop", "stock-0-3"), &instance).await;
    let (_, body) = world.get("stock.shop.localhost", "/").await;
    let want = "no ready instance of shop/stock: stock-0-3 restarts in 4s: exited with code 3";
    assert!(body.contains(want), "{body}");

    instance["desired"] = "run".into();
    world.put(&keys::instance("shop", "stock-0-3"), &instance).await;
    let status = json!({
        "id": "stock-0-3", "phase": "running", "ready": false,
        "reason": "GET /ready answered 500", "pid": 7, "ports": {}, "started_ms": 0, "exit": null
    });
    world.put(&keys::status("shop", "stock-0-3"), &status).await;
    let (_, body) = world.get("stock.shop.localhost", "/").await;
    assert!(body.contains("stock-0-3 is not ready: GET /ready answered 500"), "{body}");
}

#[tokio::test]
async fn a_draining_instance_gets_nothing_once_its_revision_is_applied() {
    let world = World::new().await;
    world.put("apps/shop", &shop(&[])).await;
    let address = says("ok").await;
    for (health, want) in [
        (Health::Passing, 200),
        (Health::Draining, 503),
        (Health::Passing, 200),
        (Health::Failing, 503),
    ] {
        world.register("stock", address, health).await;
        assert_eq!(world.get("stock.shop.localhost", "/").await.0, want, "{health:?}");
    }
    // A revision of something else is published too: whoever waits for it need not know.
    world.put("else/where", &json!(1)).await;
}

#[tokio::test]
async fn addresses_outlive_the_gateway() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let first = World::on(store.clone()).await;
    // A name of its own: by their names others would be led to the same ports, and take them while
    // no gateway runs here.
    let name = format!("outlives-{}", std::process::id());
    let mut record = shop(&[]);
    record["app"]["name"] = json!(name);
    first.put(&format!("apps/{name}"), &record).await;
    let stock = AddressKey::service(&name, "stock", "http");
    let web = AddressKey::service(&name, "web", "http");
    let stock_before = first.address(&stock).await.unwrap();
    let web_before = first.address(&web).await.unwrap();
    first.gateway.shutdown(Duration::from_secs(5)).await;
    assert!(TcpStream::connect(stock_before.socket_addr()).await.is_err());

    // Somebody else takes one of the ports meanwhile.
    let squatter = tokio::net::TcpListener::bind(web_before.socket_addr()).await.unwrap();
    let second = World::on(store).await;
    assert_eq!(second.address(&stock).await, Some(stock_before));
    assert_eq!(get(stock_before.socket_addr(), "a", "/").await.0, 503);
    let web_after = second.address(&web).await.unwrap();
    assert_ne!(web_after, web_before);
    assert_eq!(get(web_after.socket_addr(), "a", "/").await.0, 503);
    drop(squatter);
}

#[tokio::test]
async fn what_is_not_usable_is_left_out_and_told() {
    let world = World::new().await;
    let routes = [
        route("bad", "/bad", &[("nowhere", 1)]),
        route("good", "/", &[("stock", 1)]),
        route("late", "/", &[("web", 1)]),
        route("zero", "/zero", &[("web", 0)]),
    ];
    world.put("apps/shop", &shop(&routes)).await;
    world.put("apps/torn", &json!({"app": 7})).await;
    world.register("stock", says("stock").await, Health::Passing).await;
    assert_eq!(world.get("shop.localhost", "/").await, (200, "stock".to_owned()));
    let told = world.gateway.status();
    let reason = |object: &str| {
        let found = told.iter().find(|rejected| rejected.object == object);
        found.unwrap_or_else(|| panic!("{object} among {told:?}")).reason.clone()
    };
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(reason("route shop/bad"), "service nowhere has no port http");
    assert_eq!(reason("route shop/late"), "route shop/good answers to shop.localhost/ already");
    assert_eq!(reason("route shop/zero"), "no target has a weight above 0");
    assert!(reason("apps/torn").contains("invalid type"));

    world.delete("apps/torn").await;
    assert_eq!(world.gateway.status().len(), 3);
}

#[tokio::test]
async fn an_app_that_is_gone_leaves_no_listener_and_no_address() {
    let world = World::new().await;
    world.put("apps/shop", &shop(&[route("all", "/", &[("web", 1)])])).await;
    let address = world.address(&stock()).await.unwrap();
    world.delete("apps/shop").await;
    assert_eq!(world.address(&stock()).await, None);
    assert_eq!(Addresses::new(world.store.clone()).list(None).await.unwrap().len(), 0);
    assert_eq!(world.get("shop.localhost", "/").await.0, 404);
    soon(async {
        while TcpStream::connect(address.socket_addr()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn tcp_ports_are_reached_by_their_address() {
    let world = World::new().await;
    let mut app = shop(&[]);
    app["app"]["services"]["stock"] = service("stock", "http", "tcp");
    world.put("apps/shop", &app).await;
    let echo = scripted(|_, mut socket| async move {
        read_until(&mut socket, "ping\n").await;
        socket.write_all(b"pong\n").await.unwrap();
    });
    world.register("stock", echo.await, Health::Passing).await;
    let address = world.address(&stock()).await.unwrap();
    let mut socket = TcpStream::connect(address.socket_addr()).await.unwrap();
    socket.write_all(b"ping\n").await.unwrap();
    assert_eq!(read_to_end(&mut socket).await, "pong\n");
}

#[tokio::test]
async fn shutdown_answers_what_has_begun() {
    let world = World::new().await;
    world.put("apps/shop", &shop(&[])).await;
    let (got, mut has_request) = tokio::sync::watch::channel(false);
    let (release, released) = tokio::sync::watch::channel(false);
    let upstream = scripted(move |_, mut socket| {
        let (got, mut released) = (got.clone(), released.clone());
        async move {
            read_until(&mut socket, "\r\n\r\n").await;
            got.send_replace(true);
            released.wait_for(|open| *open).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate";
            socket.write_all(answer).await.unwrap();
            read_to_end(&mut socket).await;
        }
    });
    world.register("stock", upstream.await, Health::Passing).await;
    let idle_address = SocketAddr::from(([127, 0, 0, 1], world.gateway.port()));
    let mut idle = TcpStream::connect(idle_address).await.unwrap();
    let asked = world.get("stock.shop.localhost", "/");
    let ended = async {
        soon(has_request.wait_for(|has| *has)).await.unwrap();
        let shutdown = world.gateway.shutdown(crate::world::SOON);
        let seen = async {
            // The idle connection's end says that the shutdown has begun.
            read_to_end(&mut idle).await;
            release.send(true).unwrap();
        };
        soon(async { tokio::join!(shutdown, seen) }).await;
    };
    let (answer, ()) = tokio::join!(asked, ended);
    assert_eq!(answer, (200, "late".to_owned()));
}

#[tokio::test]
async fn a_taken_gateway_port_is_an_error() {
    let taken = tokio::net::TcpListener::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0)).await.unwrap();
    let options = GatewayOptions::new(taken.local_addr().unwrap());
    let store = Arc::new(MemoryStore::default());
    let error = Gateway::start(store, options, Tasks::new()).await.err().unwrap();
    assert!(error.to_string().contains("cannot be bound"), "{error}");
}

#[tokio::test]
async fn a_watch_overtaken_by_compaction_is_begun_anew() {
    let store = Overtaken { inner: MemoryStore::default(), is_cut: AtomicBool::new(false) };
    let store = Arc::new(store);
    let world = World::on(store.clone()).await;
    assert!(store.is_cut.load(Ordering::Relaxed), "its first watch was cut");
    world.put("apps/shop", &shop(&[])).await;
    assert_eq!(world.get("stock.shop.localhost", "/").await.0, 503);
    let _ = world.tasks.shutdown(Duration::from_secs(5)).await;
}

/// A store whose first watch is overtaken at once.
struct Overtaken {
    inner: MemoryStore,
    is_cut: AtomicBool,
}

impl Store for Overtaken {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn create_keyspace<'a>(
        &'a self,
        name: &'a str,
        quota_bytes: u64,
    ) -> BoxFuture<'a, Result<KeyspaceId, Error>> {
        self.inner.create_keyspace(name, quota_bytes)
    }

    fn txn(&self, txn: Txn) -> BoxFuture<'_, Result<TxnResponse, Error>> {
        self.inner.txn(txn)
    }

    fn range(
        &self,
        request: RangeRequest,
        consistency: Consistency,
    ) -> BoxFuture<'_, Result<RangeResponse, Error>> {
        self.inner.range(request, consistency)
    }

    fn watch(&self, request: WatchRequest) -> BoxFuture<'_, Result<Watch, Error>> {
        if self.is_cut.swap(true, Ordering::Relaxed) {
            return self.inner.watch(request);
        }
        let requested = request.from.unwrap_or(Revision::ZERO);
        let refusal = synod_keyspace::Error::Compacted { requested, compacted: requested.next() };
        let (send, batches) = tokio::sync::mpsc::channel(1);
        send.try_send(Err(Error::Refused(refusal))).unwrap();
        Box::pin(async move { Ok(Watch::new(batches, requested)) })
    }

    fn compact(
        &self,
        keyspace: KeyspaceId,
        revision: Revision,
    ) -> BoxFuture<'_, Result<(), Error>> {
        self.inner.compact(keyspace, revision)
    }

    fn lease_grant(
        &self,
        id: Option<LeaseId>,
        ttl: Duration,
    ) -> BoxFuture<'_, Result<LeaseStatus, Error>> {
        self.inner.lease_grant(id, ttl)
    }

    fn lease_keep_alive(&self, id: LeaseId) -> BoxFuture<'_, Result<LeaseStatus, Error>> {
        self.inner.lease_keep_alive(id)
    }

    fn lease_revoke(&self, id: LeaseId) -> BoxFuture<'_, Result<(), Error>> {
        self.inner.lease_revoke(id)
    }

    fn lease_status(&self, id: LeaseId) -> BoxFuture<'_, Result<LeaseStatus, Error>> {
        self.inner.lease_status(id)
    }
}
