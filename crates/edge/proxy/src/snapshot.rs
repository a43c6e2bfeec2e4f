//! A configuration made ready for requests: with its endpoints' connections and its turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use synod_routing::{Cause, Cluster, ClusterId, Config};

use crate::pool::{Bucket, Pool};

/// A configuration made ready for requests.
pub(crate) struct Snapshot {
    pub(crate) config: Config,
    upstreams: Vec<Upstream>,
}

/// A cluster's connections and whose turn it is.
struct Upstream {
    buckets: Vec<Arc<Bucket>>,
    cursor: AtomicUsize,
}

/// An endpoint that was picked.
pub(crate) struct Picked<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) instance: &'a str,
    pub(crate) bucket: &'a Arc<Bucket>,
}

impl Snapshot {
    /// Makes `config` ready. Turns begin at `turn`, so that frequent changes do not favour the
    /// first endpoints.
    pub(crate) fn new(config: Config, pool: &Pool, turn: usize) -> Self {
        let upstream = |cluster: &Cluster| Upstream {
            buckets: cluster
                .endpoints
                .iter()
                .map(|endpoint| pool.bucket(endpoint.address, cluster.protocol))
                .collect(),
            cursor: AtomicUsize::new(turn),
        };
        let upstreams = config.clusters().iter().map(upstream).collect();
        Self { config, upstreams }
    }

    /// The endpoint whose turn it is.
    pub(crate) fn pick(&self, id: ClusterId) -> Result<Picked<'_>, Cause> {
        let cluster = self.config.cluster(id);
        let upstream = &self.upstreams[id.0];
        let place = cluster.pick(upstream.cursor.fetch_add(1, Ordering::Relaxed))?;
        let instance = &cluster.endpoints[place].instance;
        Ok(Picked { cluster, instance, bucket: &upstream.buckets[place] })
    }
}
