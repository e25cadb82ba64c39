//! The worker: runs one task, whatever became of it before.
//!
//! A task says which keys of the destination to make equal to the source's. Objects that were
//! settled before are skipped, the others are worked on side by side, and what each came to is
//! settled in one write at the end. An object that fails for a reason that may pass keeps its
//! task alive: the message comes back later.

mod delete;
mod denied;
mod foresee;
mod park;
mod parts;
mod plan;
mod seen;
mod small;
mod tags;

use std::borrow::Cow;

use futures_util::StreamExt as _;
use futures_util::stream;

use crate::error::{Disposition, ErrorKind, StageError, StoreError};
use crate::finder::events;
use crate::loss::Losses;
use crate::message::{Action, Entry, Message, MessageError, ObjectsTask, Work};
use crate::object::ObjectKey;
use crate::outcome::Outcome;
use crate::ports::Received;
use crate::rows::{AccountRef, HeaderId, Note};
use crate::settle::{self, Settlement};
use crate::stage::Stage;
use crate::store::{Head, ListRequest, Listed, ObjectStore};

pub(crate) use denied::may_write;
pub(crate) use park::{clear, park};
pub use plan::replan;
pub(crate) use plan::{abort_all, abort_orphans, encode, send_parts};

/// The first back-off of a task that failed, in milliseconds; it doubles with each failure.
const TASK_BACK_OFF_MS: u64 = 1_000;
/// The longest a failed task waits.
const TASK_BACK_OFF_MAX_MS: u64 = 15 * 60 * 1_000;

/// What is to become of a message after its task ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// Delete it.
    Settled,
    /// Let it come back, later and for this reason.
    Again { after_ms: u64, why: String },
    /// It can never be read: to the dead-letter queue, with this reason.
    Unreadable(String),
    /// Stop the whole transfer; the message stays.
    Halt(StoreError),
}

impl Done {
    /// The process is to end, and some of the task is still to be done.
    fn left() -> Self {
        Self::Again { after_ms: 0, why: "the process is ending".to_owned() }
    }
}

/// What became of one object: an outcome now, or later by its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settled {
    Now(Outcome, Losses),
    /// The object's upload settles it when it completes.
    ByHeader,
}

/// Runs the task of one message of the transfer queue.
pub async fn run(stage: &Stage, received: &Received) -> Done {
    let work = match Message::decode(&received.body) {
        Ok(message) => message.work,
        Err(error @ (MessageError::Version(_) | MessageError::Malformed(_))) => {
            return Done::Unreadable(error.to_string());
        }
    };
    let ran = match &work {
        Work::Objects(task) => Box::pin(run_objects(stage, task, received.receives)).await,
        Work::Parts(task) => Box::pin(parts::run(stage, task, received.receives)).await,
        Work::Scan(_) => return Done::Unreadable("a scan task in the transfer queue".to_owned()),
    };
    match ran {
        Ok(done) => done,
        Err(StageError::Store(error)) if error.disposition() == Disposition::Halt => {
            Done::Halt(error)
        }
        // The ledger or the network is away: nothing was lost, and nothing is to be judged. The message has
        // only so many deliveries, which have to outlast an outage.
        Err(error) => {
            let after_ms = stage.spread(back_off_ms(received.receives));
            Done::Again { after_ms, why: error.to_string() }
        }
    }
}

