//! The ledger of a dry run: what it writes stays in memory, and what earlier copies remember of the
//! destination's objects is read from their file, which is left as it is.
//!
//! The file is opened for each question and closed after it, so that a copy that begins meanwhile
//! never finds it locked for long.

use std::path::PathBuf;

use async_trait::async_trait;
use tranship_core::error::LedgerError;
use tranship_core::object::Millis;
use tranship_core::ports::{Ledger, Row};
use tranship_core::rows::{Evidence, HeaderId, PartGroup, RowKey};
use tranship_core::store::Part;

use super::memory::MemoryLedger;
use crate::embedded::{OpenError, read_row};

/// Memory over an earlier file, if there is one.
#[derive(Debug)]
pub struct LookingLedger {
    memory: MemoryLedger,
    /// `None`: there is no file.
    path: Option<PathBuf>,
    transfer_id: String,
}

impl LookingLedger {
    /// Over the file, together with one row of it; or why that cannot be read: it is in use, foreign,
    /// or was cut off by a kill.
    pub fn look(
        path: PathBuf,
        transfer_id: &str,
        key: &RowKey,
    ) -> Result<(Self, Option<Row>), OpenError> {
        let path = path.exists().then_some(path);
        let row = match &path {
            Some(path) => read_row(path, transfer_id, key)?,
            None => None,
        };
        let transfer_id = transfer_id.to_owned();
        Ok((Self { memory: MemoryLedger::new(), path, transfer_id }, row))
    }
}

#[async_trait]
impl Ledger for LookingLedger {
    async fn get(&self, key: &RowKey) -> Result<Option<Row>, LedgerError> {
        let row = self.memory.get(key).await?;
        let path = self.path.as_ref().filter(|_| key.0.starts_with(Evidence::PREFIX));
        let (None, Some(path)) = (&row, path) else { return Ok(row) };
        // A copy that has the file now may write other evidence: then this one is not to be had.
        Ok(read_row(path, &self.transfer_id, key).unwrap_or_default())
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
