//! From the store's objects to one configuration.

use std::collections::{BTreeMap, BTreeSet};

use synod_manifest::{App, Protocol as Spoken, Service};
use synod_placement::{Desired, Exit, ExitCause, Instance, InstanceStatus, JobState, Phase};
use synod_registry::{AddressKey, Health};
use synod_routing::{
    Cluster, ClusterId, Config, Endpoint, HostPattern, Listener, Protocol, Route, Table, Target,
};

use super::mirror::Mirror;
use super::{GATEWAY, Rejected};

/// What the proxy should do, and what of the objects it cannot.
pub(super) struct Compiled {
    pub(super) config: Config,
    /// What should have a stable listener, named by its text.
    pub(super) addresses: BTreeSet<AddressKey>,
    pub(super) rejected: Vec<Rejected>,
}

/// Compiles the objects. What is not usable is left out and told.
pub(super) fn compile(mirror: &Mirror) -> Compiled {
    let mut compiler = Compiler::new(mirror);
    for record in mirror.apps().values() {
        compiler.add_services(&record.app);
        compiler.add_routes(&record.app);
    }
    compiler.finish()
}

struct Compiler<'a> {
    mirror: &'a Mirror,
    clusters: Vec<Cluster>,
    /// By app, service and port.
    cluster_ids: BTreeMap<(&'a str, &'a str, &'a str), ClusterId>,
    listeners: BTreeMap<String, Listener>,
    addresses: BTreeSet<AddressKey>,
    public: Vec<Route>,
    /// Who answers to a host and path already.
    answering: BTreeMap<(String, String), String>,
    rejected: Vec<Rejected>,
}

impl<'a> Compiler<'a> {
    fn new(mirror: &'a Mirror) -> Self {
        Self {
            mirror,
            clusters: Vec::new(),
            cluster_ids: BTreeMap::new(),
            listeners: BTreeMap::new(),
            addresses: BTreeSet::new(),
            public: Vec::new(),
            answering: BTreeMap::new(),
            rejected: mirror.unreadable().collect(),
        }
    }

    fn add_services(&mut self, app: &'a App) {
        for service in app.services.values() {
            for port in &service.ports {
                let id = ClusterId(self.clusters.len());
                let cluster = cluster(self.mirror, app, service, &port.name, port.protocol);
                self.clusters.push(cluster);
                self.cluster_ids.insert((&app.name, &service.name, &port.name), id);
                let listener = match port.protocol {
                    Spoken::Tcp => Listener::Tcp(id),
                    Spoken::Grpc | Spoken::Http => {
                        Listener::Http(Table::new([only(&port.name, id)]))
                    }
                };
                self.listen(AddressKey::service(&app.name, &service.name, &port.name), listener);
            }
            if let Some(port) = web_port(service) {
                let id = self.cluster_ids[&(&*app.name, &*service.name, port)];
                let host = format!("{}.{}.localhost", service.name, app.name);
                let route = Route { host: HostPattern::parse(&host), ..only(&service.name, id) };
                self.publish(route, &host, format!("service {}/{}", app.name, service.name));
            }
        }
    }

    fn add_routes(&mut self, app: &'a App) {
        for route in app.routes.values() {
            let object = format!("route {}/{}", app.name, route.name);
            let targets = match self.targets(app, route) {
                Ok(targets) => targets,
                Err(reason) => {
                    self.rejected.push(Rejected { object, reason });
                    continue;
                }
            };
            let compiled = Route {
                name: route.name.clone(),
                host: HostPattern::parse(&route.host),
                path: route.path.clone(),
                targets,
                timeout: (!route.timeout.is_zero()).then_some(route.timeout),
            };
            let private = Route { host: HostPattern::Any, ..compiled.clone() };
            let key = AddressKey::route(&app.name, &route.name);
            self.listen(key, Listener::Http(Table::new([private])));
            self.publish(compiled, &route.host, object);
        }
    }

    fn targets(&self, app: &App, route: &synod_manifest::Route) -> Result<Vec<Target>, String> {
        let mut targets = Vec::new();
        for to in &route.to {
            let key = (&*app.name, &*to.service, &*to.port);
            let Some(&cluster) = self.cluster_ids.get(&key) else {
                return Err(format!("service {} has no port {}", to.service, to.port));
            };
            if self.clusters[cluster.0].protocol == Protocol::Tcp {
                return Err(format!("port {} of {} does not speak HTTP", to.port, to.service));
            }
            targets.push(Target { cluster, weight: to.weight });
        }
        if targets.iter().all(|target| target.weight == 0) {
            return Err("no target has a weight above 0".into());
        }
        Ok(targets)
    }

    fn listen(&mut self, key: AddressKey, listener: Listener) {
        self.listeners.insert(key.to_string(), listener);
        self.addresses.insert(key);
    }

