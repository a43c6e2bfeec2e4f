//! How a manifest is to be read.

use std::collections::BTreeMap;

/// What is chosen outside of the manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The profile that is laid over the manifest.
    pub profile: Option<String>,
    /// Values that replace those of `[vars]`. The variables must be declared there.
    pub vars: BTreeMap<String, String>,
}
