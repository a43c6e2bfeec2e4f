//! Reconcile and place: what should change so that the instances match their jobs.
//!
//! Two pure functions. [`reconcile`] compares a job with its instances and says what to do;
//! [`place`] picks a node for each new instance or says why none fits.

mod instance;
mod job;
mod node;

pub use instance::{Desired, Exit, ExitCause, Instance, InstanceStatus, Phase};
pub use job::{Job, JobState};
pub use node::Node;
