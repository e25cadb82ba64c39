//! What a person asks the stack: how it stands, to try again, to stop, to go on.

use serde::Serialize;
use tranship_core::breaker::{self, Breaker, State};
use tranship_core::finder;
use tranship_core::fleet::Presence;
use tranship_core::object::ObjectKey;
use tranship_core::rows::{self, List, Run};
use tranship_stack::notices::Report;
use tranship_stack::{Failure, Surroundings};

use crate::runs;

/// Failures that an answer names; all of them are in the report of the run.
const FAILURES_MAX: usize = 20;
/// Receives of each dead-letter queue that one command makes: what is left is for the next.
const RECEIVES_MAX: usize = 50;

#[derive(Debug, Serialize)]
pub(crate) struct Status {
    stack: String,
    version: &'static str,
    transfer: TransferNames,
    breaker: Option<BreakerNow>,
    run: Option<Report>,
    queues: Vec<QueueNow>,
    /// `None`: there is no queue of the largest objects.
    fleet: Option<FleetNow>,
    failures: Vec<FailureNow>,
    failures_more: bool,
}

#[derive(Debug, Serialize)]
struct TransferNames {
    id: String,
    source: String,
    destination: String,
}

#[derive(Debug, Serialize)]
struct BreakerNow {
    state: State,
    reason: String,
    since_ms: u64,
}

impl BreakerNow {
    fn of(breaker: Breaker) -> Option<Self> {
        let Breaker { state, reason, since, .. } = breaker;
        (state != State::Closed).then_some(Self { state, reason, since_ms: since.0 })
    }
}

#[derive(Debug, Serialize)]
struct QueueNow {
    name: &'static str,
    waiting: u64,
    in_flight: u64,
}

/// Of those who poll the queue of the largest objects, all together.
#[derive(Debug, Serialize)]
struct FleetNow {
    /// Who showed itself last; `None`: nobody ever did.
    last: Option<SeenLast>,
}

#[derive(Debug, Serialize)]
struct SeenLast {
    by: String,
    seen_ms: u64,
}

#[derive(Debug, Serialize)]
struct FailureNow {
    key: ObjectKey,
    size: u64,
    reason: Option<String>,
}

pub(crate) async fn status(surroundings: &Surroundings) -> Result<Status, Failure> {
    let Surroundings { settings, stage, dead_letters, .. } = surroundings;
    let own = &settings.own;
    let mut queues = Vec::new();
    let mut named = vec![
        ("scan", &own.scan.url),
        ("transfer", &own.transfer.url),
        ("event", &own.event.url),
        ("scan-dead-letter", &own.scan.dead_letters),
        ("transfer-dead-letter", &own.transfer.dead_letters),
        ("event-dead-letter", &own.event.dead_letters),
    ];
    if let Some(large) = &own.large {
        named.extend([("large", &large.url), ("large-dead-letter", &large.dead_letters)]);
    }
    for (name, url) in named {
        let (waiting, in_flight) = dead_letters.depth(url).await?;
        queues.push(QueueNow { name, waiting, in_flight });
    }
    let mut run = rows::load::<Run>(&*stage.ledger, &Run::row_key()).await?;
    if let Some(run) = run.as_mut().filter(|run| run.is_open()) {
        let (totals, _) = finder::totals(stage, run.generation).await?;
        run.totals = Some(totals);
    }
    let (failures, failures_more) = match &run {
        Some(run) => failures(surroundings, run.generation).await?,
        None => (Vec::new(), false),
    };
    Ok(Status {
        stack: own.stack.clone(),
        version: env!("CARGO_PKG_VERSION"),
        transfer: TransferNames {
            id: stage.transfer_id.clone(),
            source: stage.transfer.source.display(),
            destination: stage.transfer.destination.display(),
        },
        breaker: BreakerNow::of(breaker::read(&*stage.ledger).await?),
        run: run.as_ref().map(Report::of_run),
        queues,
        fleet: if own.large.is_some() { Some(fleet(surroundings).await?) } else { None },
        failures,
        failures_more,
    })
}

async fn fleet(surroundings: &Surroundings) -> Result<FleetNow, Failure> {
    let ledger = &*surroundings.stage.ledger;
    let known = rows::load::<Presence>(ledger, &Presence::row_key()).await?;
    // Without a name the row only says since when messages wait.
    let known = known.filter(|known| !known.by.is_empty());
    Ok(FleetNow { last: known.map(|known| SeenLast { by: known.by, seen_ms: known.seen.0 }) })
}

async fn failures(
    surroundings: &Surroundings,
    generation: u64,
) -> Result<(Vec<FailureNow>, bool), Failure> {
    let mut failures = Vec::new();
    let mut after = None;
    loop {
        let page =
            finder::notes_after(&surroundings.stage, List::Failures, generation, after.as_ref());
        let page = page.await?;
        for note in page.notes {
            if failures.len() == FAILURES_MAX {
                return Ok((failures, true));
            }
            failures.push(FailureNow { key: note.key, size: note.size, reason: note.reason });
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok((failures, false)),
        }
    }
}

#[derive(Debug, Default, Serialize)]
struct Messages {
    scan: u64,
    transfer: u64,
    event: u64,
    large: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Retried {
    redriven: Messages,
    left: bool,
}

/// Dead letters go back to their queues, and the next run tries again what was given up.
pub(crate) async fn retry(surroundings: &Surroundings) -> Result<Retried, Failure> {
    let own = &surroundings.settings.own;
    let mut redriven = Messages::default();
    let mut left = false;
    let mut queues = vec![
        (&own.scan, &mut redriven.scan),
        (&own.transfer, &mut redriven.transfer),
        (&own.event, &mut redriven.event),
    ];
    queues.extend(own.large.as_ref().map(|large| (large, &mut redriven.large)));
    for (queue, count) in queues {
        let mut is_empty = false;
        for _ in 0..RECEIVES_MAX {
            if is_empty || surroundings.stage.is_stopping() {
                break;
            }
            let some = surroundings.dead_letters.redrive(queue).await?;
            *count += some.messages;
            is_empty = some.is_empty;
        }
        left |= !is_empty;
    }
    runs::begin(surroundings, true).await?;
    Ok(Retried { redriven, left })
}

#[derive(Debug, Serialize)]
pub(crate) struct Switched {
    breaker: Option<BreakerNow>,
}

pub(crate) async fn pause(surroundings: &Surroundings) -> Result<Switched, Failure> {
    let Surroundings { stage, mappings, .. } = surroundings;
    let reason = "a person paused it";
    let breaker = tranship_stack::breaker::stop(stage, mappings, State::Paused, reason).await?;
    Ok(Switched { breaker: BreakerNow::of(breaker) })
}

pub(crate) async fn resume(surroundings: &Surroundings) -> Result<Switched, Failure> {
    let Surroundings { stage, mappings, .. } = surroundings;
    tranship_stack::breaker::close(stage, mappings, "a person resumed it").await?;
    Ok(Switched { breaker: None })
}
