//! Where each object lives in the store, and its bytes.
//!
//! Keys are paths of names; names are DNS labels, so splitting at `/` is safe. Values are JSON.
//!
//! | key | value | written by |
//! |---|---|---|
//! | `apps/<app>` | [`AppRecord`](crate::AppRecord) | [`Jobs`](crate::Jobs) |
//! | `jobs/<app>/<service>` | [`Job`](synod_placement::Job) | [`Jobs`](crate::Jobs) |
//! | `instances/<app>/<id>` | [`Instance`](synod_placement::Instance) | [`Loop`](crate::Loop) |
//! | `status/<app>/<id>` | [`InstanceStatus`](synod_placement::InstanceStatus) | the node's agent |
//! | `nodes/<node>` | [`Node`](synod_placement::Node), under the node's lease | the node's agent |
//! | `loops/<name>` | the holder's name, under its lease | whoever holds the epoch |
//!
//! What vanishes for good is deleted by the loop: jobs, instances with their status, and apps.

use serde::Serialize;
use serde::de::DeserializeOwned;
use synod_store::{Bytes, KeyValue};

/// The beginning of the keys of apps.
pub const APPS: &str = "apps/";
/// The beginning of the keys of instances.
pub const INSTANCES: &str = "instances/";
/// The beginning of the keys of jobs.
pub const JOBS: &str = "jobs/";
/// The beginning of the keys of epochs.
pub const LOOPS: &str = "loops/";
/// The beginning of the keys of nodes.
pub const NODES: &str = "nodes/";
/// The beginning of the keys of statuses.
pub const STATUS: &str = "status/";

/// The key of an app.
#[must_use]
pub fn app(app: &str) -> String {
    format!("{APPS}{app}")
}

/// The key of a job.
#[must_use]
pub fn job(app: &str, service: &str) -> String {
    format!("{JOBS}{app}/{service}")
}

/// The beginning of the keys of an app's jobs.
#[must_use]
pub fn jobs(app: &str) -> String {
    format!("{JOBS}{app}/")
}

/// The key of an instance.
#[must_use]
pub fn instance(app: &str, id: &str) -> String {
    format!("{INSTANCES}{app}/{id}")
}

/// The beginning of the keys of an app's instances.
#[must_use]
pub fn instances(app: &str) -> String {
    format!("{INSTANCES}{app}/")
}

/// The key of an instance's status.
#[must_use]
pub fn status(app: &str, id: &str) -> String {
    format!("{STATUS}{app}/{id}")
}

/// The beginning of the keys of the statuses of an app's instances.
#[must_use]
pub fn statuses(app: &str) -> String {
    format!("{STATUS}{app}/")
}

/// The key of a node.
#[must_use]
pub fn node(node: &str) -> String {
    format!("{NODES}{node}")
}

/// The key of a loop's epoch.
#[must_use]
pub fn epoch(name: &str) -> String {
    format!("{LOOPS}{name}")
}

/// What a key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// An app.
    App {
        /// Its name.
        app: &'a str,
    },
    /// An instance.
    Instance {
        /// Its app.
        app: &'a str,
        /// Its id.
        id: &'a str,
    },
    /// A job.
    Job {
        /// Its app.
        app: &'a str,
        /// Its service.
        service: &'a str,
    },
    /// A node.
    Node {
        /// Its name.
        node: &'a str,
    },
    /// An instance's status.
    Status {
        /// Its app.
        app: &'a str,
        /// The instance's id.
        id: &'a str,
    },
}

impl<'a> Key<'a> {
    /// What `key` stands for; `None` when it is nothing of ours.
    #[must_use]
    pub fn parse(key: &'a [u8]) -> Option<Self> {
        let key = std::str::from_utf8(key).ok()?;
        let (kind, name) = key.split_once('/')?;
        let single = (!name.is_empty() && !name.contains('/')).then_some(name);
        let pair = name
            .split_once('/')
            .filter(|(app, id)| !app.is_empty() && !id.is_empty() && !id.contains('/'));
        match kind {
            "apps" => single.map(|app| Self::App { app }),
            "instances" => pair.map(|(app, id)| Self::Instance { app, id }),
            "jobs" => pair.map(|(app, service)| Self::Job { app, service }),
            "nodes" => single.map(|node| Self::Node { node }),
            "status" => pair.map(|(app, id)| Self::Status { app, id }),
            _ => None,
        }
    }
}

/// A value that is not what its key promises, or that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value at `{key}` is not usable: {reason}")]
pub struct Corrupt {
    /// The key.
    pub key: String,
    /// What is wrong with the value.
    pub reason: String,
}

/// The bytes of `value`, to be written at `key`.
///
/// # Errors
/// When the value has no JSON form, such as a path that is not UTF-8.
pub fn encode<T: Serialize>(key: &str, value: &T) -> Result<Bytes, Corrupt> {
    let bytes = serde_json::to_vec(value).map_err(|error| Corrupt::new(key, &error))?;
    Ok(bytes.into())
}

/// The value that was read.
///
/// # Errors
/// When the bytes are not a `T`; the error names the key.
pub fn decode<T: DeserializeOwned>(kv: &KeyValue) -> Result<T, Corrupt> {
    serde_json::from_slice(&kv.value).map_err(|error| Corrupt::new(&kv.key.to_text_lossy(), &error))
}

impl Corrupt {
    fn new(key: &str, error: &serde_json::Error) -> Self {
        Self { key: key.to_owned(), reason: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_as_it_was_made() {
        let check = |key: String, expect: Key<'_>| {
            assert_eq!(Key::parse(key.as_bytes()), Some(expect), "{key}");
        };
        check(app("shop"), Key::App { app: "shop" });
        check(job("shop", "order"), Key::Job { app: "shop", service: "order" });
        check(instance("shop", "order-0-1"), Key::Instance { app: "shop", id: "order-0-1" });
        check(status("shop", "order-0-1"), Key::Status { app: "shop", id: "order-0-1" });
        check(node("laptop"), Key::Node { node: "laptop" });
    }

    #[test]
    fn keys_of_others_are_nobodys() {
        for key in
            ["", "apps", "apps/", "apps/a/b", "jobs/a", "jobs//b", "jobs/a/b/c", "loops/jobs"]
        {
            assert_eq!(Key::parse(key.as_bytes()), None, "{key}");
        }
        assert_eq!(Key::parse(b"apps/\xff"), None);
    }
}
