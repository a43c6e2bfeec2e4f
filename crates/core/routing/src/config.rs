//! What a proxy does, as one immutable value: listeners → routes → clusters → endpoints.
//!
//! A [`Config`] is compiled away from the requests, checked whole by [`Config::new`], and swapped
//! in at once. A request keeps the value it began with.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

use crate::{Cause, Table};

/// What a proxy does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    revision: u64,
    listeners: BTreeMap<String, Listener>,
    clusters: Vec<Cluster>,
}

impl Config {
    /// A configuration made from the store's state at `revision`.
    ///
    /// # Errors
    /// When a listener or route leads to a cluster that does not exist.
    pub fn new(
        revision: u64,
        listeners: BTreeMap<String, Listener>,
        clusters: Vec<Cluster>,
    ) -> Result<Self, Error> {
        for (name, listener) in &listeners {
            let is_dangling = match listener {
                Listener::Http(table) => table
                    .routes()
                    .flat_map(|route| &route.targets)
                    .any(|target| target.cluster.0 >= clusters.len()),
                Listener::Tcp(cluster) => cluster.0 >= clusters.len(),
            };
            if is_dangling {
                return Err(Error::UnknownCluster { listener: name.clone() });
            }
        }
        Ok(Self { revision, listeners, clusters })
    }

    /// The revision of the state that it was made from.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The listener `name`.
    #[must_use]
    pub fn listener(&self, name: &str) -> Option<&Listener> {
        self.listeners.get(name)
    }

    /// The clusters, by [`ClusterId`].
    #[must_use]
    pub fn clusters(&self) -> &[Cluster] {
        &self.clusters
    }

    /// One cluster.
    ///
    /// # Panics
    /// When the id is of another configuration.
    #[must_use]
    pub fn cluster(&self, id: ClusterId) -> &Cluster {
        &self.clusters[id.0]
    }
}

/// Why parts do not make a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// A listener leads to a cluster that does not exist.
    #[error("listener `{listener}` leads to a cluster that does not exist")]
    UnknownCluster {
        /// The listener.
        listener: String,
    },
}

/// What is done with what arrives at a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listener {
    /// HTTP/1.1 and HTTP/2, routed by the table.
    Http(Table),
    /// Bytes, to a cluster.
    Tcp(ClusterId),
}

/// A cluster's place in its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub usize);

/// A port of a service and who serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// How people know it: `<app>/<service>`.
    pub service: String,
    /// What its endpoints speak.
    pub protocol: Protocol,
    /// The instances that take requests.
    pub endpoints: Vec<Endpoint>,
    /// The instances that do not, and why, a line each.
    pub absent: Vec<String>,
}

impl Cluster {
    /// The place in `endpoints` of the next one by `cursor`, which the caller advances by one per
    /// call.
    ///
    /// # Errors
    /// [`Cause::NoEndpoints`] when there is none.
    pub fn pick(&self, cursor: usize) -> Result<usize, Cause> {
        cursor.checked_rem(self.endpoints.len()).ok_or_else(|| Cause::NoEndpoints {
            service: self.service.clone(),
            absent: self.absent.clone(),
        })
    }
}

/// What an endpoint speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 cleartext with prior knowledge, as gRPC does.
    Http2,
    /// Bytes.
    Tcp,
}

/// An instance that takes requests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The instance.
    pub instance: String,
    /// Where it listens.
    pub address: SocketAddr,
}

/// A way from a listener to clusters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name, for people.
    pub name: String,
    /// The hosts it answers to.
    pub host: HostPattern,
    /// The path prefix it answers to, by whole segments.
    pub path: String,
    /// Where requests go.
    pub targets: Vec<Target>,
    /// How long a whole request may take; `None` for as long as both sides like.
    pub timeout: Option<Duration>,
}

