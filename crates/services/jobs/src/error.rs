//! Why an operation on apps failed.

use std::fmt;
use std::path::PathBuf;

use synod_store::Error as StoreError;
use thiserror::Error as ThisError;

use crate::keys::Corrupt;

/// Something was asked for by a name that nothing has.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub struct NotFound {
    /// What was looked for: `app` or `service`.
    pub what: &'static str,
    /// The name asked for.
    pub name: String,
    /// The most similar name that exists, if any is similar.
    pub nearest: Option<String>,
}

impl NotFound {
    pub(crate) fn new<'a>(
        what: &'static str,
        name: &str,
        known: impl Iterator<Item = &'a String>,
    ) -> Self {
        let distance = |known: &String| strsim::damerau_levenshtein(name, known);
        let near = known.map(|known| (distance(known), known));
        // As many slips as a third of the word.
        let near = near.filter(|(distance, _)| *distance <= name.len().div_ceil(3));
        let nearest = near.min().map(|(_, known)| known.clone());
        Self { what, name: name.to_owned(), nearest }
    }
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no {} `{}`", self.what, self.name)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}

/// Why an app could not be read.
#[derive(Clone, Debug, ThisError)]
#[non_exhaustive]
pub enum ReadError {
    /// A value in the store cannot be read.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// There is no such app.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an app could not be applied. Nothing was changed, unless the store says that it does not
/// know.
#[derive(Clone, Debug, ThisError)]
#[non_exhaustive]
pub enum ApplyError {
    /// Others kept changing the app at the same time.
    #[error("app `{app}` was changed by others at the same time; try again")]
    Conflict {
        /// The app.
        app: String,
    },
    /// A value in the store cannot be read.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// Another manifest has the app's name.
    #[error(
        "app `{app}` is already there from {}, so it cannot be applied from {}; \
         take it down first or rename one of them",
        existing.display(), requested.display()
    )]
    PathConflict {
        /// The app.
        app: String,
        /// The manifest that it was applied from.
        existing: PathBuf,
        /// The manifest that should be applied now.
        requested: PathBuf,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an app could not be taken down, or a service not be restarted or stopped. Nothing was
/// changed, unless the store says that it does not know.
#[derive(Clone, Debug, ThisError)]
#[non_exhaustive]
pub enum ChangeError {
    /// Others kept changing the app at the same time.
    #[error("app `{app}` was changed by others at the same time; try again")]
    Conflict {
        /// The app.
        app: String,
    },
    /// A value in the store cannot be read.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// There is no such app or service.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// The app is being taken down.
    #[error("app `{app}` is being taken down; apply it again to keep it")]
    Removing {
        /// The app.
        app: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ReadError> for ChangeError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Corrupt(error) => Self::Corrupt(error),
            ReadError::NotFound(error) => Self::NotFound(error),
            ReadError::Store(error) => Self::Store(error),
        }
    }
}
