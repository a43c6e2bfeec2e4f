//! The segments of a slot: numbered files, the highest being written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How much of a slot's output is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentLimits {
    /// The size past which a segment is closed.
    pub segment_bytes: u64,
    /// How many segments a slot keeps.
    pub segments: usize,
}

impl Default for SegmentLimits {
    /// 32 MiB in 4 segments.
    fn default() -> Self {
        Self { segment_bytes: 8 << 20, segments: 4 }
    }
}

/// Where a slot's segments are.
pub(crate) fn slot_directory(logs: &Path, app: &str, service: &str, slot: u32) -> PathBuf {
    logs.join(app).join(service).join(slot.to_string())
}

/// The file of a segment.
pub(crate) fn segment_path(directory: &Path, sequence: u64) -> PathBuf {
    directory.join(format!("{sequence:010}.log"))
}

/// The segments in a directory, oldest first; none when it does not exist.
pub(crate) fn segments(directory: &Path) -> io::Result<Vec<u64>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let sequence: Option<u64> =
            name.to_str().and_then(|name| name.strip_suffix(".log")?.parse().ok());
        found.extend(sequence);
    }
    found.sort_unstable();
    Ok(found)
}
