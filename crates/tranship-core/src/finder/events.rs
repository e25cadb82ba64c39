//! Changes that somebody tells us of: each becomes a look at its key, as it is by then.
//!
//! An event is never believed further than its key. Whatever it says happened, the task says "make
//! the destination equal to the source", so that duplicates, delays and disorder are harmless.

use serde::{Deserialize, Serialize};

use super::scan::pack;
use super::sum::{Settled, all_settled};
use crate::error::{LedgerError, StageError};
use crate::message::{Action, Entry, ObjectsTask, Work};
use crate::object::{Millis, ObjectKey};
use crate::outcome::{Account, Count};
use crate::policy::Filter;
use crate::ports::Queue;
use crate::rows::{self, RowKey, Stored, TaskId, Totals};
use crate::stage::Stage;
use crate::worker::encode;

/// Generations above this are accounts of events, one for each hour; runs are numbered from 1.
const EVENTS: u64 = 1 << 62;
const HOUR_MS: u64 = 60 * 60 * 1_000;
/// How long an hour's account may stay open: its tasks come back for so long.
const HOURS_OPEN: u64 = 12;
/// How often accounts that are open, or not there, are looked at.
const LOOK_EVERY_MS: u64 = 10 * 60 * 1_000;
/// Held deletes do not all come back in the same moment.
const HELD_SPREAD_MS: u64 = 5 * 60 * 1_000;
/// Hours before the first that are looked at where nothing is known to be told.
const HOURS_BACK: u64 = 24;

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

/// What one batch of events sent into the account of its hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sent {
    generation: u64,
    id: u64,
    count: Count,
}

impl Sent {
    fn prefix(generation: u64) -> String {
        format!("sent/{generation:016x}/")
    }
}

impl Stored for Sent {
    fn key(&self) -> RowKey {
        RowKey(format!("{}{:016x}", Self::prefix(self.generation), self.id))
    }
    fn revision(&self) -> u64 {
        1
    }
}

/// The accounts of events that were told, hour by hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    revision: u64,
    /// The first generation that was not told yet.
    next: u64,
    /// When somebody looked last.
    looked: Millis,
}

impl Told {
    fn row_key() -> RowKey {
        RowKey("told".to_owned())
    }
}

impl Stored for Told {
    fn key(&self) -> RowKey {
        Self::row_key()
    }
    fn revision(&self) -> u64 {
        self.revision
    }
}

/// Deletes that events asked for and that were let through, in the hour that had the last of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Deletes {
    revision: u64,
    /// The hour, by the generation of its account.
    generation: u64,
    count: u64,
}

impl Deletes {
    fn row_key() -> RowKey {
        RowKey("event-deletes".to_owned())
    }
}

impl Stored for Deletes {
    fn key(&self) -> RowKey {
        Self::row_key()
    }
    fn revision(&self) -> u64 {
        self.revision
    }
}

/// One hour's account, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hour {
    pub generation: u64,
    pub started: Millis,
    pub totals: Totals,
}

impl Hour {
    /// In one word, once it is over.
    pub fn verdict(&self) -> &'static str {
        if !self.totals.balances() {
            "incomplete"
        } else if self.totals.has_failures() {
            "failed"
        } else {
            "complete"
        }
    }
}

/// Whether a generation is an hour of events, and no run.
pub(crate) fn is_account(generation: u64) -> bool {
    generation > EVENTS
}

/// What the tasks of one hour's events came to. What was sent stands in for a listing.
pub async fn account(stage: &Stage, generation: u64) -> Result<Totals, LedgerError> {
    let settled = all_settled(stage, generation).await?;
    let mut sent = Count::default();
    let (prefix, mut after) = (Sent::prefix(generation), None);
    loop {
        let page = stage.ledger.page(&prefix, after.as_ref(), super::PAGE_ROWS).await?;
        for (key, row) in &page {
            sent.add(rows::parse::<Sent>(key, row)?.count);
        }
        match page.into_iter().last() {
            Some((key, _)) => after = Some(key),
            None => break,
        }
    }
    let unsettled = Count {
        objects: sent.objects.saturating_sub(settled.count.objects),
        bytes: sent.bytes.saturating_sub(settled.count.bytes),
    };
    // Deletes and what they found are outcomes of listed keys here.
    let mut listed = settled.account.of_source();
    listed.add(unsettled);
    let Settled { account, losses, failed_deliveries, failed_deletes, .. } = settled;
    Ok(Totals { listed, account, unsettled, losses, failed_deliveries, failed_deletes })
}

