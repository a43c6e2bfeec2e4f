//! Deadlines of requests that come one after the other, by one timer.
//!
//! A timer of its own costs each request an entry into the runtime's queue of timers and its
//! removal, though hardly any ever rings. This one stays in the queue between requests, at the
//! deadline of an earlier one: that rings too early, if at all, and is then set to the right time.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that one request after the other uses. Requests at the same time get their own.
#[derive(Default)]
pub(crate) struct Alarm {
    unused: Mutex<Option<Pin<Box<Sleep>>>>,
}

impl Alarm {
    /// What `future` gives, or `None` when it is not there before `deadline`.
    pub(crate) async fn before<F: Future + ?Sized>(
        &self,
        deadline: Instant,
        mut future: Pin<&mut F>,
    ) -> Option<F::Output> {
        let mut timer = None;
        let output = poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            let timer = timer.get_or_insert_with(|| {
                let unused = self.unused.lock().take();
                unused.unwrap_or_else(|| Box::pin(sleep_until(deadline)))
            });
            if timer.deadline() > deadline {
                timer.as_mut().reset(deadline);
            }
            while timer.as_mut().poll(cx).is_ready() {
                if timer.deadline() == deadline {
                    return Poll::Ready(None);
                }
                timer.as_mut().reset(deadline);
            }
            Poll::Pending
        })
        .await;
        if timer.is_some() {
            *self.unused.lock() = timer;
        }
        output
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_request_has_its_own_deadline() {
        let alarm = Alarm::default();
        let begin = Instant::now();
        let after = |millis| begin + Duration::from_millis(millis);
        assert_eq!(alarm.before(after(0), pin!(ready(1))).await, Some(1));
        // The timer set for 500 ms is kept, and is right for none of those that follow.
        let answered = alarm.before(after(500), pin!(sleep(Duration::from_millis(10)))).await;
        assert_eq!(answered, Some(()));
        assert_eq!(alarm.before(after(200), pin!(pending::<()>())).await, None);
        assert_eq!(begin.elapsed().as_millis(), 200);
        let answered = alarm.before(after(900), pin!(sleep(Duration::from_millis(400)))).await;
        assert_eq!(answered, Some(()));
        assert_eq!(alarm.before(after(2000), pin!(pending::<()>())).await, None);
        assert_eq!(begin.elapsed().as_millis(), 2000);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_at_once_do_not_share_a_timer() {
        let alarm = Alarm::default();
        let begin = Instant::now();
        let (first, second) = (pin!(pending::<()>()), pin!(pending::<()>()));
        let early = alarm.before(begin + Duration::from_millis(100), first);
        let late = alarm.before(begin + Duration::from_millis(300), second);
        let ended = async |request: Pin<&mut dyn Future<Output = Option<()>>>| {
            assert_eq!(request.await, None);
            begin.elapsed().as_millis()
        };
        let (early, late) = (pin!(early), pin!(late));
        assert_eq!(tokio::join!(ended(early), ended(late)), (100, 300));
    }
}
