use std::future::pending;

use tokio::sync::oneshot;

use super::*;

const GENEROUS: Duration = Duration::from_secs(20);
const KIND: TaskKind = TaskKind::new("subject");

/// Answers when it is dropped.
fn drop_signal() -> (impl Send + 'static, oneshot::Receiver<()>) {
    oneshot::channel::<()>()
}

async fn panics(message: &str) {
    panic!("{message}");
}

#[tokio::test]
async fn shutdown_drops_abort_tasks() {
    let tasks = Tasks::new();
    let (held, dropped) = drop_signal();
    tasks.spawn(KIND, async move {
        let _held = held;
        pending::<()>().await;
    });
    assert_eq!(tasks.running(), ["subject"]);
    assert_eq!(tasks.shutdown(GENEROUS).await, Overdue(vec![]));
    assert!(dropped.await.is_err(), "the future was dropped, not completed");
    assert!(tasks.running().is_empty());
}

#[tokio::test]
async fn shutdown_waits_for_tasks_that_finish_by_themselves() {
    let tasks = Tasks::new();
    let (done, was_done) = oneshot::channel();
    let seen = tasks.clone();
    tasks.spawn(KIND.waits(), async move {
        seen.cancelled().await;
        tokio::task::yield_now().await;
        done.send("flushed").expect("the test listens");
    });
    assert_eq!(tasks.shutdown(GENEROUS).await, Overdue(vec![]));
    assert_eq!(was_done.await, Ok("flushed"));
}

#[tokio::test]
async fn shutdown_names_and_aborts_what_outlives_the_deadline() {
    let tasks = Tasks::new();
    let (held, dropped) = drop_signal();
    tasks.spawn(TaskKind::new("stuck").waits(), async move {
        let _held = held;
        pending::<()>().await;
    });
    assert_eq!(tasks.shutdown(Duration::from_millis(1)).await, Overdue(vec!["stuck"]));
    assert!(dropped.await.is_err());
}

#[tokio::test]
async fn a_child_is_cancelled_with_its_parent_and_never_the_other_way() {
    let tasks = Tasks::new();
    let (left, right) = (tasks.child(), tasks.child());
    left.child().spawn(TaskKind::new("left"), pending::<()>());
    right.spawn(TaskKind::new("right"), pending::<()>());
    assert_eq!(left.shutdown(GENEROUS).await, Overdue(vec![]));
    assert_eq!(tasks.running(), ["right"]);
    assert!(left.is_cancelled() && !tasks.is_cancelled() && !right.is_cancelled());
    assert_eq!(tasks.shutdown(GENEROUS).await, Overdue(vec![]));
    assert!(right.is_cancelled() && tasks.running().is_empty());
}

#[tokio::test]
async fn a_vital_task_that_panics_stops_the_node_with_its_message() {
    let tasks = Tasks::new();
    tasks.child().spawn(KIND.vital(), panics("slot 7 is torn"));
    let failure = tasks.failed().await;
    assert_eq!(failure.to_string(), "task subject failed: panicked: slot 7 is torn");
}

#[tokio::test]
async fn a_vital_task_that_errs_stops_the_node_and_the_first_reason_stays() {
    let tasks = Tasks::new();
    tasks.spawn(KIND.vital(), async { Err("disk is gone") });
    let first = Failure { task: "subject", reason: "disk is gone".into() };
    assert_eq!(tasks.failed().await, first);
    tasks.spawn(KIND.vital(), async { Err("later") });
    assert_eq!(tasks.shutdown(GENEROUS).await, Overdue(vec![]));
    assert_eq!(tasks.failed().await, first);
}

#[tokio::test]
async fn a_logged_failure_leaves_the_node_running() {
    let tasks = Tasks::new();
    tasks.spawn(KIND.waits(), panics("one connection"));
    tasks.spawn(KIND.waits(), async { Err("another") });
    assert_eq!(tasks.shutdown(GENEROUS).await, Overdue(vec![]));
    assert_eq!(*tasks.root.failure.borrow(), None);
}

#[tokio::test]
async fn a_cancelled_node_starts_no_abort_task() {
    let tasks = Tasks::new();
    tasks.cancel();
    let (started, was_started) = oneshot::channel::<()>();
    tasks.spawn(KIND, async move { started.send(()).expect("the test listens") });
    assert!(was_started.await.is_err());
}
