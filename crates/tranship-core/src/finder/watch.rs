//! Watches an open run where nobody stays to see it end: the sweep looks in, from time to time.
//!
//! A run whose messages are on their way is left alone, and not even summed up. One whose queues are
//! empty ends, or has lost a message: what its rows say is open is sent again. One that still does
//! not move, or that outlived its deadline, is closed as incomplete, so that nothing ever blocks the
//! next run.

use super::sum::sum;
use super::{Conclusion, Sum, abandon, conclude, is_about_to_delete, resend_scans};
use crate::error::StageError;
use crate::fleet;
use crate::ports::Queue;
use crate::rows::{self, Run, RunProgress, Totals};
use crate::stage::Stage;
use crate::sweep;

/// How old what is known of a busy run may be: summing it up reads a row for each of its tasks.
const KNOWN_MS: u64 = 5 * 60 * 1_000;
/// How long a run with empty queues may stand still before what is open is sent again. What a queue
/// says about its depth may be a minute old.
const STILL_MS: u64 = 2 * 60 * 1_000;
/// And before it is given up: a task that failed may wait a quarter of an hour for its next delivery,
/// and a message that a dead function held comes back after its visibility.
const LOST_MS: u64 = 45 * 60 * 1_000;

/// What a look at the run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watched {
    /// No run is open.
    Idle,
    Running(Run),
    Ended(Run),
}

/// Looks at the open run, if there is one; ends it if it has ended, or after `deadline_ms`.
pub async fn watch(stage: &Stage, deadline_ms: u64) -> Result<Watched, StageError> {
    let Some(run) = rows::load::<Run>(&*stage.ledger, &Run::row_key()).await? else {
        return Ok(Watched::Idle);
    };
    if !run.is_open() {
        return Ok(Watched::Idle);
    }
    let now = stage.clock.now();
    let scans_wait = stage.queue.depth(Queue::Scan).await? > 0;
    let busy = scans_wait || fleet::waiting(stage).await? > 0;
    let outlived = run.has_outlived(deadline_ms, now);
    if busy && !outlived {
        let known = run.progress.as_ref().is_some_and(|known| known.seen.plus(KNOWN_MS) > now);
        if known {
            return Ok(Watched::Running(run));
        }
        let Sum { totals, scans, is_whole } = sum(stage, run.generation).await?;
        if !is_whole {
            return Ok(Watched::Running(run));
        }
        // Tasks keep the other queue busy for hours; a scan whose message is lost must not wait.
        if !scans_wait && scans.iter().any(|scan| !scan.closed) && is_still(&run, &totals, now) {
            resend_scans(stage, run.generation).await?;
        }
        return seen(stage, run, totals).await;
    }
    if outlived && is_about_to_delete(stage, run.generation).await? {
        return abandon(stage, run).await.map(Watched::Ended);
    }
    let totals = match conclude(stage, run.generation).await? {
        Conclusion::Ended(run) => return Ok(Watched::Ended(run)),
        Conclusion::NotYet(_) | Conclusion::Unknown if outlived => {
            return abandon(stage, run).await.map(Watched::Ended);
        }
        Conclusion::Deleting | Conclusion::Unknown => return Ok(Watched::Running(run)),
        Conclusion::NotYet(totals) => totals,
    };
    let still_ms = run.progress.as_ref().filter(|known| known.shows(&totals));
    let still_ms = still_ms.map_or(0, |known| now.0.saturating_sub(known.since.0));
    if still_ms >= LOST_MS && !sweep::is_waiting(stage).await? {
        return abandon(stage, run).await.map(Watched::Ended);
    }
    if still_ms >= STILL_MS {
        resend_scans(stage, run.generation).await?;
    }
    seen(stage, run, totals).await
}

fn is_still(run: &Run, totals: &Totals, now: crate::object::Millis) -> bool {
    let known = run.progress.as_ref().filter(|known| known.shows(totals));
    known.is_some_and(|known| known.since.plus(STILL_MS) <= now)
}

/// Remembers what was seen, and since when it has been so.
async fn seen(stage: &Stage, mut run: Run, totals: Totals) -> Result<Watched, StageError> {
    let now = stage.clock.now();
    run.mark(now, &totals);
    let before = run.progress.take().filter(|known| known.shows(&totals));
    run.progress = Some(Box::new(RunProgress {
        listed: totals.listed,
        unsettled: totals.unsettled,
        since: before.map_or(now, |known| known.since),
        seen: now,
        account: totals.account,
    }));
    run.revision += 1;
    // Somebody else may look at the same time; whoever stored first has seen enough.
    let _moved_on = rows::store(&*stage.ledger, &run).await?;
    Ok(Watched::Running(run))
}
