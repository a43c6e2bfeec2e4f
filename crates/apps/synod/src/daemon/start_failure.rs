//! Why a daemon could not start, with the code that explains it.

use anyhow::Result;
use synod_member::OpenError;
use synod_sys::lock::{self, LockFile};

use crate::data_dir::DataDir;
use crate::outcome::{Exit, Failure};

/// Takes the directory for this process.
pub(crate) fn lock(data_dir: &DataDir) -> Result<LockFile> {
    LockFile::acquire(&data_dir.lock()).map_err(|error| match error {
        lock::Error::Held { holder, .. } => {
            let dir = data_dir.path().display();
            let message = format!("another daemon, {holder}, holds {dir} [SYN-0003]");
            Failure::new(Exit::Conflict, message).into()
        }
        error => anyhow::Error::new(error),
    })
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
