//! The tables of the embedded file, and what says whose file it is.

use redb::{Database, ReadableDatabase, ReadableTable as _, TableDefinition, TableError};
use tranship_core::object::Millis;
use tranship_core::ports::{Queue, Row};

/// Revision, due, value. Part groups are rows like any other.
pub(crate) type StoredRow = (u64, Option<u64>, &'static [u8]);

/// Text to text, so that every later version can read at least whose file it is.
const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");
pub(crate) const ROWS: TableDefinition<'_, &str, StoredRow> = TableDefinition::new("rows");
/// The rows that are due, by when; kept in the transaction that stores the row.
pub(crate) const DUE: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("due");
/// How often a message was received, by number of queue and of message. Apart from the bodies,
/// which are far larger and never change.
pub(crate) const RECEIVES: TableDefinition<'_, (u8, u64), u32> = TableDefinition::new("receives");
const SCAN: TableDefinition<'_, u64, &str> = TableDefinition::new("queue.scan");
const TRANSFER: TableDefinition<'_, u64, &str> = TableDefinition::new("queue.transfer");

pub(super) const MAGIC: &str = "tranship ledger";

/// The waiting messages of a queue, in the order in which they were sent.
pub(crate) fn messages(queue: Queue) -> TableDefinition<'static, u64, &'static str> {
    match queue {
        Queue::Scan => SCAN,
        // One process has one queue of tasks.
        Queue::Transfer | Queue::Large => TRANSFER,
    }
}

/// The queue as a key names it.
pub(crate) fn number_of(queue: Queue) -> u8 {
    match queue {
        Queue::Scan => 0,
        Queue::Transfer | Queue::Large => 1,
    }
}

pub(crate) fn row_of((revision, due, value): (u64, Option<u64>, &[u8])) -> Row {
    Row { revision, due: due.map(Millis), value: value.to_vec() }
}

/// Whose file it is.
pub(super) struct Identity {
    pub(super) magic: String,
    pub(super) format: u32,
    pub(super) transfer: String,
    /// Of the product that made the file.
    pub(super) version: String,
}

/// Makes all tables, so that a read always finds them.
pub(super) fn create(database: &Database, identity: &Identity) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert("magic", identity.magic.as_str())?;
        meta.insert("format", identity.format.to_string().as_str())?;
        meta.insert("transfer", identity.transfer.as_str())?;
        meta.insert("version", identity.version.as_str())?;
        transaction.open_table(ROWS)?;
        transaction.open_table(DUE)?;
        transaction.open_table(RECEIVES)?;
        transaction.open_table(SCAN)?;
        transaction.open_table(TRANSFER)?;
    }
    transaction.commit()?;
    Ok(())
}

/// `None` if the file says nothing that we would say.
pub(super) fn identity(database: &impl ReadableDatabase) -> Result<Option<Identity>, redb::Error> {
    let transaction = database.begin_read()?;
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(_) => return Ok(None),
    };
    let text = |key| -> Result<String, redb::Error> {
        Ok(meta.get(key)?.map(|value| value.value().to_owned()).unwrap_or_default())
    };
    Ok(Some(Identity {
        magic: text("magic")?,
        format: text("format")?.parse().unwrap_or_default(),
        transfer: text("transfer")?,
        version: text("version")?,
    }))
}

/// The number of the newest message, 0 if there is none.
pub(super) fn last_message(database: &Database, queue: Queue) -> Result<u64, redb::Error> {
    let table = database.begin_read()?.open_table(messages(queue))?;
    Ok(table.last()?.map_or(0, |(number, _)| number.value()))
}
