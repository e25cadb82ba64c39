//! One scan: lists its range on both sides at once, merges, and closes it window by window.
//!
//! A window's tasks are sent first and its cursor is moved after, with a compare-and-set that also
//! names the attempt whose tasks count. A scan that was cut off is listed again from its last
//! cursor; the tasks that were sent twice work twice and settle once. A scan that runs long gives
//! the second half of what remains to a new scan.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::breakdown::{Share, WindowShare};
use crate::compare::{self, Pair, Verdict};
use crate::error::{LedgerError, StageError};
use crate::listing::{self, Side, Sides};
use crate::message::{Action, Entry, ObjectsTask, ScanTask, Work, entry_bytes};
use crate::object::ObjectKey;
use crate::outcome::{Account, Count, Outcome};
use crate::policy::{Filter, Policy};
use crate::ports::Queue;
use crate::rows::{self, List, Note, Notes, Run, Scan, ScanRange, TaskId};
use crate::stage::Stage;
use crate::store::{Condition, Listed, Reading};
use crate::worker::encode;

use super::prefixes;

/// Windows that a scan closes between two splits.
const WINDOWS_BEFORE_SPLIT: u64 = 1;
/// Bytes of the keys of one row of candidates: escaped, each may become six, and DynamoDB takes rows
/// of 400 KB.
const NOTES_BYTES_MAX: usize = 60_000;
/// What a candidate has besides its key.
const NOTE_BYTES: usize = 100;
/// Pause while the workers catch up.
const BACKPRESSURE_MS: u64 = 50;

/// The lines of a file of keys or of prefixes, by position.
#[async_trait]
pub trait KeyLines: Send + Sync + std::fmt::Debug {
    /// At most `limit` lines from a position on (the first is 0), and the position after them.
    async fn read(&self, from: u64, limit: usize) -> Result<(Vec<ObjectKey>, u64), String>;
}

/// How a scan ended, for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanEnd {
    /// Its range is listed, or somebody else lists it: the message has done its work.
    Done,
    /// The process is to end. What was listed is closed, and the rest is still to be listed.
    Left,
}

impl ScanEnd {
    pub(super) fn of(stage: &Stage, scan: &Scan) -> Self {
        if !scan.closed && stage.is_stopping() { Self::Left } else { Self::Done }
    }
}

/// Runs a scan until its range is listed, or the process is to end.
pub async fn run(
    stage: &Stage,
    task: &ScanTask,
    lines: Option<&Arc<dyn KeyLines>>,
) -> Result<ScanEnd, StageError> {
    let Some(mut scan) = start(stage, task).await? else { return Ok(ScanEnd::Done) };
    match scan.range.clone() {
        ScanRange::Keys { prefix, .. } => {
            let lister = Lister::new(stage, prefix.as_deref(), scan.cursor.as_ref())?;
            return Box::pin(lister.run(scan, task.hops)).await;
        }
        ScanRange::Prefixes { .. } => {
            return prefixes::run(stage, scan, named(lines)?, task.hops).await;
        }
        ScanRange::File { .. } => {
            let lines = named(lines)?;
            while !scan.closed && !stage.is_stopping() {
                if !file_window(stage, &mut scan, lines).await? {
                    break;
                }
            }
        }
        ScanRange::Candidates { .. } => {
            while !scan.closed && !stage.is_stopping() {
                if !candidates_window(stage, &mut scan).await? {
                    break;
                }
            }
        }
    }
    Ok(ScanEnd::of(stage, &scan))
}

fn named(lines: Option<&Arc<dyn KeyLines>>) -> Result<&dyn KeyLines, LedgerError> {
    let text = "the run was begun with a file of keys or prefixes; name it again";
    lines.map(|lines| &**lines).ok_or_else(|| LedgerError::Unreadable(text.to_owned()))
}

/// Takes the scan up under a new attempt; `None` if there is nothing to do.
async fn start(stage: &Stage, task: &ScanTask) -> Result<Option<Scan>, StageError> {
    loop {
        let run = rows::load::<Run>(&*stage.ledger, &Run::row_key()).await?;
        if run.is_none_or(|run| run.generation != task.generation || !run.is_open()) {
            return Ok(None);
        }
        let key = Scan::row_key(task.generation, task.scan);
        let Some(mut scan) = rows::load::<Scan>(&*stage.ledger, &key).await? else {
            return Ok(None);
        };
        if scan.closed {
            return Ok(None);
        }
        let attempt = scan.attempts.iter().map(|(attempt, _)| *attempt).max().unwrap_or(0) + 1;
        let windows = scan.windows;
        scan.attempts.retain(|(_, first)| *first < windows);
        scan.attempts.push((attempt, windows));
        scan.revision += 1;
        if rows::store(&*stage.ledger, &scan).await? {
            return Ok(Some(scan));
        }
    }
}

