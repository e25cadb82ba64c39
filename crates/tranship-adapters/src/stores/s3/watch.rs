//! Watchdogs: a transfer that stands still ends in an error.
//!
//! The SDK's own protection is off: it takes a store that is still assembling a part for a dead
//! one. Here a read fails when the store is silent while somebody wants its bytes, and a write when
//! neither bytes nor an answer move. A slow peer that keeps moving is left alone.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_sdk_s3::primitives::SdkBody;
use bytes::Bytes;
use futures_util::future::{Either, select};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use tranship_core::body::{Body, BodyError};

/// Longest silence of a source in the middle of a body.
const READ_SILENCE_MAX: Duration = Duration::from_secs(30);
/// Longest standstill of an upload. Longer than a source's silence, so that the source is blamed
/// where it is the source, and than the seconds that S3 takes to answer for a large part.
pub(super) const WRITE_STANDSTILL_MAX: Duration = Duration::from_mins(1);

/// The body of an answer, as the core wants it.
pub(super) fn watch_read(body: SdkBody) -> Body {
    Box::pin(WatchedRead { body, waiting_since: None, alarm: None })
}

struct WatchedRead {
    body: SdkBody,
    /// Since when somebody has waited for bytes in vain.
    waiting_since: Option<Instant>,
    /// Set at the first wait, and moved only when it goes off: a body has thousands of short waits,
    /// and a timer for each would cost more than the rest of the watch.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl WatchedRead {
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let end = *self.waiting_since.get_or_insert_with(Instant::now) + READ_SILENCE_MAX;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(end)));
        while alarm.as_mut().poll(cx).is_ready() {
            if alarm.deadline() >= end {
                return Poll::Ready(());
            }
            // It was set for an earlier wait, which has ended.
            alarm.as_mut().reset(end);
        }
        Poll::Pending
    }
}

impl HttpBody for WatchedRead {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.waiting_since = None;
            return Poll::Ready(frame);
        }
        match self.poll_silence(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                let seconds = READ_SILENCE_MAX.as_secs();
                Poll::Ready(Some(Err(format!("the store sent nothing for {seconds} s").into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        HttpBody::is_end_stream(&self.body)
    }

    fn size_hint(&self) -> SizeHint {
        HttpBody::size_hint(&self.body)
    }
}

/// Counts the frames of a body on its way out.
pub(super) struct WatchedWrite {
    body: Body,
    moves: Arc<AtomicU64>,
}

/// Shows whether a body on its way out still moves.
pub(super) struct Pulse(Arc<AtomicU64>);

pub(super) fn watch_write(body: Body) -> (WatchedWrite, Pulse) {
    let moves = Arc::new(AtomicU64::new(0));
    (WatchedWrite { body, moves: Arc::clone(&moves) }, Pulse(moves))
}

impl HttpBody for WatchedWrite {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = self.body.as_mut().poll_frame(cx);
        if polled.is_ready() {
            self.moves.fetch_add(1, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Pulse {
    /// Runs a call until it answers; `None` once its body has stood still for too long.
    pub(super) async fn guard<T>(self, call: impl Future<Output = T>) -> Option<T> {
        let standstill = pin!(self.standstill());
        match select(pin!(call), standstill).await {
            Either::Left((answer, _)) => Some(answer),
            Either::Right(((), _)) => None,
        }
    }

    async fn standstill(self) {
        let mut seen = u64::MAX;
        loop {
            let moves = self.0.load(Ordering::Relaxed);
            if moves == seen {
                return;
            }
            seen = moves;
            sleep_until(Instant::now() + WRITE_STANDSTILL_MAX).await;
        }
    }
}

/// Reads a body that should be empty to its end, so that what measures it gets to judge it.
pub(super) async fn drain_empty(mut body: Body) -> Result<(), BodyError> {
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        if frame?.data_ref().is_some_and(|bytes| !bytes.is_empty()) {
            return Err("a body that should be empty is not".into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;
    use tranship_core::body::full;

    struct Silent;

    impl HttpBody for Silent {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            Poll::Pending
        }
    }

    fn paused() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
    }

    #[test]
    fn a_silent_source_ends_in_an_error() {
        paused().block_on(async {
            let mut body = watch_read(SdkBody::from_body_1_x(Silent));
            let started = Instant::now();
            let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
            assert!(frame.unwrap().is_err());
            assert_eq!(started.elapsed().as_secs(), READ_SILENCE_MAX.as_secs());
        });
    }

    /// Gives a frame after each of these pauses, then nothing.
    struct Slow(Vec<Duration>, Option<Pin<Box<Sleep>>>);

    impl HttpBody for Slow {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            if self.1.is_none() {
                let Some(pause) = self.0.pop() else { return Poll::Pending };
                self.1 = Some(Box::pin(sleep(pause)));
            }
            let pause = self.1.as_mut().unwrap();
            std::task::ready!(pause.as_mut().poll(cx));
            self.1 = None;
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
        }
    }

    #[test]
    fn a_slow_source_is_left_alone_until_it_is_silent() {
        paused().block_on(async {
            let pauses = vec![READ_SILENCE_MAX * 3 / 4; 4];
            let mut body = watch_read(SdkBody::from_body_1_x(Slow(pauses, None)));
            for _ in 0..4 {
                let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
                assert!(frame.unwrap().is_ok());
            }
            let started = Instant::now();
            let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
            assert!(frame.unwrap().is_err());
            assert_eq!(started.elapsed().as_secs(), READ_SILENCE_MAX.as_secs());
        });
    }

    #[test]
    fn an_upload_that_stands_still_is_given_up() {
        paused().block_on(async {
            let (_body, pulse) = watch_write(full(Bytes::from_static(b"x")));
            assert!(pulse.guard(std::future::pending::<()>()).await.is_none());
            let (mut body, pulse) = watch_write(Box::pin(Silent));
            let moving = async {
                for _ in 0..5 {
                    sleep(WRITE_STANDSTILL_MAX * 3 / 4).await;
                    body.moves.fetch_add(1, Ordering::Relaxed);
                }
                body.body = full(Bytes::new());
            };
            assert!(pulse.guard(moving).await.is_some());
        });
    }

    #[test]
    fn only_an_empty_body_drains() {
        paused().block_on(async {
            assert!(drain_empty(full(Bytes::new())).await.is_ok());
            assert!(drain_empty(full(Bytes::from_static(b"x"))).await.is_err());
        });
    }
}
