//! The breaker: stops the taking of tasks where nothing in the transfer will get better by itself.
//!
//! It is one row. Open: an error halted the transfer; the sweep probes both sides and closes it
//! again. Paused: a person stopped it; only a person goes on. The host turns the row into what it
//! has to switch, after it opened and before it closed, so that whoever dies in between leaves a
//! breaker that the next sweep switches again.

use serde::{Deserialize, Serialize};

use crate::error::{LedgerError, StoreError};
use crate::object::Millis;
use crate::ports::{Clock, Ledger};
use crate::rows::{self, RowKey, Stored};
use crate::stage::Stage;
use crate::store::{ListRequest, ObjectStore};

/// Objects of the source that a probe looks at: one alone may have an owner of its own.
const SAMPLES: u16 = 3;

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
}

impl Breaker {
    fn row_key() -> RowKey {
        RowKey("breaker".to_owned())
    }

    /// Whether tasks are taken.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
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
    }))
}

/// Puts it into a state; gives it as it then is. What a person paused no error opens, and the
/// reason that opened it first stays.
pub async fn set(
    ledger: &dyn Ledger,
    clock: &dyn Clock,
    state: State,
    reason: &str,
) -> Result<Breaker, LedgerError> {
    loop {
        let now = read(ledger).await?;
        let holds = matches!((now.state, state), (State::Open | State::Paused, State::Open));
        if holds || now.state == state {
            return Ok(now);
        }
        let (revision, since) = (now.revision + 1, clock.now());
        let next = Breaker { revision, state, reason: reason.to_owned(), since };
        if rows::store(ledger, &next).await? {
            return Ok(next);
        }
    }
}

/// Whether both sides can be used: each can be listed, and one of the source's first objects read.
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
    list(stage, &*stage.destination, &first(there)).await.map(drop)
}

async fn list(
    stage: &Stage,
    store: &dyn ObjectStore,
    request: &ListRequest,
) -> Result<crate::store::ListPage, StoreError> {
    stage.retried(|| store.list(request)).await
}