/// What a window found, until it is closed.
#[derive(Default)]
pub(super) struct Window {
    listed: Count,
    listed_destination: Count,
    account: Account,
    entries: Vec<Entry>,
    candidates: Vec<Note>,
    pub(super) keys: usize,
    /// What was listed and decided, by prefix, where accounts are kept so.
    shares: BTreeMap<String, Share>,
}

impl Window {
    fn listed(&mut self, stage: &Stage, key: &ObjectKey, size: u64) {
        let one = Count { objects: 1, bytes: size };
        self.listed.add(one);
        if let Some(prefix) = stage.prefix_of(key) {
            self.shares.entry(prefix).or_default().listed.add(one);
        }
    }

    fn outcome(&mut self, stage: &Stage, listed: &Listed, outcome: Outcome) {
        self.account.add(outcome, listed.size);
        if let Some(prefix) = stage.prefix_of(&listed.key) {
            self.shares.entry(prefix).or_default().account.add(outcome, listed.size);
        }
    }
}

/// Sends a window's tasks, then closes it. `false`: another attempt has taken the scan over.
async fn close_window(stage: &Stage, scan: &mut Scan, window: Window) -> Result<bool, StageError> {
    close_window_and(stage, scan, window, None).await
}

/// The same, and in one step with it a scan of what this one leaves to others.
pub(super) async fn close_window_and(
    stage: &Stage,
    scan: &mut Scan,
    window: Window,
    rest: Option<&Scan>,
) -> Result<bool, StageError> {
    let attempt = scan.attempts.last().map_or(0, |(attempt, _)| *attempt);
    let id = |index| TaskId {
        generation: scan.generation,
        scan: scan.id,
        window: scan.windows,
        attempt,
        index,
    };
    for (object, notes) in (0_u32..).zip(pieces(window.candidates)) {
        let (list, of) = (List::Candidates, id(0));
        rows::store(&*stage.ledger, &Notes { list, of, object, notes }).await?;
    }
    for share in WindowShare::rows(&id(0), window.shares) {
        rows::store(&*stage.ledger, &share).await?;
    }
    let mut dispatched = Count::default();
    for entry in &window.entries {
        dispatched.add(Count { objects: 1, bytes: entry.size });
    }
    let mut entries = window.entries;
    for entry in &mut entries {
        entry.insist = scan.insist;
    }
    let mut bodies = Vec::new();
    for (index, objects) in (0_u32..).zip(pack(stage, entries)) {
        bodies.push(encode(Work::Objects(ObjectsTask { id: id(index), objects }))?);
    }
    if !bodies.is_empty() {
        make_room(stage).await?;
        stage.queue.send(Queue::Transfer, bodies).await?;
    }
    scan.listed.add(window.listed);
    scan.listed_destination.add(window.listed_destination);
    scan.account.add_all(&window.account);
    scan.dispatched.add(dispatched);
    scan.windows += 1;
    scan.revision += 1;
    let stored = match rest {
        Some(rest) => rows::store_both(&*stage.ledger, scan, rest).await?,
        None => rows::store(&*stage.ledger, scan).await?,
    };
    if !stored {
        return Ok(false);
    }
    stage.progress.listed(window.listed.objects, window.listed.bytes);
    for (outcome, count) in window.account.iter() {
        stage.progress.settled(outcome, count.objects, count.bytes);
    }
    Ok(true)
}

/// Candidates in pieces that a row can hold.
fn pieces(candidates: Vec<Note>) -> Vec<Vec<Note>> {
    let mut pieces: Vec<Vec<Note>> = Vec::new();
    let mut bytes = 0;
    for note in candidates {
        let adds = note.key.as_str().len() + NOTE_BYTES;
        if let Some(piece) = pieces.last_mut().filter(|_| bytes + adds <= NOTES_BYTES_MAX) {
            piece.push(note);
        } else {
            pieces.push(vec![note]);
            bytes = 0;
        }
        bytes += adds;
    }
    pieces
}

/// Waits while too many messages are waiting: the queue of one process lies on its disk.
async fn make_room(stage: &Stage) -> Result<(), LedgerError> {
    while !stage.is_stopping()
        && stage.queue.depth(Queue::Transfer).await? > stage.policy.limits.queue_depth_max
    {
        stage.clock.sleep(BACKPRESSURE_MS).await;
    }
    Ok(())
}

