//! The ledger of a dry run: what it writes stays in memory, and what earlier copies remember of the
//! destination's objects is read from their file, which is left as it is.
//!
//! The file is opened for each question and closed after it, so that a copy that begins meanwhile
//! never finds it locked for long.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tranship_core::error::LedgerError;
use tranship_core::object::Millis;
use tranship_core::ports::{Ledger, Row};
use tranship_core::rows::{Evidence, HeaderId, PartGroup, RowKey};
use tranship_core::store::Part;

use super::memory::MemoryLedger;
use crate::embedded::read_row;

/// Memory over an earlier file, if there is one.
#[derive(Debug)]
pub struct LookingLedger {
    memory: MemoryLedger,
    path: PathBuf,
    transfer_id: String,
    /// Set where the file cannot be read: in use, cut off by a kill, foreign.
    is_closed: AtomicBool,
}

impl LookingLedger {
    pub fn new(path: impl Into<PathBuf>, transfer_id: &str) -> Self {
        let (path, transfer_id) = (path.into(), transfer_id.to_owned());
        let is_closed = AtomicBool::new(!path.exists());
        Self { memory: MemoryLedger::new(), path, transfer_id, is_closed }
    }

    /// Why the file's evidence cannot be read; `None` if it can, or if there is no file.
    pub fn trouble(&self) -> Option<String> {
        if self.is_closed.load(Ordering::Relaxed) {
            return None;
        }
        let none = RowKey(Evidence::PREFIX.to_owned());
        let error = read_row(&self.path, &self.transfer_id, &none).err()?;
        self.is_closed.store(true, Ordering::Relaxed);
        Some(error.to_string())
    }
}

#[async_trait]
impl Ledger for LookingLedger {
    async fn get(&self, key: &RowKey) -> Result<Option<Row>, LedgerError> {
        let row = self.memory.get(key).await?;
        let is_remembered = key.0.starts_with(Evidence::PREFIX);
        if row.is_some() || !is_remembered || self.is_closed.load(Ordering::Relaxed) {
            return Ok(row);
        }
        // A copy that has the file now may write other evidence: then this one is not to be had.
        Ok(read_row(&self.path, &self.transfer_id, key).unwrap_or_default())
    }

    async fn put(
        &self,
        key: &RowKey,
        row: Row,
        also: Option<(RowKey, Row)>,
    ) -> Result<bool, LedgerError> {
        self.memory.put(key, row, also).await
    }

    async fn page(
        &self,
        prefix: &str,
        after: Option<&RowKey>,
        limit: usize,
    ) -> Result<Vec<(RowKey, Row)>, LedgerError> {
        self.memory.page(prefix, after, limit).await
    }

    async fn due(&self, now: Millis, limit: usize) -> Result<Vec<(RowKey, Row)>, LedgerError> {
        self.memory.due(now, limit).await
    }

    async fn record_part(
        &self,
        header: &HeaderId,
        epoch: u64,
        part: Part,
    ) -> Result<PartGroup, LedgerError> {
        self.memory.record_part(header, epoch, part).await
    }

    async fn part_group(
        &self,
        header: &HeaderId,
        epoch: u64,
        group: u16,
    ) -> Result<PartGroup, LedgerError> {
        self.memory.part_group(header, epoch, group).await
    }

    async fn forget(&self, prefix: &str) -> Result<(), LedgerError> {
        self.memory.forget(prefix).await
    }
}
