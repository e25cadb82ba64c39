//! Runs the scans of a batch: each until its range is listed, or its time is over.

use std::sync::Arc;

use aws_lambda_events::sqs::SqsEvent;
use tranship_core::error::{Disposition, StageError};
use tranship_core::finder::{self, KeyLines, ScanEnd};
use tranship_core::message::{Message, ScanTask, Work};
use tranship_core::ports::{Queue, Received};
use tranship_core::rows::{self, Run};
use tranship_stack::batch::{self, Answer};
use tranship_stack::metrics::{Metrics, Unit};
use tranship_stack::{Failure, Surroundings, breaker, deadline};

use crate::runs;

/// How long a scan waits after a listing that failed.
const PAUSE_MS: u64 = 10_000;

/// What became of a message.
enum Done {
    Listed,
    /// It comes again, for this reason.
    Again(String),
    Unreadable(String),
}

pub(crate) async fn run(surroundings: &Surroundings, event: &SqsEvent, deadline_ms: u64) -> Answer {
    let stage = &surroundings.stage;
    let before = stage.progress.read().listed_objects;
    let mut answer = Answer::default();
    for message in &event.records {
        let received = batch::received(message);
        let work = batch::caught(Box::pin(scan(surroundings, &received)));
        let done = match deadline::within(stage, deadline_ms, work).await {
            Some(Ok(Ok(done))) => done,
            Some(Ok(Err(failure))) => Done::Again(failure.message),
            Some(Err(panic)) => Done::Again(panic),
            None => Done::Again("the time was over".to_owned()),
        };
        let id = message.message_id.as_deref().unwrap_or_default();
        if !follow(surroundings, id, &received, done).await {
            answer.fail(id);
        }
    }
    let listed = stage.progress.read().listed_objects.saturating_sub(before);
    Metrics::new(&surroundings.settings.own.stack, stage.clock.now())
        .with("KeysListed", Unit::Count, listed)
        .emit();
    answer
}

/// `true`: the message has done its work.
async fn follow(surroundings: &Surroundings, id: &str, received: &Received, done: Done) -> bool {
    match done {
        Done::Listed => true,
        Done::Again(why) => {
            tracing::warn!(
                message_id = id,
                why,
                receives = received.receives,
                "the scan comes again"
            );
            let queue = &surroundings.stage.queue;
            if let Err(error) = queue.delay(Queue::Scan, &received.receipt, PAUSE_MS).await {
                tracing::warn!(error = %error, "the delay of a message could not be set");
            }
            false
        }
        Done::Unreadable(reason) => {
            tracing::error!(message_id = id, reason, "cannot be read: to the dead-letter queue");
            let url = &surroundings.settings.own.scan.dead_letters;
            surroundings.dead_letters.send(url, &received.body, &reason).await.is_ok()
        }
    }
}

async fn scan(surroundings: &Surroundings, received: &Received) -> Result<Done, Failure> {
    let task = match Message::decode(&received.body) {
        Ok(Message { work: Work::Scan(task), .. }) => task,
        Ok(_) => {
            return Ok(Done::Unreadable("a task that is no scan, in the scan queue".to_owned()));
        }
        Err(error) => return Ok(Done::Unreadable(error.to_string())),
    };
    if !is_of_this_list(surroundings, &task).await? {
        return Ok(Done::Listed);
    }
    let lines = surroundings.prefixes.clone().map(|list| -> Arc<dyn KeyLines> { list });
    match Box::pin(finder::run_scan(&surroundings.stage, &task, lines.as_ref())).await {
        Ok(ScanEnd::Done) => Ok(Done::Listed),
        Ok(ScanEnd::Left) => {
            // The rest is another message's, so that no invocation lasts longer than its time.
            finder::pass_on(&surroundings.stage, &task).await?;
            Ok(Done::Listed)
        }
        Err(StageError::Store(error)) if error.disposition() == Disposition::Halt => {
            breaker::open(&surroundings.stage, &surroundings.mappings, &error).await?;
            Ok(Done::Again(error.to_string()))
        }
        Err(error) => Ok(Done::Again(error.to_string())),
    }
}

/// A run whose list of prefixes was replaced ends unlisted: positions in the new list are not its.
async fn is_of_this_list(surroundings: &Surroundings, task: &ScanTask) -> Result<bool, Failure> {
    if surroundings.prefixes.is_none() {
        return Ok(true);
    }
    let run = rows::load::<Run>(&*surroundings.stage.ledger, &Run::row_key()).await?;
    let fingerprint = runs::fingerprint(surroundings).await?;
    let same = run.is_some_and(|run| run.fingerprint == fingerprint);
    if !same {
        tracing::warn!(run = task.generation, "the list of prefixes, or another setting, changed");
    }
    Ok(same)
}
