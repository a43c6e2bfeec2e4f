//! Nodes: where instances run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A machine that runs instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Whether it takes new instances.
    pub eligible: bool,
    /// The most instances it takes.
    pub capacity: u32,
    /// What it says of itself, such as the isolation level it enforces.
    pub attributes: BTreeMap<String, String>,
}
