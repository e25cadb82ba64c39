//! What a report of a run needs besides its status: the account by prefix, as much of it as one answer
//! holds, and with the last of it how the run went over time. Whoever asks adds the answers up: a run
//! may have more rows than an invocation has time.

use serde::Serialize;
use tranship_core::breakdown::{self, Stretch};
use tranship_core::finder;
use tranship_core::rows::{self, Run};
use tranship_core::timeline::Mark;
use tranship_stack::{Failure, Surroundings};

/// A part of the account, and the next one begins behind its last row.
#[derive(Debug, Serialize)]
pub(crate) struct Part {
    /// The last run that was begun. If it is another than the one that was asked for, rows of that are
    /// forgotten, and this is no account of it.
    run: Option<u64>,
    #[serde(flatten)]
    stretch: Stretch,
    /// In the last part.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeline: Option<Vec<Moment>>,
}

/// How far the run was when somebody looked, in milliseconds since it began.
#[derive(Debug, Serialize)]
struct Moment {
    at_ms: u64,
    bytes_copied: u64,
    settled_objects: u64,
    failed_deliveries: u64,
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
    let asked = run.as_ref().filter(|run| run.generation == generation);
    let timeline = asked.filter(|_| stretch.through.is_none()).map(timeline);
    Ok(Part { run: run.map(|run| run.generation), stretch, timeline })
}

fn timeline(run: &Run) -> Vec<Moment> {
    let moment = |(at_ms, mark): &(u64, Mark)| {
        let Mark { bytes_copied, settled_objects, failed_deliveries } = *mark;
        Moment { at_ms: *at_ms, bytes_copied, settled_objects, failed_deliveries }
    };
    run.timeline.points().iter().map(moment).collect()
}
