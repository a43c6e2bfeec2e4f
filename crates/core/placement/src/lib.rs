//! Reconcile and place: what should change so that the instances match their jobs.
//!
//! Pure functions. [`reconcile`] compares a job with its instances and says what to do;
//! [`place`] picks a node for each new instance or says why none fits; [`summary`] says how a
//! service stands, for every view and for the start gates of others.
//!
//! The control plane writes what is wanted ([`Instance`]), the node's agent writes what is
//! ([`InstanceStatus`]), and neither writes the other's. Instances are immutable: a restart is a
//! new instance in the same slot. Everything is level-triggered: `reconcile` looks at the state
//! and never at how it came about, so a step that was lost is simply found missing.

mod backoff;
mod instance;
mod job;
mod need;
mod node;
mod observed;
mod place;
mod reconcile;
mod summary;

pub use instance::{Desired, Exit, ExitCause, Instance, InstanceStatus, Phase};
pub use job::{Job, JobState};
pub use need::unmet;
pub use node::{Node, NodeLoad};
pub use observed::Observed;
pub use place::{Reasons, Request, place};
pub use reconcile::{Action, Plan, View, reconcile};
pub use summary::{JobSummary, ServiceState, summary};
