//! The sweep, from time to time: starts again what stopped halfway, sees runs end, and tells of it.

use serde::Serialize;
use tranship_core::breaker::{Breaker, State};
use tranship_core::finder::{self, Watched, events};
use tranship_core::fleet;
use tranship_core::object::Millis;
use tranship_core::outcome::Outcome;
use tranship_core::ports::Queue;
use tranship_core::rows::{self, Run};
use tranship_core::sweep;
use tranship_stack::metrics::{Metrics, Unit};
use tranship_stack::notices::Report;
use tranship_stack::settings::Schedule;
use tranship_stack::{Failure, Surroundings, breaker};

use crate::runs;

/// Hours of events that one sweep tells of: after an outage the others follow.
const HOURS_MAX: usize = 8;

/// What the sweep found.
#[derive(Debug, Serialize)]
pub(crate) struct Swept {
    breaker: Option<State>,
    run: Option<Report>,
}

pub(crate) async fn sweep(surroundings: &Surroundings) -> Result<Swept, Failure> {
    let Surroundings { settings, stage, mappings, .. } = surroundings;
    let breaker = breaker::sweep(stage, mappings).await?;
    if !breaker.is_closed() {
        let run = rows::load::<Run>(&*stage.ledger, &Run::row_key()).await?;
        gauges(surroundings, &breaker, run.as_ref(), 0);
        let run = run.as_ref().map(Report::of_run);
        return Ok(Swept { breaker: Some(breaker.state), run });
    }
    let waiting = fleet::waiting(stage).await?;
    help(surroundings).await?;
    sweep::sweep(stage, waiting == 0).await?;
    if settings.schedule == Schedule::Once
        && rows::load::<Run>(&*stage.ledger, &Run::row_key()).await?.is_none()
    {
        runs::begin(surroundings, false).await?;
    }
    watch(surroundings).await?;
    tell_of_run(surroundings).await?;
    tell_of_hours(surroundings).await?;
    let run = rows::load::<Run>(&*stage.ledger, &Run::row_key()).await?;
    gauges(surroundings, &breaker, run.as_ref(), waiting);
    Ok(Swept { breaker: None, run: run.as_ref().map(Report::of_run) })
}

/// Lets the functions take the tasks of the largest objects while nobody else does.
async fn help(surroundings: &Surroundings) -> Result<(), Failure> {
    let Surroundings { settings, stage, mappings, .. } = surroundings;
    if stage.policy.large_object_bytes.is_none() {
        return Ok(());
    }
    let waiting = stage.queue.depth(Queue::Large).await?;
    let needed = fleet::needs_help(stage, waiting).await?;
    if needed {
        tracing::warn!(
            "tasks of the largest objects wait, and no instance has shown itself: functions take them"
        );
    }
    mappings.help(needed).await?;
    Metrics::new(&settings.own.stack, stage.clock.now())
        .with("LargeWaiting", Unit::Count, waiting)
        .with("FleetAbsent", Unit::Count, u64::from(needed))
        .emit();
    Ok(())
}

async fn watch(surroundings: &Surroundings) -> Result<(), Failure> {
    let Surroundings { settings, stage, notices, .. } = surroundings;
    let run = rows::load::<Run>(&*stage.ledger, &Run::row_key()).await?;
    let now = stage.clock.now();
    if let Some(run) =
        run.filter(|run| run.is_open() && !run.has_outlived(settings.run_deadline_ms, now))
        && stage.policy.delete.is_some()
        && is_quiet(surroundings).await?
        && finder::is_about_to_delete(stage, run.generation).await?
    {
        // Before the first of them is deleted.
        notices.write_manifest(stage, run.generation).await?;
    }
    if let Watched::Ended(run) = finder::watch(stage, settings.run_deadline_ms).await? {
        tracing::info!(run = run.generation, state = run.verdict(), "the run has ended");
    }
    Ok(())
}

async fn is_quiet(surroundings: &Surroundings) -> Result<bool, Failure> {
    let queue = &surroundings.stage.queue;
    Ok(queue.depth(Queue::Scan).await? == 0 && fleet::waiting(&surroundings.stage).await? == 0)
}

/// Tells of a run that ended: perhaps twice, and never not at all.
async fn tell_of_run(surroundings: &Surroundings) -> Result<(), Failure> {
    let Surroundings { settings, stage, notices, .. } = surroundings;
    let run = rows::load::<Run>(&*stage.ledger, &Run::row_key()).await?;
    let Some(mut run) = run.filter(|run| !run.is_open() && !run.told) else { return Ok(()) };
    let report = Report::of_run(&run);
    notices.tell(stage, &report).await?;
    run.told = true;
    run.revision += 1;
    if rows::store(&*stage.ledger, &run).await? {
        let is = |state: &str| u64::from(report.state == state);
        Metrics::new(&settings.own.stack, stage.clock.now())
            .with("RunsComplete", Unit::Count, is("complete"))
            .with("RunsFailed", Unit::Count, is("failed"))
            .with("RunsIncomplete", Unit::Count, is("incomplete"))
            .emit();
    }
    Ok(())
}

async fn tell_of_hours(surroundings: &Surroundings) -> Result<(), Failure> {
    let Surroundings { stage, notices, .. } = surroundings;
    for _ in 0..HOURS_MAX {
        let Some(hour) = events::next_hour(stage).await? else { return Ok(()) };
        notices.tell(stage, &Report::of_hour(&hour)).await?;
        events::told(stage, hour.generation).await?;
    }
    Ok(())
}

fn gauges(surroundings: &Surroundings, breaker: &Breaker, run: Option<&Run>, waiting: u64) {
    let Surroundings { settings, stage, .. } = surroundings;
    let now = stage.clock.now();
    let age_ms = |since: Millis| now.0.saturating_sub(since.0);
    let open = run.filter(|run| run.is_open());
    let known = open.and_then(|run| run.progress.as_ref());
    let failed = known.map_or(0, |known| known.account.get(Outcome::Failed).objects);
    Metrics::new(&settings.own.stack, now)
        .with("BreakerOpen", Unit::Count, u64::from(breaker.state == State::Open))
        .with("Paused", Unit::Count, u64::from(breaker.state == State::Paused))
        .with("RunAge", Unit::Seconds, open.map_or(0, |run| age_ms(run.started) / 1_000))
        .with("RunObjectsListed", Unit::Count, known.map_or(0, |known| known.listed.objects))
        .with("RunObjectsFailed", Unit::Count, failed)
        .with("RunObjectsUnsettled", Unit::Count, known.map_or(0, |k| k.unsettled.objects))
        .with("RunBytesUnsettled", Unit::Bytes, known.map_or(0, |known| known.unsettled.bytes))
        .with("TransferWaiting", Unit::Count, waiting)
        .emit();
}
