//! The data directory as the replica reads it at the start.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use synod_replica::{Image, ReadError};
use synod_wal::FileName;

/// A data directory.
#[derive(Debug)]
pub(crate) struct Directory<'a> {
    path: &'a Path,
    files: Vec<FileName>,
}

impl<'a> Directory<'a> {
    pub(crate) fn new(path: &'a Path) -> io::Result<Self> {
        let mut files = Vec::new();
        for entry in fs::read_dir(path)? {
            // Other files (the lock, what people put there) are none of ours.
            files.extend(entry?.file_name().to_str().and_then(FileName::parse));
        }
        Ok(Self { path, files })
    }

    fn read(&self, file: FileName, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let file = File::open(self.path.join(file.to_string()))?;
        if offset == 0 && len == usize::MAX {
            let mut bytes = Vec::new();
            (&file).read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
        // What a damaged length claims is not believed beyond the file's end.
        let rest = file.metadata()?.len().saturating_sub(offset);
        let mut bytes = vec![0; usize::try_from(rest).unwrap_or(usize::MAX).min(len)];
        file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}

impl Image for Directory<'_> {
    fn files(&self) -> Vec<FileName> {
        self.files.clone()
    }

    fn read(&self, file: FileName, offset: u64, len: usize) -> Result<Vec<u8>, ReadError> {
        self.read(file, offset, len).map_err(|error| ReadError { file, reason: error.to_string() })
    }
}
