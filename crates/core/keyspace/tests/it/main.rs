//! The state machine through its public interface.

mod apply;
mod codec;
mod generate;
mod group;
mod history;
mod leases;
mod model;
mod random;
mod snapshot;
mod watch_index;
