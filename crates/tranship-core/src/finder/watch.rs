//! Watches an open run where nobody stays to see it end: the sweep looks in, from time to time.
//!
//! A run that moves is left alone. One that stands still has lost a message or a worker, and what
//! its rows say is open is sent again. One that outlived its deadline is closed as incomplete, so
//! that nothing ever blocks the next run.

use super::{Conclusion, abandon, conclude, resend_scans};
use crate::error::StageError;
use crate::rows::{self, Run, RunProgress, Totals};
use crate::stage::Stage;

/// How long a run may stand still before what is open is sent again.
const STILL_MS: u64 = 10 * 60 * 1_000;

/// What a look at the run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watched {
    /// No run is open.
    Idle,
    Running(Totals),
    Ended(Run),
}

/// Looks at the open run, if there is one; ends it if it has ended, or after `deadline_ms`.
pub async fn watch(stage: &Stage, deadline_ms: u64) -> Result<Watched, StageError> {
    let Some(mut run) = rows::load::<Run>(&*stage.ledger, &Run::row_key()).await? else {
        return Ok(Watched::Idle);
    };
    if !run.is_open() {
        return Ok(Watched::Idle);
    }
    let now = stage.clock.now();
    let seen = match conclude(stage, run.generation).await? {
        Conclusion::Ended(run) => return Ok(Watched::Ended(run)),
        Conclusion::NotYet(totals) => totals,
        Conclusion::Deleting => return Ok(Watched::Running(Totals::default())),
    };
    if run.started.plus(deadline_ms) <= now {
        return abandon(stage, run).await.map(Watched::Ended);
    }
    let (listed, unsettled) = (seen.listed, seen.unsettled);
    let still_since = run
        .progress
        .as_ref()
        .filter(|last| last.listed == listed && last.unsettled == unsettled)
        .map(|last| last.since);
    match still_since {
        Some(since) if since.plus(STILL_MS) > now => return Ok(Watched::Running(seen)),
        Some(_) => resend_scans(stage, run.generation).await?,
        None => {}
    }
    run.progress = Some(RunProgress { listed, unsettled, since: now });
    run.revision += 1;
    // Somebody else may look at the same time; whoever stored first has seen enough.
    let _moved_on = rows::store(&*stage.ledger, &run).await?;
    Ok(Watched::Running(seen))
}
