//! The log through its public interface, over a model disk.

mod crash;
mod damage;
mod golden;
mod log;
