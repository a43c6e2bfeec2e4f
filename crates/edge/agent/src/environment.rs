//! What an instance is told: its environment and arguments, with every reference filled in.

use std::collections::BTreeMap;
use std::fmt::Write;

use synod_manifest::{App, EndpointPart, Port, Protocol, Segment, Service, Template};
use synod_registry::{Address, AddressKey};

/// The stable addresses that the gateway has bound.
pub(crate) type AddressBook = BTreeMap<AddressKey, Address>;

/// Where an app's services are reached, as every instance is told: `<NAME>_URL`, `<NAME>_HOST` and
/// `<NAME>_PORT` of the first port of each service, given by name and ports. A service whose
/// address is not bound yet is left out.
#[must_use]
pub fn service_environment<'a>(
    app: &str,
    services: impl IntoIterator<Item = (&'a str, &'a [Port])>,
    addresses: &BTreeMap<AddressKey, Address>,
) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    for (service, ports) in services {
        let Some(port) = ports.first() else { continue };
        let key = AddressKey::service(app, service, &port.name);
        let Some(address) = addresses.get(&key) else { continue };
        let name = variable(service);
        told.insert(format!("{name}_URL"), url(address, port));
        told.insert(format!("{name}_HOST"), address.host.to_string());
        told.insert(format!("{name}_PORT"), address.port.to_string());
    }
    told
}

/// Who the instance is and what it may refer to.
pub(crate) struct Surroundings<'a> {
    pub(crate) app: &'a App,
    pub(crate) service: &'a Service,
    pub(crate) instance: &'a str,
    pub(crate) slot: u32,
    pub(crate) ports: &'a BTreeMap<String, u16>,
    pub(crate) addresses: &'a AddressBook,
}

/// An address that is referred to and not there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing(pub(crate) AddressKey);

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            AddressKey::Route { route, .. } => {
                write!(f, "waits for the gateway to bind route {route}")
            }
            AddressKey::Service { service, port, .. } => {
                write!(f, "waits for the gateway to bind service {service}, port {port}")
            }
        }
    }
}

