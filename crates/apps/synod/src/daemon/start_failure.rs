//! Why a daemon could not start, with the code that explains it.

use std::time::Duration;

use anyhow::Result;
use synod_member::OpenError;
use synod_sys::lock::{self, LockFile};

use crate::data_dir::DataDir;
use crate::launch::DirectoryHeld;
use crate::outcome::{Exit, Failure};

/// How often the lock is tried: who only looks whether it is held, holds it for that moment.
const TRIES: u32 = 20;
const AGAIN: Duration = Duration::from_millis(5);

/// Takes the directory for this process.
pub(crate) fn lock(data_dir: &DataDir) -> Result<LockFile> {
    let mut tries = 1;
    loop {
        match LockFile::acquire(&data_dir.lock()) {
            Ok(lock) => return Ok(lock),
            Err(lock::Error::Held { .. }) if tries < TRIES => {
                tries += 1;
                std::thread::sleep(AGAIN);
            }
            Err(lock::Error::Held { holder, .. }) => {
                let dir = data_dir.path().display();
                let message = format!(
                    "another daemon, {holder}, holds {dir}; use it, or end it with `synod daemon \
                     stop` [SYN-0003]"
                );
                return Err(DirectoryHeld(message).into());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Says what is wrong with the store.
pub(crate) fn open(error: OpenError) -> anyhow::Error {
    let code = match &error {
        OpenError::Lock(lock::Error::Held { .. }) => "SYN-0003",
        OpenError::Data { .. } => "SYN-0004",
        _ => "SYN-0009",
    };
    let exit = if code == "SYN-0003" { Exit::Conflict } else { Exit::Failed };
    let chain = format!("{:#}", anyhow::Error::new(error));
    Failure::new(exit, format!("the store cannot be opened: {chain} [{code}]")).into()
}
