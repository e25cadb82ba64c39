//! What a person watches while a run goes on: counters that only grow.
//!
//! They serve the display alone. Accounts come from the ledger; a counter here may count a byte
//! twice when a part is copied again.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::outcome::Outcome;

/// Counters of one process.
#[derive(Debug, Default)]
pub struct Progress {
    bytes_moved: AtomicU64,
    listed_objects: AtomicU64,
    listed_bytes: AtomicU64,
    settled_objects: [AtomicU64; Outcome::ALL.len()],
    settled_bytes: [AtomicU64; Outcome::ALL.len()],
    retries: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProgressReading {
    /// Bytes read from the source, repetitions included.
    pub bytes_moved: u64,
    pub listed_objects: u64,
    pub listed_bytes: u64,
    /// Objects and bytes by outcome, in the order of [`Outcome::ALL`].
    pub settled: Vec<(Outcome, u64, u64)>,
    pub retries: u64,
}

impl Progress {
    pub fn moved(&self, bytes: u64) {
        self.bytes_moved.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn listed(&self, objects: u64, bytes: u64) {
        self.listed_objects.fetch_add(objects, Ordering::Relaxed);
        self.listed_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn settled(&self, outcome: Outcome, objects: u64, bytes: u64) {
        if let Some(counter) = self.settled_objects.get(outcome.index()) {
            counter.fetch_add(objects, Ordering::Relaxed);
        }
        if let Some(counter) = self.settled_bytes.get(outcome.index()) {
            counter.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub fn read(&self) -> ProgressReading {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = self.settled_objects.iter().zip(&self.settled_bytes);
        ProgressReading {
            bytes_moved: load(&self.bytes_moved),
            listed_objects: load(&self.listed_objects),
            listed_bytes: load(&self.listed_bytes),
            settled: Outcome::ALL
                .into_iter()
                .zip(counters)
                .map(|(o, (n, b))| (o, load(n), load(b)))
                .collect(),
            retries: load(&self.retries),
        }
    }
}
