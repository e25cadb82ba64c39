//! The ports: the only traits. What lies behind them is a service on AWS, a file in embedded mode,
//! or memory under a seed; the stages cannot tell.
//!
//! The object store port has a file of its own, [`store`](crate::store).

use async_trait::async_trait;

use crate::error::LedgerError;
use crate::object::Millis;
use crate::rows::{HeaderId, PartGroup, RowKey};
use crate::store::Part;

/// One row of the ledger: a value that only ever changes from one revision to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// 1 when the row is made, one more with each change.
    pub revision: u64,
    /// When the sweep should look at it; rows without are not in its index.
    pub due: Option<Millis>,
    pub value: Vec<u8>,
}

/// The durable memory of runs, scans, tasks, headers and parts. Every call is one conditional step,
/// and every call may be repeated.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Reads a row as it is now (never a stale copy).
    async fn get(&self, key: &RowKey) -> Result<Option<Row>, LedgerError>;

    /// Stores the row if the stored revision is the one before the row's own (absent before 1), and
    /// together with it `also`, under the same rule; `false` if either had moved on, and then
    /// nothing is stored.
    async fn put(
        &self,
        key: &RowKey,
        row: Row,
        also: Option<(RowKey, Row)>,
    ) -> Result<bool, LedgerError>;

    /// Rows whose key starts with `prefix` and comes after `after`, in order, at most `limit`.
    async fn page(
        &self,
        prefix: &str,
        after: Option<&RowKey>,
        limit: usize,
    ) -> Result<Vec<(RowKey, Row)>, LedgerError>;

    /// Rows that are due at `now`, the longest due first, at most `limit`. May be a moment stale.
    async fn due(&self, now: Millis, limit: usize) -> Result<Vec<(RowKey, Row)>, LedgerError>;

    /// Sets one part in its group and returns the group as it then is. A part that is there already
    /// is replaced.
    async fn record_part(
        &self,
        header: &HeaderId,
        epoch: u64,
        part: Part,
    ) -> Result<PartGroup, LedgerError>;

    /// The recorded parts of one group.
    async fn part_group(
        &self,
        header: &HeaderId,
        epoch: u64,
        group: u16,
    ) -> Result<PartGroup, LedgerError>;

    /// Forgets every row whose key starts with `prefix`.
    async fn forget(&self, prefix: &str) -> Result<(), LedgerError>;
}

/// The queues of a transfer. Scans have one of their own, so that no flood of objects keeps the listing
/// from going on; so have the largest objects, where processes without a time limit take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    Scan,
    Transfer,
    /// An adapter that knows no such processes may take it for the transfer queue.
    Large,
}

/// A message that was received and is not yet deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Names this receipt; a later receipt of the same message has another.
    pub receipt: String,
    pub body: String,
    /// How often the message was received, this time included.
    pub receives: u32,
}

/// A queue that delivers every message at least once, in any order, until it is deleted.
#[async_trait]
pub trait TaskQueue: Send + Sync {
    /// Sends all bodies, or fails; after a failure some may have been sent.
    async fn send(&self, queue: Queue, bodies: Vec<String>) -> Result<(), LedgerError>;

    /// Waits a little while for messages; none is a normal answer.
    async fn receive(&self, queue: Queue, limit: usize) -> Result<Vec<Received>, LedgerError>;

    /// Makes a received message visible again after `delay_ms`.
    async fn delay(&self, queue: Queue, receipt: &str, delay_ms: u64) -> Result<(), LedgerError>;

    async fn delete(&self, queue: Queue, receipt: &str) -> Result<(), LedgerError>;

    /// Messages that are waiting or in flight.
    async fn depth(&self, queue: Queue) -> Result<u64, LedgerError>;
}

/// Starts the completion of an upload. Starting the same one twice is harmless.
#[async_trait]
pub trait Completer: Send + Sync {
    async fn start(&self, header: &HeaderId, epoch: u64, attempt: u32) -> Result<(), LedgerError>;
}

/// Time and chance.
#[async_trait]
pub trait Clock: Send + Sync {
    fn now(&self) -> Millis;

    async fn sleep(&self, ms: u64);

    fn random(&self) -> u64;
}
