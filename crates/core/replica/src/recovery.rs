//! Starting: from the newest snapshot that is intact and the log after it.

use alloc::string::String;
use alloc::vec::Vec;

use synod_base::{DecodeError, LogIndex, Term, Time, decode_all};
use synod_keyspace::{Command, Keyspaces, Request, Restore};
use synod_wal::{
    FRAME_HEADER_LEN, FileName, Flaw, Frame, FrameKind, FrameStream, Record, RecoverError,
    Recovered, Recovery,
};
use thiserror::Error as ThisError;

use crate::format::{FORMAT_VERSION, Format};
use crate::lease::LeaseTimers;
use crate::proposal::Proposals;
use crate::protocol::Protocol;
use crate::snapshot::{Cutter, SnapshotHeader, SnapshotTrailer};
use crate::{Identity, Options, Outputs, Replica};

/// A data directory, to be read at the start.
pub trait Image {
    /// The files in it that are ours.
    fn files(&self) -> Vec<FileName>;

    /// Up to `len` bytes of `file` from `offset` on; fewer only at its end.
    ///
    /// # Errors
    /// When the file can't be read.
    fn read(&self, file: FileName, offset: u64, len: usize) -> Result<Vec<u8>, ReadError>;
}

/// A file could not be read.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("{file} can't be read: {reason}")]
pub struct ReadError {
    /// The file.
    pub file: FileName,
    /// Why.
    pub reason: String,
}

/// Why a replica can't start. Nothing was changed on disk.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum OpenError {
    /// An intact log entry that this release can't read.
    #[error("log entry {index} can't be read ({source}); start the release that wrote it")]
    Entry {
        /// The entry.
        index: LogIndex,
        /// What is wrong in it.
        source: DecodeError,
    },
    /// The format file is damaged.
    #[error("{} is damaged ({source}); restore it from a backup", FileName::Format)]
    Format {
        /// What is wrong in it.
        source: DecodeError,
    },
    /// The log can't be read back.
    #[error(transparent)]
    Log(#[from] RecoverError),
    /// There is data, but nothing says whose.
    #[error("{} is missing beside {beside}; restore it from a backup", FileName::Format)]
    MissingFormat {
        /// A file that is there.
        beside: FileName,
    },
    /// A file can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A snapshot is damaged, and no older one with the log after it can take its place.
    #[error(
        "{file} is damaged at byte {offset} ({what}), and the log does not reach back far enough \
         to do without it; restore the data directory from a backup"
    )]
    Snapshot {
        /// The newest damaged snapshot.
        file: FileName,
        /// Where.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// The directory was written by a newer release.
    #[error("the data directory has format {found}; this release reads up to {supported}")]
    UnsupportedVersion {
        /// Its version.
        found: u32,
        /// The newest that can be read.
        supported: u32,
    },
}

/// What was found at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The directory was empty.
    pub is_new: bool,
    /// The snapshot that the state started from; zero for none.
    pub snapshot: LogIndex,
    /// Entries applied from the log.
    pub replayed: u64,
    /// Snapshots that were damaged and done without.
    pub damaged: Vec<FileName>,
    /// The newest snapshot, when the log says that it was durable and it is not there.
    pub missing: Option<FileName>,
}

/// A state, and what is known of the entry it stands at.
struct Base {
    keyspaces: Keyspaces,
    index: LogIndex,
    term: Term,
}

