//! The ledger port's adapters: DynamoDB, the embedded file, memory, and memory over a file for a dry run.

pub mod dynamodb;
pub mod embedded;
pub mod looking;
pub mod memory;

use tranship_core::error::LedgerError;
use tranship_core::ports::Row;
use tranship_core::rows::{PartGroup, RowKey};

/// A part group as its row holds it; none is an empty group.
pub(crate) fn decode_group(key: &RowKey, row: Option<&Row>) -> Result<PartGroup, LedgerError> {
    let Some(row) = row else { return Ok(PartGroup::default()) };
    serde_json::from_slice(&row.value).map_err(|error| unreadable(key, &error))
}

pub(crate) fn encode_group(
    key: &RowKey,
    revision: u64,
    group: &PartGroup,
) -> Result<Row, LedgerError> {
    let value = serde_json::to_vec(group).map_err(|error| unreadable(key, &error))?;
    Ok(Row { revision, due: None, value })
}

fn unreadable(key: &RowKey, error: &serde_json::Error) -> LedgerError {
    LedgerError::Unreadable(format!("row {}: {error}", key.0))
}
