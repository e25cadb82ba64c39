//! What a polling process does besides its tasks: it shows itself, obeys the breaker, finds its pace
//! and says how it is.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tranship_core::breaker;
use tranship_core::fleet;
use tranship_core::link::{Interval, Pace};
use tranship_core::object::Millis;
use tranship_stack::metrics::{Metrics, Unit};

use super::Fleet;
use super::health::is_unanswered;
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
    let (mut shown, mut looked, mut told) = (None, None, Some(fleet.now()));
    loop {
        let now = fleet.now();
        if is_due(&mut looked, now, BREAKER_MS) {
            let may_read = obey(&fleet).await;
            let may_write = show(&fleet, &mut shown).await;
            fleet.is_cut_off.store(!(may_read && may_write), Ordering::Relaxed);
            fleet.has_looked.store(true, Ordering::Relaxed);
        }
        if is_due(&mut told, now, TELL_MS) {
            tell(&fleet);
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

/// Shows itself from time to time, if it can read its queues: whoever cannot is nobody that the sweep may
/// rely on. `false`: the ledger takes nothing from this process.
async fn show(fleet: &Fleet, shown: &mut Option<Millis>) -> bool {
    if is_unanswered(fleet) || !is_due(shown, fleet.now(), fleet::SHOW_MS) {
        return true;
    }
    let Err(error) = fleet::show(&fleet.surroundings.stage, &fleet.name).await else { return true };
    tracing::error!(%error, "the ledger cannot be written: check the role of this process");
    // Once more at the next look.
    *shown = None;
    false
}

/// Nothing is taken while the breaker is open or the transfer is paused. `false`: the ledger does not say.
async fn obey(fleet: &Fleet) -> bool {
    match breaker::read(&*fleet.surroundings.stage.ledger).await {
        Ok(breaker) => {
            let halted = !breaker.is_closed();
            if fleet.is_halted.swap(halted, Ordering::Relaxed) != halted {
                let reason = &breaker.reason;
                tracing::info!(halted, reason, "the breaker has changed");
            }
            true
        }
        Err(error) => {
            tracing::error!(%error, "the ledger cannot be read: check the role of this process");
            false
        }
    }
}

/// That a worker of this stack cannot even begin: it has no other numbers.
pub(super) fn tell_trouble(stack: &str, now: Millis) {
    Metrics::new(stack, now).with("FleetTroubled", Unit::Count, 1).emit();
}

/// The numbers since they were told last.
pub(super) fn tell(fleet: &Fleet) {
    let now = fleet.moved();
    let mut told = fleet.told.lock().unwrap_or_else(PoisonError::into_inner);
    let before = std::mem::replace(&mut *told, now.clone());
    drop(told);
    let counts = &fleet.counts;
    let tasks = tell::Tasks {
        again: counts.again.swap(0, Ordering::Relaxed),
        unreadable: counts.unreadable.swap(0, Ordering::Relaxed),
        took_ms: counts.took_ms.swap(0, Ordering::Relaxed),
    };
    tell::of_tasks(&fleet.surroundings, &now.since(&before), tasks);
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let flag = |is: bool| u64::from(is);
    Metrics::new(&fleet.surroundings.settings.own.stack, fleet.now())
        .with("FleetTasks", Unit::Count, count(fleet.tasks.load(Ordering::Relaxed)))
        .with("FleetStreams", Unit::Count, count(fleet.surroundings.stage.link.streams()))
        .with("FleetDraining", Unit::Count, flag(fleet.is_draining.load(Ordering::Relaxed)))
        .with("FleetTroubled", Unit::Count, flag(super::health::is_troubled(fleet)))
        .emit();
}