async fn run_objects(stage: &Stage, task: &ObjectsTask, receives: u32) -> Result<Done, StageError> {
    let before = settle::task(stage, &task.id).await?;
    let again = receives > 1;
    let of = u32::try_from(task.objects.len()).unwrap_or(u32::MAX);
    let open =
        |object: u32| !before.settled.contains(usize::try_from(object).unwrap_or(usize::MAX));
    let held = hold_deletes(stage, task, open).await?;
    let mut works = Vec::with_capacity(task.objects.len());
    for (object, entry) in (0_u32..).zip(&task.objects) {
        if open(object) && (held.is_none() || entry.action != Action::Delete) {
            let account = AccountRef { task: task.id.clone(), object, of, listed_size: entry.size };
            works.push(work(stage, entry, account, again));
        }
    }
    let worked = stream::iter(works)
        .buffer_unordered(stage.policy.limits.streams_max)
        .collect::<Vec<_>>()
        .await;

    let mut settlements = Vec::new();
    let mut failures: Vec<(u32, &Entry, StoreError)> = Vec::new();
    let mut hopeless = Vec::new();
    let mut left = false;
    let mut halted = None;
    for (object, entry, result) in worked {
        let listed_size = entry.size;
        match result {
            None => left = true,
            Some(Ok(Settled::ByHeader)) => {}
            Some(Ok(Settled::Now(outcome, losses))) => {
                let prefix = stage.prefix_of(&entry.key);
                let note = None;
                settlements.push(Settlement { object, outcome, listed_size, note, losses, prefix });
            }
            Some(Err(StageError::Ledger(error))) => return Err(error.into()),
            Some(Err(StageError::Store(error))) => match error.disposition() {
                Disposition::Halt => halted = Some(error),
                Disposition::Permanent => hopeless.push((object, entry, error)),
                Disposition::Retry | Disposition::Replan => failures.push((object, entry, error)),
            },
        }
    }
    if halted.is_some() || stage.is_stopping() {
        // They were denied before it was clear that everything is.
        let before = hopeless.len();
        hopeless.retain(|(_, _, error)| error.kind != ErrorKind::Forbidden);
        left |= hopeless.len() < before;
    }
    let count = count_failure(stage, task, &failures).await?;
    let is_over = count >= stage.policy.failures_max;
    if is_over {
        hopeless.extend(failures.extract_if(.., |(_, _, error)| is_real(error)));
    }
    let why = failures.first().map(|(_, _, error)| error.to_string());
    // Being asked to slow down is counted by no one, and has only the deliveries to go by.
    let waits = if count == 0 || is_over { receives } else { count };
    let back_off = why.is_some().then(|| stage.spread(back_off_ms(waits)));
    for (object, entry, error) in &hopeless {
        let account =
            AccountRef { task: task.id.clone(), object: *object, of, listed_size: entry.size };
        settlements.push(give_up(stage, account, entry, error).await?);
    }
    settle::settle(stage, &task.id, &settlements).await?;
    Ok(match (halted, back_off) {
        (Some(error), _) => Done::Halt(error),
        (None, Some(after_ms)) => Done::Again { after_ms, why: why.unwrap_or_default() },
        (None, None) if left => Done::left(),
        (None, None) => held.unwrap_or(Done::Settled),
    })
}

/// What is to become of a task whose deletes have to wait, because events asked for too many.
async fn hold_deletes(
    stage: &Stage,
    task: &ObjectsTask,
    open: impl Fn(u32) -> bool,
) -> Result<Option<Done>, StageError> {
    if !events::is_account(task.id.generation) {
        return Ok(None);
    }
    let deletes = (0_u32..).zip(&task.objects);
    let deletes =
        deletes.filter(|(object, entry)| entry.action == Action::Delete && open(*object)).count();
    if deletes == 0 {
        return Ok(None);
    }
    let held = events::hold_deletes(stage, u64::try_from(deletes).unwrap_or(u64::MAX)).await?;
    Ok(held.map(|after_ms| {
        let most = stage.policy.limits.event_deletes_per_hour;
        let why = format!("events may delete {most} objects an hour, and these are more");
        Done::Again { after_ms, why }
    }))
}

/// Whether it is a failure of the object or the part: being asked to slow down is none.
fn is_real(error: &StoreError) -> bool {
    error.kind != ErrorKind::Throttled
}

/// Counts a delivery in which an object really failed; gives the number of them.
async fn count_failure(
    stage: &Stage,
    task: &ObjectsTask,
    failures: &[(u32, &Entry, StoreError)],
) -> Result<u32, StageError> {
    if !failures.iter().any(|(_, _, error)| is_real(error)) {
        return Ok(0);
    }
    Ok(settle::count_failure(stage, &task.id).await?)
}

/// How long a task waits that failed so often.
pub(crate) fn back_off_ms(failures: u32) -> u64 {
    (TASK_BACK_OFF_MS << failures.min(20)).min(TASK_BACK_OFF_MAX_MS)
}

/// Gives an object up, and the upload that was planned for it.
async fn give_up(
    stage: &Stage,
    account: AccountRef,
    entry: &Entry,
    error: &StoreError,
) -> Result<Settlement, StageError> {
    if entry.action != Action::Delete
        && let Ok(key) = stage.destination_key(&entry.key)
    {
        park::park_planned(stage, &HeaderId::of(&key), &account, &error.to_string()).await?;
    }
    Ok(failed(stage, account.object, entry, error))
}

