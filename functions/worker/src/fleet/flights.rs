//! The messages that this process holds, and has to give back if it does not come to their end.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tranship_core::ports::{Queue, Received};

#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    held: HashMap<u64, (Queue, Received)>,
}

impl Flights {
    /// From now on the message is held; gives its number.
    pub(super) fn take(&self, queue: Queue, received: &Received) -> u64 {
        let mut state = self.state();
        state.next += 1;
        let number = state.next;
        state.held.insert(number, (queue, received.clone()));
        number
    }

    /// The message was deleted, or delayed: it is nobody's to give back.
    pub(super) fn end(&self, number: u64) {
        self.state().held.remove(&number);
    }

    /// All that are still held; they are held no more.
    pub(super) fn drain(&self) -> Vec<(Queue, Received)> {
        self.state().held.drain().map(|(_, held)| held).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
