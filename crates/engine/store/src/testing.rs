//! A store for the tests of whatever speaks the port. Nothing of it is durable.

mod memory_store;

pub use memory_store::MemoryStore;
