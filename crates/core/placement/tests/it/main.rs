//! Reconcile beside a slow, obvious model of jobs, agents and time.

mod convergence;
mod order;
mod rolling;
mod scenarios;
mod world;
