//! The app as the store keeps it, and what a caller asks to be applied.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use synod_manifest::App;

/// An app, as the store keeps it. Its jobs are kept beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppRecord {
    /// The manifest, as last applied.
    pub app: App,
    /// The fingerprint of what was built, by service.
    #[serde(default)]
    pub builds: BTreeMap<String, String>,
    /// How long its instances outlive a daemon that is gone, in milliseconds; `None` for ever.
    pub orphan_after_ms: Option<u64>,
    /// Advanced by each apply that changed something.
    pub generation: u64,
    /// What should become of it.
    pub state: AppState,
}

/// What should become of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AppState {
    /// Its jobs should vanish, then it should.
    Remove,
    /// Its jobs say what should run.
    Run,
}

/// A manifest to be made true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apply {
    /// The checked manifest.
    pub app: App,
    /// The fingerprint of what was built, by service. One that is missing here counts as
    /// not built anew.
    #[serde(default)]
    pub builds: BTreeMap<String, String>,
    /// How long instances outlive a daemon that is gone, in milliseconds; `None` for ever.
    #[serde(default)]
    pub orphan_after_ms: Option<u64>,
}
