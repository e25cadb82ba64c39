//! One message: its task is run, and then what is to become of the message is done.

use tranship_core::fleet;
use tranship_core::ports::{Queue, Received};
use tranship_core::worker::{self, Done};
use tranship_stack::{Surroundings, batch, breaker};

/// How long a message waits whose delivery was cut off, or that met an open breaker.
pub(crate) const PAUSE_MS: u64 = 30_000;

/// Runs a task to its end; a panic is a failure like others.
pub(crate) async fn run(surroundings: &Surroundings, received: &Received) -> Done {
    let work = Box::pin(worker::run(&surroundings.stage, received));
    match batch::caught(work).await {
        Ok(done) => done,
        Err(panic) => Done::Again { after_ms: PAUSE_MS, why: panic },
    }
}

/// What becomes of a message that a time limit cut off: it comes again, and if that keeps happening,
/// those who have no time limit take it. What comes from their queue stays in it.
pub(crate) async fn cut_off(
    surroundings: &Surroundings,
    queue: Queue,
    received: &Received,
    after_ms: u64,
    why: String,
) -> Done {
    if queue == Queue::Large {
        return Done::Again { after_ms, why };
    }
    match fleet::pass_on(&surroundings.stage, received).await {
        Ok(true) => {
            tracing::info!(receives = received.receives, "passed on to the large-object queue");
            Done::Settled
        }
        Ok(false) => Done::Again { after_ms, why },
        Err(error) => Done::Again { after_ms, why: error.to_string() },
    }
}

/// Does what is to become of a message; whether it can be deleted now. Whatever fails here leaves it in
/// its queue.
pub(crate) async fn follow(
    surroundings: &Surroundings,
    queue: Queue,
    id: &str,
    received: &Received,
    done: Done,
) -> bool {
    let stage = &surroundings.stage;
    match done {
        Done::Settled => true,
        Done::Again { after_ms, why } => {
            tracing::warn!(
                message_id = id,
                after_ms,
                why,
                receives = received.receives,
                "comes again"
            );
            stage.progress.retried();
            delay(surroundings, queue, received, after_ms).await;
            false
        }
        Done::Unreadable(reason) => {
            tracing::error!(message_id = id, reason, "cannot be read: to the dead-letter queue");
            let own = &surroundings.settings.own;
            let dead_letters = match (queue, &own.large) {
                (Queue::Large, Some(large)) => &large.dead_letters,
                _ => &own.transfer.dead_letters,
            };
            let sent = surroundings.dead_letters.send(dead_letters, &received.body, &reason).await;
            if let Err(error) = &sent {
                tracing::error!(message_id = id, error = error.message, "could not be sent there");
            }
            sent.is_ok()
        }
        Done::Halt(error) => {
            let opened = breaker::open(stage, &surroundings.mappings, &error).await;
            if let Err(error) = opened {
                tracing::error!(error = error.message, "the breaker could not be opened");
            }
            delay(surroundings, queue, received, PAUSE_MS).await;
            false
        }
    }
}

/// A message whose delay cannot be set comes again when its visibility ends: later, and not lost.
pub(crate) async fn delay(
    surroundings: &Surroundings,
    queue: Queue,
    received: &Received,
    after_ms: u64,
) {
    if let Err(error) = surroundings.stage.queue.delay(queue, &received.receipt, after_ms).await {
        tracing::warn!(error = %error, "the delay of a message could not be set");
    }
}
