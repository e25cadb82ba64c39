//! The embedded file: one database per transfer, with its ledger and both of its queues.
//!
//! One process at a time has it open. All writes go through one thread, which puts the writes that
//! wait into one transaction, so that many small steps share one flush to disk; reads go past it.
//! The file appears under its name only once it is good: a kill at any moment leaves no ledger or
//! a whole one.

mod tables;
mod writer;

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, StorageError};
use tokio::sync::oneshot;
use tranship_core::error::LedgerError;
use tranship_core::ports::{Clock, Queue, Row};
use tranship_core::rows::RowKey;

pub(crate) use self::tables::{DUE, RECEIVES, ROWS, messages, number_of, row_of};
use self::tables::{Identity, MAGIC, identity, last_message};
pub(crate) use self::writer::{Answer, Change};
use self::writer::{Pending, Writer};
use crate::ledgers::embedded::EmbeddedLedger;
use crate::queues::embedded::EmbeddedQueue;
use crate::queues::flights::Lines;

/// The format that this version writes, and the newest that it reads.
pub const FORMAT: u32 = 1;
/// The first bytes of every redb file.
const REDB_MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";
/// Pages kept in memory. A ledger's hot rows are few, and the memory is wanted for bodies.
const CACHE_BYTES: usize = 32 << 20;
const PRODUCT_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why a ledger file cannot be used. Each says what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the ledger {} is in use by another process; wait for it or stop it, then run the command again",
        path.display()
    )]
    Locked { path: PathBuf },
    #[error(
        "{} is not a tranship ledger ({detail}); it was left untouched: name another file for the ledger",
        path.display()
    )]
    Foreign { path: PathBuf, detail: String },
    #[error(
        "the ledger {} has format {found}, written by tranship {by}, and this version knows formats up to {known}; use that version or a newer one",
        path.display()
    )]
    Newer { path: PathBuf, found: u32, known: u32, by: String },
    #[error(
        "the ledger {} belongs to another transfer ({found}, not {expected}); name another file for the ledger, or give the source and destination that it was made for",
        path.display()
    )]
    OtherTransfer { path: PathBuf, found: String, expected: String },
    #[error(
        "the ledger {} is damaged ({detail}); move it away and run the command again: objects that were copied are found at the destination",
        path.display()
    )]
    Damaged { path: PathBuf, detail: String },
    #[error(
        "the ledger {} cannot be written ({source}); check the folder, its permissions and the free space",
        path.display()
    )]
    Unwritable { path: PathBuf, source: std::io::Error },
}

/// An open ledger file. Clones share it; the last one to go closes it.
#[derive(Clone)]
pub struct EmbeddedFile(Arc<Inner>);

struct Inner {
    path: PathBuf,
    database: Arc<Database>,
    lines: Arc<Lines>,
    /// `None` only while closing.
    pending: Option<Sender<Pending>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for EmbeddedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("EmbeddedFile").field(&self.0.path).finish()
    }
}

impl EmbeddedFile {
    /// Opens the ledger of a transfer, and makes it if there is none. Blocks for a few flushes.
    pub fn open(path: impl Into<PathBuf>, transfer_id: &str) -> Result<Self, OpenError> {
        let path = path.into();
        let database = open_or_create(&path, transfer_id)?;
        let newest = |queue| last_message(&database, queue).map_err(|error| damaged(&path, &error));
        let lines = Arc::new(Lines::new(newest(Queue::Scan)?, newest(Queue::Transfer)?));
        let database = Arc::new(database);
        let (pending, changes) = std::sync::mpsc::channel();
        let writer = Writer::new(Arc::clone(&database), changes, Arc::clone(&lines));
        let writer = std::thread::Builder::new()
            .name("tranship-ledger".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| OpenError::Unwritable { path: path.clone(), source })?;
        let writer = Mutex::new(Some(writer));
        Ok(Self(Arc::new(Inner { path, database, lines, pending: Some(pending), writer })))
    }

    pub fn path(&self) -> &Path {
        &self.0.path
    }

    pub fn ledger(&self) -> EmbeddedLedger {
        EmbeddedLedger::new(self.clone())
    }

    /// The queues. All handles of one file share what is in flight, so they should share a clock.
    pub fn queue(&self, clock: Arc<dyn Clock>) -> EmbeddedQueue {
        EmbeddedQueue::new(self.clone(), clock)
    }

    pub(crate) fn lines(&self) -> &Lines {
        &self.0.lines
    }

    /// Runs a read over one snapshot: everything that was answered before is in it.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&redb::ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, LedgerError> {
        let transaction = self.0.database.begin_read().map_err(|error| failed(&error.into()))?;
        read(&transaction).map_err(|error| failed(&error))
    }

    /// Makes a change durable, together with whatever else waits.
    pub(crate) async fn change(&self, change: Change) -> Result<Answer, LedgerError> {
        let (answer, answered) = oneshot::channel();
        self.hand_over(Pending { change, answer: Some(answer) })?;
        answered.await.unwrap_or_else(|_| Err(writer_ended()))
    }

    /// Lets a change become durable with the next one that somebody waits for.
    pub(crate) fn change_sometime(&self, change: Change) -> Result<(), LedgerError> {
        self.hand_over(Pending { change, answer: None })
    }

    fn hand_over(&self, pending: Pending) -> Result<(), LedgerError> {
        let writer = self.0.pending.as_ref().ok_or_else(writer_ended)?;
        writer.send(pending).map_err(|_| writer_ended())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The writer ends when nobody can send any more; it must end before the file is closed, so
        // that the next open finds a file that was closed in good order and needs no repair.
        self.pending = None;
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A writer that panicked has answered nobody since; there is nothing left to do.
            drop(writer.join());
        }
    }
}