/// Damage in a snapshot, or trouble reading it.
enum LoadError {
    Damaged { offset: u64, what: &'static str },
    Read(ReadError),
}

impl From<ReadError> for LoadError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl Replica {
    /// Starts a replica from a data directory. `fresh` is its identity if the directory is empty.
    /// The outputs are to be executed as those of a step.
    ///
    /// # Errors
    /// When the directory's content is damaged or from a newer release.
    pub fn open(
        now: Time,
        options: Options,
        fresh: Identity,
        image: &impl Image,
    ) -> Result<(Self, Outputs), OpenError> {
        let files = image.files();
        let format = read_format(image, &files)?;
        let identity = format.map_or(fresh, |format| format.identity);
        let config = synod_wal::Config {
            cluster: identity.cluster,
            group: options.group,
            segment_bytes: options.segment_bytes,
        };
        let mut report = RecoveryReport { is_new: format.is_none(), ..RecoveryReport::default() };
        let (mut base, recovery) = find_base(&options, config, image, &files, &mut report)?;
        report.snapshot = base.index;
        let (recovered, log_bytes) = replay(&mut base, recovery, image, &mut report)?;
        let newest = snapshots(&files).next_back();
        let missing = recovered.marker.filter(|marker| newest < Some(*marker));
        report.missing = missing.map(FileName::Snapshot);

        let Base { keyspaces, term: applied_term, .. } = base;
        let mut wal = recovered.wal;
        if format.is_none() {
            wal.precede(Format::new(identity).ops());
        }
        let drafts = files.iter().filter(|file| {
            matches!(file, FileName::FormatDraft | FileName::SnapshotDraft(_)) && format.is_some()
        });
        wal.precede(drafts.map(|file| synod_wal::DiskOp::Remove { file: *file }).collect());
        let (protocol, hard_state) =
            Protocol::start(identity.member, wal.hard_state(), wal.last_index());
        wal.append(Record::HardState(hard_state));

        let mut leases = LeaseTimers::default();
        keyspaces.leases().for_each(|lease| leases.start(now, lease));
        let mut replica = Self {
            options,
            identity,
            wal,
            protocol,
            proposals: Proposals::after(keyspaces.clock()),
            applied_term,
            waiting: crate::read::Waiting::default(),
            leases,
            watches: crate::watch::Watches::default(),
            cutter: cutter(&files, &report, log_bytes),
            trimmer: crate::trim::Trimmer::default(),
            clock_moved: now,
            report,
            outputs: Outputs::new(),
            halted: None,
            keyspaces,
        };
        replica.propose_own(replica.entry_time(), Command::Noop);
        replica.flush_log();
        let outputs = core::mem::take(&mut replica.outputs);
        Ok((replica, outputs))
    }
}

fn read_format(image: &impl Image, files: &[FileName]) -> Result<Option<Format>, OpenError> {
    if !files.contains(&FileName::Format) {
        return match files.iter().find(|file| !file.is_draft()) {
            Some(beside) => Err(OpenError::MissingFormat { beside: *beside }),
            None => Ok(None),
        };
    }
    let bytes = image.read(FileName::Format, 0, 4096)?;
    let format = Format::read(&bytes).map_err(|source| OpenError::Format { source })?;
    if format.version != FORMAT_VERSION {
        let (found, supported) = (format.version, FORMAT_VERSION);
        return Err(OpenError::UnsupportedVersion { found, supported });
    }
    Ok(Some(format))
}

/// The newest intact snapshot from which the log goes on; the empty state is the oldest of all.
fn find_base(
    options: &Options,
    config: synod_wal::Config,
    image: &impl Image,
    files: &[FileName],
    report: &mut RecoveryReport,
) -> Result<(Base, Recovery), OpenError> {
    let mut first_error = None;
    for index in snapshots(files).rev() {
        match load_snapshot(options, config, image, index) {
            // The log is not asked to make up for an intact snapshot: a log that does not go on
            // from it is damaged itself.
            Ok(base) if first_error.is_none() => {
                return Ok((base, Recovery::new(config, index, files)?));
            }
            Ok(base) => {
                if let Ok(recovery) = Recovery::new(config, index, files) {
                    return Ok((base, recovery));
                }
            }
            Err(LoadError::Read(error)) => return Err(error.into()),
            Err(LoadError::Damaged { offset, what }) => {
                let file = FileName::Snapshot(index);
                report.damaged.push(file);
                first_error = first_error.or(Some(OpenError::Snapshot { file, offset, what }));
            }
        }
    }
    let recovery = Recovery::new(config, LogIndex::ZERO, files);
    let base = Base {
        keyspaces: Keyspaces::new(options.keyspaces()),
        index: LogIndex::ZERO,
        term: Term::ZERO,
    };
    match (recovery, first_error) {
        (Ok(recovery), _) => Ok((base, recovery)),
        (Err(_), Some(error)) => Err(error),
        (Err(error), None) => Err(error.into()),
    }
}

fn replay(
    base: &mut Base,
    mut recovery: Recovery,
    image: &impl Image,
    report: &mut RecoveryReport,
) -> Result<(Recovered, u64), OpenError> {
    let mut log_bytes = 0;
    while let Some(file) = recovery.next_file() {
        let bytes = image.read(file, 0, usize::MAX)?;
        for entry in recovery.on_segment(&bytes)? {
            let index = entry.index;
            let request: Request =
                decode_all(entry.payload).map_err(|source| OpenError::Entry { index, source })?;
            // A refusal was the answer then and is none now.
            let _ = base.keyspaces.apply(index, &request);
            base.term = entry.term;
            report.replayed += 1;
            log_bytes += entry.payload.len() as u64;
        }
    }
    Ok((recovery.finish()?, log_bytes))
}

fn load_snapshot(
    options: &Options,
    config: synod_wal::Config,
    image: &impl Image,
    index: LogIndex,
) -> Result<Base, LoadError> {
    let file = FileName::Snapshot(index);
    let stream = FrameStream::snapshot(config.cluster, index);
    let mut frames = Frames { image, file, stream, offset: 0, bytes: Vec::new() };

    let (offset, frame) = frames.next(FrameKind::SnapshotHeader)?;
    let header: SnapshotHeader = decode(offset, &frame)?;
    let mut restore = Restore::new(options.held);
    let mut chunks = 0;
    loop {
        let (offset, frame) = frames.next_any()?;
        match frame.head.kind {
            FrameKind::SnapshotChunk => {
                chunks += 1;
                restore.push(frame.payload).map_err(|_| LoadError::Damaged {
                    offset,
                    what: "a chunk that holds no state",
                })?;
            }
            FrameKind::SnapshotTrailer => {
                let trailer: SnapshotTrailer = decode(offset, &frame)?;
                let damaged = |what| LoadError::Damaged { offset, what };
                if trailer.chunks != chunks {
                    return Err(damaged("chunks are missing"));
                }
                let keyspaces = restore.finish().map_err(|_| damaged("the state is not whole"))?;
                if keyspaces.digest() != trailer.digest || keyspaces.applied_index() != index {
                    return Err(damaged("the state does not match its digest"));
                }
                return Ok(Base { keyspaces, index, term: header.term });
            }
            _ => return Err(LoadError::Damaged { offset, what: "a frame out of place" }),
        }
    }
}

/// The frames of a snapshot file, read one at a time: a snapshot is as large as the state.
struct Frames<'a, I> {
    image: &'a I,
    file: FileName,
    stream: FrameStream,
    offset: u64,
    bytes: Vec<u8>,
}

