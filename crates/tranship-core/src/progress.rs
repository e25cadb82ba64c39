//! What a person watches while a run goes on: counters that only grow, and of a dry run what it learns.
//!
//! They serve the display alone. Accounts come from the ledger; a counter here may count a byte
//! twice when a part is copied again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::outcome::Outcome;
use crate::survey::{Findings, Survey};

/// Counters of one process.
#[derive(Debug, Default)]
pub struct Progress {
    bytes_moved: AtomicU64,
    listed_objects: AtomicU64,
    listed_bytes: AtomicU64,
    settled_objects: [AtomicU64; Outcome::ALL.len()],
    settled_bytes: [AtomicU64; Outcome::ALL.len()],
    retries: AtomicU64,
    throttles: AtomicU64,
    parked: AtomicU64,
    /// Why something is tried again, last.
    trouble: Mutex<Option<String>>,
    /// Of a dry run that is asked what a copy would be.
    survey: Option<Survey>,
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
    /// Answers in which a store asked to slow down.
    pub throttles: u64,
    /// Uploads that were given up.
    pub parked: u64,
}

impl ProgressReading {
    /// Objects and bytes of one outcome.
    pub fn of(&self, outcome: Outcome) -> (u64, u64) {
        let of = self.settled.iter().find(|(settled, _, _)| *settled == outcome);
        of.map_or((0, 0), |(_, objects, bytes)| (*objects, *bytes))
    }

    /// What moved: an attempt by itself is no movement.
    #[must_use]
    pub fn movement(self) -> Self {
        Self { retries: 0, throttles: 0, ..self }
    }

    /// What was added since an earlier reading of the same counters.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let settled = self.settled.iter().map(|(outcome, objects, bytes)| {
            let (objects_before, bytes_before) = before.of(*outcome);
            (*outcome, objects.saturating_sub(objects_before), bytes.saturating_sub(bytes_before))
        });
        Self {
            bytes_moved: self.bytes_moved.saturating_sub(before.bytes_moved),
            listed_objects: self.listed_objects.saturating_sub(before.listed_objects),
            listed_bytes: self.listed_bytes.saturating_sub(before.listed_bytes),
            settled: settled.collect(),
            retries: self.retries.saturating_sub(before.retries),
            throttles: self.throttles.saturating_sub(before.throttles),
            parked: self.parked.saturating_sub(before.parked),
        }
    }
}

impl Progress {
    /// Counters of a dry run that is to say what a copy would be. `grants_max`: objects that are asked for
    /// their ACLs.
    pub fn with_survey(grants_max: usize) -> Self {
        Self { survey: Some(Survey::new(grants_max)), ..Self::default() }
    }

    /// What the dry run found; `None` if nobody asked for it.
    pub fn findings(&self) -> Option<Findings> {
        self.survey.as_ref().map(Survey::read)
    }

    /// Lets a stage add to what is found, if somebody asked for it.
    pub(crate) fn survey<T>(&self, add: impl FnOnce(&mut Findings) -> T) -> Option<T> {
        self.survey.as_ref().map(|survey| add(&mut survey.findings()))
    }

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

    /// A store asked to slow down.
    pub fn throttled(&self) {
        self.throttles.fetch_add(1, Ordering::Relaxed);
    }

    /// Something did not work, and comes again.
    pub fn troubled(&self, why: String) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// Why something was tried again, last.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn parked(&self) {
        self.parked.fetch_add(1, Ordering::Relaxed);
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
            throttles: load(&self.throttles),
            parked: load(&self.parked),
        }
    }
}
