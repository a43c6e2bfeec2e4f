//! An instance's entry in the registry, kept as the instance is.

use std::future::pending;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use synod_manifest::Kind;
use synod_registry::{Health, RegisteredPort, Registration};
use synod_store::{LeaseId, Revision};
use tokio::time::{Instant, sleep_until, timeout};

use super::context::{Context, STORE_AGAIN};
use crate::assignment_record::AssignmentRecord;
use crate::clock::now_ms;

/// How long the way out of the registry may take before an instance is ended without it.
const LEAVE_MAX: Duration = Duration::from_secs(5);

/// The entry of one instance.
pub(crate) struct RegistryEntry {
    context: Arc<Context>,
    /// `None` for a task, which serves nobody.
    registration: Option<Registration>,
    /// What the registry holds, as far as we know.
    held: Option<(LeaseId, Health)>,
    /// Whether an entry of an earlier agent may be there.
    may_be_held: bool,
    again_at: Option<Instant>,
}

impl RegistryEntry {
    pub(crate) fn new(context: Arc<Context>, record: &AssignmentRecord, was_started: bool) -> Self {
        let serves = record.service.kind == Kind::Service;
        let ports = record.service.ports.iter().filter_map(|port| {
            let number = *record.ports.get(&port.name)?;
            Some((port.name.clone(), RegisteredPort { number, protocol: port.protocol }))
        });
        let registration = serves.then(|| Registration {
            app: record.app.clone(),
            service: record.service.name.clone(),
            instance: record.instance.clone(),
            node: context.node.clone(),
            version: record.version.clone(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ports: ports.collect(),
            health: Health::Failing,
            since_ms: now_ms(),
        });
        Self { context, registration, held: None, may_be_held: was_started, again_at: None }
    }

    /// Makes the entry say whether the instance is ready. One that never was has no entry.
    pub(crate) async fn sync(&mut self, ready: bool) {
        let Some(registration) = &mut self.registration else { return };
        if !ready && self.held.is_none() && !self.may_be_held {
            return;
        }
        let health = if ready { Health::Passing } else { Health::Failing };
        let lease = self.context.lease.id();
        if self.held == Some((lease, health)) || self.again_at.is_some_and(|at| at > Instant::now())
        {
            return;
        }
        registration.health = health;
        self.again_at = None;
        match self.context.registry.register(lease, registration).await {
            Ok(_) => self.held = Some((lease, health)),
            Err(error) => {
                tracing::warn!(%error, instance = registration.instance, "not registered");
                self.again_at = Some(Instant::now() + STORE_AGAIN);
            }
        }
    }

    /// Completes when [`RegistryEntry::sync`] should be tried again.
    pub(crate) async fn again(&self) {
        match self.again_at {
            Some(at) => sleep_until(at).await,
            None => pending().await,
        }
    }

    /// Tells the gateway to send no new requests, and waits until it has heard, up to a limit.
    pub(crate) async fn drain(&mut self) {
        if self.held.is_none() && !self.may_be_held {
            return;
        }
        let Some(registration) = &self.registration else { return };
        let key = registration.key();
        let drained = async {
            match self
                .context
                .registry
                .set_health(&key.app, &key.service, &key.instance, Health::Draining)
                .await
            {
                Ok(revision) => self.until_applied(revision).await,
                Err(error) => tracing::debug!(%error, "not registered any more"),
            }
        };
        if timeout(LEAVE_MAX, drained).await.is_err() {
            tracing::warn!(instance = key.instance, "the gateway did not follow in time");
        }
    }

    /// Takes the entry out of the registry.
    pub(crate) async fn leave(&mut self) {
        if self.held.is_none() && !self.may_be_held {
            return;
        }
        let Some(registration) = &self.registration else { return };
        let key = registration.key();
        let left = async {
            while let Err(error) =
                self.context.registry.deregister(&key.app, &key.service, &key.instance).await
            {
                tracing::warn!(%error, instance = key.instance, "not taken out of the registry");
                tokio::time::sleep(STORE_AGAIN).await;
            }
        };
        // Past that the entry ends with the node's lease, or is replaced at the next start.
        let _ = timeout(LEAVE_MAX, left).await;
    }

    async fn until_applied(&self, revision: Revision) {
        let mut applied = self.context.gateway_applied.clone();
        // Without a gateway there is nobody to wait for.
        let _ = applied.wait_for(|applied| *applied >= revision).await;
    }
}
