//! End to end: the real binary, real processes, a daemon per test.

mod builds;
mod down;
mod faults;
mod home;
mod lifecycle;
mod misbehaving;
mod reach;
mod refusals;
mod update;
