//! Takes messages as long as there is room for their tasks, and runs the tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::JoinSet;
use tranship_core::ports::{Queue, Received};
use tranship_core::worker::Done;

use super::Fleet;
use crate::task;

/// Messages of one receive: the service's limit.
const RECEIVE_MAX: usize = 10;
/// Streams that a task keeps busy. Whoever takes more tasks than it has streams for keeps them from others.
const STREAMS_PER_TASK: usize = 4;
/// Between looks whether there is room; and as long a task has to get hold of its streams.
const LOOK: Duration = Duration::from_millis(200);
/// The first wait after a queue that could not be read; it doubles up to the longest.
const TROUBLE: Duration = Duration::from_secs(1);
const TROUBLE_MAX: Duration = Duration::from_mins(1);

/// Polls until nothing more is to be taken, and then waits for what is at work.
pub(super) async fn run(fleet: Arc<Fleet>) {
    let queues = fleet.settings.queues.iter().zip(&fleet.answered_ms);
    join_all(queues.map(|(queue, answered_ms)| poll(&fleet, *queue, answered_ms))).await;
}

async fn poll(fleet: &Arc<Fleet>, queue: Queue, answered_ms: &AtomicU64) {
    let mut tasks = JoinSet::new();
    let mut trouble = TROUBLE;
    while !fleet.is_draining.load(Ordering::Relaxed) {
        while tasks.try_join_next().is_some() {}
        let room = room(fleet);
        if is_idle(fleet) || room == 0 {
            tokio::time::sleep(LOOK).await;
            continue;
        }
        // Never let go of halfway: messages that nobody holds would stay hidden.
        match fleet.surroundings.stage.queue.receive(queue, room).await {
            Ok(received) => {
                trouble = TROUBLE;
                answered_ms.store(fleet.now().0, Ordering::Relaxed);
                let some = !received.is_empty();
                for received in received {
                    let number = fleet.flights.take(queue, &received);
                    tasks.spawn(one(Arc::clone(fleet), queue, number, received));
                }
                if some {
                    tokio::time::sleep(LOOK).await;
                }
            }
            Err(error) => {
                tracing::error!(
                    %error,
                    again_in_s = trouble.as_secs(),
                    "the queue cannot be read: check the role of this process, and the network"
                );
                pause(fleet, trouble).await;
                trouble = (trouble * 2).min(TROUBLE_MAX);
            }
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Waits for so long, or until the process is to end.
async fn pause(fleet: &Fleet, time: Duration) {
    let mut left = time;
    while left > Duration::ZERO && !fleet.is_draining.load(Ordering::Relaxed) {
        tokio::time::sleep(LOOK).await;
        left = left.saturating_sub(LOOK);
    }
}

/// Whether nothing is to be taken now.
fn is_idle(fleet: &Fleet) -> bool {
    let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
    !is(&fleet.has_looked) || is(&fleet.is_halted) || is(&fleet.is_cut_off)
}

/// For how many tasks there are streams.
fn room(fleet: &Fleet) -> usize {
    let idle = fleet.surroundings.stage.link.idle(RECEIVE_MAX * STREAMS_PER_TASK);
    idle.div_ceil(STREAMS_PER_TASK)
}

/// Runs the task of one message, which stays hidden for as long as that takes.
async fn one(fleet: Arc<Fleet>, queue: Queue, number: u64, received: Received) {
    if fleet.is_draining.load(Ordering::Relaxed) {
        // It is still among the flights, and is given back with them.
        return;
    }
    let surroundings = &fleet.surroundings;
    fleet.tasks.fetch_add(1, Ordering::Relaxed);
    let began = fleet.now();
    let done = tokio::select! {
        biased;
        done = Box::pin(task::run(surroundings, &received)) => done,
        () = keep(&fleet, queue, &received) => return,
    };
    let halts = matches!(done, Done::Halt(_));
    let (again, unreadable) = match &done {
        Done::Settled => (0, 0),
        Done::Unreadable(_) => (0, 1),
        Done::Again { .. } | Done::Halt(_) => (1, 0),
    };
    let settled = task::follow(surroundings, queue, &received.receipt, &received, done).await;
    if settled && let Err(error) = surroundings.stage.queue.delete(queue, &received.receipt).await {
        tracing::warn!(%error, "a message could not be deleted: it comes again, and finds its work done");
    }
    if halts {
        fleet.is_halted.store(true, Ordering::Relaxed);
    }
    fleet.flights.end(number);
    fleet.tasks.fetch_sub(1, Ordering::Relaxed);
    let took_ms = fleet.now().0.saturating_sub(began.0);
    fleet.counts.again.fetch_add(again, Ordering::Relaxed);
    fleet.counts.unreadable.fetch_add(unreadable, Ordering::Relaxed);
    fleet.counts.took_ms.fetch_add(took_ms, Ordering::Relaxed);
}

/// Hides a message again and again, so early that one of these calls may fail. Does not return.
async fn keep(fleet: &Fleet, queue: Queue, received: &Received) {
    let hidden_ms = u64::from(fleet.settings.hidden_seconds) * 1_000;
    loop {
        tokio::time::sleep(Duration::from_millis(hidden_ms / 3)).await;
        task::delay(&fleet.surroundings, queue, received, hidden_ms).await;
    }
}
