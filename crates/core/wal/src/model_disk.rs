//! A disk as a value, for tests and simulation: it keeps only what was synced, and a crash leaves
//! any part of the rest.
//!
//! What the model allows is what real disks and file systems allow: unsynced writes survive per
//! sector, in any subset; creations, renamings and removals survive in any subset until the
//! directory is synced; syncing a file does not sync its name.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use crate::{DiskOp, FileName};

/// Bytes that a disk writes whole or not at all.
const SECTOR: usize = 512;

/// An in-memory data directory that can crash.
#[derive(Clone, Debug, Default)]
pub struct ModelDisk {
    inodes: Vec<Inode>,
    names: BTreeMap<FileName, usize>,
    durable_names: BTreeMap<FileName, usize>,
    pending_names: Vec<NameChange>,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    content: Vec<u8>,
    durable: Vec<u8>,
    /// In order: sectors written and lengths set since the last sync.
    pending: Vec<Pending>,
}

#[derive(Clone, Debug)]
enum Pending {
    Length(usize),
    Sector { offset: usize, bytes: Vec<u8> },
}

#[derive(Clone, Copy, Debug)]
enum NameChange {
    Link(FileName, usize),
    Rename(FileName, FileName),
    Unlink(FileName),
}

impl ModelDisk {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The files of the directory.
    #[must_use]
    pub fn files(&self) -> Vec<FileName> {
        self.names.keys().copied().collect()
    }

    /// A file's content.
    #[must_use]
    pub fn content(&self, file: FileName) -> Option<&[u8]> {
        self.names.get(&file).map(|inode| &*self.inodes[*inode].content)
    }

    /// A file's content, to be damaged behind the log's back. The damage is durable.
    pub fn damage(&mut self, file: FileName, damage: impl FnOnce(&mut Vec<u8>)) {
        let inode = &mut self.inodes[self.names[&file]];
        damage(&mut inode.content);
        inode.durable.clone_from(&inode.content);
        inode.pending.clear();
    }

    /// Unlinks a file behind the log's back, durably.
    pub fn lose(&mut self, file: FileName) {
        self.names.remove(&file);
        self.durable_names.remove(&file);
    }

    /// Executes one operation.
    ///
    /// # Panics
    /// When it names a file that does not exist; no disk operation of ours may.
    pub fn execute(&mut self, op: &DiskOp) {
        match op {
            DiskOp::Create { file, len } => self.create(*file, *len),
            DiskOp::Remove { file } => {
                if self.names.remove(file).is_some() {
                    self.pending_names.push(NameChange::Unlink(*file));
                }
            }
            DiskOp::Rename { from, to } => {
                let inode = self.names.remove(from).expect("the renamed file exists");
                self.names.insert(*to, inode);
                self.pending_names.push(NameChange::Rename(*from, *to));
            }
            DiskOp::Sync { file } => {
                let inode = self.inode(*file);
                inode.durable.clone_from(&inode.content);
                inode.pending.clear();
            }
            DiskOp::SyncDirectory => {
                self.durable_names = self.names.clone();
                self.pending_names.clear();
            }
            DiskOp::Write { file, offset, bytes } => {
                let offset = usize::try_from(*offset).expect("model files are small");
                self.inode(*file).write(offset, bytes);
            }
        }
    }

    /// Loses power. `survives` is asked once for each thing that was not synced.
    pub fn crash(&mut self, mut survives: impl FnMut() -> bool) {
        for change in self.pending_names.drain(..) {
            if survives() {
                change.apply(&mut self.durable_names);
            }
        }
        for inode in &mut self.inodes {
            inode.crash(&mut survives);
        }
        self.names = self.durable_names.clone();
    }

    fn create(&mut self, file: FileName, len: u64) {
        let mut inode = Inode::default();
        let len = usize::try_from(len).expect("model files are small");
        inode.content = vec![0; len];
        inode.pending.push(Pending::Length(len));
        self.inodes.push(inode);
        let inode = self.inodes.len() - 1;
        self.names.insert(file, inode);
        self.pending_names.push(NameChange::Link(file, inode));
    }

    fn inode(&mut self, file: FileName) -> &mut Inode {
        let inode = *self.names.get(&file).unwrap_or_else(|| panic!("{file} exists"));
        &mut self.inodes[inode]
    }
}

impl Inode {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        put(&mut self.content, offset, bytes);
        let mut start = offset;
        while start < offset + bytes.len() {
            let end = (start / SECTOR + 1) * SECTOR;
            let end = end.min(offset + bytes.len());
            let bytes = bytes[start - offset..end - offset].to_vec();
            self.pending.push(Pending::Sector { offset: start, bytes });
            start = end;
        }
    }

    fn crash(&mut self, survives: &mut impl FnMut() -> bool) {
        for pending in self.pending.drain(..) {
            if !survives() {
                continue;
            }
            match pending {
                Pending::Length(len) => self.durable.resize(len, 0),
                Pending::Sector { offset, bytes } => put(&mut self.durable, offset, &bytes),
            }
        }
        self.content.clone_from(&self.durable);
    }
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<FileName, usize>) {
        match self {
            Self::Link(file, inode) => {
                names.insert(file, inode);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(&from) {
                    names.insert(to, inode);
                }
            }
            Self::Unlink(file) => {
                names.remove(&file);
            }
        }
    }
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}
