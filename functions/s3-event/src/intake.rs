//! From notifications to tasks: which of them are followed, and what becomes of each message.
//!
//! Nothing that a notification says is believed but its key, and that only below the prefix of the
//! source's own bucket. A message is answered for when its tasks are sent, or when it is told what
//! else is to become of it: none is ever dropped in silence.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use tranship_core::error::StageError;
use tranship_core::finder::events::{self, Change, ChangeKind};
use tranship_core::object::{ObjectKey, escape};
use tranship_core::stage::Stage;

use crate::records::{self, Envelope, Notice, QueueMessage};

/// What of the source's changes is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Followed {
    pub writes: bool,
    pub deletes: bool,
}

/// Records, by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Their keys are looked at.
    pub taken: u64,
    /// Not under the prefix, or of a kind that is not followed.
    pub filtered: u64,
    /// Of another bucket.
    pub refused: u64,
    /// Messages that cannot be read, or not all of whose records can.
    pub unreadable: u64,
}

/// A message that can never be read, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    pub message: QueueMessage,
    pub reason: String,
}

/// What became of one batch, or one invocation.
#[derive(Debug, Default)]
pub struct Intake {
    pub counts: Counts,
    /// Messages whose tasks could not be sent, by their ids.
    pub failed: Vec<String>,
    /// Messages for the dead-letter queue.
    pub dead: Vec<DeadLetter>,
    /// Why something that did not come from a queue cannot be read.
    pub bad_input: Option<String>,
    /// What kept the tasks from being sent.
    pub error: Option<StageError>,
    /// It came from no queue: a failure is the invocation's.
    pub is_direct: bool,
}

impl Intake {
    /// Sends its dead letters; a message whose letter cannot be sent stays in its queue. `send` says
    /// why it could not.
    pub async fn bury<S>(&mut self, send: impl Fn(DeadLetter) -> S)
    where
        S: Future<Output = Result<(), String>>,
    {
        for letter in std::mem::take(&mut self.dead) {
            let (id, reason) = (letter.message.id.clone(), letter.reason.clone());
            tracing::error!(message_id = id, reason, "cannot be read: to the dead-letter queue");
            if let Err(why) = send(letter).await {
                tracing::error!(message_id = id, why, "could not be sent there");
                self.failed.push(id);
            }
        }
    }
}

/// Reads an event and sends the tasks of what is followed.
pub async fn take(stage: &Stage, followed: Followed, event: &Value) -> Intake {
    let mut intake = Intake::default();
    let mut wanted = Wanted::default();
    for envelope in records::read(event) {
        let before = wanted.records;
        sort(stage, followed, &envelope, &mut wanted, &mut intake.counts);
        if wanted.records > before {
            wanted.messages.extend(envelope.message.clone().map(|message| message.id));
        }
        intake.is_direct |= envelope.message.is_none();
        if let Some(reason) = envelope.reason() {
            match envelope.message {
                Some(message) => intake.dead.push(DeadLetter { message, reason }),
                None => intake.bad_input = Some(reason),
            }
        }
    }
    send(stage, wanted, &mut intake).await;
    // Whatever is delivered again is judged again.
    intake.dead.retain(|letter| !intake.failed.contains(&letter.message.id));
    let unreadable = intake.dead.len() + usize::from(intake.bad_input.is_some());
    intake.counts.unreadable = u64::try_from(unreadable).unwrap_or(u64::MAX);
    intake
}

/// What is to be looked at, each key once: many events of a key are one look.
#[derive(Default)]
struct Wanted {
    changes: BTreeMap<ObjectKey, ChangeKind>,
    records: u64,
    messages: Vec<String>,
}

impl Wanted {
    fn add(&mut self, change: Change) {
        self.records += 1;
        let kind = self.changes.entry(change.key).or_insert(change.kind);
        *kind = match (*kind, change.kind) {
            (ChangeKind::Written(a), ChangeKind::Written(b)) => ChangeKind::Written(a.max(b)),
            // The task of a delete copies a key that is there; that of a write deletes nothing.
            _ => ChangeKind::Deleted,
        };
    }
}

fn sort(
    stage: &Stage,
    followed: Followed,
    envelope: &Envelope,
    wanted: &mut Wanted,
    counts: &mut Counts,
) {
    let source = &stage.transfer.source;
    let id = envelope.message.as_ref().map(|message| message.id.as_str());
    for notice in &envelope.notices {
        let (bucket, change) = match notice {
            Notice::Change { bucket, change } => (bucket.as_ref(), change),
            Notice::Other(kind) => {
                tracing::debug!(message_id = id, kind, "changes nothing that is copied");
                counts.filtered += 1;
                continue;
            }
        };
        if let Some(bucket) = bucket
            && *bucket != source.bucket
        {
            let (bucket, key) = (escape(bucket), change.key.escaped());
            tracing::warn!(message_id = id, bucket, key, "refused: a record of another bucket");
            counts.refused += 1;
            continue;
        }
        let is_followed = match change.kind {
            ChangeKind::Written(_) => followed.writes,
            ChangeKind::Deleted => followed.deletes,
        };
        if is_followed && events::is_wanted(stage, &change.key) {
            wanted.add(change.clone());
        } else {
            counts.filtered += 1;
        }
    }
}

async fn send(stage: &Stage, wanted: Wanted, intake: &mut Intake) {
    let changes: Vec<Change> =
        wanted.changes.into_iter().map(|(key, kind)| Change { key, kind }).collect();
    if changes.is_empty() {
        return;
    }
    match events::take(stage, &changes).await {
        Ok(_) => intake.counts.taken = wanted.records,
        Err(error) => {
            tracing::error!(error = %error, "the tasks of these events could not be sent");
            intake.failed = wanted.messages;
            intake.error = Some(error);
        }
    }
}

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
