//! Sums up a run from its rows.
//!
//! A run of hundreds of millions of objects has millions of rows, and whoever adds them up may have a minute
//! or two. What he has by then is kept, and the next one goes on behind it. A row that was added up early may
//! have settled more since, and never less: such a sum shows too little as settled, so that no run is taken for
//! ended which is not.

use serde::{Deserialize, Serialize};

use super::{DELETE_SCAN, PAGE_ROWS, scans};
use crate::error::LedgerError;
use crate::loss::LossCounts;
use crate::outcome::{Account, Count, Outcome};
use crate::rows::{self, RowKey, Scan, Stored, Task, TaskId, Totals};
use crate::stage::Stage;

/// What tasks have settled.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Settled {
    pub(super) account: Account,
    pub(super) losses: LossCounts,
    pub(super) count: Count,
    /// Of these, by the tasks of the deletes phase.
    of_deletes: Count,
    pub(super) failed_deliveries: u64,
    pub(super) failed_deletes: u64,
}

impl Settled {
    fn add(&mut self, task: &Task) {
        self.losses.add_all(&task.losses);
        self.failed_deliveries += u64::from(task.failures) + u64::from(task.part_failures);
        self.failed_deletes += u64::from(task.failed_deletes);
        self.account.add_all(&task.account);
        for (_, count) in task.account.iter() {
            self.count.add(count);
            if task.id.scan == DELETE_SCAN {
                self.of_deletes.add(count);
            }
        }
    }
}

/// A sum that somebody had no time to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Tally {
    revision: u64,
    generation: u64,
    /// The last row that is in it; `None`: nothing is.
    after: Option<String>,
    settled: Settled,
}

impl Tally {
    fn row_key() -> RowKey {
        RowKey("tally".to_owned())
    }
}

impl Stored for Tally {
    fn key(&self) -> RowKey {
        Self::row_key()
    }
    fn revision(&self) -> u64 {
        self.revision
    }
}

/// A run, as far as it was summed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    pub totals: Totals,
    pub scans: Vec<Scan>,
    /// All rows are in it.
    pub is_whole: bool,
}

/// Sums up a run, however long that takes.
pub async fn totals(stage: &Stage, generation: u64) -> Result<(Totals, Vec<Scan>), LedgerError> {
    let scans = scans(stage, generation).await?;
    let mut settled = Settled::default();
    add_up(stage, generation, &mut settled, None, |task| counts(&scans, task), || false).await?;
    Ok((balance(&scans, settled), scans))
}

/// Sums up a run in the time that is there; the next call goes on behind what is in this one.
pub(super) async fn sum(stage: &Stage, generation: u64) -> Result<Sum, LedgerError> {
    let known = rows::load::<Tally>(&*stage.ledger, &Tally::row_key()).await?;
    let revision = known.as_ref().map_or(0, |tally| tally.revision) + 1;
    let begun = known.filter(|tally| tally.generation == generation && tally.after.is_some());
    let was_begun = begun.is_some();
    let (mut settled, after) =
        begun.map(|tally| (tally.settled, tally.after.map(RowKey))).unwrap_or_default();
    let scans = scans(stage, generation).await?;
    let of = |task: &Task| counts(&scans, task);
    let after = add_up(stage, generation, &mut settled, after, of, || stage.is_stopping()).await?;
    let is_whole = after.is_none();
    if !is_whole || was_begun {
        let kept = if is_whole { Settled::default() } else { settled.clone() };
        // Whoever sums up at the same time may be further, or not as far: either will do.
        let after = after.map(|after| after.0);
        let tally = Tally { revision, generation, after, settled: kept };
        rows::store(&*stage.ledger, &tally).await?;
    }
    Ok(Sum { totals: balance(&scans, settled), scans, is_whole })
}

/// Adds up all tasks of a generation, whatever window they are of.
pub(super) async fn all_settled(stage: &Stage, generation: u64) -> Result<Settled, LedgerError> {
    let mut settled = Settled::default();
    add_up(stage, generation, &mut settled, None, |_| true, || false).await?;
    Ok(settled)
}

/// A window that was listed twice: its first tasks worked, and count for nothing.
fn counts(scans: &[Scan], task: &Task) -> bool {
    let scan = scans.iter().find(|scan| scan.id == task.id.scan);
    scan.and_then(|scan| scan.attempt_of(task.id.window)) == Some(task.id.attempt)
}

fn balance(scans: &[Scan], settled: Settled) -> Totals {
    let mut totals = Totals::default();
    let mut dispatched = Count::default();
    for scan in scans {
        totals.listed.add(scan.listed);
        totals.account.add_all(&scan.account);
        dispatched.add(scan.dispatched);
    }
    totals.account.add_all(&settled.account);
    // It was counted as extra when it was listed.
    totals.account.take_count(Outcome::Extra, settled.of_deletes);
    totals.losses = settled.losses;
    totals.failed_deliveries = settled.failed_deliveries;
    totals.failed_deletes = settled.failed_deletes;
    totals.unsettled = Count {
        objects: dispatched.objects.saturating_sub(settled.count.objects),
        bytes: dispatched.bytes.saturating_sub(settled.count.bytes),
    };
    totals
}

/// Adds the tasks of a generation that count and come after a row. Gives the last row that is in it, if it
/// is `enough` before the end: a page at least is always added.
async fn add_up(
    stage: &Stage,
    generation: u64,
    settled: &mut Settled,
    mut after: Option<RowKey>,
    counts: impl Fn(&Task) -> bool,
    enough: impl Fn() -> bool,
) -> Result<Option<RowKey>, LedgerError> {
    let prefix = TaskId::prefix(generation);
    loop {
        let page = stage.ledger.page(&prefix, after.as_ref(), PAGE_ROWS).await?;
        for (key, row) in &page {
            let task: Task = rows::parse(key, row)?;
            if counts(&task) {
                settled.add(&task);
            }
        }
        match page.into_iter().last() {
            Some((key, _)) => after = Some(key),
            None => return Ok(None),
        }
        if enough() {
            return Ok(after);
        }
    }
}
