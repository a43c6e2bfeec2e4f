//! The app manifest: parsing with positions, checking, defaults and typed references.
//!
//! One TOML file describes an app, the same for a laptop and a fleet. [`parse`] turns its text
//! into an [`App`], the checked form: every default is filled in, every reference is known to
//! resolve. What is wrong comes back as a list of [`Problem`]s, all of them at once, each with
//! its line, its column and what to do. [`expand`] goes the other way and writes every default
//! out. Nothing here touches files, clocks or the network.
//!
//! Parsing takes four steps: TOML text to a tree of values that know their places
//! (`document`); a profile laid over it and the variables filled in (`parse`, `vars`); a first
//! look that gathers the names others may refer to (`outline`); then one reader per table of the
//! manifest (`service`, `health`, `route` and so on), which resolve references as they meet them.
//! The user's reference is `docs/manifest.md`.

mod app;
mod defaults;
mod document;
mod duration;
mod expand;
mod health;
mod lifecycle;
mod name;
mod need;
mod options;
mod outline;
mod parse;
mod path;
mod port;
mod problem;
mod reader;
mod reference;
mod route;
mod section;
mod service;
mod template;
mod vars;
mod words;

pub use app::{
    App, Build, Health, Kind, Need, NeedCondition, Port, Probe, ProbeAction, Protocol, Restart,
    Route, RouteTarget, Service, Stop,
};
pub use expand::expand;
pub use options::Options;
pub use parse::parse;
pub use problem::{Problem, render};
pub use template::{EndpointPart, Segment, Template};
