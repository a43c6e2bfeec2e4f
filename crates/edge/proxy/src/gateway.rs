//! Keeps a proxy in step with the store.
//!
//! One loop owns everything: it reads the objects, compiles them to one configuration, swaps it
//! in, binds and closes the stable listeners, records their addresses, and then publishes the
//! revision it has applied. It is level-triggered: after compaction or an error it reads the state
//! anew, and nothing depends on having seen each change.
//!
//! An object that is not usable is left out, with a line in [`Gateway::status`], and the rest
//! applies.

mod compile;
mod mirror;
mod ports;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use synod_registry::{Address, AddressKey, Addresses};
use synod_routing::Config;
use synod_store::{Error as StoreError, Revision, Store, Watch, WatchBatch};
use synod_task::{TaskKind, Tasks};
use thiserror::Error as ThisError;
use tokio::sync::watch;

use self::compile::compile;
use self::mirror::Mirror;
use crate::{BindError, Counts, Options, Proxy};

const FOLLOW: TaskKind = TaskKind::new("gateway");
/// The name of the listener for people.
pub(crate) const GATEWAY: &str = "gateway";
/// How long to wait before the state is read anew after an error.
const RETRY: Duration = Duration::from_millis(500);

/// How a gateway is set up.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Where people reach apps. Port 0 takes a free one.
    pub address: SocketAddr,
    /// The proxy's limits and deadlines.
    pub proxy: Options,
}

impl GatewayOptions {
    /// A gateway at `address`, with the usual limits.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address, proxy: Options::default() }
    }
}

/// Why a gateway did not start.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum StartError {
    /// Its own listener cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The state cannot be read.
    #[error("the gateway cannot read the store")]
    Store(#[from] StoreError),
}

/// An object that is not applied, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The object: its key in the store, or the route or address within an app.
    pub object: String,
    /// What is wrong with it, and what to do.
    pub reason: String,
}

/// A proxy that follows the store.
pub struct Gateway {
    proxy: Arc<Proxy>,
    address: SocketAddr,
    applied: watch::Receiver<Revision>,
    rejected: Arc<Mutex<Vec<Rejected>>>,
    /// Beside the proxy's tasks, so that it can end before them.
    following: Tasks,
}

impl Gateway {
    /// Binds the gateway's listener and applies the state of the store; then follows it, below
    /// `tasks`.
    ///
    /// # Errors
    /// When the listener cannot be bound or the store cannot be read.
    pub async fn start(
        store: Arc<dyn Store>,
        options: GatewayOptions,
        tasks: Tasks,
    ) -> Result<Self, StartError> {
        let listeners = [(GATEWAY, options.address)];
        let proxy = Proxy::start(listeners, Config::default(), options.proxy, &tasks)?;
        let address = proxy.address(GATEWAY).unwrap_or(options.address);
        let proxy = Arc::new(proxy);
        let (publish, applied) = watch::channel(Revision::ZERO);
        let rejected = Arc::default();
        let mut follower = Follower {
            addresses: Addresses::new(store.clone()),
            store,
            proxy: proxy.clone(),
            mirror: Mirror::default(),
            bound: BTreeMap::new(),
            publish,
            rejected: Arc::clone(&rejected),
        };
        let watch = follower.load().await?;
        let following = tasks.child();
        following.spawn(FOLLOW, follower.run(watch));
        Ok(Self { proxy, address, applied, rejected, following })
    }

    /// The port of the gateway's listener.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The revision of the store that requests are routed by now: every change up to it is seen,
    /// by requests that begin from here on.
    #[must_use]
    pub fn applied(&self) -> watch::Receiver<Revision> {
        self.applied.clone()
    }

    /// The objects that are not applied.
    #[must_use]
    pub fn status(&self) -> Vec<Rejected> {
        self.rejected.lock().clone()
    }

    /// What each listener has served, by its name: `gateway`, or the address it stands for.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, Counts> {
        self.proxy.counts()
    }

    /// Stops following the store and accepting, and lets requests be answered until `deadline` is
    /// over. The recorded addresses stay, so that a restart takes them again.
    pub async fn shutdown(&self, deadline: Duration) {
        // The tree logs who was cut off.
        let _ = self.following.shutdown(deadline).await;
        self.proxy.shutdown(deadline).await;
    }
}

/// The loop's state.
struct Follower {
    store: Arc<dyn Store>,
    addresses: Addresses,
    proxy: Arc<Proxy>,
    mirror: Mirror,
    bound: BTreeMap<AddressKey, SocketAddr>,
    publish: watch::Sender<Revision>,
    rejected: Arc<Mutex<Vec<Rejected>>>,
}

