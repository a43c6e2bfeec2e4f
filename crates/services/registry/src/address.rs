//! Stable addresses: where the gateway answers for a whole service or route.
//!
//! Instances come and go with their ports. What an app is told in its environment must outlive
//! them, so the gateway listens once per service port and once per route, and records it here.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use synod_store::{
    Consistency, DeleteRange, KeyRange, Op, Put, RangeRequest, Revision, SYNOD, Store, Txn,
};

use crate::Error;
use crate::follow::Follow;
use crate::keys::{ADDRESSES, check_name};
use crate::record::{self, Record};
use crate::registry::changed;

/// Where the gateway answers for a service's port or a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The host.
    pub host: IpAddr,
    /// The port number.
    pub port: u16,
}

impl Address {
    /// Host and port in one.
    #[must_use]
    pub fn socket_addr(self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        Self { host: addr.ip(), port: addr.port() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket_addr().fmt(f)
    }
}

/// What an address stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressKey {
    /// A route of an app.
    Route {
        /// The app.
        app: String,
        /// The route.
        route: String,
    },
    /// A port of a service, balanced over its instances.
    Service {
        /// The app.
        app: String,
        /// The service.
        service: String,
        /// The port's name.
        port: String,
    },
}

impl AddressKey {
    /// A route of an app.
    pub fn route(app: impl Into<String>, route: impl Into<String>) -> Self {
        Self::Route { app: app.into(), route: route.into() }
    }

    /// A port of a service.
    pub fn service(
        app: impl Into<String>,
        service: impl Into<String>,
        port: impl Into<String>,
    ) -> Self {
        Self::Service { app: app.into(), service: service.into(), port: port.into() }
    }

    /// The app.
    #[must_use]
    pub fn app(&self) -> &str {
        match self {
            Self::Route { app, .. } | Self::Service { app, .. } => app,
        }
    }

    fn path(&self) -> Result<String, Error> {
        check_name("app", self.app())?;
        match self {
            Self::Route { route, .. } => check_name("route", route)?,
            Self::Service { service, port, .. } => {
                check_name("service", service)?;
                check_name("port", port)?;
            }
        }
        Ok(format!("{ADDRESSES}{self}"))
    }
}

impl fmt::Display for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route { app, route } => write!(f, "{app}/route/{route}"),
            Self::Service { app, service, port } => write!(f, "{app}/service/{service}/{port}"),
        }
    }
}

impl Record for Address {
    type Key = AddressKey;

    fn parse_key(key: &str) -> Option<AddressKey> {
        let names: Vec<_> = key.strip_prefix(ADDRESSES)?.split('/').collect();
        match names[..] {
            [app, "route", route] => Some(AddressKey::route(app, route)),
            [app, "service", service, port] => Some(AddressKey::service(app, service, port)),
            _ => None,
        }
    }

    fn decode(_: &AddressKey, value: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(value).map_err(|error| error.to_string())
    }
}

/// The stable addresses in the store. Only the gateway writes them.
#[derive(Clone)]
pub struct Addresses {
    store: Arc<dyn Store>,
}

impl Addresses {
    /// The addresses in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Where a port of a service is reached; `None` while the gateway has not bound it.
    ///
    /// # Errors
    /// As [`Addresses::get`].
    pub async fn service(
        &self,
        app: &str,
        service: &str,
        port: &str,
    ) -> Result<Option<Address>, Error> {
        self.get(&AddressKey::service(app, service, port)).await
    }

    /// Where a route is reached; `None` while the gateway has not bound it.
    ///
    /// # Errors
    /// As [`Addresses::get`].
    pub async fn route(&self, app: &str, route: &str) -> Result<Option<Address>, Error> {
        self.get(&AddressKey::route(app, route)).await
    }

    /// Where something is reached; `None` while the gateway has not bound it.
    ///
    /// # Errors
    /// When the recorded value is [`Error::Corrupt`], a name is bad, or the store fails.
    pub async fn get(&self, key: &AddressKey) -> Result<Option<Address>, Error> {
        let request = RangeRequest::new(SYNOD, KeyRange::key(key.path()?));
        let found = self.store.range(request, Consistency::Linearizable).await?;
        let Some(kv) = found.kvs.first() else { return Ok(None) };
        let (_, address) = record::read::<Address>(kv)?;
        Ok(Some(address))
    }

    /// Every readable address, or every one of an app; unreadable ones are logged.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(&self, app: Option<&str>) -> Result<BTreeMap<AddressKey, Address>, Error> {
        let request = RangeRequest::new(SYNOD, range_of(app));
        let found = self.store.range(request, Consistency::Linearizable).await?;
        let kvs = found.kvs.iter().map(|kv| &**kv);
        Ok(record::read_all::<Address>(kvs, &mut Vec::new()).into_iter().collect())
    }

    /// Records where something is reached.
    ///
    /// # Errors
    /// When a name is bad or the store fails.
    pub async fn put(&self, key: &AddressKey, address: Address) -> Result<Revision, Error> {
        let put = Put::new(SYNOD, key.path()?, record::encode(&address));
        let done = self.store.txn(Txn::new(vec![Op::Put(put)])).await?;
        Ok(changed(&done).expect("a put changes its keyspace"))
    }

    /// Forgets where something was reached; `None` when that was not known.
    ///
    /// # Errors
    /// When a name is bad or the store fails.
    pub async fn remove(&self, key: &AddressKey) -> Result<Option<Revision>, Error> {
        let delete = DeleteRange::new(SYNOD, KeyRange::key(key.path()?));
        let done = self.store.txn(Txn::new(vec![Op::Delete(delete)])).await?;
        Ok(changed(&done))
    }

    /// A copy of all addresses, or of those of an app, that stays current.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn watch(&self, app: Option<&str>) -> Result<Follow<Address>, Error> {
        let app_only = app.map(str::to_owned);
        let wanted = move |key: &AddressKey| app_only.as_ref().is_none_or(|app| app == key.app());
        Follow::start(Arc::clone(&self.store), range_of(app), wanted).await
    }
}

fn range_of(app: Option<&str>) -> KeyRange {
    KeyRange::prefix(app.map_or_else(|| ADDRESSES.into(), |app| format!("{ADDRESSES}{app}/")))
}
