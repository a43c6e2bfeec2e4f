//! What instances print: kept in segments on their node, read back merged and parsed.
//!
//! Each slot of a service has a directory `logs/<app>/<service>/<slot>/` of numbered segments. The
//! shim of the slot's instance appends records to the newest and, past a size, starts the next and
//! removes the oldest, so a slot's logs outlive its instances and never outgrow their limit. A
//! record is one line of text: time, stream, instance, what was printed.
//!
//! Readers take no part in writing. [`LogReader::query`] merges the slots of an app by time, and
//! can wait for more. Lines that are JSON objects are taken apart when they are read, so that what
//! is on disk stays what was printed.

mod cursor;
mod line;
mod query;
mod record;
mod segment;
mod writer;

pub use line::{Level, LogLine};
pub use query::{LogLines, LogQuery, LogReader};
pub use record::Stream;
pub use segment::SegmentLimits;

pub(crate) use segment::slot_directory;
pub(crate) use writer::LogWriter;

#[cfg(test)]
mod tests;