impl Surroundings<'_> {
    /// The program and its arguments.
    pub(crate) fn command(&self) -> Result<Vec<String>, Missing> {
        self.service.run.iter().map(|template| self.fill(template)).collect()
    }

    /// The whole environment: what is inherited, then what every instance is told, then what the
    /// manifest says; the later wins.
    pub(crate) fn environment(
        &self,
        inherited: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, Missing> {
        let mut environment = inherited.clone();
        environment.extend(self.injected());
        for (key, template) in &self.service.env {
            environment.insert(key.clone(), self.fill(template)?);
        }
        Ok(environment)
    }

    /// The addresses of the app's services that are told to every instance and not there yet.
    pub(crate) fn unbound(&self) -> Option<Missing> {
        let keys = self.app.services.values().filter_map(|service| self.default_key(service));
        keys.into_iter().find(|key| !self.addresses.contains_key(key)).map(Missing)
    }

    fn injected(&self) -> BTreeMap<String, String> {
        let mut told = BTreeMap::from([
            ("SYNOD_APP".to_owned(), self.app.name.clone()),
            ("SYNOD_SERVICE".to_owned(), self.service.name.clone()),
            ("SYNOD_INSTANCE".to_owned(), self.instance.to_owned()),
            ("SYNOD_SLOT".to_owned(), self.slot.to_string()),
        ]);
        let services = self.app.services.values();
        let services = services.map(|service| (service.name.as_str(), service.ports.as_slice()));
        told.extend(service_environment(&self.app.name, services, self.addresses));
        for (index, port) in self.service.ports.iter().enumerate() {
            let Some(number) = self.ports.get(&port.name) else { continue };
            if index == 0 {
                told.insert("PORT".to_owned(), number.to_string());
            }
            told.insert(format!("PORT_{}", variable(&port.name)), number.to_string());
        }
        told
    }

    fn default_key(&self, service: &Service) -> Option<AddressKey> {
        let port = service.ports.first()?;
        Some(AddressKey::service(&self.app.name, &service.name, &port.name))
    }

    fn fill(&self, template: &Template) -> Result<String, Missing> {
        let mut text = String::new();
        for segment in &template.segments {
            match segment {
                Segment::AppName => text.push_str(&self.app.name),
                Segment::InstanceId => text.push_str(self.instance),
                Segment::InstancePort { port } => {
                    if let Some(number) = self.ports.get(port) {
                        let _ = write!(text, "{number}");
                    }
                }
                Segment::InstanceSlot => {
                    let _ = write!(text, "{}", self.slot);
                }
                Segment::Literal(literal) => text.push_str(literal),
                Segment::Route { route, part } => text.push_str(&self.route(route, *part)?),
                Segment::Service { service, port, part } => {
                    text.push_str(&self.service(service, port, *part)?);
                }
            }
        }
        Ok(text)
    }

    fn route(&self, route: &str, part: EndpointPart) -> Result<String, Missing> {
        let address = self.address(AddressKey::route(&self.app.name, route))?;
        Ok(match part {
            EndpointPart::Host => address.host.to_string(),
            EndpointPart::Port => address.port.to_string(),
            EndpointPart::Url => {
                let path = self.app.routes.get(route).map_or("", |route| &route.path);
                format!("http://{address}{}", path.trim_end_matches('/'))
            }
        })
    }

    fn service(&self, service: &str, port: &str, part: EndpointPart) -> Result<String, Missing> {
        let address = self.address(AddressKey::service(&self.app.name, service, port))?;
        let ports = self.app.services.get(service).map_or(&[][..], |service| &service.ports);
        let spec = ports.iter().find(|spec| spec.name == port);
        Ok(match (part, spec) {
            (EndpointPart::Host, _) => address.host.to_string(),
            (EndpointPart::Port, _) => address.port.to_string(),
            (EndpointPart::Url, Some(spec)) => url(&address, spec),
            (EndpointPart::Url, None) => format!("http://{address}"),
        })
    }

    fn address(&self, key: AddressKey) -> Result<Address, Missing> {
        self.addresses.get(&key).copied().ok_or(Missing(key))
    }
}

fn url(address: &Address, port: &Port) -> String {
    match port.protocol {
        Protocol::Grpc | Protocol::Http => format!("http://{address}"),
        Protocol::Tcp => format!("tcp://{address}"),
    }
}

