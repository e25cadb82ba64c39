//! What the ledger remembers, row by row.
//!
//! Keys sort so that the rows of one run, of one header or of one task lie together. Values are
//! JSON: a row written by one version is read by the next, which may add fields and never
//! reuses a name.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::breakdown::Outcomes;
use crate::error::LedgerError;
use crate::layout::Layout;
use crate::loss::{LossCounts, Losses};
use crate::object::{ETag, Identity, Millis, ObjectKey, PartNumber, UploadId};
use crate::outcome::{Account, Count, Outcome};
use crate::ports::{Ledger, Row};
use crate::store::{Condition, Part};
use crate::timeline::{Mark, Timeline};

/// Parts of one group: enough that the header is written once per group, few enough for one row.
pub const PARTS_PER_GROUP: u16 = 16;

/// The name of a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey(pub String);

/// A row that can be read from and written to the ledger.
pub trait Stored: Serialize + DeserializeOwned + Send + Sync {
    fn key(&self) -> RowKey;
    fn revision(&self) -> u64;
    fn due(&self) -> Option<Millis> {
        None
    }
}

/// Reads a row by key.
pub async fn load<T: Stored>(ledger: &dyn Ledger, key: &RowKey) -> Result<Option<T>, LedgerError> {
    ledger.get(key).await?.map(|row| parse(key, &row)).transpose()
}

/// Reads a row's value.
pub fn parse<T: Stored>(key: &RowKey, row: &Row) -> Result<T, LedgerError> {
    serde_json::from_slice(&row.value)
        .map_err(|error| LedgerError::Unreadable(format!("row {}: {error}", key.0)))
}

/// Stores a row whose revision its owner has already raised by one; `false` if it had moved on.
pub async fn store<T: Stored>(ledger: &dyn Ledger, row: &T) -> Result<bool, LedgerError> {
    ledger.put(&row.key(), encode(row)?, None).await
}

/// Stores two rows in one step.
pub async fn store_both<T: Stored, U: Stored>(
    ledger: &dyn Ledger,
    row: &T,
    also: &U,
) -> Result<bool, LedgerError> {
    ledger.put(&row.key(), encode(row)?, Some((also.key(), encode(also)?))).await
}

fn encode<T: Stored>(row: &T) -> Result<Row, LedgerError> {
    let value = serde_json::to_vec(row)
        .map_err(|error| LedgerError::Unreadable(format!("row {}: {error}", row.key().0)))?;
    Ok(Row { revision: row.revision(), due: row.due(), value })
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    Copying,
    Deleting,
    Complete,
    /// Ended at its deadline or by another command; what was unsettled counts as failed.
    Incomplete,
}

/// One pass of the finder over the transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub revision: u64,
    pub generation: u64,
    pub state: RunState,
    pub started: Millis,
    pub ended: Option<Millis>,
    /// Names the settings that decide what is copied; a command with others starts a new run.
    pub fingerprint: String,
    /// What of the run is over, once it is.
    pub totals: Option<Totals>,
    /// What the sweep saw last, and when it saw it first.
    #[serde(default)]
    pub progress: Option<Box<RunProgress>>,
    /// What an earlier run gave up is tried again, even if its source has not changed.
    #[serde(default)]
    pub insist: bool,
    /// Its end was told to whoever is to know of it.
    #[serde(default)]
    pub told: bool,
    /// How it went. Nobody stores the row for this alone.
    #[serde(default, skip_serializing_if = "Timeline::is_empty")]
    pub timeline: Timeline<Mark>,
}

/// How far a run was when somebody looked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunProgress {
    pub listed: Count,
    pub unsettled: Count,
    /// Since when it has been so.
    pub since: Millis,
    /// When somebody looked last.
    pub seen: Millis,
    pub account: Account,
}

impl RunProgress {
    /// Whether nothing has moved since.
    pub fn shows(&self, totals: &Totals) -> bool {
        self.listed == totals.listed
            && self.unsettled == totals.unsettled
            && self.account == totals.account
    }
}

impl Run {
    /// Whether it is older than a run may become.
    pub fn has_outlived(&self, deadline_ms: u64, now: Millis) -> bool {
        self.started.plus(deadline_ms) <= now
    }

    /// There is one row: the newest run. It is what keeps two runs from being open at once.
    pub fn row_key() -> RowKey {
        RowKey("run".to_owned())
    }

    pub fn is_open(&self) -> bool {
        matches!(self.state, RunState::Copying | RunState::Deleting)
    }

    /// Notes how far it is, for whoever stores the row next.
    pub fn mark(&mut self, now: Millis, totals: &Totals) {
        let at_ms = now.0.saturating_sub(self.started.0);
        self.timeline.add(at_ms, Mark::of(totals));
    }

