//! The limits and deadlines of a proxy.

use std::time::Duration;

use synod_routing::Limits;

/// The limits and deadlines of a proxy.
#[derive(Clone, Debug)]
pub struct Options {
    /// How much a request head may hold.
    pub limits: Limits,
    /// From the first byte of a head to its last.
    pub head_timeout: Duration,
    /// How long a client's connection may be silent between requests; at most twice that.
    pub idle_timeout: Duration,
    /// How long a connection to an endpoint may take to open.
    pub connect_timeout: Duration,
    /// How long an unused connection to an endpoint is kept. Below what common servers allow
    /// (Node: 5 s), so that they rarely close one that is about to be used.
    pub upstream_idle_timeout: Duration,
    /// How old a connection to an endpoint may become.
    pub upstream_age_max: Duration,
    /// The most requests at once to one endpoint.
    pub upstream_requests_max: usize,
    /// The most unused connections kept per endpoint.
    pub upstream_idle_max: usize,
    /// Where the random numbers for weights begin; `None` for somewhere.
    pub seed: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(2),
            upstream_idle_timeout: Duration::from_secs(4),
            upstream_age_max: Duration::from_secs(600),
            upstream_requests_max: 1024,
            upstream_idle_max: 256,
            seed: None,
        }
    }
}
