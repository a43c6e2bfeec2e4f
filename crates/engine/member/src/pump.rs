//! From the core thread to a watcher: one batch for each place the watcher has free.

use synod_store::{Error, WatchBatch};
use tokio::sync::mpsc;

use crate::mailbox::{Message, OpenedWatch};

/// Moves batches until either end is gone. Dropping the future closes the watch.
pub(crate) async fn run(mut watch: OpenedWatch, watcher: mpsc::Sender<Result<WatchBatch, Error>>) {
    while let Ok(place) = watcher.reserve().await {
        watch.mailbox.post(Message::WatchCredit(watch.id));
        let batch = tokio::select! {
            // In this order, because a watcher that is gone wants nothing.
            biased;
            () = watcher.closed() => return,
            batch = watch.batches.recv() => batch,
        };
        match batch {
            Some(Ok(batch)) => place.send(Ok(batch)),
            Some(Err(error)) => return place.send(Err(error)),
            None => return,
        }
    }
}
