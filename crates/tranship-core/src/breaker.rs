//! The breaker: stops the taking of tasks where nothing in the transfer will get better by itself.
//!
//! It is one row. Open: an error halted the transfer; the sweep probes both sides and closes it
//! again. Paused: a person stopped it; only a person goes on. The host turns the row into what it
//! has to switch, after it opened and before it closed, so that whoever dies in between leaves a
//! breaker that the next sweep switches again.
//!
//! No probe asks for everything that can be denied: a delete, the bytes of one object. What opens the
//! breaker again as soon as it was closed keeps it open for ever longer, since each time costs every
//! message that is taken one of its deliveries.

use serde::{Deserialize, Serialize};

use crate::error::{LedgerError, StoreError};
use crate::object::Millis;
use crate::ports::{Clock, Ledger};
use crate::rows::{self, RowKey, Stored};
use crate::stage::Stage;
use crate::store::{ListRequest, ObjectStore};
use crate::worker::may_write;

/// Objects of the source that a probe looks at: one alone may have an owner of its own.
const SAMPLES: u16 = 3;

/// A halt so soon after the breaker was closed is held to be the same.
const RELAPSE_MS: u64 = 60 * 60 * 1_000;
/// Halts in a row for which it is probed at once.
const HALTS_AT_ONCE: u32 = 3;
/// How long it stays open at the next of them; this doubles with each.
const REST_MS: u64 = 60 * 1_000;
const REST_MAX_MS: u64 = 60 * 60 * 1_000;

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Closed,
    Open,
    Paused,
}

/// The row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    pub revision: u64,
    pub state: State,
    pub reason: String,
    pub since: Millis,
    /// Halts of which each came soon after the one before it was thought to be over.
    #[serde(default)]
    pub halts: u32,
}

impl Breaker {
    fn row_key() -> RowKey {
        RowKey("breaker".to_owned())
    }

    /// Whether tasks are taken.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Whether it is open and not to be probed yet.
    pub fn rests(&self, now: Millis) -> bool {
        let doubled = self.halts.checked_sub(HALTS_AT_ONCE + 1);
        let rest_ms = doubled.map_or(0, |n| (REST_MS << n.min(20)).min(REST_MAX_MS));
        self.state == State::Open && now < self.since.plus(rest_ms)
    }

    /// Halts in a row, with one that is now.
    fn with_a_halt(&self, now: Millis) -> u32 {
        let is_relapse = self.halts > 0 && now < self.since.plus(RELAPSE_MS);
        if is_relapse { self.halts.saturating_add(1) } else { 1 }
    }
}

impl Stored for Breaker {
    fn key(&self) -> RowKey {
        Self::row_key()
    }
    fn revision(&self) -> u64 {
        self.revision
    }
}

/// The breaker as it is now; one that was never touched is closed.
pub async fn read(ledger: &dyn Ledger) -> Result<Breaker, LedgerError> {
    let row = rows::load::<Breaker>(ledger, &Breaker::row_key()).await?;
    Ok(row.unwrap_or_else(|| Breaker {
        revision: 0,
        state: State::Closed,
        reason: String::new(),
        since: Millis::default(),
        halts: 0,
    }))
}

/// Puts it into a state; gives it as it then is. What a person paused no error opens, and the
/// reason that opened it first stays. Closed like this it is closed by a person, and what was is forgotten.
pub async fn set(
    ledger: &dyn Ledger,
    clock: &dyn Clock,
    state: State,
    reason: &str,
) -> Result<Breaker, LedgerError> {
    loop {
        let now = read(ledger).await?;
        let holds = matches!((now.state, state), (State::Open | State::Paused, State::Open));
        let is_forgotten = state != State::Closed || now.halts == 0;
        if holds || (now.state == state && is_forgotten) {
            return Ok(now);
        }
        let (revision, since) = (now.revision + 1, clock.now());
        let halts = if state == State::Open { now.with_a_halt(since) } else { 0 };
        let next = Breaker { revision, state, reason: reason.to_owned(), since, halts };
        if rows::store(ledger, &next).await? {
            return Ok(next);
        }
    }
}

/// Closes the one that was probed, and no other: a person may have paused the transfer meanwhile. Gives it
/// as it then is.
pub async fn close(
    ledger: &dyn Ledger,
    clock: &dyn Clock,
    probed: Breaker,
    reason: &str,
) -> Result<Breaker, LedgerError> {
    let (revision, state, since) = (probed.revision + 1, State::Closed, clock.now());
    let closed = Breaker { revision, state, reason: reason.to_owned(), since, ..probed };
    if rows::store(ledger, &closed).await? { Ok(closed) } else { read(ledger).await }
}

/// Whether both sides can be used: each can be listed, one of the source's first objects read, and the
/// destination written to.
pub async fn probe(stage: &Stage) -> Result<(), StoreError> {
    let first = |prefix: &str| ListRequest {
        prefix: prefix.to_owned(),
        limit: SAMPLES,
        ..ListRequest::default()
    };
    let (here, there) = (&stage.transfer.source.prefix, &stage.transfer.destination.prefix);
    let listed = list(stage, &*stage.source, &first(here)).await?;
    let mut refused = None;
    for object in &listed.objects {
        match stage.retried(|| stage.source.head(&object.key, None, None)).await {
            Err(error) if error.disposition() == crate::error::Disposition::Halt => {
                refused = Some(error);
            }
            _ => {
                refused = None;
                break;
            }
        }
    }
    refused.map_or(Ok(()), Err)?;
    list(stage, &*stage.destination, &first(there)).await?;
    may_write(stage).await
}

async fn list(
    stage: &Stage,
    store: &dyn ObjectStore,
    request: &ListRequest,
) -> Result<crate::store::ListPage, StoreError> {
    stage.retried(|| store.list(request)).await
}
