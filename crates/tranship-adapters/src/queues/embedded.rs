//! The queues in the embedded file.
//!
//! Messages are durable; what is in flight is not, so that receiving costs no flush and a reopened
//! file shows every message that was not deleted. How often a message was received is written
//! along with other changes, so a kill may lose the last second of it.

use std::sync::Arc;

use async_trait::async_trait;
use redb::{ReadableTable as _, ReadableTableMetadata as _};
use tranship_core::error::LedgerError;
use tranship_core::object::Millis;
use tranship_core::ports::{Clock, Queue, Received, TaskQueue};

use super::{VISIBILITY_MS, wait_for};
use crate::embedded::{Change, EmbeddedFile, RECEIVES, messages, number_of};
use crate::queues::flights::Flights;

/// The queues of an [`EmbeddedFile`]. Messages come in the order in which they were sent, so that
/// a run that is taken up again goes on in order.
#[derive(Clone)]
pub struct EmbeddedQueue {
    file: EmbeddedFile,
    clock: Arc<dyn Clock>,
    visibility_ms: u64,
}

impl std::fmt::Debug for EmbeddedQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("EmbeddedQueue").field(&self.file).finish()
    }
}

impl EmbeddedQueue {
    pub(crate) fn new(file: EmbeddedFile, clock: Arc<dyn Clock>) -> Self {
        Self { file, clock, visibility_ms: VISIBILITY_MS }
    }

    /// How long a message that this handle receives stays hidden.
    #[must_use]
    pub fn with_visibility(mut self, visibility_ms: u64) -> Self {
        self.visibility_ms = visibility_ms;
        self
    }

    /// The first visible messages, taken, and when there may be more.
    fn take(
        &self,
        queue: Queue,
        limit: usize,
        now: Millis,
    ) -> Result<(Vec<Received>, Option<Millis>), LedgerError> {
        let mut flights = self.file.lines().of(queue).flights();
        // The snapshot is taken under the lock, and the writer ends a flight only after the message
        // is gone: whatever the snapshot still shows of a deleted message is still hidden.
        let found = self.find(queue, limit, now, &flights)?;
        let mut counts = Vec::new();
        let mut received = Vec::new();
        for (number, body, before) in found {
            let receives = before.saturating_add(1);
            let receipt = flights.take(number, receives, now.plus(self.visibility_ms));
            counts.push((number, receives));
            received.push(Received { receipt, body, receives });
        }
        let next = flights.next_visible(now);
        if !counts.is_empty() {
            self.file.change_sometime(Change::Received { queue, counts })?;
        }
        Ok((received, next))
    }

    /// Number, body and former receives of the first visible messages.
    fn find(
        &self,
        queue: Queue,
        limit: usize,
        now: Millis,
        flights: &Flights,
    ) -> Result<Vec<(u64, String, u32)>, LedgerError> {
        self.file.read(|transaction| {
            let receives = transaction.open_table(RECEIVES)?;
            let mut found = Vec::new();
            for entry in transaction.open_table(messages(queue))?.iter()? {
                if found.len() >= limit {
                    break;
                }
                let (number, body) = entry?;
                let number = number.value();
                if !flights.is_visible(number, now) {
                    continue;
                }
                let before = match flights.receives(number) {
                    Some(before) => before,
                    None => receives.get((number_of(queue), number))?.map_or(0, |n| n.value()),
                };
                found.push((number, body.value().to_owned(), before));
            }
            Ok(found)
        })
    }
}

#[async_trait]
impl TaskQueue for EmbeddedQueue {
    async fn send(&self, queue: Queue, bodies: Vec<String>) -> Result<(), LedgerError> {
        if bodies.is_empty() {
            return Ok(());
        }
        let line = self.file.lines().of(queue);
        let messages = bodies.into_iter().map(|body| (line.next_number(), body)).collect();
        self.file.change(Change::Send { queue, messages }).await?;
        Ok(())
    }

    async fn receive(&self, queue: Queue, limit: usize) -> Result<Vec<Received>, LedgerError> {
        let line = self.file.lines().of(queue);
        wait_for(&self.clock, &line.arrivals, |now| self.take(queue, limit, now)).await
    }

    /// A receipt that a newer one has replaced changes nothing.
    async fn delay(&self, queue: Queue, receipt: &str, delay_ms: u64) -> Result<(), LedgerError> {
        let line = self.file.lines().of(queue);
        {
            let mut flights = line.flights();
            let Some(number) = flights.held(receipt) else { return Ok(()) };
            flights.hide(number, self.clock.now().plus(delay_ms));
        }
        // Whoever waits has to learn when to look again.
        line.arrivals.notify_waiters();
        Ok(())
    }

    /// A receipt that a newer one has replaced deletes nothing: the newer one's holder is at work.
    async fn delete(&self, queue: Queue, receipt: &str) -> Result<(), LedgerError> {
        let line = self.file.lines().of(queue);
        let (number, before) = {
            let mut flights = line.flights();
            let Some(number) = flights.held(receipt) else { return Ok(()) };
            // Nobody may receive it while it is being deleted.
            let before = flights.hide(number, self.clock.now().plus(self.visibility_ms));
            (number, before)
        };
        let deleted = self.file.change(Change::Delete { queue, number }).await;
        if deleted.is_err()
            && let Some(before) = before
        {
            line.flights().hide(number, before);
        }
        deleted.map(|_| ())
    }

    async fn depth(&self, queue: Queue) -> Result<u64, LedgerError> {
        self.file.read(|transaction| Ok(transaction.open_table(messages(queue))?.len()?))
    }
}
