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
