//! The one writer of the embedded file: group commit.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use redb::{Database, ReadableTable as _, Table, WriteTransaction};
use tokio::sync::oneshot;
use tranship_core::error::LedgerError;
use tranship_core::ports::{Queue, Row};
use tranship_core::rows::{PartGroup, RowKey};
use tranship_core::store::Part;

use super::failed;
use super::tables::{DUE, RECEIVES, ROWS, StoredRow, messages, number_of, row_of};
use crate::ledgers::{decode_group, encode_group};
use crate::queues::flights::Lines;

/// Changes in one transaction. More would gain nothing per flush and keep the first one waiting.
const BATCH_MAX: usize = 1_024;
/// How long a change that nobody waits for may wait for company.
const UNHURRIED_WAIT: Duration = Duration::from_secs(1);
/// Rows that one step of forgetting removes: bounds the memory of a transaction.
const FORGET_MAX: usize = 4_096;

/// A change of the file.
#[derive(Debug)]
pub(crate) enum Change {
    Put {
        key: RowKey,
        row: Row,
        also: Option<(RowKey, Row)>,
    },
    RecordPart {
        group: RowKey,
        part: Part,
    },
    /// Removes a bounded number of rows.
    Forget {
        prefix: String,
    },
    Send {
        queue: Queue,
        messages: Vec<(u64, String)>,
    },
    Received {
        queue: Queue,
        counts: Vec<(u64, u32)>,
    },
    Delete {
        queue: Queue,
        number: u64,
    },
}

/// What a change came to.
#[derive(Debug)]
pub(crate) enum Answer {
    Done,
    Stored(bool),
    Group(PartGroup),
    /// Whether nothing is left to forget.
    Forgotten(bool),
}

/// A change, and who waits for it. Nobody does for one without: it is made with the next others.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) change: Change,
    pub(super) answer: Option<oneshot::Sender<Result<Answer, LedgerError>>>,
}

pub(super) struct Writer {
    database: Arc<Database>,
    changes: Receiver<Pending>,
    lines: Arc<Lines>,
}

impl Writer {
    pub(super) fn new(
        database: Arc<Database>,
        changes: Receiver<Pending>,
        lines: Arc<Lines>,
    ) -> Self {
        Self { database, changes, lines }
    }

    /// Works until the last handle of the file is gone.
    pub(super) fn run(self) {
        let mut batch: Vec<Pending> = Vec::new();
        loop {
            let next = if batch.is_empty() {
                self.changes.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                self.changes.recv_timeout(UNHURRIED_WAIT)
            };
            let is_over = matches!(next, Err(RecvTimeoutError::Disconnected));
            let is_hurried = match next {
                Ok(pending) => {
                    batch.push(pending);
                    let room = BATCH_MAX.saturating_sub(batch.len());
                    batch.extend(self.changes.try_iter().take(room));
                    batch.len() >= BATCH_MAX || batch.iter().any(|p| p.answer.is_some())
                }
                Err(_) => true,
            };
            if is_hurried {
                self.settle(std::mem::take(&mut batch));
            }
            if is_over {
                return;
            }
        }
    }

    /// Makes a batch durable, then answers each of it.
    fn settle(&self, batch: Vec<Pending>) {
        if batch.is_empty() {
            return;
        }
        match commit(&self.database, &batch) {
            Ok(answers) => {
                for (pending, answer) in batch.into_iter().zip(answers) {
                    self.tell_lines(&pending.change);
                    reply(pending.answer, answer);
                }
            }
            Err(error) => {
                let error = failed(&error);
                for pending in batch {
                    reply(pending.answer, Err(error.clone()));
                }
            }
        }
    }

    /// Done here and not by the caller, who may have stopped waiting.
    fn tell_lines(&self, change: &Change) {
        match change {
            Change::Send { queue, .. } => self.lines.of(*queue).arrivals.notify_waiters(),
            Change::Delete { queue, number } => self.lines.of(*queue).flights().deleted(*number),
            _ => {}
        }
    }
}

fn reply(
    to: Option<oneshot::Sender<Result<Answer, LedgerError>>>,
    answer: Result<Answer, LedgerError>,
) {
    if let Some(to) = to {
        // Whoever asked may have stopped waiting; the change holds all the same.
        drop(to.send(answer));
    }
}

type Answers = Vec<Result<Answer, LedgerError>>;