/// A name as part of a variable's.
fn variable(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use synod_manifest::{Health, Kind, Restart, Route, RouteTarget, Stop};

    use super::*;

    fn service(name: &str, protocols: &[(&str, Protocol)]) -> Service {
        let ports = protocols.iter().map(|(name, protocol)| Port {
            name: (*name).into(),
            number: None,
            protocol: *protocol,
        });
        Service {
            name: name.into(),
            kind: Kind::Service,
            run: Vec::new(),
            dir: "/".into(),
            build: None,
            instances: 1,
            ports: ports.collect(),
            needs: Vec::new(),
            env: BTreeMap::new(),
            health: Health { ready: None, live: None, start: None },
            restart: Restart {
                backoff_min: Duration::ZERO,
                backoff_max: Duration::ZERO,
                reset: Duration::ZERO,
                ok_exit: Vec::new(),
            },
            stop: Stop { signal: "TERM".into(), grace: Duration::ZERO },
        }
    }

    fn app() -> App {
        let services = [
            service("web", &[("http", Protocol::Http), ("admin", Protocol::Http)]),
            service("order-db", &[("sql", Protocol::Tcp)]),
            service("seed", &[]),
        ];
        let to = RouteTarget { service: "web".into(), port: "http".into(), weight: 1 };
        let route = |name: &str, path: &str| Route {
            name: name.into(),
            host: "shop.localhost".into(),
            path: path.into(),
            to: vec![to.clone()],
            timeout: Duration::ZERO,
        };
        let routes = [route("home", "/"), route("api", "/v1")];
        App {
            name: "shop".into(),
            path: "/app.toml".into(),
            services: services.map(|service| (service.name.clone(), service)).into(),
            routes: routes.map(|route| (route.name.clone(), route)).into(),
        }
    }

    fn book() -> AddressBook {
        let address = |port| Address::from(SocketAddr::from(([127, 0, 0, 1], port)));
        BTreeMap::from([
            (AddressKey::service("shop", "web", "http"), address(1)),
            (AddressKey::service("shop", "web", "admin"), address(2)),
            (AddressKey::service("shop", "order-db", "sql"), address(3)),
            (AddressKey::route("shop", "home"), address(4)),
            (AddressKey::route("shop", "api"), address(5)),
            (AddressKey::service("other", "web", "http"), address(6)),
        ])
    }

    fn environment(
        env: &[(&str, Segment)],
        addresses: &AddressBook,
    ) -> Result<BTreeMap<String, String>, Missing> {
        let app = app();
        let mut service = app.services["web"].clone();
        for (key, segment) in env {
            let segments = vec![segment.clone()];
            service.env.insert((*key).into(), Template { segments });
        }
        let ports = BTreeMap::from([("http".into(), 8001), ("admin".into(), 8002)]);
        let surroundings = Surroundings {
            app: &app,
            service: &service,
            instance: "web-1-9",
            slot: 1,
            ports: &ports,
            addresses,
        };
        let inherited = BTreeMap::from([("HOME".into(), "/h".into()), ("PORT".into(), "x".into())]);
        surroundings.environment(&inherited)
    }

    #[test]
    fn every_instance_is_told_who_it_is_and_where_the_others_are() {
        let told = environment(&[], &book()).unwrap();
        let told: Vec<_> = told.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            told.join(" "),
            "HOME=/h ORDER_DB_HOST=127.0.0.1 ORDER_DB_PORT=3 ORDER_DB_URL=tcp://127.0.0.1:3 \
             PORT=8001 PORT_ADMIN=8002 PORT_HTTP=8001 SYNOD_APP=shop SYNOD_INSTANCE=web-1-9 \
             SYNOD_SERVICE=web SYNOD_SLOT=1 WEB_HOST=127.0.0.1 WEB_PORT=1 \
             WEB_URL=http://127.0.0.1:1"
        );
    }

    #[test]
    fn references_are_filled_in() {
        let route = |route: &str, part| Segment::Route { route: route.into(), part };
        let admin = |part| Segment::Service { service: "web".into(), port: "admin".into(), part };
        for (segment, expected) in [
            (route("home", EndpointPart::Url), "http://127.0.0.1:4"),
            (route("api", EndpointPart::Url), "http://127.0.0.1:5/v1"),
            (route("api", EndpointPart::Host), "127.0.0.1"),
            (admin(EndpointPart::Url), "http://127.0.0.1:2"),
            (admin(EndpointPart::Port), "2"),
            (Segment::InstancePort { port: "admin".into() }, "8002"),
            (Segment::InstanceId, "web-1-9"),
            (Segment::InstanceSlot, "1"),
            (Segment::AppName, "shop"),
        ] {
            // The manifest's own value wins over what is injected.
            let told = environment(&[("PORT", segment.clone())], &book()).unwrap();
            assert_eq!(told["PORT"], expected, "{segment:?}");
        }
    }

    #[test]
    fn only_what_is_referred_to_must_be_there() {
        let told = environment(&[], &AddressBook::new()).unwrap();
        assert!(!told.contains_key("WEB_URL") && told["PORT"] == "8001");
        let home = Segment::Route { route: "home".into(), part: EndpointPart::Url };
        let missing = environment(&[("HOME_URL", home)], &AddressBook::new()).unwrap_err();
        assert_eq!(missing.to_string(), "waits for the gateway to bind route home");
    }
}
