//! How this process is, for whoever asks its health endpoint.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use tranship_stack::health::Health;

use super::Fleet;

/// A queue that has not answered for so long cannot be read.
const SILENT_MS: u64 = 5 * 60 * 1_000;
/// Where one that never answered is troubled already.
const NEVER_MS: u64 = 60 * 1_000;
/// The only state that is not well.
const TROUBLED: &str = "troubled";

pub(super) fn of(fleet: &Fleet) -> Health {
    let word = word(fleet);
    Health { is_well: word != TROUBLED, says: says(fleet, word) }
}

/// Whether a queue that is to be polled does not answer, or the ledger cannot be used.
pub(super) fn is_troubled(fleet: &Fleet) -> bool {
    word(fleet) == TROUBLED
}

/// The state in one word.
fn word(fleet: &Fleet) -> &'static str {
    if fleet.is_draining.load(Ordering::Relaxed) {
        "draining"
    } else if fleet.is_halted.load(Ordering::Relaxed) {
        "halted"
    } else if is_unanswered(fleet) || fleet.is_cut_off.load(Ordering::Relaxed) {
        TROUBLED
    } else {
        "polling"
    }
}

/// Whether a queue that is to be polled does not answer.
pub(super) fn is_unanswered(fleet: &Fleet) -> bool {
    let now = fleet.now().0;
    let is_idle = fleet.tasks.load(Ordering::Relaxed) == 0;
    fleet.answered_ms.iter().any(|answered| match answered.load(Ordering::Relaxed) {
        0 => now.saturating_sub(fleet.began.0) > NEVER_MS,
        // With all streams at work nobody asks.
        answered => now.saturating_sub(answered) > SILENT_MS && is_idle,
    })
}

fn says(fleet: &Fleet, word: &str) -> Value {
    let moved = fleet.moved();
    let answered = fleet.answered_ms.iter().map(|answered| answered.load(Ordering::Relaxed));
    let answered = match answered.min() {
        None | Some(0) => Value::Null,
        Some(answered) => json!(fleet.now().0.saturating_sub(answered)),
    };
    json!({
        "state": word,
        "instance": fleet.name,
        "tasks": fleet.tasks.load(Ordering::Relaxed),
        "streams": fleet.surroundings.stage.link.streams(),
        "streams_max": fleet.streams_max,
        "bytes_moved": moved.bytes_moved,
        "retries": moved.retries,
        "queue_answered_ms_ago": answered,
    })
}
