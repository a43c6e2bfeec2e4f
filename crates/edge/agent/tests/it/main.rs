//! The agent with real shims and processes, over an in-memory store.

mod ending;
mod probing;
mod reachable;
mod restarting;
mod starting;
mod world;
