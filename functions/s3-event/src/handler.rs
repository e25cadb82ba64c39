//! From an invocation to what becomes of it: the answer to a batch of the event queue, or to whoever
//! invoked the function without one.

use std::sync::Arc;

use s3_event::intake::{self, Followed, Intake};
use serde_json::Value;
use tranship_stack::batch::Answer;
use tranship_stack::metrics::{Metrics, Unit};
use tranship_stack::settings::Events;
use tranship_stack::{Failure, Name, Surroundings, deadline};

pub(crate) async fn handle(
    surroundings: Arc<Surroundings>,
    event: Value,
    deadline_ms: u64,
) -> Result<Value, Failure> {
    let stage = &surroundings.stage;
    let followed = followed(surroundings.settings.events);
    let work = intake::take(stage, followed, &event);
    let Some(intake) = deadline::within(stage, deadline_ms, Box::pin(work)).await else {
        // The whole batch comes again: what was sent of it is sent twice, and harms nobody.
        return Err(Failure::new(Name::Unavailable, "the time was over before all was sent"));
    };
    tell(&surroundings, &intake);
    if intake.is_direct {
        direct(intake)
    } else {
        Ok(batch(&surroundings, intake, deadline_ms).await)
    }
}

fn followed(events: Events) -> Followed {
    match events {
        Events::None => Followed { writes: false, deletes: false },
        Events::Create => Followed { writes: true, deletes: false },
        Events::CreateAndDelete => Followed { writes: true, deletes: true },
    }
}

/// Without a queue a failure is the invocation's: whoever invoked it sends it again.
fn direct(intake: Intake) -> Result<Value, Failure> {
    match (intake.error, intake.bad_input) {
        (Some(error), _) => Err(error.into()),
        (None, Some(reason)) => Err(Failure::new(Name::BadInput, reason)),
        (None, None) => Ok(serde_json::json!(intake.counts)),
    }
}

/// Each message is answered for itself; what cannot be read goes where a person finds it.
async fn batch(surroundings: &Surroundings, mut intake: Intake, deadline_ms: u64) -> Value {
    let Surroundings { settings, stage, dead_letters, .. } = surroundings;
    let url = &settings.own.event.dead_letters;
    let bury = intake.bury(|letter| async move {
        let send = dead_letters.send(url, &letter.message.body, &letter.reason);
        match deadline::within(stage, deadline_ms, Box::pin(send)).await {
            Some(sent) => sent.map_err(|error| error.message),
            None => Err("the time was over".to_owned()),
        }
    });
    bury.await;
    let mut answer = Answer::default();
    for id in &intake.failed {
        answer.fail(id);
    }
    serde_json::json!(answer)
}

fn tell(surroundings: &Surroundings, intake: &Intake) {
    let counts = intake.counts;
    Metrics::new(&surroundings.settings.own.stack, surroundings.stage.clock.now())
        .with("RecordsTaken", Unit::Count, counts.taken)
        .with("RecordsFiltered", Unit::Count, counts.filtered)
        .with("RecordsRefused", Unit::Count, counts.refused)
        .with("MessagesUnreadable", Unit::Count, counts.unreadable)
        .emit();
}
