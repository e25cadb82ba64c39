//! The account of a run by prefix, as much of it as one answer holds. Whoever asks adds the answers
//! up: a run may have more rows than an invocation has time.

use serde::Serialize;
use tranship_core::breakdown::{self, Stretch};
use tranship_core::finder;
use tranship_core::rows::{self, Run};
use tranship_stack::{Failure, Surroundings};

/// A part of the account, and the next one begins behind its last row.
#[derive(Debug, Serialize)]
pub(crate) struct Part {
    /// The last run that was begun. If it is another than the one that was asked for, rows of that are
    /// forgotten, and this is no account of it.
    run: Option<u64>,
    #[serde(flatten)]
    stretch: Stretch,
}

pub(crate) async fn report(
    surroundings: &Surroundings,
    generation: u64,
    after: Option<&str>,
) -> Result<Part, Failure> {
    let stage = &surroundings.stage;
    let ledger = &*stage.ledger;
    let scans = finder::scans(stage, generation).await?;
    let enough = || stage.is_stopping();
    let stretch = breakdown::stretch(ledger, generation, &scans, after, enough).await?;
    // Read last: the next run is on record before the rows of this one are forgotten.
    let run = rows::load::<Run>(ledger, &Run::row_key()).await?;
    Ok(Part { run: run.map(|run| run.generation), stretch })
}
