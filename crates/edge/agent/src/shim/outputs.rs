//! The ends of an instance's output pipes.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

use synod_sys::spawn::{self, Output};

use crate::clock::now_us;
use crate::log::{LogWriter, Stream};

const CHUNK_BYTES: usize = 64 << 10;
/// Read from one stream at a time before others have their turn.
const TURN_BYTES: usize = 1 << 20;

/// The ends to read, until the last process that could write is gone.
#[derive(Debug)]
pub(super) struct Outputs {
    open: Vec<(Stream, File)>,
    chunk: Vec<u8>,
}

impl Outputs {
    /// Two pipes: the ends to read, and those to hand to the instance.
    pub(super) fn new() -> io::Result<(Self, Output)> {
        let (out, stdout) = spawn::pipe()?;
        let (err, stderr) = spawn::pipe()?;
        let open = vec![(Stream::Stdout, File::from(out)), (Stream::Stderr, File::from(err))];
        for (_, file) in &open {
            synod_sys::poll::set_nonblocking(file)?;
        }
        Ok((Self { open, chunk: vec![0; CHUNK_BYTES] }, Output { stdout, stderr }))
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.open.iter().map(|(_, file)| file.as_fd())
    }

    /// Moves what was printed to the log, as much as is there or as one turn allows. Returns
    /// whether anything was moved.
    pub(super) fn drain(&mut self, log: &mut LogWriter) -> bool {
        let mut moved = false;
        let chunk = &mut self.chunk;
        self.open.retain_mut(|(stream, file)| {
            let mut turn = 0;
            while turn < TURN_BYTES {
                match file.read(chunk) {
                    Ok(0) => return false,
                    Ok(count) => {
                        log.print(now_us(), *stream, &chunk[..count]);
                        turn += count;
                        moved = true;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
                }
            }
            true
        });
        moved
    }
}
