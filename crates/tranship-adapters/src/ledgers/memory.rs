//! The ledger in memory: for simulations, and the plainest reading of the port.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tranship_core::error::LedgerError;
use tranship_core::object::Millis;
use tranship_core::ports::{Ledger, Row};
use tranship_core::rows::{HeaderId, PartGroup, RowKey, group_of};
use tranship_core::store::Part;

use super::{decode_group, encode_group};

#[derive(Debug, Default)]
pub struct MemoryLedger {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<RowKey, Row>,
    due: BTreeSet<(Millis, RowKey)>,
}

impl State {
    fn is_next(&self, key: &RowKey, row: &Row) -> bool {
        let stored = self.rows.get(key).map_or(0, |row| row.revision);
        stored.checked_add(1) == Some(row.revision)
    }

    fn store(&mut self, key: RowKey, row: Row) {
        self.remove(&key);
        if let Some(due) = row.due {
            self.due.insert((due, key.clone()));
        }
        self.rows.insert(key, row);
    }

    fn remove(&mut self, key: &RowKey) {
        if let Some(due) = self.rows.remove(key).and_then(|row| row.due) {
            self.due.remove(&(due, key.clone()));
        }
    }

    fn page(&self, prefix: &str, after: Option<&RowKey>) -> impl Iterator<Item = (&RowKey, &Row)> {
        let start = match after {
            Some(after) if after.0.as_str() >= prefix => Bound::Excluded(after.clone()),
            _ => Bound::Included(RowKey(prefix.to_owned())),
        };
        self.rows
            .range((start, Bound::Unbounded))
            .take_while(move |(key, _)| key.0.starts_with(prefix))
    }
}

impl MemoryLedger {
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn get(&self, key: &RowKey) -> Result<Option<Row>, LedgerError> {
        Ok(self.state().rows.get(key).cloned())
    }

    async fn put(
        &self,
        key: &RowKey,
        row: Row,
        also: Option<(RowKey, Row)>,
    ) -> Result<bool, LedgerError> {
        let mut state = self.state();
        let is_next = state.is_next(key, &row)
            && also.as_ref().is_none_or(|(key, row)| state.is_next(key, row));
        if is_next {
            state.store(key.clone(), row);
            if let Some((key, row)) = also {
                state.store(key, row);
            }
        }
        Ok(is_next)
    }

    async fn page(
        &self,
        prefix: &str,
        after: Option<&RowKey>,
        limit: usize,
    ) -> Result<Vec<(RowKey, Row)>, LedgerError> {
        let state = self.state();
        let page = state.page(prefix, after).take(limit);
        Ok(page.map(|(key, row)| (key.clone(), row.clone())).collect())
    }

    async fn due(&self, now: Millis, limit: usize) -> Result<Vec<(RowKey, Row)>, LedgerError> {
        let state = self.state();
        let due = state.due.iter().take_while(|(when, _)| *when <= now).take(limit);
        Ok(due.filter_map(|(_, key)| Some((key.clone(), state.rows.get(key)?.clone()))).collect())
    }

    async fn record_part(
        &self,
        header: &HeaderId,
        epoch: u64,
        part: Part,
    ) -> Result<PartGroup, LedgerError> {
        let key = header.group_key(epoch, group_of(part.number));
        let mut state = self.state();
        let stored = state.rows.get(&key);
        let revision = stored.map_or(0, |row| row.revision).saturating_add(1);
        let mut group = decode_group(&key, stored)?;
        group.set(part);
        let row = encode_group(&key, revision, &group)?;
        state.store(key, row);
        Ok(group)
    }

    async fn part_group(
        &self,
        header: &HeaderId,
        epoch: u64,
        group: u16,
    ) -> Result<PartGroup, LedgerError> {
        let key = header.group_key(epoch, group);
        decode_group(&key, self.state().rows.get(&key))
    }

    async fn forget(&self, prefix: &str) -> Result<(), LedgerError> {
        let mut state = self.state();
        let keys: Vec<RowKey> = state.page(prefix, None).map(|(key, _)| key.clone()).collect();
        for key in &keys {
            state.remove(key);
        }
        Ok(())
    }
}
