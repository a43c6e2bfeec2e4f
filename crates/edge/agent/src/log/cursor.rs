//! A place in a slot's segments, moving forward.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::line::LogLine;
use super::record::{LINE_BYTES_MAX, Record};
use super::segment::{segment_path, segments};

const CHUNK_BYTES: usize = 64 << 10;
/// No record is longer, whatever its instance is called; what seems to be is not a record.
const RECORD_BYTES_MAX: usize = LINE_BYTES_MAX + 4096;

/// Reads the records of one slot in the order in which they were written.
#[derive(Debug)]
pub(crate) struct Cursor {
    directory: PathBuf,
    pub(crate) service: String,
    pub(crate) slot: u32,
    segment: Option<OpenSegment>,
    /// The first segment to look at; older ones are not wanted or were read.
    from: u64,
    /// What lies behind this is not read.
    end: Option<End>,
}

/// A place in a slot's segments: so many bytes into one of them.
#[derive(Clone, Copy, Debug)]
struct End {
    sequence: u64,
    offset: u64,
}

#[derive(Debug)]
struct OpenSegment {
    sequence: u64,
    file: File,
    /// Where in the file `chunk[start..]` begins.
    offset: u64,
    chunk: Vec<u8>,
    start: usize,
}

impl Cursor {
    /// At the beginning of what is kept of a slot.
    pub(crate) fn new(directory: PathBuf, service: String, slot: u32) -> Self {
        Self { directory, service, slot, segment: None, from: 0, end: None }
    }

    /// Moves to before the last `lines` records.
    pub(crate) fn seek_tail(&mut self, lines: usize) -> io::Result<()> {
        let mut found = 0;
        for sequence in segments(&self.directory)?.into_iter().rev() {
            let Some(mut segment) = OpenSegment::open(&self.directory, sequence)? else { break };
            let mut here = 0;
            while segment.skip_line()? {
                here += 1;
            }
            found += here;
            let mut segment = OpenSegment { offset: 0, start: 0, chunk: Vec::new(), ..segment };
            if found >= lines {
                for _ in 0..found - lines {
                    segment.skip_line()?;
                }
                self.from = sequence;
                self.segment = Some(segment);
                return Ok(());
            }
            self.from = sequence;
        }
        Ok(())
    }

    /// Moves past segments that hold nothing from `since_us` on.
    pub(crate) fn seek_since(&mut self, since_us: u64) -> io::Result<()> {
        for sequence in segments(&self.directory)?.into_iter().rev() {
            let Some(mut segment) = OpenSegment::open(&self.directory, sequence)? else { break };
            self.from = sequence;
            // A segment that begins earlier holds everything later in it or behind it.
            let first = segment.next_record(|record| record.at_us)?;
            if first.is_some_and(|at_us| at_us < since_us) {
                break;
            }
        }
        Ok(())
    }

    /// Makes what is there now the end, so that a reader catches up with an instance that prints
    /// faster than it is read.
    pub(crate) fn end_here(&mut self) -> io::Result<()> {
        let mut end = End { sequence: 0, offset: 0 };
        if let Some(&newest) = segments(&self.directory)?.last() {
            end.sequence = newest;
            match fs::metadata(segment_path(&self.directory, newest)) {
                Ok(metadata) => end.offset = metadata.len(),
                // It was removed for newer ones: all before it is read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        self.end = Some(end);
        Ok(())
    }

    /// Goes on past [`Cursor::end_here`].
    pub(crate) fn go_on(&mut self) {
        self.end = None;
    }

    /// The next whole record, as a line; `None` when there is no more for now.
    pub(crate) fn next(&mut self) -> io::Result<Option<LogLine>> {
        loop {
            if self.segment.is_none() && !self.open_next()? {
                return Ok(None);
            }
            let (service, slot) = (&self.service, self.slot);
            let segment = self.segment.as_mut().expect("opened above");
            if self.end.is_some_and(|end| end.is_reached(segment.sequence, segment.offset)) {
                return Ok(None);
            }
            let line = |record: &Record<'_>| LogLine::new(service, slot, record);
            if let Some(line) = segment.next_record(line)? {
                return Ok(Some(line));
            }
            // The writer moves on only after its last record here. So a later segment seen first,
            // and nothing more read after that, means that this one is done.
            let sequence = segment.sequence;
            if segments(&self.directory)?.last().is_none_or(|&newest| newest <= sequence) {
                return Ok(None);
            }
            if let Some(line) = segment.next_record(line)? {
                return Ok(Some(line));
            }
            self.from = sequence + 1;
            self.segment = None;
        }
    }

    fn open_next(&mut self) -> io::Result<bool> {
        for sequence in segments(&self.directory)? {
            if sequence < self.from {
                continue;
            }
            if self.end.is_some_and(|end| end.is_reached(sequence, 0)) {
                return Ok(false);
            }
            // One may have been removed since it was listed.
            if let Some(segment) = OpenSegment::open(&self.directory, sequence)? {
                self.segment = Some(segment);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl End {
    fn is_reached(self, sequence: u64, offset: u64) -> bool {
        (sequence, offset) >= (self.sequence, self.offset)
    }
}

impl OpenSegment {
    fn open(directory: &std::path::Path, sequence: u64) -> io::Result<Option<Self>> {
        match File::open(segment_path(directory, sequence)) {
            Ok(file) => Ok(Some(Self { sequence, file, offset: 0, chunk: Vec::new(), start: 0 })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads on to the next record; what is none is passed over.
    fn next_record<T>(&mut self, read: impl Fn(&Record<'_>) -> T) -> io::Result<Option<T>> {
        while let Some(length) = self.line_length()? {
            let line = &self.chunk[self.start..self.start + length];
            let record = Record::parse(line).map(|record| read(&record));
            self.advance(length + 1);
            if record.is_some() {
                return Ok(record);
            }
        }
        Ok(None)
    }

    fn skip_line(&mut self) -> io::Result<bool> {
        let length = self.line_length()?;
        if let Some(length) = length {
            self.advance(length + 1);
        }
        Ok(length.is_some())
    }

    fn advance(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// The length of the next line, which then lies whole in the chunk; `None` when its line break
    /// is not there yet.
    fn line_length(&mut self) -> io::Result<Option<usize>> {
        let mut searched = 0;
        loop {
            let rest = &self.chunk[self.start..];
            if let Some(end) = rest[searched..].iter().position(|&byte| byte == b'\n') {
                return Ok(Some(searched + end));
            }
            searched = rest.len();
            if searched > RECORD_BYTES_MAX {
                // Not a record: pass over what was read of it.
                self.advance(searched);
                searched = 0;
            }
            if !self.fill()? {
                // What follows the last line break is read again: a writer that could not write a
                // record whole cuts it off and puts another one there.
                self.chunk.truncate(self.start);
                return Ok(None);
            }
        }
    }

    fn fill(&mut self) -> io::Result<bool> {
        self.chunk.drain(..self.start);
        self.start = 0;
        let held = self.chunk.len();
        self.chunk.resize(held + CHUNK_BYTES, 0);
        let read = self.file.read_at(&mut self.chunk[held..], self.offset + held as u64);
        self.chunk.truncate(held + read.as_ref().map_or(0, |&count| count));
        Ok(read? > 0)
    }
}
