//! Logs: one JSON object a line, with the ids of the run, the task and the key where there are any.

use tracing::Level;

/// Begins to log to standard output, once per process.
pub fn begin(level: Level) {
    // A second subscriber is refused, and the first one goes on.
    let _already = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false)
        .with_max_level(level)
        .try_init();
}
