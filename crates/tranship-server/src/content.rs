//! Content: the bytes of one object, kept in memory or given by a formula, and read as shared slices.

use crate::checksum::size;
use bytes::Bytes;
use futures_util::Stream;
use s3s::StdError;
use s3s::stream::{ByteStream, RemainingLength};
use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

/// The length after which patterned bytes repeat. It is a prime a little above 1 MiB, so that parts of any usual
/// size differ from each other and a swapped part is noticed.
pub const PERIOD: u64 = 1_048_583;

/// Where an object's bytes come from.
#[derive(Clone, Debug)]
pub enum Content {
    /// Kept: one piece of a PUT, or one per part of a multipart upload.
    Kept(Arc<[Bytes]>),
    /// By formula: `length` bytes of the repeating pattern, from `offset` on.
    Pattern { offset: u64, length: u64 },
    /// Accepted and thrown away; it cannot be read.
    Discarded { length: u64 },
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self::Kept([bytes].into())
    }
}

impl Content {
    pub fn len(&self) -> u64 {
        match self {
            Self::Kept(pieces) => pieces.iter().map(|piece| size(piece)).sum(),
            Self::Pattern { length, .. } | Self::Discarded { length } => *length,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of a range without copying them; `None` if they were thrown away.
    pub(crate) fn slices(&self, range: Range<u64>) -> Option<Slices> {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        let rest = match self {
            Self::Discarded { .. } if start < end => return None,
            Self::Discarded { .. } => Rest::Pieces(VecDeque::new()),
            Self::Kept(pieces) => Rest::Pieces(cut(pieces, start, end)),
            Self::Pattern { offset, .. } => Rest::Pattern { at: offset.saturating_add(start) },
        };
        Some(Slices { rest, remaining: end - start, counter: None })
    }

    /// All bytes in one piece; `None` if they were thrown away.
    pub fn read(&self) -> Option<Bytes> {
        if let Self::Kept(pieces) = self
            && let [one] = pieces.as_ref()
        {
            return Some(one.clone());
        }
        let slices = self.slices(0..self.len())?;
        let mut whole = Vec::with_capacity(usize::try_from(self.len()).unwrap_or_default());
        for slice in slices {
            whole.extend_from_slice(&slice);
        }
        Some(whole.into())
    }
}

fn cut(pieces: &[Bytes], start: u64, end: u64) -> VecDeque<Bytes> {
    let mut cut = VecDeque::new();
    let mut at = 0;
    for piece in pieces {
        let next = at + size(piece);
        let from = start.clamp(at, next) - at;
        let to = end.clamp(at, next) - at;
        if from < to {
            let from = usize::try_from(from).unwrap_or(usize::MAX);
            let to = usize::try_from(to).unwrap_or(usize::MAX);
            cut.push_back(piece.slice(from..to));
        }
        at = next;
    }
    cut
}

enum Rest {
    Pieces(VecDeque<Bytes>),
    Pattern { at: u64 },
}

/// The slices of one read, in order.
pub(crate) struct Slices {
    rest: Rest,
    remaining: u64,
    counter: Option<Arc<AtomicU64>>,
}

impl Slices {
    /// Adds the bytes to this as they are taken.
    pub(crate) fn counted(mut self, counter: Arc<AtomicU64>) -> Self {
        self.counter = Some(counter);
        self
    }
}

impl Iterator for Slices {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.remaining == 0 {
            return None;
        }
        let slice = match &mut self.rest {
            Rest::Pieces(pieces) => pieces.pop_front()?,
            Rest::Pattern { at } => {
                let start = *at % PERIOD;
                let length = (PERIOD - start).min(self.remaining);
                *at += length;
                let from = usize::try_from(start).ok()?;
                let to = usize::try_from(start + length).ok()?;
                pattern().slice(from..to)
            }
        };
        self.remaining = self.remaining.saturating_sub(size(&slice));
        if let Some(counter) = &self.counter {
            counter.fetch_add(size(&slice), Ordering::Relaxed);
        }
        Some(slice)
    }
}

impl Stream for Slices {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.next().map(Ok))
    }
}

impl ByteStream for Slices {
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::new_exact(usize::try_from(self.remaining).unwrap_or(usize::MAX))
    }
}

/// One period of noise, made once.
fn pattern() -> &'static Bytes {
    static PATTERN: OnceLock<Bytes> = OnceLock::new();
    PATTERN.get_or_init(|| {
        let length = usize::try_from(PERIOD).unwrap_or_default();
        let mut noise = Vec::with_capacity(length + 8);
        let mut state = 0x7472_616e_7368_6970;
        while noise.len() < length {
            noise.extend_from_slice(&mix(&mut state).to_le_bytes());
        }
        noise.truncate(length);
        noise.into()
    })
}

/// The next number of a `SplitMix64` sequence: cheap noise that a seed repeats.
pub(crate) fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_crosses_pieces() {
        let content =
            Content::Kept([Bytes::from("abc"), Bytes::from("defg"), Bytes::from("hi")].into());
        let read: Vec<u8> = content.slices(2..8).unwrap().flatten().collect();
        assert_eq!(read, b"cdefgh");
        assert_eq!(content.read().unwrap(), "abcdefghi");
    }

    #[test]
    fn what_is_taken_is_counted() {
        let counter = Arc::new(AtomicU64::new(0));
        let content = Content::Pattern { offset: 0, length: 3 * PERIOD };
        let mut slices = content.slices(5..2 * PERIOD).unwrap().counted(Arc::clone(&counter));
        slices.next();
        assert_eq!(counter.load(Ordering::Relaxed), PERIOD - 5);
        assert_eq!(slices.count(), 1);
        assert_eq!(counter.load(Ordering::Relaxed), 2 * PERIOD - 5);
    }

    #[test]
    fn patterned_ranges_agree_with_the_whole() {
        let content = Content::Pattern { offset: 77, length: 3 * PERIOD + 5 };
        let whole = content.read().unwrap();
        assert_eq!(size(&whole), content.len());
        let range = PERIOD - 100..2 * PERIOD + 100;
        let part: Vec<u8> = content.slices(range.clone()).unwrap().flatten().collect();
        let from = usize::try_from(range.start).unwrap();
        let to = usize::try_from(range.end).unwrap();
        assert_eq!(part, whole[from..to]);
    }
}
