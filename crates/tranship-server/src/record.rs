//! The record: how often each operation was asked for, and, if turned on, every request by itself.

use crate::operation::Facts;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One request that was answered, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub operation: &'static str,
    pub bucket: String,
    pub key: String,
    pub part_number: Option<u32>,
    pub range: Option<String>,
    pub if_match: Option<String>,
    pub if_none_match: Option<String>,
    /// Whether the body came in aws-chunked frames.
    pub aws_chunked: bool,
    pub trailer: Option<String>,
    /// `None` if the connection was reset instead.
    pub status: Option<u16>,
}

#[derive(Debug, Default)]
struct State {
    counts: BTreeMap<&'static str, u64>,
    log: Option<Vec<Seen>>,
}

/// All requests of one server so far.
#[derive(Debug, Default)]
pub struct Requests {
    state: Mutex<State>,
}

impl Requests {
    /// How often an operation was asked for, by its name in Amazon S3's API.
    pub fn count(&self, operation: &str) -> u64 {
        self.lock().counts.get(operation).copied().unwrap_or_default()
    }

    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.lock().counts.clone()
    }

    pub fn total(&self) -> u64 {
        self.lock().counts.values().sum()
    }

    /// Starts to keep every request.
    pub fn keep_log(&self) {
        self.lock().log.get_or_insert_default();
    }

    /// The requests kept so far, in the order of their answers.
    pub fn log(&self) -> Vec<Seen> {
        self.lock().log.clone().unwrap_or_default()
    }

    /// Counts and logs from nothing again.
    pub fn clear(&self) {
        let mut state = self.lock();
        state.counts.clear();
        if let Some(log) = &mut state.log {
            log.clear();
        }
    }

    pub(crate) fn note(&self, facts: Facts, status: Option<u16>) {
        let mut state = self.lock();
        *state.counts.entry(facts.operation).or_default() += 1;
        if let Some(log) = &mut state.log {
            log.push(Seen {
                operation: facts.operation,
                bucket: facts.bucket,
                key: facts.key,
                part_number: facts.part_number,
                range: facts.range,
                if_match: facts.if_match,
                if_none_match: facts.if_none_match,
                aws_chunked: facts.framed,
                trailer: facts.trailer,
                status,
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
