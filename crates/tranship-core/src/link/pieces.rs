//! A part that is read over several connections at once, and passed on in order.
//!
//! Each piece is a ranged read of its own, under the same pin, and is held in memory until those before
//! it have passed. So as much is held as there are connections, and a piece that fails is read again
//! alone.

use std::future::poll_fn;
use std::pin::Pin as Pinned;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::Bandwidth;
use super::bandwidth::paced;
use crate::body::{Body, BodyError};
use crate::error::{ErrorKind, StoreError};
use crate::object::{ByteRange, ObjectKey};
use crate::store::{ObjectStore, Pin};

/// Bytes of a piece: enough that its request costs little, few enough to be held.
pub const PIECE_BYTES: u64 = 4 << 20;
/// Reads of one piece before the whole part is read again.
const ATTEMPTS_MAX: u32 = 3;

/// What it takes to read pieces of an object after whoever asked has gone on.
#[derive(Clone)]
pub(crate) struct Piecewise {
    pub source: Arc<dyn ObjectStore>,
    pub key: ObjectKey,
    pub pin: Pin,
    pub bandwidth: Option<Arc<Bandwidth>>,
}

/// The rest of a part over so many connections: `first` was opened by whoever asks, and is the answer
/// to the first of `ranges`.
pub(crate) fn pieces(
    read: Piecewise,
    first: Body,
    ranges: Vec<ByteRange>,
    connections: usize,
) -> Body {
    let left: u64 = ranges.iter().map(|range| range.size()).sum();
    let mut first = Some(first);
    let works = ranges.into_iter().map(move |range| {
        let (read, first) = (read.clone(), first.take());
        async move { read.piece(first, range).await }
    });
    let frames = stream::iter(works).buffered(connections.max(1)).flat_map(|piece| {
        let (frames, error) = match piece {
            Ok(frames) => (frames, None),
            Err(error) => (Vec::new(), Some(Err(error))),
        };
        stream::iter(frames.into_iter().map(Ok).chain(error))
    });
    let frames = frames.boxed();
    Box::pin(Pieces { frames: Mutex::new(frames), left })
}

/// The ranges of the pieces of a range, in order.
pub(crate) fn ranges(whole: ByteRange) -> Vec<ByteRange> {
    let mut ranges = Vec::new();
    let mut start = whole.start();
    while let Some(piece) = ByteRange::new(start, whole.end().min(start + PIECE_BYTES)) {
        ranges.push(piece);
        start = piece.end();
    }
    ranges
}

impl Piecewise {
    async fn piece(&self, first: Option<Body>, range: ByteRange) -> Result<Vec<Bytes>, BodyError> {
        let mut opened = first;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let body = if let Some(body) = opened.take() {
                Ok(body)
            } else {
                let read = self.source.get(&self.key, Some(range), Some(&self.pin)).await;
                read.map(|read| paced(self.bandwidth.as_ref(), read.body))
            };
            match body {
                Ok(body) => match collected(body, range).await {
                    Err(error) if attempt >= ATTEMPTS_MAX => return Err(error),
                    Err(_) => {}
                    Ok(frames) => return Ok(frames),
                },
                Err(error) if attempt >= ATTEMPTS_MAX || !may_pass(&error) => {
                    return Err(for_the_part(error));
                }
                Err(_) => {}
            }
        }
    }
}

/// What the whole part is to hear: the source's own word, so that whoever sets the pace hears that he is
/// asked to slow down. A denial alone is no more than its text: whether it is the object's own matter is
/// judged where a part is begun.
fn for_the_part(error: StoreError) -> BodyError {
    match error.kind {
        ErrorKind::Denied => error.to_string().into(),
        _ => error.into(),
    }
}

/// Being asked to slow down is for the whole part to hear.
fn may_pass(error: &StoreError) -> bool {
    matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Lied)
}

/// All frames of a body, without copying them together.
async fn collected(mut body: Body, range: ByteRange) -> Result<Vec<Bytes>, BodyError> {
    let mut frames = Vec::new();
    let mut size = 0;
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        if let Ok(bytes) = frame?.into_data() {
            size += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            frames.push(bytes);
        }
    }
    if size == range.size() {
        return Ok(frames);
    }
    Err(format!("a read of {} bytes had {size}", range.size()).into())
}

struct Pieces {
    /// A stream alone is not `Sync`.
    frames: Mutex<BoxStream<'static, Result<Bytes, BodyError>>>,
    left: u64,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pinned<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frames = self.frames.get_mut().unwrap_or_else(PoisonError::into_inner);
        let bytes = match ready!(frames.poll_next_unpin(cx)) {
            Some(Ok(bytes)) => bytes,
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => return Poll::Ready(None),
        };
        self.left = self.left.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
