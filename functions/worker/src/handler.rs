//! From a batch of the transfer queue to what is to become of each of its messages.

use std::sync::Arc;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use serde_json::Value;
use tranship_core::outcome::Outcome;
use tranship_core::ports::{Queue, Received};
use tranship_core::progress::ProgressReading;
use tranship_core::worker::{self, Done};
use tranship_stack::batch::{self, Answer};
use tranship_stack::metrics::{Metrics, Unit};
use tranship_stack::{Failure, Name, Surroundings, breaker, deadline};

/// How long a message waits whose delivery was cut off, or that met an open breaker.
const PAUSE_MS: u64 = 30_000;

pub(crate) async fn handle(
    surroundings: Arc<Surroundings>,
    event: Value,
    deadline_ms: u64,
) -> Result<Answer, Failure> {
    let event: SqsEvent = serde_json::from_value(event).map_err(|error| {
        Failure::new(Name::BadInput, format!("not a batch of a queue: {error}"))
    })?;
    let stage = &surroundings.stage;
    let (began, before) = (stage.clock.now(), stage.progress.read());
    let mut answer = Answer::default();
    let mut unreadable = 0;
    for message in &event.records {
        let received = batch::received(message);
        let work = batch::caught(Box::pin(worker::run(stage, &received)));
        let done = match deadline::within(stage, deadline_ms, work).await {
            Some(Ok(done)) => done,
            Some(Err(panic)) => Done::Again { after_ms: PAUSE_MS, why: panic },
            None => Done::Again { after_ms: PAUSE_MS, why: "the time was over".to_owned() },
        };
        unreadable += u64::from(matches!(done, Done::Unreadable(_)));
        follow(&surroundings, message, &received, done, &mut answer).await;
    }
    let took_ms = stage.clock.now().0.saturating_sub(began.0);
    tell(&surroundings, &before, &answer, unreadable, took_ms);
    Ok(answer)
}

/// Does what is to become of a message. Whatever fails here leaves it in its queue.
async fn follow(
    surroundings: &Surroundings,
    message: &SqsMessage,
    received: &Received,
    done: Done,
    answer: &mut Answer,
) {
    let stage = &surroundings.stage;
    let id = message.message_id.as_deref().unwrap_or_default();
    match done {
        Done::Settled => {}
        Done::Again { after_ms, why } => {
            tracing::warn!(
                message_id = id,
                after_ms,
                why,
                receives = received.receives,
                "comes again"
            );
            stage.progress.retried();
            delay(surroundings, received, after_ms).await;
            answer.fail(id);
        }
        Done::Unreadable(reason) => {
            tracing::error!(message_id = id, reason, "cannot be read: to the dead-letter queue");
            let url = &surroundings.settings.own.transfer.dead_letters;
            let sent = surroundings.dead_letters.send(url, &received.body, &reason).await;
            if let Err(error) = sent {
                tracing::error!(message_id = id, error = error.message, "could not be sent there");
                answer.fail(id);
            }
        }
        Done::Halt(error) => {
            let opened = breaker::open(stage, &surroundings.mappings, &error).await;
            if let Err(error) = opened {
                tracing::error!(error = error.message, "the breaker could not be opened");
            }
            delay(surroundings, received, PAUSE_MS).await;
            answer.fail(id);
        }
    }
}

/// A message whose delay cannot be set comes again when its visibility ends: later, and not lost.
async fn delay(surroundings: &Surroundings, received: &Received, after_ms: u64) {
    let queue = &surroundings.stage.queue;
    if let Err(error) = queue.delay(Queue::Transfer, &received.receipt, after_ms).await {
        tracing::warn!(error = %error, "the delay of a message could not be set");
    }
}

fn tell(
    surroundings: &Surroundings,
    before: &ProgressReading,
    answer: &Answer,
    unreadable: u64,
    took_ms: u64,
) {
    let stage = &surroundings.stage;
    let moved = stage.progress.read().since(before);
    let (copied, failed) = (moved.of(Outcome::Copied), moved.of(Outcome::Failed));
    let again = u64::try_from(answer.batch_item_failures.len()).unwrap_or(u64::MAX);
    Metrics::new(&surroundings.settings.own.stack, stage.clock.now())
        .with("ObjectsCopied", Unit::Count, copied.0)
        .with("BytesCopied", Unit::Bytes, copied.1)
        .with("ObjectsFailed", Unit::Count, failed.0)
        .with("BytesMoved", Unit::Bytes, moved.bytes_moved)
        .with("UploadsParked", Unit::Count, moved.parked)
        .with("TasksRetried", Unit::Count, again)
        .with("MessagesUnreadable", Unit::Count, unreadable)
        .with("TaskDuration", Unit::Milliseconds, took_ms)
        .emit();
}