/// Packs entries into tasks, by number, bytes and message size; a large object has its own.
pub(super) fn pack(stage: &Stage, entries: Vec<Entry>) -> Vec<Vec<Entry>> {
    let limits = &stage.policy.limits;
    let mut tasks: Vec<Vec<Entry>> = Vec::new();
    let mut open: Vec<Entry> = Vec::new();
    let (mut bytes, mut message) = (0_u64, 0_usize);
    for entry in entries {
        if entry.size >= stage.policy.multipart_threshold_bytes && !stage.policy.dry_run {
            tasks.push(vec![entry]);
            continue;
        }
        let adds = entry_bytes(&entry);
        let full = open.len() >= limits.objects_per_task_max
            || bytes.saturating_add(entry.size) > limits.bytes_per_task_max
            || message + adds > limits.message_bytes_max;
        if full && !open.is_empty() {
            tasks.push(std::mem::take(&mut open));
            (bytes, message) = (0, 0);
        }
        bytes = bytes.saturating_add(entry.size);
        message += adds;
        open.push(entry);
    }
    if !open.is_empty() {
        tasks.push(open);
    }
    tasks
}

pub(super) struct Lister<'a> {
    stage: &'a Stage,
    sides: Sides<'a>,
}

impl<'a> Lister<'a> {
    /// Lists what comes after the cursor under a prefix, or under the source's whole.
    pub(super) fn new(
        stage: &'a Stage,
        prefix: Option<&str>,
        cursor: Option<&ObjectKey>,
    ) -> Result<Self, StageError> {
        let here = prefix.unwrap_or(&stage.transfer.source.prefix).to_owned();
        let there = stage.transfer.destination_prefix(&here).ok_or_else(|| {
            let text = "the list names a prefix that is not under the source's";
            LedgerError::Unreadable(format!("{text}: {}", crate::object::escape(&here)))
        })?;
        let source = Side::new(&*stage.source, here.clone(), here.clone(), cursor);
        let destination = Side::new(&*stage.destination, there, here, cursor);
        Ok(Self { stage, sides: Sides { source, destination } })
    }

    async fn run(mut self, mut scan: Scan, hops: u32) -> Result<ScanEnd, StageError> {
        let mut since_split = 0;
        while !scan.closed && !self.stage.is_stopping() {
            let mut window = Window::default();
            let ScanRange::Keys { through, .. } = &scan.range else { return Ok(ScanEnd::Done) };
            let through = through.clone();
            let filled = self.fill_window(through.as_ref(), &mut window);
            let (cursor, ended) = Box::pin(filled).await?;
            scan.cursor = cursor.or(scan.cursor.take());
            scan.closed = ended;
            if !close_window(self.stage, &mut scan, window).await? {
                return Ok(ScanEnd::Done);
            }
            since_split += 1;
            if !scan.closed && since_split >= WINDOWS_BEFORE_SPLIT {
                since_split = 0;
                if !Box::pin(split(self.stage, &mut scan, hops)).await? {
                    return Ok(ScanEnd::Done);
                }
                if let ScanRange::Keys { through: Some(through), .. } = &scan.range {
                    self.sides.end_at(through);
                }
            }
        }
        Ok(ScanEnd::of(self.stage, &scan))
    }

    /// Merges until the window is large enough; gives the last key, and whether the range ended.
    pub(super) async fn fill_window(
        &mut self,
        through: Option<&ObjectKey>,
        window: &mut Window,
    ) -> Result<(Option<ObjectKey>, bool), StageError> {
        let mut cursor = None;
        while window.keys < self.stage.policy.limits.window_keys && !self.stage.is_stopping() {
            self.sides.fill(&self.stage.patience(), through).await?;
            let Some(merged) = self.sides.take() else {
                return Ok((cursor, true));
            };
            for pair in compare::merge(&merged.source, &merged.destination) {
                judge(self.stage, window, &pair);
            }
            cursor = Some(merged.through);
        }
        Ok((cursor, self.sides.have_ended()))
    }
}

/// What a listed key comes to: an outcome at once, or an entry of a task.
fn judge(stage: &Stage, window: &mut Window, pair: &Pair<'_>) {
    window.keys += 1;
    let policy = &stage.policy;
    let prefix = &stage.transfer.source.prefix;
    match pair {
        Pair::Extra(listed) => {
            window.listed_destination.add(Count { objects: 1, bytes: listed.size });
            if !policy.filter.admits_key(Filter::relative(prefix, &listed.key)) {
                return;
            }
            window.outcome(stage, listed, Outcome::Extra);
            if policy.delete.is_some() {
                let (key, size) = (listed.key.clone(), listed.size);
                window.candidates.push(Note {
                    key,
                    size,
                    reason: None,
                    etag: Some(listed.etag.clone()),
                });
            }
        }
        Pair::Source(listed, there) => {
            window.listed(stage, &listed.key, listed.size);
            if let Some(there) = there {
                window.listed_destination.add(Count { objects: 1, bytes: there.size });
            }
            let relative = Filter::relative(prefix, &listed.key);
            if !policy.filter.admits(relative, listed.size, listed.modified) {
                return window.outcome(stage, listed, Outcome::Filtered);
            }
            let action = match compare::by_listing(policy, listed, *there) {
                Verdict::Equal => return window.outcome(stage, listed, Outcome::Equal),
                Verdict::Kept => return window.outcome(stage, listed, Outcome::Kept),
                Verdict::Copy => Action::Copy,
                Verdict::Check => Action::Check,
            };
            if is_archived(policy, listed.reading) {
                return window.outcome(stage, listed, Outcome::Archived);
            }
            window.entries.push(Entry {
                key: listed.key.clone(),
                action,
                size: listed.size,
                etag: Some(listed.etag.clone()),
                modified: listed.modified,
                destination: Some(
                    there.map_or(Condition::Absent, |there| Condition::Is(there.etag.clone())),
                ),
                insist: false,
                class: listed.storage_class.clone().filter(|_| policy.dry_run),
            });
        }
    }
}

