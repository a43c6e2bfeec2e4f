//! The proxy itself: its listeners, its configuration, and its end.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use synod_routing::Config;
use synod_task::{TaskKind, Tasks};
use thiserror::Error as ThisError;
use tokio::net::TcpListener;

use crate::pool::Pool;
use crate::serve::Entrance;
use crate::snapshot::Snapshot;
use crate::{Counters, Counts, Options};

const ACCEPT: TaskKind = TaskKind::new("proxy-accept").waits();
const CONNECTION: TaskKind = TaskKind::new("proxy-connection").waits();
const SWEEP: TaskKind = TaskKind::new("proxy-sweep");
/// How long connections that nobody uses any more get to be closed.
const UPSTREAMS_DEADLINE: Duration = Duration::from_secs(1);
/// How often old connections to endpoints are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(2);
/// How long a listener rests when no connection can be accepted, such as for want of descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Listeners, what is done with what arrives there, and the connections behind.
///
/// A listener is bound by name; the configuration says by the same name what it does. What arrives
/// at a listener that the configuration does not know is answered with 404.
pub struct Proxy {
    shared: Arc<Shared>,
    listeners: Mutex<BTreeMap<String, Bound>>,
    /// Above the listeners, which are above their connections.
    tasks: Tasks,
    upstreams: Tasks,
}

/// What every request needs.
pub(crate) struct Shared {
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) options: Arc<Options>,
    pool: Pool,
    random: AtomicU64,
}

struct Bound {
    address: SocketAddr,
    counters: Arc<Counters>,
    tasks: Tasks,
}

/// Why a listener could not be bound.
#[derive(Debug, ThisError)]
#[error("listener `{name}` cannot be bound to {address}; free the port or choose another")]
pub struct BindError {
    /// The listener.
    pub name: String,
    /// Where it was to listen.
    pub address: SocketAddr,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

impl Proxy {
    /// A proxy with these listeners, at work when this returns. Its tasks run below `tasks`.
    ///
    /// # Errors
    /// When a listener cannot be bound. None is, then.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start<'a>(
        listeners: impl IntoIterator<Item = (&'a str, SocketAddr)>,
        config: Config,
        options: Options,
        tasks: &Tasks,
    ) -> Result<Self, BindError> {
        let options = Arc::new(options);
        let upstreams = tasks.child();
        let pool = Pool::new(options.clone(), upstreams.clone());
        let random = AtomicU64::new(options.seed.unwrap_or_else(some_seed));
        let snapshot = ArcSwap::from_pointee(Snapshot::new(config, &pool, 0));
        let shared = Arc::new(Shared { snapshot, options, pool, random });
        let this = Self { shared, listeners: Mutex::default(), tasks: tasks.child(), upstreams };
        for (name, address) in listeners {
            if let Err(error) = this.listen(name, address) {
                this.tasks.cancel();
                return Err(error);
            }
        }
        this.spawn_sweep();
        Ok(this)
    }

    /// Swaps in another configuration. Requests that have begun keep theirs.
    pub fn apply(&self, config: Config) {
        let turn = usize::try_from(self.shared.random() >> 33).unwrap_or_default();
        let snapshot = Snapshot::new(config, &self.shared.pool, turn);
        self.shared.snapshot.store(Arc::new(snapshot));
    }

    /// The revision of the state that the configuration in use was made from.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.shared.snapshot.load().config.revision()
    }

    /// Binds a listener and returns its address, in which a port 0 is replaced by the real one. A
    /// listener of the same name is closed first.
    ///
    /// # Errors
    /// When the address cannot be bound.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn listen(&self, name: &str, address: SocketAddr) -> Result<SocketAddr, BindError> {
        self.unlisten(name);
        let bound = bind(address);
        let (socket, address) =
            bound.map_err(|source| BindError { name: name.to_owned(), address, source })?;
        let counters = Arc::new(Counters::default());
        let tasks = self.tasks.child();
        let entrance = Entrance {
            shared: self.shared.clone(),
            listener: name.into(),
            counters: counters.clone(),
            tasks: tasks.clone(),
        };
        tasks.spawn(ACCEPT, accept(socket, entrance));
        self.listeners.lock().insert(name.to_owned(), Bound { address, counters, tasks });
        Ok(address)
    }

    /// Closes a listener. Its connections end when their requests are answered.
    pub fn unlisten(&self, name: &str) {
        if let Some(bound) = self.listeners.lock().remove(name) {
            bound.tasks.cancel();
        }
    }

    /// Where a listener is bound.
    #[must_use]
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        self.listeners.lock().get(name).map(|bound| bound.address)
    }

    /// The listeners and where they are bound.
    #[must_use]
    pub fn addresses(&self) -> BTreeMap<String, SocketAddr> {
        let listeners = self.listeners.lock();
        listeners.iter().map(|(name, bound)| (name.clone(), bound.address)).collect()
    }

    /// What each listener has served.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, Counts> {
        let listeners = self.listeners.lock();
        listeners.iter().map(|(name, bound)| (name.clone(), bound.counters.counts())).collect()
    }

    /// Stops accepting, lets requests be answered until `deadline` is over, then closes what is
    /// left.
    pub async fn shutdown(&self, deadline: Duration) {
        self.listeners.lock().clear();
        // The tree logs who was cut off.
        let _ = self.tasks.shutdown(deadline).await;
        let _ = self.upstreams.shutdown(UPSTREAMS_DEADLINE).await;
    }

    fn spawn_sweep(&self) {
        self.tasks.spawn(SWEEP, sweep(self.shared.clone()));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

impl Shared {
    /// The next number of a sequence that looks random (SplitMix64).
    pub(crate) fn random(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.random.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A number that differs from process to process, from the keys that hash maps are seeded with.
fn some_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = std::net::TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    let socket = TcpListener::from_std(socket)?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

async fn sweep(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        shared.pool.sweep();
    }
}

async fn accept(socket: TcpListener, entrance: Entrance) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = entrance.tasks.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((client, _)) => {
                entrance.tasks.spawn(CONNECTION, entrance.clone().serve(client));
            }
            Err(error) => {
                tracing::warn!(listener = &*entrance.listener, %error, "cannot accept");
                tokio::select! {
                    biased;
                    () = entrance.tasks.cancelled() => return,
                    () = tokio::time::sleep(ACCEPT_REST) => {}
                }
            }
        }
    }
}
