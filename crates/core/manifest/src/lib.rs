//! The app manifest: parsing with positions, checking, defaults and typed references.
//!
//! One TOML file describes an app, the same for a laptop and a fleet. [`App`] is the checked
//! form: every default is filled in, every reference is known to resolve.

mod app;
mod template;

pub use app::{
    App, Build, Health, Kind, Need, NeedCondition, Port, Probe, ProbeAction, Protocol, Restart,
    Route, RouteTarget, Service, Stop,
};
pub use template::{EndpointPart, Segment, Template};
