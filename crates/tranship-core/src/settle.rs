//! Settles outcomes: each object of a task exactly once, however often it is worked on.

use std::collections::BTreeMap;

use crate::error::LedgerError;
use crate::finder::events::is_account;
use crate::loss::{LossCounts, Losses};
use crate::outcome::{Account, Outcome};
use crate::rows::{self, AccountRef, Bits, Header, List, Note, Notes, Task, TaskId};
use crate::stage::Stage;

/// What became of one object of a task.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// Position in the task.
    pub object: u32,
    pub outcome: Outcome,
    /// As listed: what the accounts balance with.
    pub listed_size: u64,
    /// Of a failure: the key and the reason.
    pub note: Option<Note>,
    /// Of a copy: what it lacks.
    pub losses: Losses,
    /// Of the key, where accounts are kept by prefix; see [`Stage::prefix_of`].
    pub prefix: Option<String>,
}

/// The task's row, or what it would be before anything was settled.
pub async fn task(stage: &Stage, id: &TaskId) -> Result<Task, LedgerError> {
    let row = rows::load::<Task>(&*stage.ledger, &id.row_key()).await?;
    Ok(row.unwrap_or_else(|| Task {
        revision: 0,
        id: id.clone(),
        settled: Bits::default(),
        account: Account::default(),
        failures: 0,
        part_failures: 0,
        failed_deletes: 0,
        losses: LossCounts::default(),
        prefixes: BTreeMap::new(),
    }))
}

/// Records the outcomes; those settled before are left as they are.
pub async fn settle(
    stage: &Stage,
    id: &TaskId,
    settlements: &[Settlement],
) -> Result<(), LedgerError> {
    for settlement in settlements {
        if let Some(note) = &settlement.note {
            let (of, object, notes) = (id.clone(), settlement.object, vec![note.clone()]);
            // Written before the outcome, so that no failure is counted without its reason.
            rows::store(&*stage.ledger, &Notes { list: List::Failures, of, object, notes }).await?;
        }
    }
    loop {
        let mut row = task(stage, id).await?;
        let mut fresh = Vec::new();
        for settlement in settlements {
            let bit = usize::try_from(settlement.object).unwrap_or(usize::MAX);
            if row.settled.insert(bit) {
                row.account.add(settlement.outcome, settlement.listed_size);
                row.losses.add(&settlement.losses);
                // Only a failure has a note: what else is left there was not to be deleted.
                let is_failed_delete =
                    settlement.outcome == Outcome::Extra && settlement.note.is_some();
                row.failed_deletes += u32::from(is_failed_delete);
                // An hour of events has no report by prefix.
                if let Some(prefix) = &settlement.prefix
                    && !is_account(id.generation)
                {
                    let outcomes = row.prefixes.entry(prefix.clone()).or_default();
                    outcomes.add(settlement.outcome, settlement.listed_size);
                }
                fresh.push(settlement);
            }
        }
        if fresh.is_empty() {
            return Ok(());
        }
        row.revision += 1;
        if rows::store(&*stage.ledger, &row).await? {
            for settlement in fresh {
                stage.progress.settled(settlement.outcome, 1, settlement.listed_size);
            }
            return Ok(());
        }
    }
}

/// Settles the one object that a header carries.
pub async fn settle_header(
    stage: &Stage,
    header: &Header,
    outcome: Outcome,
    note: Option<Note>,
) -> Result<(), LedgerError> {
    let AccountRef { task, object, listed_size, .. } = &header.account;
    let losses = match outcome {
        Outcome::Copied => header.losses.clone(),
        _ => Losses::new(),
    };
    let (object, listed_size) = (*object, *listed_size);
    let prefix = stage.prefix_of(&header.source_key);
    settle(stage, task, &[Settlement { object, outcome, listed_size, note, losses, prefix }]).await
}

/// Counts a real failure of a task; gives the number so far.
pub async fn count_failure(stage: &Stage, id: &TaskId) -> Result<u32, LedgerError> {
    Ok(change(stage, id, |row| row.failures += 1).await?.failures)
}

/// Counts a real failure of a task that copies parts of one of its objects: it decides nothing here, and
/// stays when the upload is over.
pub async fn count_part_failure(stage: &Stage, id: &TaskId) -> Result<(), LedgerError> {
    change(stage, id, |row| row.part_failures = row.part_failures.saturating_add(1)).await.map(drop)
}

async fn change(
    stage: &Stage,
    id: &TaskId,
    change: impl Fn(&mut Task),
) -> Result<Task, LedgerError> {
    loop {
        let mut row = task(stage, id).await?;
        change(&mut row);
        row.revision += 1;
        if rows::store(&*stage.ledger, &row).await? {
            return Ok(row);
        }
    }
}
