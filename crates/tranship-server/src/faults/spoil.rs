//! Spoiling: an answer's body that is cut off, altered or held up on its way out.

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use s3s::StdError;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Spoil {
    Truncate(u64),
    Corrupt,
    Stall { after: u64, pause: Duration },
}

struct Spoiled {
    body: s3s::Body,
    /// How many bytes pass before it happens.
    left: u64,
    /// What a frame had beyond the spot.
    rest: Bytes,
    kind: Kind,
}

enum Kind {
    Truncate,
    Corrupt,
    Stall(Duration),
    Stalled(Pin<Box<Sleep>>),
    Done,
}

/// The body with the spoil in it; its promised length stays as it was.
pub(crate) fn spoil(body: s3s::Body, how: Spoil) -> s3s::Body {
    let (left, kind) = match how {
        Spoil::Truncate(after) => (after, Kind::Truncate),
        Spoil::Corrupt => (0, Kind::Corrupt),
        Spoil::Stall { after, pause } => (after, Kind::Stall(pause)),
    };
    s3s::Body::http_body_unsync(Spoiled { body, left, rest: Bytes::new(), kind })
}

impl Spoiled {
    /// What may pass now: a frame can be the whole body, so it is split at the spot.
    fn pass(&mut self, mut bytes: Bytes) -> Bytes {
        let length = crate::checksum::size(&bytes);
        match self.kind {
            Kind::Corrupt if length > 0 => {
                self.kind = Kind::Done;
                let mut altered = BytesMut::from(bytes.as_ref());
                let middle = altered.len() / 2;
                if let Some(byte) = altered.get_mut(middle) {
                    *byte ^= 1;
                }
                altered.freeze()
            }
            Kind::Truncate | Kind::Stall(_) => {
                let most = self.left.min(length);
                self.left -= most;
                self.rest = bytes.split_off(usize::try_from(most).unwrap_or_default());
                bytes
            }
            Kind::Corrupt | Kind::Stalled(_) | Kind::Done => bytes,
        }
    }
}

impl Body for Spoiled {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        if self.left == 0 {
            if let Kind::Stall(pause) = self.kind {
                self.kind = Kind::Stalled(Box::pin(sleep(pause)));
            }
            if let Kind::Stalled(pause) = &mut self.kind {
                ready!(pause.as_mut().poll(cx));
                self.kind = Kind::Done;
            }
            if matches!(self.kind, Kind::Truncate) {
                return Poll::Ready(Some(Err("cut off on purpose".into())));
            }
            if !self.rest.is_empty() {
                let rest = std::mem::take(&mut self.rest);
                return Poll::Ready(Some(Ok(Frame::data(rest))));
            }
        }
        match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => {
                let frame = frame.map_data(|bytes| self.pass(bytes));
                Poll::Ready(Some(Ok(frame)))
            }
            other => Poll::Ready(other),
        }
    }

    fn is_end_stream(&self) -> bool {
        let passed = matches!(self.kind, Kind::Done | Kind::Corrupt) && self.rest.is_empty();
        passed && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
