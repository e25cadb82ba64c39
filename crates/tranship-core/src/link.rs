//! The way that bytes take through this process: over how many connections, and how fast.
//!
//! Every connection that moves bytes holds a permit. How many permits there are is the host's to say:
//! as many as memory allows, or as many as [`Pace`] finds useful. A part takes more than one of them
//! where a single connection is slow and others are idle.

mod bandwidth;
mod pace;
mod pieces;
mod spread;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_lock::{Semaphore, SemaphoreGuard, SemaphoreGuardArc};

pub use self::bandwidth::Bandwidth;
pub use self::pace::{Interval, Pace};
pub use self::pieces::PIECE_BYTES;
pub(crate) use self::pieces::{Piecewise, pieces, ranges};
use self::spread::Spread;
use crate::body::Body;
use crate::ports::{Clock, Ledger};

/// The permits of one process, and its bandwidth.
pub struct Link {
    permits: Arc<Semaphore>,
    most: usize,
    /// Permits that nobody may use now.
    kept: Mutex<Kept>,
    /// `None`: a part has one connection, however slow it is.
    spread: Option<Mutex<Spread>>,
    bandwidth: Option<Arc<Bandwidth>>,
}

#[derive(Default)]
struct Kept {
    wanted: usize,
    guards: Vec<SemaphoreGuardArc>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("streams", &self.streams()).finish_non_exhaustive()
    }
}

impl Link {
    /// A link over at most so many connections at once.
    pub fn new(most: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(most)),
            most,
            kept: Mutex::default(),
            spread: None,
            bandwidth: None,
        }
    }

    /// The same, for a host with memory for [`PIECE_BYTES`] of each connection: a part that is slow may
    /// have several.
    #[must_use]
    pub fn spreading(mut self) -> Self {
        self.spread = Some(Mutex::default());
        self
    }

    /// The same, no faster than this together with everybody else who has this ledger.
    #[must_use]
    pub fn limited(
        mut self,
        bytes_per_second: Option<u64>,
        ledger: &Arc<dyn Ledger>,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        self.bandwidth = bytes_per_second
            .map(|limit| Arc::new(Bandwidth::new(limit, ledger.clone(), clock.clone())));
        self
    }

    /// A permit for one stream; held while bytes move.
    pub async fn stream(&self) -> SemaphoreGuard<'_> {
        self.permits.acquire().await
    }

    /// Permits for more connections of one part: as many as its link seems to want, of those that are
    /// idle.
    pub(crate) fn more(&self) -> Vec<SemaphoreGuard<'_>> {
        let Some(spread) = &self.spread else { return Vec::new() };
        let more = lock(spread).connections().saturating_sub(1);
        (0..more).map_while(|_| self.permits.try_acquire()).collect()
    }

    /// A part of so many bytes took so long over so many connections.
    pub fn took(&self, connections: usize, bytes: u64, ms: u64) {
        if let Some(spread) = &self.spread {
            lock(spread).took(connections, bytes, ms);
        }
    }

    /// How many streams there may be now.
    pub fn streams(&self) -> usize {
        self.most - lock(&self.kept).wanted
    }

    /// Lets there be so many streams from now on. Those that are too many end when their work is done.
    pub fn allow(&self, streams: usize) {
        let mut kept = lock(&self.kept);
        kept.wanted = self.most.saturating_sub(streams.max(1));
        while kept.guards.len() > kept.wanted {
            kept.guards.pop();
        }
        self.keep(&mut kept);
    }

    fn keep(&self, kept: &mut Kept) {
        while kept.guards.len() < kept.wanted {
            let Some(guard) = self.permits.try_acquire_arc() else { return };
            kept.guards.push(guard);
        }
    }

    /// How many streams could begin now, of so many.
    pub fn idle(&self, of: usize) -> usize {
        let mut kept = lock(&self.kept);
        self.keep(&mut kept);
        let idle: Vec<_> = (0..of).map_while(|_| self.permits.try_acquire()).collect();
        idle.len()
    }

    /// Whether a stream could begin now.
    pub fn has_room(&self) -> bool {
        self.idle(1) > 0
    }

    /// The limit, where there is one.
    pub(crate) fn bandwidth(&self) -> Option<Arc<Bandwidth>> {
        self.bandwidth.clone()
    }

    /// What this process got of the limit since the question before, in bytes a second; `None` where there is no limit,
    /// or it moved nothing.
    pub fn share(&self) -> Option<u64> {
        self.bandwidth.as_ref()?.share()
    }

    /// The body as fast as it may be.
    pub(crate) fn paced(&self, body: Body) -> Body {
        bandwidth::paced(self.bandwidth.as_ref(), body)
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn permits_that_are_kept_are_given_to_nobody_and_come_back() {
        let link = Link::new(4);
        let at_work: Vec<_> = (0..3).map(|_| link.stream().now_or_never().unwrap()).collect();
        link.allow(2);
        assert_eq!(link.streams(), 2);
        // One was idle and is kept at once; the other when somebody is done with it.
        assert!(!link.has_room());
        let mut at_work = at_work.into_iter();
        drop(at_work.next());
        assert!(!link.has_room(), "three were at work, and two may be");
        drop(at_work.next());
        assert!(link.has_room());
        drop(at_work.next());
        let both = [link.stream().now_or_never(), link.stream().now_or_never()];
        assert!(both.iter().all(Option::is_some) && !link.has_room());
        link.allow(4);
        assert!(link.has_room());
        link.allow(0);
        assert_eq!(link.streams(), 1, "never none");
    }

    #[test]
    fn a_part_takes_more_connections_only_where_they_are_slow_and_idle() {
        let link = Link::new(4).spreading();
        assert!(link.more().is_empty());
        for _ in 0..8 {
            link.took(1, 1 << 20, 1_000);
        }
        let part = link.stream().now_or_never().unwrap();
        let more = link.more();
        assert_eq!(more.len(), 1, "twice as many as before");
        let other = link.stream().now_or_never().unwrap();
        let last = link.stream().now_or_never().unwrap();
        assert!(link.more().is_empty(), "none is idle");
        drop((part, more, other, last));
    }
}
