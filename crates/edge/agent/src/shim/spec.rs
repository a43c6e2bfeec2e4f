//! What a shim is told to run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::log::SegmentLimits;

/// What a shim is told to run: one line of JSON on its standard input. It is written and read by
/// the same binary, except while that is being replaced, so fields are only ever added, with a
/// default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShimSpec {
    /// The instance's id.
    pub(crate) instance: String,
    /// The instance's directory.
    pub(crate) directory: PathBuf,
    /// Where the slot's log segments are.
    pub(crate) log_directory: PathBuf,
    pub(crate) log_limits: SegmentLimits,
    /// The program's path, already found.
    pub(crate) program: PathBuf,
    /// Its arguments, its own name first.
    pub(crate) args: Vec<String>,
    /// Its whole environment.
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) working_directory: PathBuf,
    /// The control group that was made for it.
    pub(crate) cgroup: Option<PathBuf>,
    /// How it is asked to end.
    pub(crate) stop_signal: i32,
    /// From there to the kill, in milliseconds.
    pub(crate) stop_grace_ms: u64,
    /// How long the instance outlives a daemon that is gone, in milliseconds; `None` for ever.
    pub(crate) orphan_after_ms: Option<u64>,
}
