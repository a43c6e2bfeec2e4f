//! A member through the port.

mod conformance;
mod directory;
mod restart;
mod shutdown;
mod subject;
