//! The time that an invocation has. Near its end nothing new is begun; shortly before it, what is
//! still at work is let go, so that the answer is ours and not the service's.

use std::future::Future;
use std::sync::atomic::Ordering;

use tranship_core::stage::Stage;

/// Before the end, nothing new is begun: a part of the usual size takes seconds.
const WIND_DOWN_MS: u64 = 30_000;
/// Before the end, work is let go: enough for what hands the messages back.
const LAST_MS: u64 = 3_000;

/// Runs `work` within what is left until `deadline_ms` (since the epoch); `None` if it was let go.
/// Whatever it had made durable stays so, and its messages come again.
pub async fn within<T>(
    stage: &Stage,
    deadline_ms: u64,
    work: impl Future<Output = T>,
) -> Option<T> {
    stage.stopping.store(false, Ordering::Relaxed);
    let left = deadline_ms.saturating_sub(stage.clock.now().0);
    // A function of a few seconds keeps most of them for work.
    let wind_down = WIND_DOWN_MS.min(left / 4);
    let last = LAST_MS.min(left / 10);
    let time = async {
        stage.clock.sleep(left - wind_down).await;
        stage.stopping.store(true, Ordering::Relaxed);
        stage.clock.sleep(wind_down - last).await;
    };
    tokio::select! {
        biased;
        done = work => Some(done),
        () = time => None,
    }
}
