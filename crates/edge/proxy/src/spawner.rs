//! Lets the HTTP/2 library start its tasks in our task tree.

use std::future::Future;

use hyper::rt::Executor;
use synod_task::{Outcome, TaskKind, Tasks};

const STREAM: TaskKind = TaskKind::new("proxy-stream").waits();

/// Starts tasks below one node of the tree.
#[derive(Clone)]
pub(crate) struct Spawner {
    tasks: Tasks,
}

impl Spawner {
    pub(crate) fn new(tasks: Tasks) -> Self {
        Self { tasks }
    }
}

impl<F> Executor<F> for Spawner
where
    F: Future + Send + 'static,
    F::Output: Outcome,
{
    fn execute(&self, future: F) {
        self.tasks.spawn(STREAM, future);
    }
}