/// Whether an object is settled as archived by its listing alone. Where the listing does not say, a worker
/// asks the store; a dry run reads nothing, and takes what lies in an archive for not restored.
fn is_archived(policy: &Policy, reading: Reading) -> bool {
    match reading {
        Reading::Open => false,
        Reading::Archived => true,
        Reading::Unsaid => policy.dry_run,
    }
}

/// Gives the second half of what remains to a new scan, if there may be one more.
/// `false`: another attempt has taken the scan over.
async fn split(stage: &Stage, scan: &mut Scan, hops: u32) -> Result<bool, StageError> {
    let (ScanRange::Keys { through, prefix }, Some(cursor)) = (&scan.range, &scan.cursor) else {
        return Ok(true);
    };
    let open = super::scans(stage, scan.generation).await?;
    if open.iter().filter(|scan| !scan.closed).count() >= stage.policy.limits.scans_max {
        return Ok(true);
    }
    let prefix = prefix.clone();
    let of = prefix.as_deref().unwrap_or(&stage.transfer.source.prefix);
    let patience = stage.patience();
    let found = listing::search(&patience, &*stage.source, of, cursor, through.as_ref()).await?;
    let Some(at) = found else { return Ok(true) };
    let id = stage.clock.random() | 2;
    let range = ScanRange::Keys { through: through.clone(), prefix: prefix.clone() };
    let child = super::new_scan(scan.generation, id, range, Some(at.clone()));
    let child = Scan { insist: scan.insist, ..child };
    scan.range = ScanRange::Keys { through: Some(at), prefix };
    scan.revision += 1;
    // Both in one step: no key is ever in two scans, or in none.
    if !rows::store_both(&*stage.ledger, scan, &child).await? {
        return Ok(false);
    }
    super::pass_on(stage, &ScanTask { generation: scan.generation, scan: id, hops }).await?;
    Ok(true)
}

async fn file_window(
    stage: &Stage,
    scan: &mut Scan,
    lines: &dyn KeyLines,
) -> Result<bool, StageError> {
    let ScanRange::File { line } = scan.range else { return Ok(false) };
    let limit = stage.policy.limits.window_keys;
    let (keys, next) = lines.read(line, limit).await.map_err(LedgerError::Unreadable)?;
    scan.closed = keys.len() < limit;
    scan.range = ScanRange::File { line: next };
    let mut window = Window::default();
    for key in keys {
        window.listed(stage, &key, 0);
        window.entries.push(Entry::named(key, Action::Look, 0));
    }
    close_window(stage, scan, window).await
}

async fn candidates_window(stage: &Stage, scan: &mut Scan) -> Result<bool, StageError> {
    let ScanRange::Candidates { after } = &scan.range else { return Ok(false) };
    let prefix = Notes::prefix(List::Candidates, scan.generation);
    let after = after.clone().map(rows::RowKey);
    let page = stage.ledger.page(&prefix, after.as_ref(), 1).await?;
    let Some((key, row)) = page.into_iter().next() else {
        scan.closed = true;
        return close_window(stage, scan, Window::default()).await;
    };
    let notes: Notes = rows::parse(&key, &row)?;
    scan.range = ScanRange::Candidates { after: Some(key.0) };
    let mut window = Window::default();
    let of = Scan::row_key(scan.generation, notes.of.scan);
    let named = rows::load::<Scan>(&*stage.ledger, &of).await?;
    if named.and_then(|scan| scan.attempt_of(notes.of.window)) == Some(notes.of.attempt) {
        window.entries.extend(notes.notes.into_iter().map(|note| Entry {
            destination: note.etag.map(Condition::Is),
            ..Entry::named(note.key, Action::Delete, note.size)
        }));
    }
    close_window(stage, scan, window).await
}
