//! What every Rust service of the shop does the same way: listen where it is told to, say that it
//! is well, log lines of JSON, end politely, and talk to its peers.
//!
//! Nothing here knows Synod. A service finds its port in `PORT` and its peers in `STOCK_URL` and
//! the like; whoever starts it decides what they are.

pub mod log;
mod peer;
mod problem;
mod serve;

pub use peer::{CallError, Peer};
pub use problem::Problem;
pub use serve::{exit, serve};
