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

/// A node and what was put on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeLoad {
    /// The node.
    pub node: Node,
    /// How many instances of each service take up room on it, by app and service.
    pub instances: BTreeMap<(String, String), u32>,
}

impl NodeLoad {
    /// A node with nothing on it.
    #[must_use]
    pub fn new(node: Node) -> Self {
        Self { node, instances: BTreeMap::new() }
    }

    /// How many instances take up room.
    #[must_use]
    pub fn used(&self) -> u32 {
        self.instances.values().sum()
    }

    /// How many of them belong to the service.
    #[must_use]
    pub fn of(&self, app: &str, service: &str) -> u32 {
        let key = (app.to_owned(), service.to_owned());
        self.instances.get(&key).copied().unwrap_or(0)
    }

    /// Puts one more instance of the service on it.
    pub fn add(&mut self, app: &str, service: &str) {
        *self.instances.entry((app.to_owned(), service.to_owned())).or_default() += 1;
    }
}
