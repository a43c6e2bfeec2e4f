//! An agent without processes: it does at once what it is told, and writes down in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use synod_jobs::{Assignment, AssignmentChange, Assignments, StatusUpdate, StatusWriter};
use synod_manifest::Kind;
use synod_placement::{Desired, Exit, ExitCause, InstanceStatus, Node, Phase};
use synod_store::{LeaseId, Store};
use tokio::task::JoinHandle;

use crate::cluster::Cluster;

/// How many instances an agent takes.
pub(crate) const CAPACITY: u32 = 20;

/// What the agent did: `start order` and `stop order`, in order.
pub(crate) type Diary = Arc<Mutex<Vec<String>>>;

pub(crate) struct Agent {
    pub(crate) lease: LeaseId,
    pub(crate) diary: Diary,
    pub(crate) task: JoinHandle<()>,
}

impl Agent {
    /// Starts an agent. Instances of the services in `fails` exit with code 3 that many times.
    pub(crate) async fn start(cluster: &Cluster, node: &str, fails: &[(&str, u32)]) -> Self {
        let lease = cluster.store.lease_grant(None, Duration::from_secs(100_000)).await.unwrap().id;
        let (known, assignments) = Assignments::open(cluster.store.clone(), node).await.unwrap();
        let (name, attributes) = (node.to_owned(), BTreeMap::new());
        let node = Node { name, eligible: true, capacity: CAPACITY, attributes };
        assignments.writer().write_node(lease, &node).await.unwrap();
        let diary = Diary::default();
        let fails = fails.iter().map(|(name, times)| ((*name).to_owned(), *times)).collect();
        let acting = Acting {
            writer: assignments.writer(),
            diary: diary.clone(),
            fails,
            running: BTreeSet::new(),
            at_ms: cluster.now_ms(),
        };
        Self { lease, diary, task: tokio::spawn(acting.run(known, assignments)) }
    }

    pub(crate) fn did(&self) -> Vec<String> {
        self.diary.lock().unwrap().clone()
    }
}

struct Acting {
    writer: StatusWriter,
    diary: Diary,
    fails: BTreeMap<String, u32>,
    running: BTreeSet<String>,
    at_ms: u64,
}

impl Acting {
    async fn run(mut self, known: Vec<Assignment>, mut assignments: Assignments) {
        for assignment in known {
            self.act(&assignment).await;
        }
        while let Ok(changes) = assignments.next().await {
            for change in changes {
                match change {
                    AssignmentChange::Removed { id, .. } => drop(self.running.remove(&id)),
                    AssignmentChange::Set(assignment) => self.act(&assignment).await,
                }
            }
        }
    }

    async fn act(&mut self, assignment: &Assignment) {
        let (id, service) = (&assignment.instance.id, &assignment.instance.service);
        match assignment.instance.desired {
            Desired::Run if self.running.insert(id.clone()) => {
                self.diary.lock().unwrap().push(format!("start {service}"));
                self.write(assignment, Phase::Running, false, None).await;
                if let Some(times) = self.fails.get_mut(service).filter(|times| **times > 0) {
                    *times -= 1;
                    self.write(assignment, Phase::Exited, false, Some(3)).await;
                } else if assignment.job.spec.kind == Kind::Task {
                    self.write(assignment, Phase::Exited, false, Some(0)).await;
                } else {
                    self.write(assignment, Phase::Running, true, None).await;
                }
            }
            Desired::Stop if self.running.remove(id) => {
                self.diary.lock().unwrap().push(format!("stop {service}"));
                self.write(assignment, Phase::Exited, false, Some(0)).await;
            }
            _ => {}
        }
    }

    async fn write(&self, of: &Assignment, phase: Phase, ready: bool, code: Option<i32>) {
        let exit = code.map(|code| Exit {
            cause: ExitCause::Code(code),
            failure: code != 0,
            at_ms: self.at_ms,
        });
        let status = InstanceStatus {
            id: of.instance.id.clone(),
            phase,
            ready,
            reason: None,
            pid: Some(1),
            ports: BTreeMap::new(),
            started_ms: Some(self.at_ms),
            exit,
        };
        let update = StatusUpdate { app: of.instance.app.clone(), status };
        self.writer.write(&[update]).await.unwrap();
    }
}
