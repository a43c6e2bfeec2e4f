//! A writer thread: executes the disk operations of one lane in order, and reports.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::mpsc::Receiver;

use synod_replica::{DiskJob, Input};
use synod_wal::{DiskOp, FileName};

use crate::mailbox::{Mailbox, Message};

/// Executes jobs until no more can come, or one fails.
pub(crate) fn run(mut files: Files, jobs: &Receiver<DiskJob>, mailbox: &Mailbox) {
    while let Ok(DiskJob { lane, ticket, ops }) = jobs.recv() {
        let done = ops.into_iter().try_for_each(|op| files.execute(op));
        let has_failed = done.is_err();
        let report = match done {
            Ok(()) => Input::DiskDone { lane, ticket },
            Err(reason) => Input::DiskFailed { reason },
        };
        mailbox.post(Message::Disk(report));
        if has_failed {
            return;
        }
    }
}

/// The files of a data directory that this thread has open.
pub(crate) struct Files {
    directory: PathBuf,
    open: HashMap<FileName, File>,
}

impl Files {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, open: HashMap::new() }
    }

    /// Executes one operation; the error names what was done to which file.
    pub(crate) fn execute(&mut self, op: DiskOp) -> Result<(), String> {
        let (what, subject, result) = match op {
            DiskOp::Create { file, len } => ("create", Some(file), self.create(file, len)),
            DiskOp::Remove { file } => ("remove", Some(file), self.remove(file)),
            DiskOp::Rename { from, to } => ("rename", Some(from), self.rename(from, to)),
            DiskOp::Sync { file } => {
                ("sync", Some(file), self.file(file).and_then(File::sync_data))
            }
            DiskOp::SyncDirectory => {
                ("sync", None, synod_sys::file::sync_directory(&self.directory))
            }
            DiskOp::Write { file, offset, bytes } => {
                let written = self.file(file).and_then(|file| file.write_all_at(&bytes, offset));
                ("write", Some(file), written)
            }
        };
        result.map_err(|error| {
            let path = subject.map_or(self.directory.clone(), |file| self.path(file));
            format!("{}: {what} failed: {error}", path.display())
        })
    }

    fn create(&mut self, name: FileName, len: u64) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(self.path(name))?;
        synod_sys::file::preallocate(&file, len)?;
        self.open.insert(name, file);
        Ok(())
    }

    /// A file that is gone already is fine: a crash may have come between removal and record.
    fn remove(&mut self, name: FileName) -> io::Result<()> {
        self.open.remove(&name);
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// A file under its final name takes the place of its predecessor, which is written no more.
    fn rename(&mut self, from: FileName, to: FileName) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))?;
        let file = self.open.remove(&from);
        if let FileName::Segment { .. } = to {
            self.open.retain(|name, _| !matches!(name, FileName::Segment { .. }));
            self.open.extend(file.map(|file| (to, file)));
        }
        Ok(())
    }

    fn file(&mut self, name: FileName) -> io::Result<&File> {
        if !self.open.contains_key(&name) {
            let file = OpenOptions::new().write(true).open(self.path(name))?;
            self.open.insert(name, file);
        }
        Ok(&self.open[&name])
    }

    fn path(&self, name: FileName) -> PathBuf {
        self.directory.join(name.to_string())
    }
}
