//! Jobs: what should run.

use serde::{Deserialize, Serialize};
use synod_manifest::Service;

/// One service of an app, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The app.
    pub app: String,
    /// What to run.
    pub spec: Service,
    /// A digest of `spec` and of what was built. Instances of another version are replaced.
    pub version: String,
    /// Advanced by a user's restart. Instances of a smaller one are replaced.
    pub restart_nonce: u64,
    /// What should become of it.
    pub state: JobState,
}

/// What should become of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// Its instances should stop, then it should vanish.
    Remove,
    /// Its instances should run.
    Run,
    /// Its instances should stop; it stays.
    Stop,
}
