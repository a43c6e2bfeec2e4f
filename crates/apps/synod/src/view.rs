//! What the command line shows of apps: rows for people and for programs, from the same values.

mod live;
mod rows;
mod table;

pub(crate) use live::Live;
pub(crate) use rows::{AppRow, InstanceRow, PsView, Tally};
pub(crate) use table::{Table, instance_table, links};
