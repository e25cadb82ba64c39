//! From a batch of a queue to what is to become of each of its messages.

use std::sync::Arc;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use serde_json::Value;
use tranship_core::ports::Queue;
use tranship_core::worker::Done;
use tranship_stack::batch::{self, Answer};
use tranship_stack::{Failure, Name, Surroundings, breaker, deadline};

use crate::{task, tell};

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
        let queue = queue_of(&surroundings, message);
        let work = task::run(&surroundings, &received);
        let done = match deadline::within(stage, deadline_ms, work).await {
            // What it left was left for its time limit: nothing else stops a function.
            Some(Done::Again { after_ms: 0, why }) => {
                task::cut_off(&surroundings, queue, &received, 0, why).await
            }
            Some(done) => done,
            None => {
                let why = "the time was over".to_owned();
                task::cut_off(&surroundings, queue, &received, task::PAUSE_MS, why).await
            }
        };
        unreadable += u64::from(matches!(done, Done::Unreadable(_)));
        let id = message.message_id.as_deref().unwrap_or_default();
        if !task::follow(&surroundings, queue, id, &received, done).await {
            answer.fail(id);
        }
    }
    let took_ms = stage.clock.now().0.saturating_sub(began.0);
    let moved = stage.progress.read().since(&before);
    let again = u64::try_from(answer.batch_item_failures.len()).unwrap_or(u64::MAX);
    tell::of_tasks(&surroundings, &moved, tell::Tasks { again, unreadable, took_ms });
    Ok(answer)
}

/// The queue that a message comes from.
fn queue_of(surroundings: &Surroundings, message: &SqsMessage) -> Queue {
    let from = message.event_source_arn.as_deref().map(breaker::queue_name);
    let large = surroundings.settings.own.large.as_ref().map(|l| breaker::queue_name(&l.url));
    if large.is_some() && from == large { Queue::Large } else { Queue::Transfer }
}
