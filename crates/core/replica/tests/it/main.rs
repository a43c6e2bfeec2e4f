//! The replica through its public interface, over a model disk.

mod crash;
mod faults;
mod leases;
mod snapshots;
mod watches;
mod world;
mod writes;
