//! The wall clock, in the units of records.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Since the Unix epoch; zero on a clock that is set before it.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    now().as_millis().try_into().unwrap_or(u64::MAX)
}

/// Microseconds since the Unix epoch.
pub(crate) fn now_us() -> u64 {
    now().as_micros().try_into().unwrap_or(u64::MAX)
}
