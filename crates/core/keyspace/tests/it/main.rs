//! The state machine through its public interface.

mod apply;
