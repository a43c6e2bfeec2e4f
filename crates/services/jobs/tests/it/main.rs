//! Apps from manifest to running instances, over a store in memory and on a clock of its own.

mod agent;
mod apply;
mod assign;
mod cluster;
mod corrupt;
mod epoch;
mod meddler;
mod races;
mod running;