impl<I: Image> Frames<'_, I> {
    fn next(&mut self, kind: FrameKind) -> Result<(u64, Frame<'_>), LoadError> {
        let (offset, frame) = self.next_any()?;
        if frame.head.kind == kind {
            Ok((offset, frame))
        } else {
            Err(LoadError::Damaged { offset, what: "a frame out of place" })
        }
    }

    fn next_any(&mut self) -> Result<(u64, Frame<'_>), LoadError> {
        let offset = self.offset;
        let damaged = |what| LoadError::Damaged { offset, what };
        let header = self.image.read(self.file, offset, FRAME_HEADER_LEN)?;
        let header = header.first_chunk().ok_or(damaged("the snapshot ends too early"))?;
        let len = FrameStream::claimed_len(header);
        self.bytes = self.image.read(self.file, offset, len)?;
        match self.stream.decode(&self.bytes, offset) {
            Ok(frame) => {
                self.offset += frame.end as u64;
                Ok((offset, frame))
            }
            Err(Flaw::Blank | Flaw::Broken) => Err(damaged("no intact frame")),
            Err(Flaw::Unsupported { .. }) => Err(damaged("a frame that this release can't read")),
        }
    }
}

fn decode<T: synod_base::Decode>(offset: u64, frame: &Frame<'_>) -> Result<T, LoadError> {
    decode_all(frame.payload).map_err(|error| LoadError::Damaged { offset, what: error.expected })
}

/// The snapshots' indices, ascending.
fn snapshots(files: &[FileName]) -> impl DoubleEndedIterator<Item = LogIndex> {
    let mut indices: Vec<LogIndex> = files
        .iter()
        .filter_map(|file| match file {
            FileName::Snapshot(index) => Some(*index),
            _ => None,
        })
        .collect();
    indices.sort_unstable();
    indices.into_iter()
}

/// Keeps the snapshot that the state started from and the one before it; others are leftovers.
fn cutter(files: &[FileName], report: &RecoveryReport, log_bytes: u64) -> Cutter {
    let is_damaged = |index: &LogIndex| report.damaged.contains(&FileName::Snapshot(*index));
    let (damaged, mut kept): (Vec<_>, Vec<_>) = snapshots(files).partition(is_damaged);
    let stale = kept.drain(..kept.len().saturating_sub(2));
    let stale = stale.chain(damaged).map(FileName::Snapshot).collect();
    Cutter::over(kept, stale, log_bytes)
}
