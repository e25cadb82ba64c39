//! What is in flight: which messages were received, by which receipt, and when they show again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tranship_core::object::Millis;
use tranship_core::ports::Queue;

/// The messages of one queue that were received at least once and are not deleted.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    flights: BTreeMap<u64, Flight>,
    /// Of the newest receipt.
    serial: u64,
}

#[derive(Debug)]
struct Flight {
    serial: u64,
    visible_at: Millis,
    receives: u32,
}

impl Flights {
    pub(crate) fn is_visible(&self, number: u64, now: Millis) -> bool {
        self.flights.get(&number).is_none_or(|flight| flight.visible_at <= now)
    }

    /// When the next hidden message shows.
    pub(crate) fn next_visible(&self, now: Millis) -> Option<Millis> {
        self.flights.values().map(|flight| flight.visible_at).filter(|at| *at > now).min()
    }

    /// How often a message was received, as far as this process knows.
    pub(crate) fn receives(&self, number: u64) -> Option<u32> {
        self.flights.get(&number).map(|flight| flight.receives)
    }

    /// Takes a message, which hides it; gives the receipt.
    pub(crate) fn take(&mut self, number: u64, receives: u32, visible_at: Millis) -> String {
        self.serial += 1;
        let serial = self.serial;
        self.flights.insert(number, Flight { serial, visible_at, receives });
        format!("{number}-{serial}")
    }

    /// The message that a receipt still holds: none once there is a newer receipt of it, or it is
    /// deleted. A receipt whose time has run out holds until then.
    pub(crate) fn held(&self, receipt: &str) -> Option<u64> {
        let (number, serial) = receipt.split_once('-')?;
        let (number, serial) = (number.parse().ok()?, serial.parse::<u64>().ok()?);
        self.flights.get(&number).filter(|flight| flight.serial == serial)?;
        Some(number)
    }

    /// Hides a message until then; gives when it would have shown.
    pub(crate) fn hide(&mut self, number: u64, until: Millis) -> Option<Millis> {
        let flight = self.flights.get_mut(&number)?;
        Some(std::mem::replace(&mut flight.visible_at, until))
    }

    pub(crate) fn deleted(&mut self, number: u64) {
        self.flights.remove(&number);
    }
}

/// One queue of the transfer, apart from its messages.
#[derive(Debug)]
pub(crate) struct Line {
    flights: Mutex<Flights>,
    newest: AtomicU64,
    /// Told of everything that makes a message visible at once.
    pub(crate) arrivals: Notify,
}

impl Line {
    pub(crate) fn new(newest: u64) -> Self {
        Self { flights: Mutex::default(), newest: AtomicU64::new(newest), arrivals: Notify::new() }
    }

    pub(crate) fn flights(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a new message: the order in which they are received.
    pub(crate) fn next_number(&self) -> u64 {
        self.newest.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Both queues.
#[derive(Debug)]
pub(crate) struct Lines {
    scan: Line,
    transfer: Line,
}

impl Lines {
    /// Numbers go on after the newest of each.
    pub(crate) fn new(scan: u64, transfer: u64) -> Self {
        Self { scan: Line::new(scan), transfer: Line::new(transfer) }
    }

    pub(crate) fn of(&self, queue: Queue) -> &Line {
        match queue {
            Queue::Scan => &self.scan,
            Queue::Transfer | Queue::Large => &self.transfer,
        }
    }
}
