//! Changes that somebody tells us of: each becomes a look at its key, as it is by then.
//!
//! An event is never believed further than its key. Whatever it says happened, the task says "make
//! the destination equal to the source", so that duplicates, delays and disorder are harmless.

use super::scan::pack;
use super::settled;
use crate::error::{LedgerError, StageError};
use crate::message::{Action, Entry, ObjectsTask, Work};
use crate::object::{Millis, ObjectKey};
use crate::policy::Filter;
use crate::ports::Queue;
use crate::rows::{TaskId, Totals};
use crate::stage::Stage;
use crate::worker::encode;

/// Generations above this are accounts of events, one for each hour; runs are numbered from 1.
const EVENTS: u64 = 1 << 62;
const HOUR_MS: u64 = 60 * 60 * 1_000;

/// What is said to have happened to a key of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub key: ObjectKey,
    pub kind: ChangeKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// With its size, where the event tells it.
    Written(Option<u64>),
    Deleted,
}

/// What became of the changes of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    pub sent: u64,
    /// Not under the prefix, or refused by the filter.
    pub filtered: u64,
}

/// The account that tasks sent at this time settle in.
pub fn account_at(now: Millis) -> u64 {
    EVENTS + now.0 / HOUR_MS
}

/// What the tasks of one hour's events came to.
pub async fn account(stage: &Stage, generation: u64) -> Result<Totals, LedgerError> {
    let settled = settled(stage, generation, |_| true).await?;
    let (account, losses) = (settled.account, settled.losses);
    Ok(Totals { account, losses, ..Totals::default() })
}

/// Sends the tasks of some changes.
pub async fn take(stage: &Stage, changes: &[Change]) -> Result<Taken, StageError> {
    let mut taken = Taken::default();
    let mut entries = Vec::new();
    for change in changes {
        if !is_wanted(stage, change) {
            taken.filtered += 1;
            continue;
        }
        let (action, size) = match change.kind {
            ChangeKind::Written(size) => (Action::Look, size.unwrap_or(0)),
            ChangeKind::Deleted => (Action::Delete, 0),
        };
        taken.sent += 1;
        entries.push(Entry::named(change.key.clone(), action, size));
    }
    let generation = account_at(stage.clock.now());
    // A message that comes twice makes two tasks: each finds what the other did.
    let (scan, attempt) = (stage.clock.random(), stage.clock.random());
    let mut bodies = Vec::new();
    for (index, objects) in (0_u32..).zip(pack(stage, entries)) {
        let id = TaskId { generation, scan, window: 0, attempt, index };
        bodies.push(encode(Work::Objects(ObjectsTask { id, objects }))?);
    }
    if !bodies.is_empty() {
        stage.queue.send(Queue::Transfer, bodies).await?;
    }
    Ok(taken)
}

fn is_wanted(stage: &Stage, change: &Change) -> bool {
    let (prefix, filter) = (&stage.transfer.source.prefix, &stage.policy.filter);
    change.key.as_str().starts_with(prefix.as_str())
        && filter.admits_key(Filter::relative(prefix, &change.key))
}
