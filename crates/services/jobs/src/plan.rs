//! What applying a manifest would change, row by row.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What applying a manifest changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The app.
    pub app: String,
    /// Its services by name, then its routes by name; what stays as it is included.
    pub rows: Vec<Row>,
}

/// What becomes of one service or route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Whether it is a service or a route.
    pub target: Target,
    /// Its name.
    pub name: String,
    /// What becomes of it.
    pub change: Change,
}

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// A way through the gateway.
    Route,
    /// Something that runs.
    Service,
}

/// What becomes of a service or route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum Change {
    /// It is new.
    Create,
    /// It is not in the manifest any more.
    Remove,
    /// The same manifest runs something else.
    Restart {
        /// Why.
        why: String,
    },
    /// It was stopped and is started.
    Start {
        /// The fields that changed meanwhile.
        fields: Vec<String>,
    },
    /// It stays as it is.
    Unchanged,
    /// It changes.
    Update {
        /// The fields that changed.
        fields: Vec<String>,
        /// Whether running instances are replaced.
        restarts: bool,
    },
}

impl Plan {
    /// Whether everything stays as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.iter().all(|row| row.change == Change::Unchanged)
    }

    /// The row of a service.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.target == Target::Service && row.name == name)
    }
}

impl fmt::Display for Plan {
    /// A line for each change; one that says so when there is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return write!(f, "app {}: nothing to change", self.app);
        }
        write!(f, "app {}:", self.app)?;
        let changes = self.rows.iter().filter(|row| row.change != Change::Unchanged);
        for row in changes {
            write!(f, "\n  {row}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = match self.target {
            Target::Route => "route",
            Target::Service => "service",
        };
        let name = &self.name;
        match &self.change {
            Change::Create => write!(f, "create {target} {name}"),
            Change::Remove => write!(f, "remove {target} {name}"),
            Change::Restart { why } => write!(f, "restart {target} {name}: {why}"),
            Change::Start { fields } if fields.is_empty() => write!(f, "start {target} {name}"),
            Change::Start { fields } => {
                write!(f, "start {target} {name}: {} changed", fields.join(", "))
            }
            Change::Unchanged => write!(f, "keep {target} {name}"),
            Change::Update { fields, restarts } => {
                write!(f, "update {target} {name}: {} changed", fields.join(", "))?;
                match (self.target, restarts) {
                    (Target::Service, true) => f.write_str("; its instances are replaced"),
                    (Target::Service, false) => f.write_str("; its instances stay"),
                    (Target::Route, _) => Ok(()),
                }
            }
        }
    }
}
