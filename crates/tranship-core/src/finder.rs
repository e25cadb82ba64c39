//! The finder: begins a run, lists both sides range by range, hands out tasks, and closes the
//! run when its accounts balance.

pub mod events;
mod prefixes;
mod scan;
mod sum;
mod watch;

use self::sum::sum;
use crate::breakdown::WindowShare;
use crate::error::{LedgerError, StageError};
use crate::message::{ScanTask, Work};
use crate::outcome::{Account, Count, Outcome};
use crate::ports::Queue;
use crate::rows::{self, List, Notes, RowKey, Run, RunState, Scan, ScanRange, TaskId, Totals};
use crate::stage::Stage;
use crate::timeline::Timeline;
use crate::worker::encode;

pub use scan::{KeyLines, ScanEnd, run as run_scan};
pub use sum::{Sum, totals};
pub use watch::{Watched, watch};

/// Rows of one page of the ledger.
const PAGE_ROWS: usize = 500;
/// Rows of one page of notes: each may hold hundreds of keys, and what is read is held in memory.
const NOTES_PAGE_ROWS: usize = 50;
/// The scan that a run begins with.
const FIRST_SCAN: u64 = 1;
/// The scan of the deletes phase.
pub(crate) const DELETE_SCAN: u64 = 0;

/// How a run was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    Fresh(Run),
    /// An earlier process began it and did not end it.
    Resumed(Run),
}

impl Begun {
    pub fn run(&self) -> &Run {
        match self {
            Self::Fresh(run) | Self::Resumed(run) => run,
        }
    }
}

/// Begins a run, or goes on with the open one if it was begun with the same settings.
pub async fn begin(
    stage: &Stage,
    fingerprint: &str,
    range: ScanRange,
    insist: bool,
) -> Result<Begun, StageError> {
    loop {
        let last = rows::load::<Run>(&*stage.ledger, &Run::row_key()).await?;
        if let Some(run) = &last
            && run.is_open()
            && run.fingerprint == fingerprint
        {
            resend_scans(stage, run.generation).await?;
            return Ok(Begun::Resumed(run.clone()));
        }
        // A ledger that was lost must not number its runs anew: messages of the lost ones may still
        // be on their way.
        let (revision, generation) =
            last.as_ref().map_or((0, stage.clock.now().0), |run| (run.revision, run.generation));
        let mut run = Run {
            revision: revision + 1,
            generation: generation + 1,
            state: RunState::Copying,
            started: stage.clock.now(),
            ended: None,
            fingerprint: fingerprint.to_owned(),
            totals: None,
            progress: None,
            insist,
            told: false,
            timeline: Timeline::default(),
        };
        run.mark(run.started, &Totals::default());
        let scan = Scan { insist, ..new_scan(run.generation, FIRST_SCAN, range.clone(), None) };
        if rows::store_both(&*stage.ledger, &run, &scan).await? {
            // First, since there may be millions of rows to be forgotten.
            send_scan(stage, run.generation, FIRST_SCAN, 0).await?;
            forget(stage, generation).await?;
            return Ok(Begun::Fresh(run));
        }
    }
}

/// What an earlier run left in the ledger, its uploads apart: those are taken over.
async fn forget(stage: &Stage, generation: u64) -> Result<(), LedgerError> {
    for prefix in [
        Scan::prefix(generation),
        TaskId::prefix(generation),
        WindowShare::prefix(generation),
        Notes::prefix(List::Failures, generation),
        Notes::prefix(List::Candidates, generation),
    ] {
        stage.ledger.forget(&prefix).await?;
    }
    Ok(())
}

pub(crate) fn new_scan(
    generation: u64,
    id: u64,
    range: ScanRange,
    cursor: Option<crate::object::ObjectKey>,
) -> Scan {
    Scan {
        revision: 1,
        generation,
        id,
        range,
        cursor,
        closed: false,
        windows: 0,
        attempts: Vec::new(),
        listed: Count::default(),
        listed_destination: Count::default(),
        account: Account::default(),
        dispatched: Count::default(),
        insist: false,
    }
}

pub(crate) async fn send_scan(
    stage: &Stage,
    generation: u64,
    scan: u64,
    hops: u32,
) -> Result<(), LedgerError> {
    let body = encode(Work::Scan(ScanTask { generation, scan, hops }))?;
    stage.queue.send(Queue::Scan, vec![body]).await
}

/// Hands a scan on to another message. At the limit of hops there is none: a chain of messages that
/// long is taken for a loop by the queue's service, so that the next sweep begins a new one.
pub async fn pass_on(stage: &Stage, task: &ScanTask) -> Result<(), LedgerError> {
    let hops = task.hops + 1;
    if hops >= stage.policy.limits.hops_max {
        return Ok(());
    }
    send_scan(stage, task.generation, task.scan, hops).await
}

/// Sends the open scans again whose messages were lost, if the queue is empty.
pub async fn resend_scans(stage: &Stage, generation: u64) -> Result<(), StageError> {
    if stage.queue.depth(Queue::Scan).await? > 0 {
        return Ok(());
    }
    for scan in scans(stage, generation).await?.into_iter().filter(|scan| !scan.closed) {
        send_scan(stage, generation, scan.id, 0).await?;
    }
    Ok(())
}

