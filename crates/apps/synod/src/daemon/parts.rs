//! The parts of the daemon, in the order in which they start.

use std::fs;
use std::process;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use synod_agent::log::LogReader;
use synod_agent::{Agent, AgentOptions};
use synod_http::{Api, Health, Rejected, Token};
use synod_jobs::{Jobs, Loop, LoopOptions};
use synod_member::Member;
use synod_proxy::{Gateway, GatewayOptions};
use synod_registry::{Addresses, Registry};
use synod_store::Store;
use synod_task::{TaskKind, Tasks};
use tokio::runtime::Handle;

use super::{RunArgs, gateway_port, start_failure};
use crate::data_dir::DataDir;
use crate::follow::Interrupts;
use crate::outcome::{Exit, Failure};

/// The one node of a laptop.
const NODE: &str = "local";

/// How long each part gets to finish what it holds.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// A running daemon.
pub(crate) struct Parts {
    api: Api,
    gateway: Arc<Gateway>,
    interrupts: Interrupts,
    member: Member,
    tasks: Tasks,
    edge: Tasks,
    fronts: Tasks,
    health: Health,
}

impl Parts {
    /// Starts everything; on an error nothing keeps running.
    pub(crate) async fn start(
        data_dir: &DataDir,
        args: &RunArgs,
        data_plane: &Handle,
    ) -> Result<Self> {
        let interrupts = Interrupts::new()?;
        let tasks = Tasks::new();
        let mut options = synod_member::Options::new(data_dir.store());
        options.tasks = tasks.child();
        let member = Member::open(options).map_err(start_failure::open)?;
        let store: Arc<dyn Store> = Arc::new(member.store());

        let wanted = gateway_port::choose(data_dir, args.gateway_port)?;
        let edge = tasks.child();
        let gateway = {
            let options = GatewayOptions::new(wanted);
            let (store, edge) = (Arc::clone(&store), edge.child());
            let start = data_plane.spawn(async move { Gateway::start(store, options, edge).await });
            let started = start.await.context("the gateway was lost")?;
            Arc::new(started.context("the gateway could not start")?)
        };
        let health = health(gateway.port());
        gateway_port::remember(data_dir, health.gateway_port);

        // The directory's lock lets one process at a time be this holder, so that a daemon which
        // comes back after a crash need not wait for the epoch of the one before.
        let control = Loop::new(Arc::clone(&store), LoopOptions::new(NODE, now_ms));
        let cancelled = tasks.child();
        let run = async move { control.run(cancelled.cancelled()).await };
        tasks.spawn(TaskKind::new("jobs-loop").waits().vital(), run);

        let options = AgentOptions::new(
            NODE,
            data_dir.path(),
            Arc::clone(&store),
            gateway.applied(),
            edge.child(),
        );
        tasks.spawn(TaskKind::new("agent").vital(), Agent::run(options));

        let fronts = tasks.child();
        let parts = synod_http::Parts {
            jobs: Jobs::new(Arc::clone(&store)),
            registry: Registry::new(Arc::clone(&store)),
            logs: LogReader::new(data_dir.path()),
            addresses: Addresses::new(Arc::clone(&store)),
            health: health.clone(),
            rejected: rejected(Arc::clone(&gateway)),
            ends_when_idle: args.detached,
        };
        let api = Api::new(parts, fronts.clone());
        listen(&api, data_dir, args).await?;
        Ok(Self { api, gateway, interrupts, member, tasks, edge, fronts, health })
    }

    pub(crate) fn gateway_port(&self) -> u16 {
        self.health.gateway_port
    }

    /// What a daemon in the foreground says of itself.
    pub(crate) fn greeting(&self) -> String {
        format!("synod {} runs; gateway on port {}", self.health.version, self.gateway_port())
    }

    /// Waits for a reason to end; an error is one that should be told.
    pub(crate) async fn until_end(&mut self) -> Result<()> {
        tokio::select! {
            biased;
            () = self.interrupts.next() => Ok(()),
            () = self.api.shutdown_requested() => Ok(()),
            reason = self.member.stopped() => {
                let message = format!("the store has stopped: {reason} [SYN-0009]");
                Err(Failure::new(Exit::Failed, message).into())
            }
            failure = self.tasks.failed() => {
                Err(anyhow!("{} failed: {}", failure.task, failure.reason))
            }
        }
    }

    /// Stops what takes work before what does it, and the store last.
    pub(crate) async fn stop(self) {
        for (what, tasks) in [("fronts", &self.fronts), ("edge", &self.edge), ("loop", &self.tasks)]
        {
            if what == "edge" {
                self.gateway.shutdown(STOP_DEADLINE).await;
            }
            let overdue = tasks.shutdown(STOP_DEADLINE).await;
            if !overdue.0.is_empty() {
                tracing::warn!(part = what, tasks = ?overdue.0, "did not end in time");
            }
        }
        self.member.shutdown().await;
        tracing::info!("stopped");
    }
}

/// What the gateway does not apply, whenever it is asked.
fn rejected(gateway: Arc<Gateway>) -> Arc<dyn Fn() -> Vec<Rejected> + Send + Sync> {
    Arc::new(move || {
        let rejected = gateway.status().into_iter();
        rejected.map(|one| Rejected { object: one.object, reason: one.reason }).collect()
    })
}

async fn listen(api: &Api, data_dir: &DataDir, args: &RunArgs) -> Result<()> {
    api.serve_unix(synod_http::bind_unix(&data_dir.socket())?);
    if let Some(port) = args.api_port {
        let listener = synod_http::bind_loopback(port).await?;
        let bound = api.serve_tcp(listener, token(data_dir)?).context("admin API on TCP")?;
        tracing::info!(address = %bound, token = %data_dir.token().display(), "admin API on TCP");
    }
    Ok(())
}

/// The TCP listener's token, made on first use and readable by this user alone.
fn token(data_dir: &DataDir) -> Result<Token> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    const BYTES: usize = 32;
    let path = data_dir.token();
    let secret = match fs::read_to_string(&path) {
        Ok(text) => text.trim().to_owned(),
        Err(_) => {
            let secret = synod_sys::random::hex(BYTES).context("no randomness for a token")?;
            let mut file = fs::File::options()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)
                .with_context(|| format!("cannot write {}", path.display()))?;
            writeln!(file, "{secret}")
                .with_context(|| format!("cannot write {}", path.display()))?;
            secret
        }
    };
    Token::new(secret).with_context(|| {
        format!("the token in {} is too short; delete the file for a new one", path.display())
    })
}

fn health(gateway_port: u16) -> Health {
    Health {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: process::id(),
        node: NODE.to_owned(),
        gateway_port,
        started_ms: now_ms(),
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