impl Follower {
    /// Follows until the store has stopped.
    async fn run(mut self, watch: Watch) {
        let mut watch = Some(watch);
        loop {
            let error = match watch.take() {
                Some(current) => self.follow(current).await,
                None => match self.load().await {
                    Ok(fresh) => {
                        watch = Some(fresh);
                        continue;
                    }
                    Err(StoreError::Stopped { .. }) => return,
                    Err(error) => error,
                },
            };
            // A watch that was overtaken, or that ended with its store, is told apart by reading.
            let is_expected =
                mirror::is_compacted(&error) || matches!(error, StoreError::Stopped { .. });
            if !is_expected {
                tracing::warn!(%error, "the gateway lost sight of the store; it reads it anew");
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Reads the whole state, applies it, and watches from there.
    async fn load(&mut self) -> Result<Watch, StoreError> {
        let (mirror, watch) = Mirror::load(&*self.store).await?;
        self.mirror = mirror;
        self.apply().await?;
        Ok(watch)
    }

    /// Applies change after change until the watch or a write fails.
    async fn follow(&mut self, mut watch: Watch) -> StoreError {
        loop {
            let mut changed = false;
            let mut arrived = Some(watch.next().await);
            // What else has arrived is taken in too, so that a burst is compiled once.
            while let Some(batch) = arrived {
                match batch {
                    Ok(batch) => changed |= self.mirror.apply(&batch),
                    Err(error) => return error,
                }
                arrived = poll_now(&mut watch);
            }
            if !changed {
                self.publish.send_replace(self.mirror.revision());
            } else if let Err(error) = self.apply().await {
                return error;
            }
        }
    }

    /// Makes the proxy do what the mirror says, then publishes the mirror's revision.
    async fn apply(&mut self) -> Result<(), StoreError> {
        let compiled = compile(&self.mirror);
        let mut rejected = compiled.rejected;
        self.proxy.apply(compiled.config);
        self.close_unwanted(&compiled.addresses).await?;
        for key in &compiled.addresses {
            if let Err(reason) = self.ensure_bound(key).await? {
                rejected.push(Rejected { object: key.to_string(), reason });
            }
        }
        self.replace_rejected(rejected);
        self.publish.send_replace(self.mirror.revision());
        Ok(())
    }

    async fn close_unwanted(&mut self, wanted: &BTreeSet<AddressKey>) -> Result<(), StoreError> {
        let is_unwanted = |key: &&AddressKey| !wanted.contains(*key);
        let unbound: Vec<_> = self.bound.keys().filter(is_unwanted).cloned().collect();
        for key in unbound {
            self.bound.remove(&key);
            self.proxy.unlisten(&key.to_string());
        }
        let stale: Vec<_> = self.mirror.addresses().keys().filter(is_unwanted).cloned().collect();
        for key in stale {
            done(self.addresses.remove(&key).await)?;
            self.mirror.forget_address(&key);
        }
        Ok(())
    }

    /// Binds the listener for `key` unless it is bound, and records where. The inner error says
    /// why it cannot be bound.
    async fn ensure_bound(&mut self, key: &AddressKey) -> Result<Result<(), String>, StoreError> {
        let recorded = self.mirror.addresses().get(key).copied();
        let bound = match self.bound.get(key) {
            Some(bound) => *bound,
            None => {
                let taken = self.mirror.addresses().values().map(|address| address.port);
                match ports::bind(&self.proxy, key, recorded, &taken.collect()) {
                    Ok(bound) => bound,
                    Err(error) => return Ok(Err(error.to_string())),
                }
            }
        };
        self.bound.insert(key.clone(), bound);
        let address = Address::from(bound);
        if recorded != Some(address) {
            done(self.addresses.put(key, address).await)?;
            self.mirror.remember_address(key, address);
        }
        Ok(Ok(()))
    }

    fn replace_rejected(&self, rejected: Vec<Rejected>) {
        let mut current = self.rejected.lock();
        for Rejected { object, reason } in rejected.iter().filter(|one| !current.contains(one)) {
            tracing::warn!(object, reason, "not applied");
        }
        *current = rejected;
    }
}

/// What the watch has for us already.
fn poll_now(watch: &mut Watch) -> Option<Result<WatchBatch, StoreError>> {
    let next = pin!(watch.next());
    match next.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(batch) => Some(batch),
        Poll::Pending => None,
    }
}

/// Only the store may stop the loop; names come from keys that were read, so they are good.
fn done<T>(written: Result<T, synod_registry::Error>) -> Result<(), StoreError> {
    match written {
        Ok(_) => Ok(()),
        Err(synod_registry::Error::Store(error)) => Err(error),
        Err(error) => {
            tracing::warn!(%error, "an address could not be recorded");
            Ok(())
        }
    }
}