    /// How it stands in one word: a run that ended with failed objects has not succeeded, however
    /// well its accounts balance.
    pub fn verdict(&self) -> &'static str {
        let failed = self.totals.as_ref().is_some_and(Totals::has_failures);
        match self.state {
            RunState::Copying => "copying",
            RunState::Deleting => "deleting",
            RunState::Complete if failed => "failed",
            RunState::Complete => "complete",
            RunState::Incomplete => "incomplete",
        }
    }
}

impl Stored for Run {
    fn key(&self) -> RowKey {
        Self::row_key()
    }
    fn revision(&self) -> u64 {
        self.revision
    }
}

/// The balance of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    pub listed: Count,
    pub account: Account,
    /// Objects that tasks carry and that are not settled.
    pub unsettled: Count,
    /// What the copies of this run lack.
    #[serde(default)]
    pub losses: LossCounts,
    /// Deliveries of tasks, of objects or of parts, in which something really failed: it was tried again
    /// by another delivery, or given up.
    #[serde(default)]
    pub failed_deliveries: u64,
    /// Of the keys that only the destination has: those that were to be deleted, and could not be.
    #[serde(default)]
    pub failed_deletes: u64,
}

impl Totals {
    /// Every listed key in exactly one outcome.
    pub fn balances(&self) -> bool {
        self.unsettled == Count::default() && self.account.of_source() == self.listed
    }

    pub fn has_failures(&self) -> bool {
        self.account.get(Outcome::Failed).objects > 0 || self.failed_deletes > 0
    }
}

/// Where the keys of a scan come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScanRange {
    /// Keys of the source's listing in `(after, through]`; `None` is the end of the prefix.
    Keys {
        through: Option<ObjectKey>,
        /// In place of the source's whole prefix, which this begins with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prefix: Option<String>,
    },
    /// Lines of a file of keys.
    File { line: u64 },
    /// Lines of a list of prefixes, from this position on. Without an end it hands the lines out, in
    /// groups that have one.
    Prefixes { next: u64, until: Option<u64> },
    /// Delete candidates that the scans of this run wrote down.
    Candidates { after: Option<String> },
}

/// A piece of a run: a range of keys, and how far it has been listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    pub revision: u64,
    pub generation: u64,
    pub id: u64,
    pub range: ScanRange,
    /// Exclusive: everything up to it is listed and its tasks are sent.
    pub cursor: Option<ObjectKey>,
    pub closed: bool,
    /// Windows closed so far; the next one has this number.
    pub windows: u64,
    /// Who closed which windows: `(attempt, its first window)`, in order. A task counts only if its
    /// attempt is the one that closed its window.
    pub attempts: Vec<(u64, u64)>,
    /// What the source listed.
    pub listed: Count,
    /// What the destination listed; the delete guard's ratio is taken of it.
    pub listed_destination: Count,
    /// What the listing alone decided.
    pub account: Account,
    /// What was handed to tasks.
    pub dispatched: Count,
    /// As its run's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insist: bool,
}

impl ScanRange {
    /// All keys of the source.
    pub fn whole() -> Self {
        Self::Keys { through: None, prefix: None }
    }
}

impl Scan {
    pub fn row_key(generation: u64, id: u64) -> RowKey {
        RowKey(format!("scan/{generation:016x}/{id:016x}"))
    }

    pub fn prefix(generation: u64) -> String {
        format!("scan/{generation:016x}/")
    }

    /// The attempt that closed a window; `None` if nobody has.
    pub fn attempt_of(&self, window: u64) -> Option<u64> {
        let closed = window < self.windows;
        let entry = self.attempts.iter().rev().find(|(_, first)| *first <= window)?;
        closed.then_some(entry.0)
    }
}

impl Stored for Scan {
    fn key(&self) -> RowKey {
        Self::row_key(self.generation, self.id)
    }
    fn revision(&self) -> u64 {
        self.revision
    }
}

/// Names a task within its transfer, and the window that it counts for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId {
    pub generation: u64,
    pub scan: u64,
    pub window: u64,
    pub attempt: u64,
    pub index: u32,
}

impl TaskId {
    pub fn row_key(&self) -> RowKey {
        let Self { generation, scan, window, attempt, index } = self;
        RowKey(format!(
            "task/{generation:016x}/{scan:016x}/{window:08x}/{attempt:016x}/{index:08x}"
        ))
    }

    pub fn prefix(generation: u64) -> String {
        format!("task/{generation:016x}/")
    }
}

/// What has become of a task's objects. Written when the first of them is settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub revision: u64,
    pub id: TaskId,
    /// One bit per object, in hexadecimal digits of four.
    pub settled: Bits,
    pub account: Account,
    /// Failures of the whole task that were not its delivery's.
    pub failures: u32,
    /// The same of the tasks that copied parts of its objects: their own rows end with the upload.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub part_failures: u32,
    /// Keys that only the destination has, and that were to go and could not be deleted.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub failed_deletes: u32,
    #[serde(default, skip_serializing_if = "LossCounts::is_empty")]
    pub losses: LossCounts,
    /// By prefix, where the policy asks for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prefixes: BTreeMap<String, Outcomes>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_nought(count: &u32) -> bool {
    *count == 0
}

