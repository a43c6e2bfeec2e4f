//! Appending to a slot's segments, in the shim.
//!
//! Whatever the disk does, the instance goes on: a record that can't be written is counted and
//! dropped, and once there is room again a record says how many there were.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use super::record::{LINE_BYTES_MAX, Record, Stream};
use super::segment::{SegmentLimits, segment_path, segments};

/// The log of one instance, written to its slot's segments.
#[derive(Debug)]
pub(crate) struct LogWriter {
    directory: PathBuf,
    limits: SegmentLimits,
    instance: String,
    segment: Option<Segment>,
    /// Printed since the last line break, by stream.
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Lines dropped since the last one that was written, and why.
    missing: Option<(u64, String)>,
    dropped: u64,
}

#[derive(Debug)]
struct Segment {
    sequence: u64,
    file: File,
    bytes: u64,
}

impl LogWriter {
    /// Writes to the newest segment in `directory`, or the first. The directory is made at the
    /// first line.
    pub(crate) fn new(directory: PathBuf, limits: SegmentLimits, instance: String) -> Self {
        Self {
            directory,
            limits,
            instance,
            segment: None,
            stdout: Vec::new(),
            stderr: Vec::new(),
            missing: None,
            dropped: 0,
        }
    }

    /// How many lines were dropped so far for want of room.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Why the last lines could not be written; `None` while all is well.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.missing.as_ref().map(|(_, reason)| reason.as_str())
    }

    /// Takes what the instance printed, and writes the lines that it completes.
    pub(crate) fn print(&mut self, at_us: u64, stream: Stream, bytes: &[u8]) {
        let mut partial = std::mem::take(self.partial(stream));
        partial.extend_from_slice(bytes);
        let mut batch = Batch::default();
        let mut rest = &partial[..];
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
            batch.push_line(at_us, stream, &self.instance, line);
            rest = &rest[end + 1..];
        }
        while rest.len() > LINE_BYTES_MAX {
            let (piece, after) = rest.split_at(LINE_BYTES_MAX);
            batch.push(at_us, stream, true, &self.instance, piece);
            rest = after;
        }
        *self.partial(stream) = rest.to_vec();
        self.write(at_us, batch);
    }

    /// Writes what was printed without a line break at the end.
    pub(crate) fn finish(&mut self, at_us: u64) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if !self.partial(stream).is_empty() {
                self.print(at_us, stream, b"\n");
            }
        }
        self.write(at_us, Batch::default());
    }

    fn partial(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stderr => &mut self.stderr,
            Stream::Stdout | Stream::Synod => &mut self.stdout,
        }
    }

    fn write(&mut self, at_us: u64, batch: Batch) {
        let Batch { bytes } = self.with_notice(at_us, batch);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            match self.append(rest) {
                Ok(written) => {
                    // With the first piece the notice is written, too.
                    self.missing = None;
                    rest = &rest[written..];
                }
                Err(error) => {
                    let lines = rest.iter().filter(|&&byte| byte == b'\n').count() as u64;
                    let (before, lines) = match &self.missing {
                        // The notice that could not be written is not a line of the instance.
                        Some((before, _)) => (*before, lines - 1),
                        None => (0, lines),
                    };
                    self.dropped += lines;
                    self.missing = Some((before + lines, error.to_string()));
                    return;
                }
            }
        }
    }

    /// Puts what is missing before this batch in front of it.
    fn with_notice(&self, at_us: u64, batch: Batch) -> Batch {
        let Some((lines, reason)) = &self.missing else { return batch };
        let text = format!("{lines} lines are missing here: {reason}");
        let mut with_notice = Batch::default();
        with_notice.push(at_us, Stream::Synod, false, &self.instance, text.as_bytes());
        with_notice.bytes.extend_from_slice(&batch.bytes);
        with_notice
    }

    /// Writes as many whole records as the segment takes, at least one, and returns their length.
    fn append(&mut self, records: &[u8]) -> io::Result<usize> {
        let limit = self.limits.segment_bytes;
        let segment = self.open()?;
        let room = usize::try_from(limit.saturating_sub(segment.bytes)).unwrap_or(usize::MAX);
        let beyond = room.saturating_sub(1).min(records.len());
        let end = records[beyond..].iter().position(|&byte| byte == b'\n');
        let piece = &records[..end.map_or(records.len(), |end| beyond + end + 1)];
        match segment.file.write_all(piece) {
            Ok(()) => {
                segment.bytes += piece.len() as u64;
                Ok(piece.len())
            }
            Err(error) => {
                // Part of a record may be there; a cut needs no room, so it works on a full disk.
                let _ = segment.file.set_len(segment.bytes);
                Err(error)
            }
        }
    }

    /// The segment to write to now.
    fn open(&mut self) -> io::Result<&mut Segment> {
        let full = |segment: &Segment| segment.bytes >= self.limits.segment_bytes;
        if self.segment.as_ref().is_none_or(full) {
            // Closed first, so that a failure leaves nothing half open.
            let after = self.segment.take().map(|segment| segment.sequence + 1);
            let segment = self.next_segment(after)?;
            self.segment = Some(segment);
        }
        Ok(self.segment.as_mut().expect("set above"))
    }

    fn next_segment(&self, at_least: Option<u64>) -> io::Result<Segment> {
        fs::create_dir_all(&self.directory)?;
        let present = segments(&self.directory)?;
        let newest = present.last().copied().unwrap_or(0);
        let mut segment = self.open_segment(newest.max(at_least.unwrap_or(0)))?;
        if segment.bytes >= self.limits.segment_bytes {
            segment = self.open_segment(segment.sequence + 1)?;
        }
        let others = present.iter().filter(|&&sequence| sequence != segment.sequence).count();
        let excess = (others + 1).saturating_sub(self.limits.segments.max(1));
        for sequence in present.iter().take(excess) {
            fs::remove_file(segment_path(&self.directory, *sequence))?;
        }
        Ok(segment)
    }

    fn open_segment(&self, sequence: u64) -> io::Result<Segment> {
        let path = segment_path(&self.directory, sequence);
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let mut file = options.open(path)?;
        let mut bytes = file.metadata()?.len();
        // A shim that was killed may have left part of a record. Ending it makes it a bad record of
        // its own instead of the beginning of ours.
        let mut last = [b'\n'];
        if bytes > 0 {
            file.read_exact_at(&mut last, bytes - 1)?;
        }
        if last != [b'\n'] {
            file.write_all(b"\n")?;
            bytes += 1;
        }
        Ok(Segment { sequence, file, bytes })
    }
}

/// Records to be written together.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
}

impl Batch {
    fn push_line(&mut self, at_us: u64, stream: Stream, instance: &str, line: &[u8]) {
        let mut rest = line;
        while rest.len() > LINE_BYTES_MAX {
            let (piece, after) = rest.split_at(LINE_BYTES_MAX);
            self.push(at_us, stream, true, instance, piece);
            rest = after;
        }
        self.push(at_us, stream, false, instance, rest);
    }

    fn push(&mut self, at_us: u64, stream: Stream, continues: bool, instance: &str, line: &[u8]) {
        Record { at_us, stream, continues, instance, line }.encode(&mut self.bytes);
    }
}
