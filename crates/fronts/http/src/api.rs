//! The API as a value: what it speaks to, and its routes.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use http::{Method, Uri};
use synod_agent::log::LogReader;
use synod_jobs::Jobs;
use synod_registry::{Addresses, Registry};
use synod_task::Tasks;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::extract::BODY_BYTES_MAX;
use crate::guard::{self, Guard};
use crate::health::{Health, Rejected};
use crate::problem::{Kind, Problem};
use crate::{apps, health, logs, services};

/// Blocking queries and streams that may be open at once. Each holds a watch or a thread and a few
/// descriptors; people and their tools open a handful.
const WAITS_MAX: usize = 128;

/// What the API speaks to.
#[derive(Clone)]
pub struct Parts {
    /// The apps.
    pub jobs: Jobs,
    /// Who offers what.
    pub registry: Registry,
    /// What instances printed.
    pub logs: LogReader,
    /// Where services and routes are reached.
    pub addresses: Addresses,
    /// What the daemon says of itself.
    pub health: Health,
    /// What the gateway does not apply now.
    pub rejected: Arc<dyn Fn() -> Vec<Rejected> + Send + Sync>,
    /// Whether the daemon runs for its apps only, and may be asked to end with the last one.
    pub ends_when_idle: bool,
}

/// The admin API. Clones are the same one.
#[derive(Clone)]
pub struct Api {
    shared: Arc<Shared>,
}

struct Shared {
    parts: Parts,
    tasks: Tasks,
    waits: Arc<Semaphore>,
    shutdown: Notify,
}

impl Api {
    /// An API over `parts`. Listeners and connections become tasks of `tasks`; cancelling it stops
    /// accepting, ends streams and blocking queries, and lets other requests finish.
    #[must_use]
    pub fn new(parts: Parts, tasks: Tasks) -> Self {
        let waits = Arc::new(Semaphore::new(WAITS_MAX));
        Self { shared: Arc::new(Shared { parts, tasks, waits, shutdown: Notify::new() }) }
    }

    /// Completes once a client has asked for the daemon's end. Cancel safe.
    pub async fn shutdown_requested(&self) {
        self.shared.shutdown.notified().await;
    }

    /// How many streams and blocking queries are open.
    #[must_use]
    pub fn waits(&self) -> usize {
        WAITS_MAX - self.shared.waits.available_permits()
    }

    pub(crate) fn request_shutdown(&self) {
        self.shared.shutdown.notify_one();
    }

    pub(crate) fn addresses(&self) -> &Addresses {
        &self.shared.parts.addresses
    }

    pub(crate) fn rejected(&self) -> Vec<Rejected> {
        (self.shared.parts.rejected)()
    }

    pub(crate) fn ends_when_idle(&self) -> bool {
        self.shared.parts.ends_when_idle
    }

    pub(crate) fn jobs(&self) -> &Jobs {
        &self.shared.parts.jobs
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.shared.parts.registry
    }

    pub(crate) fn logs(&self) -> &LogReader {
        &self.shared.parts.logs
    }

    pub(crate) fn health(&self) -> &Health {
        &self.shared.parts.health
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.shared.tasks
    }

    /// The right to wait or stream, for as long as the permit is held.
    pub(crate) fn begin_wait(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.shared.waits).try_acquire_owned().map_err(|_| {
            let detail = format!("{WAITS_MAX} streams and blocking queries are open; close some");
            Problem::new(Kind::Busy, detail)
        })
    }

    /// The routes behind a listener's guard.
    pub(crate) fn router(&self, guard: Guard) -> Router {
        Router::new()
            .route("/v1/health", get(health::health))
            .route("/v1/version", get(health::version))
            .route("/v1/shutdown", post(health::shutdown))
            .route("/v1/plan", post(apps::plan))
            .route("/v1/apply", post(apps::apply))
            .route("/v1/apps", get(apps::list))
            .route("/v1/apps/{app}", get(apps::status))
            .route("/v1/apps/{app}", delete(apps::down))
            .route("/v1/apps/{app}/watch", get(apps::watch))
            .route("/v1/apps/{app}/environment", get(apps::environment))
            .route("/v1/apps/{app}/logs", get(logs::read))
            .route("/v1/apps/{app}/restart", post(apps::restart_all))
            .route("/v1/apps/{app}/services/{service}/restart", post(apps::restart))
            .route("/v1/apps/{app}/services/{service}/stop", post(apps::stop))
            .route("/v1/services", get(services::list))
            .fallback(no_such_endpoint)
            .method_not_allowed_fallback(no_such_method)
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .layer(from_fn_with_state(guard, guard::check))
            .with_state(self.clone())
    }
}

async fn no_such_endpoint(uri: Uri) -> Problem {
    Problem::new(Kind::EndpointNotFound, format!("there is nothing at {}", uri.path()))
}

async fn no_such_method(method: Method, uri: Uri) -> Problem {
    Problem::new(Kind::MethodNotAllowed, format!("{} takes no {method}", uri.path()))
}
