//! What a polling process does besides its tasks: it shows itself, obeys the breaker, finds its pace
//! and says how it is.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tranship_core::breaker;
use tranship_core::fleet;
use tranship_core::link::{Interval, Pace};
use tranship_core::object::Millis;
use tranship_core::progress::ProgressReading;
use tranship_stack::metrics::{Metrics, Unit};

use super::Fleet;
use super::health::is_troubled;
use crate::tell;

const PACE_MS: u64 = 2_500;
const BREAKER_MS: u64 = 15_000;
const TELL_MS: u64 = 60_000;
const STREAMS_MIN: usize = 2;

/// Does not return.
pub(super) async fn run(fleet: Arc<Fleet>) {
    let link = &fleet.surroundings.stage.link;
    let mut pace = Pace::new(STREAMS_MIN, fleet.streams_max);
    link.allow(pace.streams());
    let mut paced = (fleet.now(), fleet.moved());
    let mut told = (fleet.now(), fleet.moved());
    let (mut shown, mut looked) = (None, None);
    loop {
        let now = fleet.now();
        // Whoever cannot read the queue is nobody that the sweep may rely on.
        if !is_troubled(&fleet)
            && is_due(&mut shown, now, fleet::SHOW_MS)
            && let Err(error) = fleet::show(&fleet.surroundings.stage, &fleet.name).await
        {
            tracing::error!(%error, "the ledger cannot be written: check the role of this process");
        }
        if is_due(&mut looked, now, BREAKER_MS) {
            obey(&fleet).await;
        }
        if now.0.saturating_sub(told.0.0) >= TELL_MS {
            let before = std::mem::replace(&mut told, (now, fleet.moved()));
            tell(&fleet, &before.1);
        }
        tokio::time::sleep(Duration::from_millis(PACE_MS)).await;
        let (since, before) = std::mem::replace(&mut paced, (fleet.now(), fleet.moved()));
        let moved = paced.1.since(&before);
        let ms = paced.0.0.saturating_sub(since.0);
        let busy = !link.has_room();
        let seen = Interval { bytes: moved.bytes_moved, ms, throttles: moved.throttles, busy };
        link.allow(pace.after(seen));
    }
}

fn is_due(last: &mut Option<Millis>, now: Millis, every_ms: u64) -> bool {
    let due = last.is_none_or(|last| last.plus(every_ms) <= now);
    if due {
        *last = Some(now);
    }
    due
}

/// Nothing is taken while the breaker is open or the transfer is paused.
async fn obey(fleet: &Fleet) {
    match breaker::read(&*fleet.surroundings.stage.ledger).await {
        Ok(breaker) => {
            let halted = !breaker.is_closed();
            if fleet.is_halted.swap(halted, Ordering::Relaxed) != halted {
                let reason = &breaker.reason;
                tracing::info!(halted, reason, "the breaker has changed");
            }
        }
        Err(error) => tracing::error!(%error, "the breaker cannot be read: nothing changes"),
    }
}

/// That a worker of this stack cannot even begin: it has no other numbers.
pub(super) fn tell_trouble(stack: &str, now: Millis) {
    Metrics::new(stack, now).with("FleetTroubled", Unit::Count, 1).emit();
}

/// The numbers since an earlier reading.
pub(super) fn tell(fleet: &Fleet, before: &ProgressReading) {
    let counts = &fleet.counts;
    let tasks = tell::Tasks {
        again: counts.again.swap(0, Ordering::Relaxed),
        unreadable: counts.unreadable.swap(0, Ordering::Relaxed),
        took_ms: counts.took_ms.swap(0, Ordering::Relaxed),
    };
    tell::of_tasks(&fleet.surroundings, &fleet.moved().since(before), tasks);
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let flag = |is: bool| u64::from(is);
    Metrics::new(&fleet.surroundings.settings.own.stack, fleet.now())
        .with("FleetTasks", Unit::Count, count(fleet.tasks.load(Ordering::Relaxed)))
        .with("FleetStreams", Unit::Count, count(fleet.surroundings.stage.link.streams()))
        .with("FleetDraining", Unit::Count, flag(fleet.is_draining.load(Ordering::Relaxed)))
        .with("FleetTroubled", Unit::Count, flag(is_troubled(fleet)))
        .emit();
}
