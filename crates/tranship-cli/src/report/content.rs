//! A run as its report tells it, whichever host ran it: both forms are made of this.

use serde_json::Value;
use tranship_core::object::Millis;
use tranship_core::outcome::Count;
use tranship_core::rows::Note;

use super::Balance;
use crate::page::Mood;
use crate::stack::answers::Status;
use crate::timeline::Reading;

pub(super) struct Content<'a> {
    pub(super) source: &'a str,
    pub(super) destination: &'a str,
    /// How it stands, in a sentence.
    pub(super) verdict: (Mood, String),
    /// When and where.
    pub(super) about: String,
    /// `None`: a stack before its first run.
    pub(super) ran: Option<Ran<'a>>,
    pub(super) failures: Failures<'a>,
    pub(super) stack: Option<OfStack<'a>>,
}

pub(super) struct Ran<'a> {
    pub(super) started: Millis,
    pub(super) ended: Option<Millis>,
    /// For programs.
    pub(super) fields: Value,
    pub(super) listed: Count,
    /// Those that an object had.
    pub(super) outcomes: Vec<(String, Count)>,
    pub(super) unsettled: Count,
    pub(super) is_balanced: bool,
    /// Its accounts still move, so that nothing has to balance yet.
    pub(super) is_open: bool,
    /// Or why there are none.
    pub(super) by_prefix: Result<Balance<'a>, &'a str>,
    pub(super) throughput: Throughput<'a>,
    pub(super) losses: Vec<(String, u64)>,
}

pub(super) struct Throughput<'a> {
    /// What is counted here, and what is not.
    pub(super) about: String,
    pub(super) failed_deliveries: Option<u64>,
    /// `None`: nobody kept them.
    pub(super) points: Option<&'a [(u64, Reading)]>,
}

/// Some of a run's failures.
pub(super) struct Failures<'a> {
    pub(super) count: u64,
    pub(super) first: Vec<Failed<'a>>,
    /// Where all of them are, in a sentence; empty if that is not known.
    pub(super) all: String,
}

pub(super) struct Failed<'a> {
    pub(super) key: &'a str,
    pub(super) size: u64,
    pub(super) reason: Option<&'a str>,
}

impl<'a> Failed<'a> {
    pub(super) fn of(note: &'a Note) -> Self {
        Self { key: note.key.as_str(), size: note.size, reason: note.reason.as_deref() }
    }
}

/// What only a stack has.
pub(super) struct OfStack<'a> {
    pub(super) status: &'a Status,
    /// What it answered, as it came.
    pub(super) answer: Value,
}