/// The scans of a run, as far as they were begun.
pub async fn scans(stage: &Stage, generation: u64) -> Result<Vec<Scan>, LedgerError> {
    let prefix = Scan::prefix(generation);
    let mut scans = Vec::new();
    let mut after = None;
    loop {
        let page = stage.ledger.page(&prefix, after.as_ref(), PAGE_ROWS).await?;
        for (key, row) in &page {
            scans.push(rows::parse::<Scan>(key, row)?);
        }
        match page.into_iter().last() {
            Some((key, _)) => after = Some(key),
            None => return Ok(scans),
        }
    }
}

/// What a run's end depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conclusion {
    /// Something is still to be listed or settled.
    NotYet(Totals),
    /// Nobody has had the time to see whether it has ended.
    Unknown,
    /// The copies are settled; now the deletes are on their way.
    Deleting,
    Ended(Run),
}

/// Whether the next [`conclude`] would begin the deletes: the moment to write the manifest.
pub async fn is_about_to_delete(stage: &Stage, generation: u64) -> Result<bool, StageError> {
    if stage.policy.delete.is_none() {
        return Ok(false);
    }
    let run = rows::load::<Run>(&*stage.ledger, &Run::row_key()).await?;
    let copying = run.is_some_and(|run| run.state == RunState::Copying);
    let Sum { totals, scans, is_whole } = sum(stage, generation).await?;
    let listed = is_whole && scans.iter().all(|scan| scan.closed);
    Ok(copying && listed && totals.account.get(Outcome::Extra).objects > 0)
}

/// Closes a run whose scans are closed and whose tasks are settled, after its deletes if it has any.
pub async fn conclude(stage: &Stage, generation: u64) -> Result<Conclusion, StageError> {
    let Some(mut run) = rows::load::<Run>(&*stage.ledger, &Run::row_key()).await? else {
        return Err(LedgerError::Unreadable("the run's row is gone".to_owned()).into());
    };
    if run.generation != generation || !run.is_open() {
        return Ok(Conclusion::Ended(run));
    }
    let Sum { totals, scans, is_whole } = sum(stage, generation).await?;
    if !is_whole {
        return Ok(Conclusion::Unknown);
    }
    if totals.unsettled != Count::default() || scans.iter().any(|scan| !scan.closed) {
        return Ok(Conclusion::NotYet(totals));
    }
    let extra = totals.account.get(Outcome::Extra).objects;
    if run.state == RunState::Copying && extra > 0 && deletes_allowed(stage, &scans, extra) {
        run.state = RunState::Deleting;
        run.mark(stage.clock.now(), &totals);
        run.revision += 1;
        let scan = new_scan(generation, DELETE_SCAN, ScanRange::Candidates { after: None }, None);
        if rows::store_both(&*stage.ledger, &run, &scan).await? {
            send_scan(stage, generation, DELETE_SCAN, 0).await?;
        }
        return Ok(Conclusion::Deleting);
    }
    close(stage, run, totals, RunState::Complete).await.map(Conclusion::Ended)
}

/// Ends a run that is not to go on; what is unsettled stays counted so, and what there is no time to count.
pub async fn abandon(stage: &Stage, mut run: Run) -> Result<Run, StageError> {
    let totals = sum(stage, run.generation).await?.totals;
    run.totals = None;
    close(stage, run, totals, RunState::Incomplete).await
}

async fn close(
    stage: &Stage,
    mut run: Run,
    totals: Totals,
    state: RunState,
) -> Result<Run, StageError> {
    // A run that does not balance is never called complete.
    run.state = if totals.balances() { state } else { RunState::Incomplete };
    let now = stage.clock.now();
    run.mark(now, &totals);
    run.totals = Some(totals);
    run.ended = Some(now);
    run.revision += 1;
    let _moved_on = rows::store(&*stage.ledger, &run).await?;
    Ok(run)
}

/// Whether the number of extra objects is within the guard.
pub fn deletes_allowed(stage: &Stage, scans: &[Scan], extra: u64) -> bool {
    let listed: u64 = scans.iter().map(|scan| scan.listed_destination.objects).sum();
    stage.policy.delete.is_some_and(|guard| guard.admits(extra, listed))
}

/// Some notes of a list, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NotesPage {
    pub notes: Vec<rows::Note>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<RowKey>,
}

/// The notes of a list that count, of one page of rows. The events of an hour have no scans, and
/// all of theirs count.
pub async fn notes_after(
    stage: &Stage,
    list: List,
    generation: u64,
    after: Option<&RowKey>,
) -> Result<NotesPage, LedgerError> {
    let prefix = Notes::prefix(list, generation);
    let rows = stage.ledger.page(&prefix, after, NOTES_PAGE_ROWS).await?;
    let mut page = NotesPage { notes: Vec::new(), next: rows.last().map(|(key, _)| key.clone()) };
    if rows.is_empty() {
        return Ok(page);
    }
    let scans = scans(stage, generation).await?;
    for (key, row) in &rows {
        let notes: Notes = rows::parse(key, row)?;
        let scan = scans.iter().find(|scan| scan.id == notes.of.scan);
        let closed_by = scan.and_then(|scan| scan.attempt_of(notes.of.window));
        if events::is_account(generation) || closed_by == Some(notes.of.attempt) {
            page.notes.extend(notes.notes);
        }
    }
    Ok(page)
}

/// The notes of a list of a run, page by page; `each` is given those that count.
pub async fn notes(
    stage: &Stage,
    list: List,
    generation: u64,
    mut each: impl FnMut(&rows::Note) -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    let mut after = None;
    loop {
        let page = notes_after(stage, list, generation, after.as_ref()).await?;
        page.notes.iter().try_for_each(&mut each)?;
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}