impl Stored for Task {
    fn key(&self) -> RowKey {
        self.id.row_key()
    }
    fn revision(&self) -> u64 {
        self.revision
    }
}

/// A set of small numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bits(Vec<u64>);

impl Bits {
    pub fn contains(&self, bit: usize) -> bool {
        self.0.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// `false` if it was there already.
    pub fn insert(&mut self, bit: usize) -> bool {
        if self.0.len() <= bit / 64 {
            self.0.resize(bit / 64 + 1, 0);
        }
        let Some(word) = self.0.get_mut(bit / 64) else { return false };
        let fresh = *word >> (bit % 64) & 1 == 0;
        *word |= 1 << (bit % 64);
        fresh
    }

    pub fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}

/// Names the header of a destination key: its hash, since keys may be longer than row keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HeaderId(pub String);

impl HeaderId {
    pub fn of(destination_key: &ObjectKey) -> Self {
        Self(hex::encode(Sha256::digest(destination_key.as_str())))
    }

    pub fn row_key(&self) -> RowKey {
        RowKey(format!("header/{}", self.0))
    }

    pub fn group_key(&self, epoch: u64, group: u16) -> RowKey {
        RowKey(format!("part/{}/{epoch:016x}/{group:04x}", self.0))
    }

    /// All groups of an epoch.
    pub fn groups_prefix(&self, epoch: u64) -> String {
        format!("part/{}/{epoch:016x}/", self.0)
    }
}

/// How the upload of a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// An upload is about to be created; the intent is written down.
    Planning,
    Open,
    Completing,
    Done,
    /// A foreign object was left in its place.
    Conflict,
    /// The source is no more, or lies in an archive where nobody can read it.
    Gone,
    /// Given up until told otherwise, or until the source changes.
    Parked,
}

impl Status {
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Done | Self::Conflict | Self::Gone | Self::Parked)
    }
}

/// The object of a task: where an outcome is settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRef {
    pub task: TaskId,
    pub object: u32,
    /// Number of objects in the task.
    pub of: u32,
    /// The size that was listed: the one that the accounts balance with.
    pub listed_size: u64,
}

/// One large object on its way: the row that fences its uploads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub revision: u64,
    pub source_key: ObjectKey,
    pub destination_key: ObjectKey,
    pub epoch: u64,
    /// The first epoch since the key was at an end: what an earlier one wrote lay there when this copy was
    /// asked for.
    #[serde(default)]
    pub first_epoch: u64,
    pub status: Status,
    /// The token's random part: proves that what lies at the destination is this epoch's.
    pub random: u64,
    pub planned_at: Millis,
    pub source: Option<Identity>,
    pub upload: Option<UploadId>,
    /// Uploads of earlier epochs that are still to be aborted.
    pub old_uploads: Vec<UploadId>,
    pub layout: Option<Layout>,
    /// `None` where the destination cannot fence.
    pub condition: Option<Condition>,
    pub full_groups: Bits,
    /// The completer's.
    pub lease_until: Option<Millis>,
    pub attempt: u32,
    /// When the sweep should look.
    pub due: Option<Millis>,
    pub account: AccountRef,
    /// Epochs begun for this source identity without success; bounds the cost of a bad object.
    pub tries: u32,
    pub server_side: bool,
    /// The source's own checksum, which the parts must compose to.
    #[serde(default)]
    pub checksum: Option<crate::checksum::Checksum>,
    pub reason: Option<String>,
    /// What the copy will lack.
    #[serde(default)]
    pub losses: Losses,
    /// When the earliest intent was written whose upload the header never came to name: it may have
    /// been created all the same, and whoever created it may be dead.
    #[serde(default)]
    pub orphans_since: Option<Millis>,
}

impl Header {
    pub fn id(&self) -> HeaderId {
        HeaderId::of(&self.destination_key)
    }

    pub fn prefix() -> &'static str {
        "header/"
    }

    /// Number of part groups of the layout.
    pub fn group_count(&self) -> u16 {
        self.layout.map_or(0, |layout| layout.part_count().div_ceil(PARTS_PER_GROUP))
    }

    /// Steps to a terminal state: nothing of it is left to look after.
    pub fn end(&mut self, status: Status) {
        self.status = status;
        self.lease_until = None;
        self.due = None;
        self.old_uploads.clear();
        self.revision += 1;
    }

    /// Since when there may be uploads of this key that the header never came to name.
    pub fn may_have_orphans_since(&self) -> Option<Millis> {
        let unfulfilled = (self.status == Status::Planning).then_some(self.planned_at);
        self.orphans_since.or(unfulfilled)
    }

    pub fn is_full(&self) -> bool {
        self.layout.is_some() && self.full_groups.count() == u32::from(self.group_count())
    }
}

