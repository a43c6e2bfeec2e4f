//! How an app stands, as one value.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use synod_manifest::{Kind, Need, Port, Route};
use synod_placement::{Instance, InstanceStatus, JobState, JobSummary};

use crate::AppState;

/// An app in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppOverview {
    /// The app.
    pub app: String,
    /// The absolute path of its manifest.
    pub path: PathBuf,
    /// What should become of it.
    pub state: AppState,
    /// How each service stands, by name.
    pub services: Vec<JobSummary>,
}

/// How an app stands, at one revision of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppStatus {
    /// The app.
    pub app: String,
    /// The absolute path of its manifest.
    pub path: PathBuf,
    /// Advanced by each apply that changed something.
    pub generation: u64,
    /// What should become of it.
    pub state: AppState,
    /// The revision of the store that this is read from.
    pub revision: u64,
    /// The services by name.
    pub services: Vec<ServiceStatus>,
    /// The routes by name.
    pub routes: BTreeMap<String, Route>,
}

/// How a service stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// The service.
    pub name: String,
    /// Whether it runs on or to completion.
    pub kind: Kind,
    /// What should become of it.
    pub desired: JobState,
    /// How it stands.
    pub summary: JobSummary,
    /// The version that should run.
    pub version: String,
    /// What must hold before an instance starts.
    pub needs: Vec<Need>,
    /// The ports, as declared.
    pub ports: Vec<Port>,
    /// The instances by slot, then by age.
    pub instances: Vec<InstanceReport>,
}

/// An instance and what its agent says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceReport {
    /// What is wanted.
    pub instance: Instance,
    /// What is; `None` until its agent has said something.
    pub status: Option<InstanceStatus>,
}

impl AppStatus {
    /// Whether every service is where it should get: ready, done, or stopped as asked.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        use synod_placement::ServiceState::{Done, Ready, Stopped};
        let mut states = self.services.iter().map(|service| service.summary.state);
        states.all(|state| matches!(state, Done | Ready | Stopped))
    }
}
