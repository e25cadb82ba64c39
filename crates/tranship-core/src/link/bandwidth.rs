//! A limit in bytes a second that everybody who works on a transfer keeps together.
//!
//! One row of the ledger is a virtual clock: the time at which everything that was granted so far has
//! passed at the limit. Whoever has bytes to move takes a lease of some of them, which moves that time
//! on, and begins with them when the time comes. So there is nobody who shares out, it does not matter
//! how many take part, and a ledger that cannot be asked lets nothing pass rather than everything.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use async_lock::Mutex;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::{Body as HttpBody, Frame, SizeHint};
use serde::{Deserialize, Serialize};

use crate::body::{Body, BodyError};
use crate::error::LedgerError;
use crate::ports::{Clock, Ledger};
use crate::rows::{self, RowKey, Stored};

/// Leases a second, of all together: a write of the ledger each.
const LEASES_PER_SECOND: u64 = 8;
const LEASE_US: u64 = 1_000_000 / LEASES_PER_SECOND;
/// What was not used for longer than this is not made up for.
const BURST_US: u64 = 2 * LEASE_US;
/// A clock that is further ahead than this is wrong.
const AHEAD_MAX_US: u64 = 10 * 60 * 1_000_000;
/// Races for the row that may be lost one after the other.
const RACES_MAX: u32 = 1_000;

/// The row that all of a transfer share.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Granted {
    revision: u64,
    /// Microseconds since the epoch.
    until_us: u64,
}

impl Stored for Granted {
    fn key(&self) -> RowKey {
        row_key()
    }

    fn revision(&self) -> u64 {
        self.revision
    }
}

fn row_key() -> RowKey {
    RowKey("bandwidth".to_owned())
}

/// The limit, as this process takes part in it.
pub struct Bandwidth {
    bytes_per_second: u64,
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    /// Bytes of the lease that are left; whoever waits for more holds the lock.
    left: Mutex<u64>,
    /// Leases since somebody asked for the share, and how long each had to be waited for.
    leases: AtomicU64,
    waited_us: AtomicU64,
}

impl std::fmt::Debug for Bandwidth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bandwidth({} B/s)", self.bytes_per_second)
    }
}

impl Bandwidth {
    pub fn new(bytes_per_second: u64, ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>) -> Self {
        let bytes_per_second = bytes_per_second.max(LEASES_PER_SECOND);
        let (leases, waited_us) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { bytes_per_second, ledger, clock, left: Mutex::new(0), leases, waited_us }
    }

    /// How fast this process could move since the question before, in bytes a second: everybody who has bytes to
    /// move gets as much as each other. `None` if it took no lease.
    pub fn share(&self) -> Option<u64> {
        let leases = self.leases.swap(0, Ordering::Relaxed);
        let waited_us = self.waited_us.swap(0, Ordering::Relaxed).max(1);
        let bytes = u128::from(leases) * u128::from(self.bytes_per_second / LEASES_PER_SECOND);
        let share = bytes * 1_000_000 / u128::from(waited_us);
        (leases > 0).then(|| u64::try_from(share).unwrap_or(u64::MAX))
    }

    /// Waits until so many more bytes may pass.
    pub async fn take(&self, bytes: u64) -> Result<(), LedgerError> {
        let mut left = self.left.lock().await;
        let mut wanted = bytes;
        while wanted > *left {
            wanted -= *left;
            *left = 0;
            let wait_us = self.lease().await?;
            self.leases.fetch_add(1, Ordering::Relaxed);
            // What a lease holds takes that long in any case.
            self.waited_us.fetch_add(wait_us.max(LEASE_US), Ordering::Relaxed);
            self.clock.sleep(wait_us.div_ceil(1_000)).await;
            *left = self.bytes_per_second / LEASES_PER_SECOND;
        }
        *left -= wanted;
        Ok(())
    }

    /// Takes a lease; gives the microseconds until it may be used.
    async fn lease(&self) -> Result<u64, LedgerError> {
        for _ in 0..RACES_MAX {
            let known: Option<Granted> = rows::load(&*self.ledger, &row_key()).await?;
            let now_us = self.clock.now().0.saturating_mul(1_000);
            let earliest = now_us.saturating_sub(BURST_US);
            let (revision, until_us) =
                known.map_or((0, 0), |known| (known.revision, known.until_us));
            let from = until_us.clamp(earliest, now_us.saturating_add(AHEAD_MAX_US));
            let next = Granted { revision: revision + 1, until_us: from + LEASE_US };
            if rows::store(&*self.ledger, &next).await? {
                return Ok(from.saturating_sub(now_us));
            }
            // Somebody was faster. All of them together would only be in each other's way again.
            self.clock.sleep(1 + self.clock.random() % 16).await;
        }
        Err(LedgerError::Unavailable("the bandwidth limit: no lease could be had".to_owned()))
    }
}

/// A body whose bytes wait until they may pass, where there is a limit.
pub(super) fn paced(limit: Option<&Arc<Bandwidth>>, body: Body) -> Body {
    match limit {
        Some(bandwidth) => {
            Box::pin(Paced { body, bandwidth: Arc::clone(bandwidth), waiting: None })
        }
        None => body,
    }
}

struct Waiting {
    /// A future alone is not `Sync`.
    leave: std::sync::Mutex<BoxFuture<'static, Result<(), LedgerError>>>,
    bytes: Bytes,
}

struct Paced {
    body: Body,
    bandwidth: Arc<Bandwidth>,
    waiting: Option<Waiting>,
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                let leave = waiting.leave.get_mut();
                let leave = leave.unwrap_or_else(std::sync::PoisonError::into_inner);
                let left = ready!(leave.as_mut().poll(cx));
                let bytes = self.waiting.take().map(|waiting| waiting.bytes).unwrap_or_default();
                let frame = left.map(|()| Frame::data(bytes)).map_err(BodyError::from);
                return Poll::Ready(Some(frame));
            }
            let bytes = match ready!(self.body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => bytes,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            };
            let bandwidth = Arc::clone(&self.bandwidth);
            let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let leave: BoxFuture<'static, _> = Box::pin(async move { bandwidth.take(count).await });
            self.waiting = Some(Waiting { leave: std::sync::Mutex::new(leave), bytes });
        }
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
