//! How an app stands, again on every change.

use std::sync::Arc;

use synod_store::{Store, Watch};

use crate::mirror::{Mirror, Scope, is_compacted};
use crate::{AppStatus, ReadError};

/// Follows how an app stands. Made by [`Jobs::watch_status`](crate::Jobs::watch_status).
pub struct StatusWatch {
    store: Arc<dyn Store>,
    app: String,
    mirror: Mirror,
    watch: Watch,
    /// Whether the state as it is now was not handed out yet.
    is_news: bool,
}

impl StatusWatch {
    pub(crate) async fn open(store: Arc<dyn Store>, app: &str) -> Result<Self, ReadError> {
        let (mirror, watch) = Mirror::follow(&*store, Scope::App(app.to_owned())).await?;
        Ok(Self { store, app: app.to_owned(), mirror, watch, is_news: true })
    }

    /// How the app stands: at first as it is, then after each change. Changes that come faster
    /// than this is called are seen as one. `None` while there is no such app, so also once it is
    /// gone.
    ///
    /// Cancel safety: nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// When the store stopped, or when what it holds of the app cannot be read.
    pub async fn next(&mut self) -> Result<Option<AppStatus>, ReadError> {
        while !std::mem::take(&mut self.is_news) {
            match self.watch.next().await {
                Ok(batch) => {
                    self.mirror.revision = batch.revision;
                    for event in &batch.events {
                        self.is_news |= self.mirror.on_event(event);
                    }
                }
                Err(error) if is_compacted(&error) => {
                    let scope = Scope::App(self.app.clone());
                    let fresh = Mirror::follow(&*self.store, scope).await?;
                    (self.mirror, self.watch) = fresh;
                    self.is_news = true;
                }
                Err(error) => return Err(error.into()),
            }
        }
        match self.mirror.app(&self.app) {
            Ok(state) => {
                let record = state.record.as_ref().map(|record| &record.value);
                Ok(record.map(|record| state.status(record, self.mirror.revision)))
            }
            Err(ReadError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
