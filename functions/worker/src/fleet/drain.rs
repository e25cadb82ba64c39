//! The end of the process: why it comes, and what is done with the work in flight.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use super::Fleet;
use super::instance::Instance;
use crate::task;

/// How often the instance is asked whether it is about to end: a Spot instance says so two minutes
/// before.
const LOOK: Duration = Duration::from_secs(5);
/// How often metadata are looked for that did not answer at the start: they can be late on an instance that
/// has just begun.
const LATE: Duration = Duration::from_mins(1);
const LATE_MAX: u32 = 10;
/// Messages that are handed back at once.
const AT_ONCE: usize = 32;

/// Waits until the process is to end; says why.
pub(super) async fn asked(
    instance: Option<Instance>,
    variable: &impl Fn(&str) -> Option<String>,
) -> &'static str {
    let terminate = Box::pin(signalled(signal(SignalKind::terminate())));
    let interrupt = Box::pin(signalled(signal(SignalKind::interrupt())));
    tokio::select! {
        () = terminate => "SIGTERM",
        () = interrupt => "SIGINT",
        why = ended(instance, variable) => why,
    }
}

async fn signalled(signal: std::io::Result<Signal>) {
    match signal {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(error) => {
            tracing::error!(%error, "a signal cannot be waited for: this process ends by SIGKILL alone");
            std::future::pending::<()>().await;
        }
    }
}

/// The instance whose metadata did not answer at the start; `None`: there is none, as far as one can see.
async fn late(variable: &impl Fn(&str) -> Option<String>) -> Option<Instance> {
    for _ in 0..LATE_MAX {
        tokio::time::sleep(LATE).await;
        if let Some(instance) = Instance::find(variable).await {
            tracing::info!(instance = instance.id, "the instance's metadata answer now");
            return Some(instance);
        }
    }
    None
}

async fn ended(
    instance: Option<Instance>,
    variable: &impl Fn(&str) -> Option<String>,
) -> &'static str {
    let found = match instance {
        Some(instance) => Some(instance),
        None => late(variable).await,
    };
    let Some(instance) = found else { return std::future::pending().await };
    let mut is_known = true;
    loop {
        tokio::time::sleep(LOOK).await;
        match instance.end().await {
            Ok(Some(why)) => return why,
            Ok(None) => is_known = true,
            Err(error) if is_known => {
                is_known = false;
                tracing::warn!(
                    %error,
                    "the instance's metadata cannot be read: its end will come without notice"
                );
            }
            Err(_) => {}
        }
    }
}

/// Takes nothing new, lets the parts in flight end, and hands back what does not end in time.
pub(super) async fn drain(fleet: &Fleet, mut work: JoinHandle<()>) {
    fleet.is_draining.store(true, Ordering::Relaxed);
    fleet.surroundings.stage.stopping.store(true, Ordering::Relaxed);
    let time = Duration::from_millis(fleet.settings.drain_ms);
    if tokio::time::timeout(time, &mut work).await.is_err() {
        tracing::warn!(
            drain_ms = fleet.settings.drain_ms,
            tasks = fleet.tasks.load(Ordering::Relaxed),
            "the time to drain is over: what is in flight is handed back"
        );
        work.abort();
        // Aborted work still runs to its next pause.
        work.await.ok();
    }
    let left = fleet.flights.drain();
    tracing::info!(handed_back = left.len(), "drained");
    for some in left.chunks(AT_ONCE) {
        let back = some
            .iter()
            .map(|(queue, received)| task::delay(&fleet.surroundings, *queue, received, 0));
        join_all(back).await;
    }
}