    /// Adds a route to the gateway's listener, unless another has its host and path.
    fn publish(&mut self, route: Route, host: &str, object: String) {
        let place = (host.to_ascii_lowercase(), route.path.trim_end_matches('/').to_owned());
        if let Some(other) = self.answering.get(&place) {
            let reason = format!("{other} answers to {host}{} already", route.path);
            self.rejected.push(Rejected { object, reason });
            return;
        }
        self.answering.insert(place, object);
        self.public.push(route);
    }

    fn finish(mut self) -> Compiled {
        let table = Table::new(std::mem::take(&mut self.public));
        self.listeners.insert(GATEWAY.to_owned(), Listener::Http(table));
        let revision = self.mirror.revision().get();
        let config = Config::new(revision, self.listeners, self.clusters)
            .expect("targets come from the clusters compiled with them");
        Compiled { config, addresses: self.addresses, rejected: self.rejected }
    }
}

/// A route of everything to one cluster, for as long as it takes.
fn only(name: &str, cluster: ClusterId) -> Route {
    Route {
        name: name.to_owned(),
        host: HostPattern::Any,
        path: "/".to_owned(),
        targets: vec![Target { cluster, weight: 1 }],
        timeout: None,
    }
}

/// The port that a browser is led to: the first that speaks HTTP/1.1, else the first for gRPC.
fn web_port(service: &Service) -> Option<&str> {
    let first = |protocol| service.ports.iter().find(|port| port.protocol == protocol);
    first(Spoken::Http).or_else(|| first(Spoken::Grpc)).map(|port| &*port.name)
}

fn cluster(mirror: &Mirror, app: &App, service: &Service, port: &str, spoken: Spoken) -> Cluster {
    let mut endpoints = Vec::new();
    let mut serving = BTreeSet::new();
    for registration in mirror.registrations(&app.name, &service.name) {
        if let (Health::Passing, Some(address)) =
            (registration.health, registration.socket_addr(port))
        {
            serving.insert(&*registration.instance);
            endpoints.push(Endpoint { instance: registration.instance.clone(), address });
        }
    }
    let absent = absent(mirror, app, service, &serving);
    let protocol = match spoken {
        Spoken::Grpc => Protocol::Http2,
        Spoken::Http => Protocol::Http1,
        Spoken::Tcp => Protocol::Tcp,
    };
    Cluster { service: format!("{}/{}", app.name, service.name), protocol, endpoints, absent }
}

/// Why the instances that do not serve do not, a line each.
fn absent(mirror: &Mirror, app: &App, service: &Service, serving: &BTreeSet<&str>) -> Vec<String> {
    match mirror.job(&app.name, &service.name).map(|job| job.state) {
        Some(JobState::Stop) => return vec!["it is stopped; restart it".into()],
        Some(JobState::Remove) => return vec!["it is being removed".into()],
        Some(JobState::Run) | None => {}
    }
    let others = mirror.instances(&app.name, &service.name);
    let others = others.filter(|instance| !serving.contains(&*instance.id));
    others.map(|instance| why(instance, mirror.status(&app.name, &instance.id))).collect()
}

fn why(instance: &Instance, status: Option<&InstanceStatus>) -> String {
    let id = &instance.id;
    match (instance.desired, status) {
        (Desired::Stop, _) => format!("{id} is stopping"),
        (Desired::Hold, _) if instance.waits.is_empty() => format!("{id} is about to start"),
        (Desired::Hold, _) => match instance.waits.join(", ") {
            waits if waits.starts_with("restarts") => format!("{id} {waits}"),
            waits => format!("{id} waits: {waits}"),
        },
        (Desired::Run, None) => format!("{id} is about to start"),
        (Desired::Run, Some(status)) => match status.phase {
            Phase::Draining | Phase::Stopping => format!("{id} is stopping"),
            Phase::Exited => format!("{id} {}", ended(status.exit.as_ref())),
            Phase::Running | Phase::Starting => match &status.reason {
                Some(reason) => format!("{id} is not ready: {reason}"),
                None => format!("{id} is starting"),
            },
        },
    }
}

fn ended(exit: Option<&Exit>) -> String {
    match exit.map(|exit| &exit.cause) {
        None => "ended".into(),
        Some(ExitCause::Code(code)) => format!("exited with code {code}"),
        Some(ExitCause::OutOfMemory) => "ran out of memory".into(),
        Some(ExitCause::Probe(answer)) => format!("was killed: {answer}"),
        Some(ExitCause::ShimLost) => "ended with its shim".into(),
        Some(ExitCause::Signal(signal)) => format!("died of signal {signal}"),
        Some(ExitCause::StartFailed(reason)) => format!("could not be started: {reason}"),
    }
}