/// All of the batch in one transaction. A failure of the file fails them all, and stores nothing.
fn commit(database: &Database, batch: &[Pending]) -> Result<Answers, redb::Error> {
    let transaction = database.begin_write()?;
    let mut tables = Tables::open(&transaction)?;
    let mut answers = Vec::with_capacity(batch.len());
    for pending in batch {
        answers.push(tables.apply(&pending.change)?);
    }
    let changed = tables.changed;
    drop(tables);
    if changed {
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(answers)
}

/// The tables of one transaction.
struct Tables<'t> {
    rows: Table<'t, &'static str, StoredRow>,
    due: Table<'t, (u64, &'static str), ()>,
    receives: Table<'t, (u8, u64), u32>,
    scan: Table<'t, u64, &'static str>,
    transfer: Table<'t, u64, &'static str>,
    /// Lost races change nothing, and then there is nothing to flush.
    changed: bool,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            rows: transaction.open_table(ROWS)?,
            due: transaction.open_table(DUE)?,
            receives: transaction.open_table(RECEIVES)?,
            scan: transaction.open_table(messages(Queue::Scan))?,
            transfer: transaction.open_table(messages(Queue::Transfer))?,
            changed: false,
        })
    }

    /// The outer error is the file's and ends the batch; the inner one is the change's own.
    fn apply(&mut self, change: &Change) -> Result<Result<Answer, LedgerError>, redb::Error> {
        let answer = match change {
            Change::Put { key, row, also } => self.put(key, row, also.as_ref())?,
            Change::RecordPart { group, part } => return self.record_part(group, part),
            Change::Forget { prefix } => self.forget(prefix)?,
            Change::Send { queue, messages } => {
                self.changed |= !messages.is_empty();
                let table = self.messages(*queue);
                for (number, body) in messages {
                    table.insert(number, body.as_str())?;
                }
                Answer::Done
            }
            Change::Received { queue, counts } => self.received(*queue, counts)?,
            Change::Delete { queue, number } => {
                self.messages(*queue).remove(number)?;
                self.receives.remove((number_of(*queue), *number))?;
                self.changed = true;
                Answer::Done
            }
        };
        Ok(Ok(answer))
    }

    fn messages(&mut self, queue: Queue) -> &mut Table<'t, u64, &'static str> {
        match queue {
            Queue::Scan => &mut self.scan,
            Queue::Transfer | Queue::Large => &mut self.transfer,
        }
    }

    fn put(
        &mut self,
        key: &RowKey,
        row: &Row,
        also: Option<&(RowKey, Row)>,
    ) -> Result<Answer, redb::Error> {
        let is_next = self.is_next(key, row)?
            && match also {
                Some((key, row)) => self.is_next(key, row)?,
                None => true,
            };
        if is_next {
            self.store(key, row)?;
            if let Some((key, row)) = also {
                self.store(key, row)?;
            }
        }
        Ok(Answer::Stored(is_next))
    }

    fn is_next(&self, key: &RowKey, row: &Row) -> Result<bool, redb::Error> {
        let stored = self.rows.get(key.0.as_str())?.map_or(0, |stored| stored.value().0);
        Ok(stored.checked_add(1) == Some(row.revision))
    }

    fn store(&mut self, key: &RowKey, row: &Row) -> Result<(), redb::Error> {
        let key = key.0.as_str();
        let due = row.due.map(|due| due.0);
        let value = (row.revision, due, row.value.as_slice());
        let before = self.rows.insert(key, value)?.and_then(|stored| stored.value().1);
        if before != due {
            if let Some(before) = before {
                self.due.remove((before, key))?;
            }
            if let Some(due) = due {
                self.due.insert((due, key), ())?;
            }
        }
        self.changed = true;
        Ok(())
    }

    fn record_part(
        &mut self,
        key: &RowKey,
        part: &Part,
    ) -> Result<Result<Answer, LedgerError>, redb::Error> {
        let stored = self.rows.get(key.0.as_str())?.map(|stored| row_of(stored.value()));
        let revision = stored.as_ref().map_or(0, |row| row.revision).saturating_add(1);
        let mut group = match decode_group(key, stored.as_ref()) {
            Ok(group) => group,
            Err(error) => return Ok(Err(error)),
        };
        if group.get(part.number) == Some(part) {
            return Ok(Ok(Answer::Group(group)));
        }
        group.set(part.clone());
        match encode_group(key, revision, &group) {
            Ok(row) => self.store(key, &row)?,
            Err(error) => return Ok(Err(error)),
        }
        Ok(Ok(Answer::Group(group)))
    }

    fn forget(&mut self, prefix: &str) -> Result<Answer, redb::Error> {
        let mut found: Vec<(String, Option<u64>)> = Vec::new();
        for entry in self.rows.range(prefix..)?.take(FORGET_MAX) {
            let (key, row) = entry?;
            if !key.value().starts_with(prefix) {
                break;
            }
            found.push((key.value().to_owned(), row.value().1));
        }
        for (key, due) in &found {
            self.rows.remove(key.as_str())?;
            if let Some(due) = due {
                self.due.remove((*due, key.as_str()))?;
            }
        }
        self.changed |= !found.is_empty();
        Ok(Answer::Forgotten(found.len() < FORGET_MAX))
    }

    fn received(&mut self, queue: Queue, counts: &[(u64, u32)]) -> Result<Answer, redb::Error> {
        for (number, receives) in counts {
            // It may have been deleted since.
            if self.messages(queue).get(number)?.is_some() {
                self.receives.insert((number_of(queue), *number), *receives)?;
                self.changed = true;
            }
        }
        Ok(Answer::Done)
    }
}
