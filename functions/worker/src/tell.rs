//! What the worker says in numbers.

use tranship_core::outcome::Outcome;
use tranship_core::progress::ProgressReading;
use tranship_stack::Surroundings;
use tranship_stack::metrics::{Metrics, Unit};

/// Tasks that ended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tasks {
    /// Those that come again.
    pub(crate) again: u64,
    pub(crate) unreadable: u64,
    /// How long they took, all together.
    pub(crate) took_ms: u64,
}

pub(crate) fn of_tasks(surroundings: &Surroundings, moved: &ProgressReading, tasks: Tasks) {
    let (copied, failed) = (moved.of(Outcome::Copied), moved.of(Outcome::Failed));
    Metrics::new(&surroundings.settings.own.stack, surroundings.stage.clock.now())
        .with("ObjectsCopied", Unit::Count, copied.0)
        .with("BytesCopied", Unit::Bytes, copied.1)
        .with("ObjectsFailed", Unit::Count, failed.0)
        .with("BytesMoved", Unit::Bytes, moved.bytes_moved)
        .with("UploadsParked", Unit::Count, moved.parked)
        .with("TasksRetried", Unit::Count, tasks.again)
        .with("MessagesUnreadable", Unit::Count, tasks.unreadable)
        .with("TaskDuration", Unit::Milliseconds, tasks.took_ms)
        .emit();
}