fn writer_ended() -> LedgerError {
    LedgerError::Unavailable("the ledger's writer has ended".to_owned())
}

/// What a failure of the database means to a caller.
pub(crate) fn failed(error: &redb::Error) -> LedgerError {
    match error {
        redb::Error::Corrupted(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableDoesNotExist(_) => LedgerError::Unreadable(error.to_string()),
        redb::Error::PreviousIo => LedgerError::Unavailable(
            "an earlier write to the ledger file failed, and it must be opened anew; check the free \
             space and run the command again"
                .to_owned(),
        ),
        _ => LedgerError::Unavailable(error.to_string()),
    }
}

fn damaged(path: &Path, error: &redb::Error) -> OpenError {
    OpenError::Damaged { path: path.to_owned(), detail: error.to_string() }
}

/// What is found under the ledger's name.
enum Found {
    /// No file, or an empty one.
    Nothing,
    Redb,
    Other,
}

fn look(path: &Path) -> Result<Found, std::io::Error> {
    let mut start = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(16).read_to_end(&mut start)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    Ok(match start.as_slice() {
        [] => Found::Nothing,
        start if start.starts_with(REDB_MAGIC) => Found::Redb,
        _ => Found::Other,
    })
}

fn open_or_create(path: &Path, transfer_id: &str) -> Result<Database, OpenError> {
    let unwritable = |source| OpenError::Unwritable { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(unwritable)?;
    }
    if matches!(look(path).map_err(unwritable)?, Found::Nothing)
        && let Some(database) = create(path, transfer_id)?
    {
        return Ok(database);
    }
    if matches!(look(path).map_err(unwritable)?, Found::Other) {
        let detail = "its first bytes are those of another kind of file".to_owned();
        return Err(OpenError::Foreign { path: path.to_owned(), detail });
    }
    let database = builder().open(path).map_err(|error| refused(path, error))?;
    check(path, &database, transfer_id)?;
    Ok(database)
}

/// Makes the file beside its place and moves it there when it is whole; `None` if another process
/// was faster.
fn create(path: &Path, transfer_id: &str) -> Result<Option<Database>, OpenError> {
    let unwritable = |source| OpenError::Unwritable { path: path.to_owned(), source };
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&new)
        .map_err(unwritable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            return Err(OpenError::Locked { path: path.to_owned() });
        }
        Err(std::fs::TryLockError::Error(source)) => return Err(unwritable(source)),
    }
    // Whoever had the lock before may have moved this very file to its place. Only under the lock,
    // and with the place still empty, is it ours to truncate.
    if !matches!(look(path).map_err(unwritable)?, Found::Nothing) {
        return Ok(None);
    }
    file.set_len(0).map_err(unwritable)?;
    let backend = FileBackend::new(file).map_err(|error| refused(path, error))?;
    let database = builder().create_with_backend(backend).map_err(|error| refused(path, error))?;
    let identity = Identity {
        magic: MAGIC.to_owned(),
        format: FORMAT,
        transfer: transfer_id.to_owned(),
        version: PRODUCT_VERSION.to_owned(),
    };
    tables::create(&database, &identity).map_err(|error| damaged(path, &error))?;
    std::fs::rename(&new, path).map_err(unwritable)?;
    flush_folder(path).map_err(unwritable)?;
    Ok(Some(database))
}

/// Makes the new name durable. Elsewhere than on Unix a folder cannot be flushed, and need not be.
fn flush_folder(path: &Path) -> Result<(), std::io::Error> {
    if cfg!(unix)
        && let Some(folder) = path.parent()
    {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn refused(path: &Path, error: DatabaseError) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            OpenError::Locked { path }
        }
        DatabaseError::Storage(StorageError::Io(source)) => OpenError::Unwritable { path, source },
        DatabaseError::UpgradeRequired(version) => {
            OpenError::Foreign { path, detail: format!("a redb file of version {version}") }
        }
        error => OpenError::Damaged { path, detail: error.to_string() },
    }
}

/// Reads one row of a transfer's ledger, and leaves the file as it is: open for no longer than that.
pub(crate) fn read_row(
    path: &Path,
    transfer_id: &str,
    key: &RowKey,
) -> Result<Option<Row>, OpenError> {
    let database = builder().open_read_only(path).map_err(|error| refused(path, error))?;
    check(path, &database, transfer_id)?;
    let read = || -> Result<Option<Row>, redb::Error> {
        let rows = database.begin_read()?.open_table(ROWS)?;
        Ok(rows.get(key.0.as_str())?.map(|row| row_of(row.value())))
    };
    read().map_err(|error| damaged(path, &error))
}

fn check(
    path: &Path,
    database: &impl ReadableDatabase,
    transfer_id: &str,
) -> Result<(), OpenError> {
    let foreign =
        |detail: &str| OpenError::Foreign { path: path.to_owned(), detail: detail.to_owned() };
    let identity = identity(database)
        .map_err(|error| damaged(path, &error))?
        .ok_or_else(|| foreign("a redb file of another program"))?;
    if identity.magic != MAGIC || identity.format == 0 {
        return Err(foreign("a redb file of another program"));
    }
    if identity.format > FORMAT {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found: identity.format,
            known: FORMAT,
            by: identity.version,
        });
    }
    if identity.transfer != transfer_id {
        return Err(OpenError::OtherTransfer {
            path: path.to_owned(),
            found: identity.transfer,
            expected: transfer_id.to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