/// The next hour whose account is over and was not told yet: settled, or so old that it is not to be
/// any more. Hours without events are passed over.
pub async fn next_hour(stage: &Stage) -> Result<Option<Hour>, LedgerError> {
    let now = stage.clock.now();
    let current = account_at(now);
    let known = rows::load::<Told>(&*stage.ledger, &Told::row_key()).await?;
    if known.as_ref().is_some_and(|told| told.looked.plus(LOOK_EVERY_MS) > now) {
        return Ok(None);
    }
    let from = known.map_or(current.saturating_sub(HOURS_BACK), |told| told.next);
    for generation in from..current {
        let totals = account(stage, generation).await?;
        if totals.listed == Count::default() && totals.account == Account::default() {
            continue;
        }
        let ended = Millis((generation + 1 - EVENTS) * HOUR_MS);
        if totals.unsettled != Count::default() && ended.plus(HOURS_OPEN * HOUR_MS) > now {
            looked(stage, generation, now).await?;
            return Ok(None);
        }
        let started = Millis((generation - EVENTS) * HOUR_MS);
        return Ok(Some(Hour { generation, started, totals }));
    }
    looked(stage, current, now).await?;
    Ok(None)
}

/// An hour's account was told: the one after it is next, at once.
pub async fn told(stage: &Stage, generation: u64) -> Result<(), LedgerError> {
    looked(stage, generation + 1, Millis::default()).await
}

async fn looked(stage: &Stage, next: u64, looked: Millis) -> Result<(), LedgerError> {
    loop {
        let known = rows::load::<Told>(&*stage.ledger, &Told::row_key()).await?;
        let revision = known.as_ref().map_or(0, |told| told.revision) + 1;
        // Whoever is further is not taken back.
        let next = known.map_or(next, |told| told.next.max(next));
        if rows::store(&*stage.ledger, &Told { revision, next, looked }).await? {
            return Ok(());
        }
    }
}

/// Sends the tasks of some changes.
pub async fn take(stage: &Stage, changes: &[Change]) -> Result<Taken, StageError> {
    let mut taken = Taken::default();
    let mut entries = Vec::new();
    for change in changes {
        if !is_wanted(stage, &change.key) {
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
    let mut count = Count::default();
    for entry in &entries {
        count.add(Count { objects: 1, bytes: entry.size });
    }
    let mut bodies = Vec::new();
    for (index, objects) in (0_u32..).zip(pack(stage, entries)) {
        let id = TaskId { generation, scan, window: 0, attempt, index };
        bodies.push(encode(Work::Objects(ObjectsTask { id, objects }))?);
    }
    if !bodies.is_empty() {
        // Before they are sent: what was written down and then lost is missed, and not forgotten.
        let sent = Sent { generation, id: scan, count };
        rows::store(&*stage.ledger, &sent).await?;
        stage.queue.send(Queue::Transfer, bodies).await?;
    }
    Ok(taken)
}

/// Lets a task's deletes through, or says in how many milliseconds to ask again: the hour has had its
/// share. A task that comes again asks again, so the share is never exceeded, and at worst not used up.
pub(crate) async fn hold_deletes(stage: &Stage, count: u64) -> Result<Option<u64>, LedgerError> {
    let most = stage.policy.limits.event_deletes_per_hour;
    loop {
        let now = stage.clock.now();
        let generation = account_at(now);
        let known = rows::load::<Deletes>(&*stage.ledger, &Deletes::row_key()).await?;
        let before = known.as_ref().filter(|known| known.generation == generation);
        let before = before.map_or(0, |known| known.count);
        // One task that is larger than the share of an hour has an hour of its own.
        if before > 0 && before.saturating_add(count) > most {
            let left = HOUR_MS - now.0 % HOUR_MS;
            return Ok(Some(left + stage.spread(HELD_SPREAD_MS)));
        }
        let revision = known.map_or(0, |known| known.revision) + 1;
        let count = before.saturating_add(count);
        if rows::store(&*stage.ledger, &Deletes { revision, generation, count }).await? {
            return Ok(None);
        }
    }
}

/// Whether a changed key takes part in the transfer.
pub fn is_wanted(stage: &Stage, key: &ObjectKey) -> bool {
    let (prefix, filter) = (&stage.transfer.source.prefix, &stage.policy.filter);
    key.as_str().starts_with(prefix.as_str()) && filter.admits_key(Filter::relative(prefix, key))
}
