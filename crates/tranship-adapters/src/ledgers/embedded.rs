//! The ledger in the embedded file.

use std::ops::Bound;

use async_trait::async_trait;
use redb::ReadableTable as _;
use tranship_core::error::LedgerError;
use tranship_core::object::Millis;
use tranship_core::ports::{Ledger, Row};
use tranship_core::rows::{HeaderId, PartGroup, RowKey, group_of};
use tranship_core::store::Part;

use super::decode_group;
use crate::embedded::{Answer, Change, DUE, EmbeddedFile, ROWS, row_of};

/// The ledger of an [`EmbeddedFile`].
#[derive(Debug, Clone)]
pub struct EmbeddedLedger {
    file: EmbeddedFile,
}

impl EmbeddedLedger {
    pub(crate) fn new(file: EmbeddedFile) -> Self {
        Self { file }
    }

    fn row(&self, key: &RowKey) -> Result<Option<Row>, LedgerError> {
        self.file.read(|transaction| {
            let rows = transaction.open_table(ROWS)?;
            Ok(rows.get(key.0.as_str())?.map(|row| row_of(row.value())))
        })
    }
}

#[async_trait]
impl Ledger for EmbeddedLedger {
    async fn get(&self, key: &RowKey) -> Result<Option<Row>, LedgerError> {
        self.row(key)
    }

    async fn put(
        &self,
        key: &RowKey,
        row: Row,
        also: Option<(RowKey, Row)>,
    ) -> Result<bool, LedgerError> {
        let change = Change::Put { key: key.clone(), row, also };
        match self.file.change(change).await? {
            Answer::Stored(stored) => Ok(stored),
            other => Err(mismatch(&other)),
        }
    }

    async fn page(
        &self,
        prefix: &str,
        after: Option<&RowKey>,
        limit: usize,
    ) -> Result<Vec<(RowKey, Row)>, LedgerError> {
        let start = match after {
            Some(after) if after.0.as_str() >= prefix => Bound::Excluded(after.0.as_str()),
            _ => Bound::Included(prefix),
        };
        self.file.read(|transaction| {
            let rows = transaction.open_table(ROWS)?;
            let mut page = Vec::new();
            for entry in rows.range::<&str>((start, Bound::Unbounded))?.take(limit) {
                let (key, row) = entry?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                page.push((RowKey(key.value().to_owned()), row_of(row.value())));
            }
            Ok(page)
        })
    }

    async fn due(&self, now: Millis, limit: usize) -> Result<Vec<(RowKey, Row)>, LedgerError> {
        self.file.read(|transaction| {
            let rows = transaction.open_table(ROWS)?;
            let mut due = Vec::new();
            for entry in transaction.open_table(DUE)?.iter()?.take(limit) {
                let (when, ()) = entry.map(|(when, _)| (when, ()))?;
                let (when, key) = when.value();
                if when > now.0 {
                    break;
                }
                if let Some(row) = rows.get(key)? {
                    due.push((RowKey(key.to_owned()), row_of(row.value())));
                }
            }
            Ok(due)
        })
    }

    async fn record_part(
        &self,
        header: &HeaderId,
        epoch: u64,
        part: Part,
    ) -> Result<PartGroup, LedgerError> {
        let group = header.group_key(epoch, group_of(part.number));
        match self.file.change(Change::RecordPart { group, part }).await? {
            Answer::Group(group) => Ok(group),
            other => Err(mismatch(&other)),
        }
    }

    async fn part_group(
        &self,
        header: &HeaderId,
        epoch: u64,
        group: u16,
    ) -> Result<PartGroup, LedgerError> {
        let key = header.group_key(epoch, group);
        decode_group(&key, self.row(&key)?.as_ref())
    }

    async fn forget(&self, prefix: &str) -> Result<(), LedgerError> {
        // In steps, so that forgetting a large run neither holds all its keys nor keeps the
        // writer from everybody else.
        loop {
            match self.file.change(Change::Forget { prefix: prefix.to_owned() }).await? {
                Answer::Forgotten(true) => return Ok(()),
                Answer::Forgotten(false) => {}
                other => return Err(mismatch(&other)),
            }
        }
    }
}

/// The writer answers each change in kind; anything else is a defect of ours.
fn mismatch(answer: &Answer) -> LedgerError {
    LedgerError::Unreadable(format!("the ledger's writer answered {answer:?} to another question"))
}
