//! The task queue port's adapters: SQS, the embedded file, and memory.
//!
//! The latter two keep what is in flight in memory alone: it is about receivers that live in this
//! process.

pub mod embedded;
pub(crate) mod flights;
pub mod memory;
pub mod sqs;

use std::sync::Arc;

use tokio::sync::Notify;
use tranship_core::object::Millis;
use tranship_core::ports::Clock;

/// How long a received message stays hidden, unless the receiver says otherwise.
pub const VISIBILITY_MS: u64 = 10 * 60 * 1_000;
/// How long an empty queue keeps a receiver waiting.
pub const RECEIVE_WAIT_MS: u64 = 500;

/// Asks `look` for messages until it has some or the wait is over. It answers with what there is
/// and when it may be worth looking again.
async fn wait_for<T, E>(
    clock: &Arc<dyn Clock>,
    arrivals: &Notify,
    mut look: impl FnMut(Millis) -> Result<(Vec<T>, Option<Millis>), E>,
) -> Result<Vec<T>, E> {
    let end = clock.now().plus(RECEIVE_WAIT_MS);
    loop {
        // Counts as waiting before the look, so that nothing arrives unseen between the two.
        let mut arrival = std::pin::pin!(arrivals.notified());
        arrival.as_mut().enable();
        let now = clock.now();
        let (messages, next) = look(now)?;
        if !messages.is_empty() || now >= end {
            return Ok(messages);
        }
        let until = next.map_or(end, |next| next.min(end));
        tokio::select! {
            () = &mut arrival => {}
            () = clock.sleep(until.since(now).max(1)) => {}
        }
    }
}
