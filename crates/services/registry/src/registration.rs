//! One running instance, as others find it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use synod_manifest::Protocol;
use synod_store::KeyRange;

use crate::Error;
use crate::keys::{REGISTRY, check_name};
use crate::record::Record;

/// One running instance: where it listens and whether to send it requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The app.
    pub app: String,
    /// The service.
    pub service: String,
    /// The instance's id.
    pub instance: String,
    /// The node it runs on.
    pub node: String,
    /// The job's version that it runs.
    pub version: String,
    /// Where its ports are.
    pub address: IpAddr,
    /// Its ports by name.
    pub ports: BTreeMap<String, RegisteredPort>,
    /// Whether to send it requests.
    pub health: Health,
    /// When it was registered, in milliseconds since the Unix epoch.
    pub since_ms: u64,
}

impl Registration {
    /// What the registration is known by.
    #[must_use]
    pub fn key(&self) -> RegistrationKey {
        RegistrationKey::new(&self.app, &self.service, &self.instance)
    }

    /// The address and number of a port; `None` when the instance has no port of that name.
    #[must_use]
    pub fn socket_addr(&self, port: &str) -> Option<SocketAddr> {
        self.ports.get(port).map(|port| SocketAddr::new(self.address, port.number))
    }
}

/// A port that an instance listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredPort {
    /// The number.
    pub number: u16,
    /// What is spoken there.
    pub protocol: Protocol,
}

/// Whether to send an instance requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It is about to end: no new requests, those under way may finish.
    Draining,
    /// Its readiness probe fails.
    Failing,
    /// It takes requests.
    Passing,
}

/// What a registration is known by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistrationKey {
    /// The app.
    pub app: String,
    /// The service.
    pub service: String,
    /// The instance's id.
    pub instance: String,
}

impl RegistrationKey {
    /// The key of an instance.
    pub fn new(
        app: impl Into<String>,
        service: impl Into<String>,
        instance: impl Into<String>,
    ) -> Self {
        Self { app: app.into(), service: service.into(), instance: instance.into() }
    }

    /// The key in the store.
    pub(crate) fn path(&self) -> Result<String, Error> {
        check_name("app", &self.app)?;
        check_name("service", &self.service)?;
        check_name("instance", &self.instance)?;
        Ok(format!("{REGISTRY}{self}"))
    }
}

impl fmt::Display for RegistrationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.app, self.service, self.instance)
    }
}

impl Record for Registration {
    type Key = RegistrationKey;

    fn parse_key(key: &str) -> Option<RegistrationKey> {
        let mut names = key.strip_prefix(REGISTRY)?.split('/');
        let key = RegistrationKey::new(names.next()?, names.next()?, names.next()?);
        names.next().is_none().then_some(key)
    }

    fn decode(key: &RegistrationKey, value: &[u8]) -> Result<Self, String> {
        let this: Self = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        if this.key() == *key {
            return Ok(this);
        }
        Err(format!("it is the registration of {}", this.key()))
    }
}

/// Which registrations to see; what is `None` does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those of this app.
    pub app: Option<String>,
    /// Only those of services of this name, in any app unless `app` is given too.
    pub service: Option<String>,
}

impl Filter {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// The instances of all services of an app.
    pub fn app(app: impl Into<String>) -> Self {
        Self { app: Some(app.into()), service: None }
    }

    /// The instances of one service.
    pub fn service(app: impl Into<String>, service: impl Into<String>) -> Self {
        Self { app: Some(app.into()), service: Some(service.into()) }
    }

    /// Whether the registration is one to see.
    #[must_use]
    pub fn matches(&self, key: &RegistrationKey) -> bool {
        self.app.as_ref().is_none_or(|app| *app == key.app)
            && self.service.as_ref().is_none_or(|service| *service == key.service)
    }

    /// The smallest range of keys that holds all that match.
    pub(crate) fn range(&self) -> KeyRange {
        KeyRange::prefix(match (&self.app, &self.service) {
            (Some(app), Some(service)) => format!("{REGISTRY}{app}/{service}/"),
            (Some(app), None) => format!("{REGISTRY}{app}/"),
            (None, _) => REGISTRY.into(),
        })
    }
}