impl Route {
    /// The target for a request that drew `random`: each gets its weight's share of all numbers.
    /// `None` when all weights are zero.
    #[must_use]
    pub fn pick(&self, random: u64) -> Option<ClusterId> {
        if let [only] = &*self.targets
            && only.weight > 0
        {
            return Some(only.cluster);
        }
        let total: u64 = self.targets.iter().map(|target| u64::from(target.weight)).sum();
        // Scales by the high half of the product: even, and without a division.
        let mut point = ((u128::from(random) * u128::from(total)) >> 64) as u64;
        for target in &self.targets {
            match point.checked_sub(u64::from(target.weight)) {
                Some(rest) => point = rest,
                None => return Some(target.cluster),
            }
        }
        None
    }
}

/// One destination of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where to.
    pub cluster: ClusterId,
    /// Its share among the route's targets.
    pub weight: u32,
}

/// The hosts a route answers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// Every host.
    Any,
    /// This one, in lower case.
    Exact(String),
    /// Every host below this one: `*.` and the suffix, which is in lower case and has no dot
    /// before it.
    Below(String),
}

impl HostPattern {
    /// Reads `*`, `*.suffix` or a host.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        match text.strip_prefix("*.") {
            Some(suffix) => Self::Below(suffix.to_owned()),
            None if text == "*" => Self::Any,
            None => Self::Exact(text),
        }
    }

    /// Whether it covers `host`, in lower case and without a port.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Below(suffix) => host
                .strip_suffix(suffix.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            Self::Exact(exact) => exact == host,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn route(weights: &[u32]) -> Route {
        let targets = weights.iter().enumerate();
        let targets = targets.map(|(n, &weight)| Target { cluster: ClusterId(n), weight });
        Route {
            name: "r".into(),
            host: HostPattern::Any,
            path: "/".into(),
            targets: targets.collect(),
            timeout: None,
        }
    }

    #[test]
    fn weights_share_evenly_spaced_numbers_exactly() {
        let split = route(&[90, 0, 10]);
        let mut counts = [0; 3];
        for n in 0..1000_u64 {
            counts[split.pick(n * (u64::MAX / 1000 + 1)).unwrap().0] += 1;
        }
        assert_eq!(counts, [900, 0, 100]);
    }

    #[test]
    fn all_zero_weights_lead_nowhere() {
        assert_eq!(route(&[0, 0]).pick(7), None);
        assert_eq!(route(&[0]).pick(7), None);
        assert_eq!(route(&[]).pick(7), None);
    }

    #[test]
    fn endpoints_take_turns() {
        let endpoint = |n: u16| Endpoint {
            instance: format!("i{n}"),
            address: SocketAddr::from(([127, 0, 0, 1], n)),
        };
        let mut cluster = Cluster {
            service: "shop/stock".into(),
            protocol: Protocol::Http1,
            endpoints: (1..=3).map(endpoint).collect(),
            absent: vec!["stock-3 restarts in 4s".into()],
        };
        let turns: Vec<_> =
            (usize::MAX - 2..=usize::MAX).map(|n| cluster.pick(n).unwrap()).collect();
        assert_eq!(turns.iter().sum::<usize>(), 3, "each once: {turns:?}");
        cluster.endpoints.clear();
        let cause = cluster.pick(0).unwrap_err();
        assert_eq!(cause.to_string(), "no ready instance of shop/stock: stock-3 restarts in 4s");
    }

    #[test]
    fn a_listener_leads_to_clusters_that_exist() {
        let listeners = BTreeMap::from([("tcp".to_owned(), Listener::Tcp(ClusterId(0)))]);
        let error = Config::new(1, listeners, vec![]).unwrap_err();
        assert_eq!(error, Error::UnknownCluster { listener: "tcp".into() });
    }

    proptest! {
        #[test]
        fn a_target_of_weight_zero_is_never_drawn(
            weights in prop::collection::vec(0_u32..5, 1..5),
            random: u64,
        ) {
            match route(&weights).pick(random) {
                Some(cluster) => prop_assert!(weights[cluster.0] > 0),
                None => prop_assert!(weights.iter().all(|&weight| weight == 0)),
            }
        }
    }
}
