//! Apps, jobs and instances in the store, and the loop that reconciles them.
//!
//! A layer: all state is in the store, and every part below may be killed at any moment and go on
//! elsewhere.
//!
//! - [`Jobs`] is for people and their tools: plan and apply a manifest, take an app down, restart
//!   or stop a service, see how it stands.
//! - [`Loop`] makes instances of jobs. One loop of a cluster does so at a time: it holds the
//!   *epoch*, a key under its lease, and every write of it compares that key.
//! - [`Assignments`] and [`StatusWriter`] are for a node's agent: what should run here, and what
//!   became of it.
//! - [`keys`] says where everything lives.
//!
//! What should change is decided by `core/placement`; this crate carries it to the store and back.

mod assignments;
mod control;
mod epoch;
mod error;
mod jobs;
pub mod keys;
mod mirror;
mod plan;
mod record;
mod status;
mod status_writer;
mod version;
mod watch_status;

pub use assignments::{Assignment, AssignmentChange, Assignments};
pub use control::{Loop, LoopOptions};
pub use error::{ApplyError, ChangeError, NotFound, ReadError};
pub use jobs::Jobs;
pub use plan::{Change, Plan, Row, Target};
pub use record::{AppRecord, AppState, Apply};
pub use status::{AppOverview, AppStatus, InstanceReport, ServiceStatus};
pub use status_writer::{StatusUpdate, StatusWriter, WriteError};
pub use watch_status::StatusWatch;
