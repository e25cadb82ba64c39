//! The worker fleet: who takes the tasks of the largest objects, and what happens if nobody does.
//!
//! Tasks of objects from a size on go to a queue of their own, which processes without a time limit
//! poll. Each of them shows itself in the ledger from time to time. Where messages wait in that queue
//! and nobody has shown himself for a while, the functions are to take them, so that a fleet that is
//! off or dead strands nothing.

use serde::{Deserialize, Serialize};

use crate::error::{LedgerError, StageError};
use crate::message::{Message, Work};
use crate::object::Millis;
use crate::ports::{Queue, Received};
use crate::rows::{self, RowKey, Stored};
use crate::stage::Stage;

/// How often whoever polls shows himself.
pub const SHOW_MS: u64 = 60 * 1_000;
/// After so long without a sign there is nobody: long enough for an instance to start.
const ABSENT_MS: u64 = 15 * 60 * 1_000;
/// Deliveries after which a task that runs into a time limit is given to those without one.
const CUT_OFF_MAX: u32 = 2;

/// The last that was seen of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Presence {
    pub revision: u64,
    pub seen: Millis,
    /// Who it was: the name of an instance.
    pub by: String,
    /// Since when messages wait that nobody takes.
    #[serde(default)]
    pub waiting_since: Option<Millis>,
}

impl Stored for Presence {
    fn key(&self) -> RowKey {
        Self::row_key()
    }

    fn revision(&self) -> u64 {
        self.revision
    }
}

impl Presence {
    pub fn row_key() -> RowKey {
        RowKey("fleet".to_owned())
    }
}

/// The queues that tasks of objects and parts go to.
pub fn task_queues(stage: &Stage) -> &'static [Queue] {
    match stage.policy.large_object_bytes {
        Some(_) => &[Queue::Transfer, Queue::Large],
        None => &[Queue::Transfer],
    }
}

/// The queue of the parts of an object of this size.
pub(crate) fn queue_of(stage: &Stage, size: u64) -> Queue {
    match stage.policy.large_object_bytes {
        Some(from) if size >= from => Queue::Large,
        _ => Queue::Transfer,
    }
}

/// Messages of tasks that wait or are in flight.
pub async fn waiting(stage: &Stage) -> Result<u64, LedgerError> {
    let mut waiting = 0;
    for queue in task_queues(stage) {
        waiting += stage.queue.depth(*queue).await?;
    }
    Ok(waiting)
}

/// Gives a task that the time limit of a function cut off, and not for the first time, to those without
/// one. `true`: it is theirs, and the message can be deleted.
pub async fn pass_on(stage: &Stage, received: &Received) -> Result<bool, LedgerError> {
    if stage.policy.large_object_bytes.is_none() || received.receives < CUT_OFF_MAX {
        return Ok(false);
    }
    let Ok(Message { work: Work::Parts(_), .. }) = Message::decode(&received.body) else {
        return Ok(false);
    };
    stage.queue.send(Queue::Large, vec![received.body.clone()]).await?;
    Ok(true)
}

/// Shows that somebody polls the queue of the largest objects.
pub async fn show(stage: &Stage, name: &str) -> Result<(), LedgerError> {
    let known: Option<Presence> = rows::load(&*stage.ledger, &Presence::row_key()).await?;
    let revision = known.map_or(0, |known| known.revision) + 1;
    let (seen, by) = (stage.clock.now(), name.to_owned());
    // If another one was faster, the fleet has shown itself.
    rows::store(&*stage.ledger, &Presence { revision, seen, by, waiting_since: None }).await?;
    Ok(())
}

/// Whether the functions have to take the tasks of the largest objects now, of which so many wait or
/// are in flight.
pub async fn needs_help(stage: &Stage, waiting: u64) -> Result<bool, StageError> {
    let key = Presence::row_key();
    let known: Option<Presence> = rows::load(&*stage.ledger, &key).await?;
    let now = stage.clock.now();
    let absent = |since: Millis| since.plus(ABSENT_MS) <= now;
    let is_there = known.as_ref().is_some_and(|known| !absent(known.seen));
    if waiting == 0 {
        // What waits later has a time of its own, in which an instance can start.
        if let Some(known) = known.filter(|known| known.waiting_since.is_some()) {
            let revision = known.revision + 1;
            let calm = Presence { revision, waiting_since: None, ..known };
            rows::store(&*stage.ledger, &calm).await?;
        }
        return Ok(false);
    }
    let known = known.unwrap_or_default();
    if let Some(since) = known.waiting_since {
        return Ok(!is_there && absent(since));
    }
    // Noted while somebody is there, too: who dies now and who never came are missed after the same time.
    let first = Presence { revision: known.revision + 1, waiting_since: Some(now), ..known };
    rows::store(&*stage.ledger, &first).await?;
    Ok(false)
}
