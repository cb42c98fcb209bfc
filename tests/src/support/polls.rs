//! Futures that are dropped at each of the points where they wait.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};

/// Polls a future so many times and then drops it, as a server does when its client disconnects. Returns the output if
/// the future ended before.
pub(crate) async fn drop_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Polls a future that does not end before until `is_there` holds.
pub(crate) async fn poll_until(mut future: Pin<&mut impl Future>, mut is_there: impl FnMut() -> bool) {
    poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending(), "it ends too early");
        if is_there() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Waits for one poll.
pub(crate) async fn step() {
    let mut has_waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Calls `attempt` with 0 polls, 1 poll and so on, until it returns that the future ended within its polls. How often a
/// database lets a future wait differs from time to time, so it has to end several times. Returns how many were dropped.
pub(crate) async fn at_each_poll(mut attempt: impl AsyncFnMut(usize) -> bool) -> usize {
    let (mut ended, mut dropped) = (0, 0);
    for polls in 0..1_000 {
        if attempt(polls).await {
            ended += 1;
        } else {
            dropped += 1;
        }
        if ended == 3 {
            return dropped;
        }
    }
    panic!("it does not end within a thousand polls")
}
