//! The queues in memory, in order or as disorderly as a real queue may be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;
use tranship_core::error::LedgerError;
use tranship_core::object::Millis;
use tranship_core::ports::{Clock, Queue, Received, TaskQueue};

use super::flights::Flights;
use super::{VISIBILITY_MS, wait_for};
use crate::clock::Chance;

/// One message in so many is delivered twice at once, or once more after it was deleted.
const CHAOS_ONE_IN: u64 = 8;

pub struct MemoryQueue {
    clock: Arc<dyn Clock>,
    visibility_ms: u64,
    scan: Line,
    transfer: Line,
    large: Line,
}

#[derive(Default)]
struct Line {
    state: Mutex<State>,
    arrivals: Notify,
}

#[derive(Default)]
struct State {
    messages: BTreeMap<u64, Message>,
    newest: u64,
    flights: Flights,
    /// What disorder is drawn from; `None` keeps order.
    chance: Option<Chance>,
}

struct Message {
    body: String,
    /// Comes after its original was deleted. Has no echo itself, so that a queue can run empty.
    is_echo: bool,
}

impl std::fmt::Debug for MemoryQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryQueue").finish_non_exhaustive()
    }
}

impl MemoryQueue {
    /// Delivers in order, and again only what was not deleted in time.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            visibility_ms: VISIBILITY_MS,
            scan: Line::default(),
            transfer: Line::default(),
            large: Line::default(),
        }
    }

    /// Delivers in any order, some messages twice at once, and some once more after they were
    /// deleted: everything that the port allows.
    pub fn chaotic(clock: Arc<dyn Clock>, seed: u64) -> Self {
        let queue = Self::new(clock);
        queue.scan.state().chance = Some(Chance::new(seed));
        queue.transfer.state().chance = Some(Chance::new(seed.wrapping_add(1)));
        queue.large.state().chance = Some(Chance::new(seed.wrapping_add(2)));
        queue
    }

    /// How long a received message stays hidden.
    #[must_use]
    pub fn with_visibility(mut self, visibility_ms: u64) -> Self {
        self.visibility_ms = visibility_ms;
        self
    }

    /// Loses every message, those in flight too: what becomes of a run then is for tests to show.
    pub fn wipe(&self) {
        for line in [&self.scan, &self.transfer, &self.large] {
            let mut state = line.state();
            state.messages.clear();
            state.flights = Flights::default();
        }
    }

    fn line(&self, queue: Queue) -> &Line {
        match queue {
            Queue::Scan => &self.scan,
            Queue::Transfer => &self.transfer,
            Queue::Large => &self.large,
        }
    }
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn send(&mut self, body: String, is_echo: bool) {
        self.newest += 1;
        self.messages.insert(self.newest, Message { body, is_echo });
    }

    fn happens(&mut self) -> bool {
        self.chance.as_mut().is_some_and(|chance| chance.below(CHAOS_ONE_IN) == 0)
    }

    fn take(&mut self, limit: usize, now: Millis, visible_at: Millis) -> Vec<Received> {
        let visible = self.messages.keys().filter(|number| self.flights.is_visible(**number, now));
        let mut numbers: Vec<u64> = if let Some(chance) = &mut self.chance {
            let mut drawn: Vec<(u64, u64)> = visible.map(|n| (chance.next(), *n)).collect();
            drawn.sort_unstable();
            drawn.into_iter().map(|(_, number)| number).collect()
        } else {
            visible.copied().take(limit).collect()
        };
        numbers.truncate(limit);
        let mut received = Vec::new();
        for number in numbers {
            let receives = self.flights.receives(number).unwrap_or(0).saturating_add(1);
            // Delivered twice at once: the first receipt does not hide it.
            let visible_at = if self.happens() { now } else { visible_at };
            let receipt = self.flights.take(number, receives, visible_at);
            if let Some(message) = self.messages.get(&number) {
                received.push(Received { receipt, body: message.body.clone(), receives });
            }
        }
        received
    }

    fn delete(&mut self, receipt: &str) {
        let Some(number) = self.flights.held(receipt) else { return };
        self.flights.deleted(number);
        if let Some(message) = self.messages.remove(&number)
            && !message.is_echo
            && self.happens()
        {
            self.send(message.body, true);
        }
    }
}

#[async_trait]
impl TaskQueue for MemoryQueue {
    async fn send(&self, queue: Queue, bodies: Vec<String>) -> Result<(), LedgerError> {
        let line = self.line(queue);
        {
            let mut state = line.state();
            for body in bodies {
                state.send(body, false);
            }
        }
        line.arrivals.notify_waiters();
        Ok(())
    }

    async fn receive(&self, queue: Queue, limit: usize) -> Result<Vec<Received>, LedgerError> {
        let line = self.line(queue);
        wait_for(&self.clock, &line.arrivals, |now| {
            let mut state = line.state();
            let received = state.take(limit, now, now.plus(self.visibility_ms));
            Ok((received, state.flights.next_visible(now)))
        })
        .await
    }

    /// A receipt that a newer one has replaced changes nothing.
    async fn delay(&self, queue: Queue, receipt: &str, delay_ms: u64) -> Result<(), LedgerError> {
        let line = self.line(queue);
        {
            let flights = &mut line.state().flights;
            if let Some(number) = flights.held(receipt) {
                flights.hide(number, self.clock.now().plus(delay_ms));
            }
        }
        line.arrivals.notify_waiters();
        Ok(())
    }

    /// A receipt that a newer one has replaced deletes nothing: the newer one's holder is at work.
    async fn delete(&self, queue: Queue, receipt: &str) -> Result<(), LedgerError> {
        let line = self.line(queue);
        line.state().delete(receipt);
        line.arrivals.notify_waiters();
        Ok(())
    }

    async fn depth(&self, queue: Queue) -> Result<u64, LedgerError> {
        Ok(u64::try_from(self.line(queue).state().messages.len()).unwrap_or(u64::MAX))
    }
}