fn failed(stage: &Stage, object: u32, entry: &Entry, error: &StoreError) -> Settlement {
    // A key that only the destination has is left there; the listing's balance does not know it.
    let outcome = match entry.action {
        Action::Delete => Outcome::Extra,
        Action::Copy | Action::Check | Action::Look => Outcome::Failed,
    };
    let note = Note {
        key: entry.key.clone(),
        size: entry.size,
        reason: Some(error.to_string()),
        etag: entry.etag.clone(),
    };
    let (listed_size, losses) = (entry.size, Losses::new());
    let prefix = stage.prefix_of(&entry.key);
    Settlement { object, outcome, listed_size, note: Some(note), losses, prefix }
}

/// Works on one object, unless the process is to end; says which one it was.
///
/// `again`: whoever had the task before may have died after copying it, and before settling it.
async fn work<'a>(
    stage: &Stage,
    entry: &'a Entry,
    account: AccountRef,
    again: bool,
) -> (u32, &'a Entry, Option<Result<Settled, StageError>>) {
    let object = account.object;
    if stage.is_stopping() {
        return (object, entry, None);
    }
    let now = if again && entry.action == Action::Copy {
        Cow::Owned(Entry { action: Action::Check, ..entry.clone() })
    } else {
        Cow::Borrowed(entry)
    };
    (object, entry, Some(Box::pin(one(stage, &now, account)).await))
}

async fn one(stage: &Stage, entry: &Entry, account: AccountRef) -> Result<Settled, StageError> {
    match entry.action {
        // An event may be old: the key is there again, and its copy is to be as it is now.
        Action::Delete
            if entry.destination.is_none() && !source_is_gone(stage, &entry.key).await? =>
        {
            let look = Entry { action: Action::Look, ..entry.clone() };
            Box::pin(small::make_equal(stage, &look, account)).await
        }
        Action::Delete => {
            let outcome = delete::delete(stage, entry).await?;
            Ok(Settled::Now(outcome, Losses::new()))
        }
        Action::Copy | Action::Check | Action::Look => {
            Box::pin(small::make_equal(stage, entry, account)).await
        }
    }
}

/// A HEAD that says "absent" instead of failing, where absence is what the store says.
///
/// A 404 without a body may also mean a missing bucket; the caller of this only reads a state that
/// a condition on the next write will prove or refute.
pub(crate) async fn head_if_there(
    stage: &Stage,
    store: &dyn ObjectStore,
    key: &ObjectKey,
) -> Result<Option<Head>, StoreError> {
    match stage.retried(|| store.head(key, None, None)).await {
        Ok(head) => Ok(Some(head)),
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::NoSuchKey) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What an exact listing says of a key: where a HEAD's 404 proves nothing, this does.
pub(crate) async fn listed(
    stage: &Stage,
    store: &dyn ObjectStore,
    key: &ObjectKey,
) -> Result<Option<Listed>, StoreError> {
    let request =
        ListRequest { prefix: key.as_str().to_owned(), limit: 1, ..ListRequest::default() };
    let page = stage.retried(|| store.list(&request)).await?;
    Ok(page.objects.into_iter().next().filter(|listed| listed.key == *key))
}

/// Whether the source provably has no such key: an exact listing says so, unless it may be late. Then
/// a GET has to say so, too, in an answer with a body.
pub(crate) async fn source_is_gone(stage: &Stage, key: &ObjectKey) -> Result<bool, StoreError> {
    if listed(stage, &*stage.source, key).await?.is_some() {
        return Ok(false);
    }
    if !stage.policy.source_lists_late {
        return Ok(true);
    }
    match stage.retried(|| stage.source.get(key, None, None)).await {
        Ok(_) => Ok(false),
        Err(error) if error.kind == ErrorKind::NoSuchKey => Ok(true),
        Err(error) => Err(error),
    }
}

/// Why a key that is listed is not there for a HEAD, whose answer has no body to say it in. That of a GET
/// has one: a link may lead nowhere.
pub(crate) async fn why_not_there(stage: &Stage, key: &ObjectKey) -> StoreError {
    let answer = stage.retried(|| stage.source.get(key, None, None)).await;
    match stage.judged(answer) {
        Err(error) if !matches!(error.kind, ErrorKind::NotFound | ErrorKind::NoSuchKey) => error,
        Ok(_) | Err(_) => {
            let text = "a HEAD says that it is not there, the listing says that it is";
            StoreError::new(ErrorKind::Lied, format!("HeadObject {key}"), text)
        }
    }
}