impl Stored for Header {
    fn key(&self) -> RowKey {
        self.id().row_key()
    }
    fn revision(&self) -> u64 {
        self.revision
    }
    fn due(&self) -> Option<Millis> {
        self.due
    }
}

/// The group that a part belongs to, from 0.
pub fn group_of(part: PartNumber) -> u16 {
    (part.get() - 1) / PARTS_PER_GROUP
}

/// The recorded parts of a group, by number.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PartGroup {
    pub parts: Vec<Part>,
}

impl PartGroup {
    pub fn get(&self, number: PartNumber) -> Option<&Part> {
        self.parts.iter().find(|part| part.number == number)
    }

    /// Sets a part, keeping the order.
    pub fn set(&mut self, part: Part) {
        match self.parts.binary_search_by_key(&part.number, |p| p.number) {
            Ok(at) => {
                if let Some(slot) = self.parts.get_mut(at) {
                    *slot = part;
                }
            }
            Err(at) => self.parts.insert(at, part),
        }
    }

    /// Whether every part that the layout puts into this group is there.
    pub fn is_full(&self, layout: &Layout, group: u16) -> bool {
        let of_group = layout.parts().filter(|part| group_of(*part) == group);
        of_group.into_iter().all(|part| self.get(part).is_some())
    }
}

/// Which source an object of the destination was copied from, where neither its ETag nor its
/// metadata can say so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub revision: u64,
    pub destination: HeaderId,
    pub source: Identity,
    /// What the destination answered: with another ETag there, this says nothing any more.
    pub written: ETag,
}

impl Evidence {
    pub const PREFIX: &'static str = "evidence/";

    pub fn row_key(destination: &HeaderId) -> RowKey {
        RowKey(format!("{}{}", Self::PREFIX, destination.0))
    }

    /// Whether what lies at the destination is a copy of this source.
    pub fn proves(&self, source: &Identity, there: &Identity) -> bool {
        self.written == there.etag && self.source.is_same_as(source)
    }

    /// Remembers a copy; the last one counts.
    pub async fn remember(
        ledger: &dyn Ledger,
        destination: HeaderId,
        source: Identity,
        written: ETag,
    ) -> Result<(), LedgerError> {
        let key = Self::row_key(&destination);
        let mut row = Self { revision: 0, destination, source, written };
        loop {
            let known = load::<Self>(ledger, &key).await?;
            row.revision = known.map_or(0, |known| known.revision) + 1;
            if store(ledger, &row).await? {
                return Ok(());
            }
        }
    }
}

impl Stored for Evidence {
    fn key(&self) -> RowKey {
        Self::row_key(&self.destination)
    }
    fn revision(&self) -> u64 {
        self.revision
    }
}

/// How often a parts task failed for a reason of its own. It lies among the epoch's part groups,
/// and is forgotten with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartFailures {
    pub revision: u64,
    pub header: HeaderId,
    pub epoch: u64,
    pub first: PartNumber,
    pub count: u32,
}

impl PartFailures {
    pub fn row_key(header: &HeaderId, epoch: u64, first: PartNumber) -> RowKey {
        RowKey(format!("{}failures/{:05}", header.groups_prefix(epoch), first.get()))
    }
}

impl Stored for PartFailures {
    fn key(&self) -> RowKey {
        Self::row_key(&self.header, self.epoch, self.first)
    }
    fn revision(&self) -> u64 {
        self.revision
    }
}

/// A key that a list is kept of: a failure with its reason, or a candidate for deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub key: ObjectKey,
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of a candidate: what lay at the destination when it was listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<ETag>,
}

/// Which list a batch of notes belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum List {
    Failures,
    Candidates,
}

/// A batch of notes, written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    pub list: List,
    /// Of a failure: the task and the object. Of candidates: the window and attempt.
    pub of: TaskId,
    pub object: u32,
    pub notes: Vec<Note>,
}

impl Notes {
    pub fn prefix(list: List, generation: u64) -> String {
        let list = match list {
            List::Failures => "failures",
            List::Candidates => "candidates",
        };
        format!("{list}/{generation:016x}/")
    }
}

impl Stored for Notes {
    fn key(&self) -> RowKey {
        let TaskId { generation, scan, window, attempt, index } = &self.of;
        let prefix = Self::prefix(self.list, *generation);
        RowKey(format!(
            "{prefix}{scan:016x}/{window:08x}/{attempt:016x}/{index:08x}/{:08x}",
            self.object
        ))
    }
    fn revision(&self) -> u64 {
        1
    }
}
