//! Named tasks, cancellation and ordered shutdown.
//!
//! All tasks of the product start through [`Tasks`], so that each has a name, a stated reaction to
//! cancellation and a stated consequence of failure, and so that nobody leaves without being
//! waited for. [`Tasks`] is a tree: cancelling a node reaches every task below it and nothing
//! beside it.
//!
//! Futures come from whoever spawns; this crate decides nothing about what they do. It catches
//! panics, because a panic that nobody awaits would otherwise vanish without a trace.

mod kind;
mod tasks;

pub use kind::{OnCancel, OnFailure, Outcome, TaskKind};
pub use tasks::{Failure, Overdue, Tasks};
