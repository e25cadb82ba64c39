//! From what an execution was started with to an upload that is visible, or an error by name.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use tranship_adapters::completion::step_functions::Completion;
use tranship_core::completer;
use tranship_core::error::{Disposition, LedgerError, StageError};
use tranship_core::outcome::Outcome;
use tranship_stack::metrics::{Metrics, Unit};
use tranship_stack::{Failure, Name, Surroundings, breaker, deadline};

/// What the execution ends with.
#[derive(Debug, Serialize)]
pub(crate) struct Completed {
    header: String,
    epoch: u64,
}

pub(crate) async fn handle(
    surroundings: Arc<Surroundings>,
    event: Value,
    deadline_ms: u64,
) -> Result<Completed, Failure> {
    let asked: Completion = serde_json::from_value(event).map_err(|error| {
        let text = format!("not what the state machine starts this function with: {error}");
        Failure::new(Name::BadInput, text)
    })?;
    let Completion { header, epoch, attempt } = asked;
    let stage = &surroundings.stage;
    let (began, before) = (stage.clock.now(), stage.progress.read());
    let work = Box::pin(completer::complete(stage, &header, epoch));
    let ended = deadline::within(stage, deadline_ms, work).await.unwrap_or_else(|| {
        let text = "the time was over; the sweep starts the next attempt when the lease has lapsed";
        Err(StageError::Ledger(LedgerError::Unavailable(text.to_owned())))
    });
    tracing::info!(header = header.0, epoch, attempt, ended = ?ended, "completion");
    if let Err(StageError::Store(error)) = &ended
        && error.disposition() == Disposition::Halt
    {
        breaker::open(stage, &surroundings.mappings, error).await?;
    }
    let moved = stage.progress.read().since(&before);
    let (objects, bytes) = moved.of(Outcome::Copied);
    let took_ms = stage.clock.now().0.saturating_sub(began.0);
    Metrics::new(&surroundings.settings.own.stack, stage.clock.now())
        .with("UploadsCompleted", Unit::Count, objects)
        .with("UploadsParked", Unit::Count, moved.parked)
        .with("ObjectsCopied", Unit::Count, objects)
        .with("BytesCopied", Unit::Bytes, bytes)
        .with("CompletionDuration", Unit::Milliseconds, took_ms)
        .emit();
    ended?;
    Ok(Completed { header: header.0, epoch })
}
