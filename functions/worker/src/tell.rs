//! What the worker says in numbers.

use tranship_core::outcome::Outcome;
use tranship_core::progress::ProgressReading;
use tranship_stack::Surroundings;
use tranship_stack::metrics::{Metrics, Unit};

/// What a function has for a task, in seconds: the worker's `Timeout` in the template.
const FUNCTION_SECONDS: u64 = 180;

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
    let stage = &surroundings.stage;
    let metrics = Metrics::new(&surroundings.settings.own.stack, stage.clock.now())
        .with("ObjectsCopied", Unit::Count, copied.0)
        .with("BytesCopied", Unit::Bytes, copied.1)
        .with("ObjectsFailed", Unit::Count, failed.0)
        .with("BytesMoved", Unit::Bytes, moved.bytes_moved)
        .with("UploadsParked", Unit::Count, moved.parked)
        .with("TasksRetried", Unit::Count, tasks.again)
        .with("MessagesUnreadable", Unit::Count, tasks.unreadable)
        .with("TaskDuration", Unit::Milliseconds, tasks.took_ms);
    let Some(share) = stage.link.share() else { return metrics.emit() };
    metrics.with("BandwidthShare", Unit::BytesPerSecond, share).emit();
    let needed = stage.policy.limits.bytes_per_parts_task / FUNCTION_SECONDS;
    if share < needed {
        tracing::warn!(
            share,
            needed,
            "each worker's share of the bandwidth limit, in bytes a second, is less than a function needs to end its tasks in time: lower WorkerConcurrency or FleetMax, or raise BandwidthMiBPerSecond"
        );
    }
}
