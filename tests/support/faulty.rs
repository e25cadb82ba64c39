//! Ports that fail by a seed, in a process that may die between any two of its calls.
//!
//! Every call of every port goes through one [`Life`]. There it takes some time, may fail before its
//! effect or after it (the caller cannot tell which), may be the moment in which the rest of the
//! world moves, or may be the last thing that the process ever did.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::Notify;
use tokio::time::Instant;
use tranship_adapters::clock::Chance;
use tranship_core::body::{Body, BodyError};
use tranship_core::error::{ErrorKind, LedgerError, StoreError};
use tranship_core::object::{ByteRange, ETag, Millis, ObjectKey, PartNumber, UploadId, VersionId};
use tranship_core::ports::{Clock, Completer, Ledger, Queue, Received, Row, TaskQueue};
use tranship_core::rows::{HeaderId, PartGroup, RowKey};
use tranship_core::store::{
    BucketFacts, Completion, CopySource, Head, ListPage, ListRequest, ObjectStore, OpenUpload,
    Part, PartPage, Pin, Put, Read, Write, Written,
};

/// When every simulation begins, in milliseconds since 1970.
const BEGINNING_MS: u64 = 1_700_000_000_000;

/// The paused time of a runtime, as a clock; and chance from a seed.
#[derive(Debug)]
pub struct VirtualClock {
    began: Instant,
    ahead_ms: u64,
    chance: Mutex<Chance>,
}

impl VirtualClock {
    /// `ahead_ms`: how far this clock is ahead of others that began at the same time.
    pub fn new(began: Instant, ahead_ms: u64, seed: u64) -> Self {
        Self { began, ahead_ms, chance: Mutex::new(Chance::new(seed)) }
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Millis {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap();
        Millis(BEGINNING_MS + since + self.ahead_ms)
    }

    async fn sleep(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    fn random(&self) -> u64 {
        lock(&self.chance).next()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How badly the calls of one process go.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// One call in so many fails; 0 is none.
    pub fails_one_in: u64,
    /// A call takes up to so long.
    pub latency_ms: u64,
    /// One look into the ledger's index in so many shows it as it was at the look before; 0 is none.
    pub stale_one_in: u64,
    /// The number of the call, from 1, at which the process dies instead of making it.
    pub dies_at: Option<u64>,
}

/// A read that a process asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub key: ObjectKey,
    pub range: Option<ByteRange>,
    pub pin: Option<ETag>,
    pub bytes: u64,
}

/// What the rest of the world does just before a call.
pub type Disturbance = Arc<dyn Fn() + Send + Sync>;

/// One process, from its start to its death or its end.
pub struct Life {
    faults: Faults,
    chance: Mutex<Chance>,
    disturbance: Disturbance,
    calls: AtomicU64,
    is_dead: AtomicBool,
    death: Notify,
    fetched: Mutex<Vec<Fetched>>,
    sent: Mutex<Vec<String>>,
    received: Mutex<Vec<String>>,
    /// The ledger's index as it was seen last.
    index: Mutex<Vec<(RowKey, Row)>>,
    /// The calls in order, for whoever wants to know what led to a failure.
    trace: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Life").field("faults", &self.faults).finish_non_exhaustive()
    }
}

enum Fate {
    Goes,
    FailsBefore(u64),
    FailsAfter(u64),
}

impl Life {
    pub fn new(faults: Faults, seed: u64, disturbance: Disturbance) -> Self {
        Self {
            faults,
            chance: Mutex::new(Chance::new(seed)),
            disturbance,
            calls: AtomicU64::new(0),
            is_dead: AtomicBool::new(false),
            death: Notify::new(),
            fetched: Mutex::default(),
            sent: Mutex::default(),
            received: Mutex::default(),
            index: Mutex::default(),
            trace: Mutex::default(),
        }
    }

    /// Number of port calls so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub fn fetched(&self) -> Vec<Fetched> {
        lock(&self.fetched).clone()
    }

    /// The messages that it sent, or tried to.
    pub fn sent(&self) -> Vec<String> {
        lock(&self.sent).clone()
    }

    /// The messages that it was given, each as often as it came.
    pub fn received(&self) -> Vec<String> {
        lock(&self.received).clone()
    }

    pub fn trace(&self) -> Vec<String> {
        lock(&self.trace).clone()
    }

    /// Waits for the process to die.
    pub async fn death(&self) {
        while !self.is_dead.load(Ordering::Relaxed) {
            self.death.notified().await;
        }
    }

    fn draw(&self, below: u64) -> u64 {
        lock(&self.chance).below(below)
    }

    /// What the dead do.
    async fn unless_dead(&self) {
        if self.is_dead.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    async fn takes_time(&self) {
        let ms = self.draw(self.faults.latency_ms + 1);
        tokio::time::sleep(Duration::from_millis(ms)).await;
        self.unless_dead().await;
    }

    async fn fate(&self) -> Fate {
        self.takes_time().await;
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if self.faults.dies_at == Some(number) {
            self.is_dead.store(true, Ordering::Relaxed);
            self.death.notify_one();
            self.unless_dead().await;
        }
        (self.disturbance)();
        if self.faults.fails_one_in == 0 || self.draw(self.faults.fails_one_in) > 0 {
            return Fate::Goes;
        }
        let how = self.draw(1_000);
        if how.is_multiple_of(2) { Fate::FailsBefore(how / 2) } else { Fate::FailsAfter(how / 2) }
    }

    /// Makes a call, or what its fate makes of it.
    async fn call<T, E: Failure>(
        &self,
        name: &str,
        effect: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        let fate = self.fate().await;
        let (answer, note) = match fate {
            Fate::Goes => (effect.await, ""),
            Fate::FailsBefore(how) => (Err(E::before(name, how)), " (fails before)"),
            Fate::FailsAfter(how) => {
                let _lost_answer = effect.await;
                (Err(E::after(name, how)), " (fails after)")
            }
        };
        let is_error = if answer.is_err() { " error" } else { "" };
        lock(&self.trace).push(format!("{name}{note}{is_error}"));
        self.takes_time().await;
        answer
    }
}

/// An error that a fault can be.
trait Failure: Send {
    /// Nothing happened.
    fn before(call: &str, how: u64) -> Self;
    /// It happened, and the answer is lost, or says something else.
    fn after(call: &str, how: u64) -> Self;
}

/// One of several, by a number.
pub fn pick<T: Copy>(of: &[T], how: u64) -> T {
    of[usize::try_from(how).unwrap() % of.len()]
}

impl Failure for StoreError {
    fn before(call: &str, how: u64) -> Self {
        let kinds = [ErrorKind::Unavailable, ErrorKind::Throttled, ErrorKind::Lied];
        Self::new(pick(&kinds, how), call, "a fault before the effect")
    }

    /// Clients and proxies repeat requests whose answers were lost; the second answer is then about
    /// what the first one did.
    fn after(call: &str, how: u64) -> Self {
        let kinds: &[ErrorKind] = if call.contains("complete_upload") {
            &[ErrorKind::Unavailable, ErrorKind::NoSuchUpload, ErrorKind::PreconditionFailed]
        } else if call.contains("abort_upload") {
            &[ErrorKind::Unavailable, ErrorKind::NoSuchUpload]
        } else if call.contains(" put ") || call.contains(" copy ") {
            &[ErrorKind::Unavailable, ErrorKind::PreconditionFailed]
        } else {
            &[ErrorKind::Unavailable]
        };
        Self::new(pick(kinds, how), call, "a fault after the effect")
    }
}

impl Failure for LedgerError {
    fn before(call: &str, _: u64) -> Self {
        Self::Unavailable(format!("{call}: a fault before the effect"))
    }

    fn after(call: &str, _: u64) -> Self {
        Self::Unavailable(format!("{call}: a fault after the effect"))
    }
}

/// An object store of a process.
#[derive(Debug)]
pub struct FaultyStore<S> {
    pub inner: Arc<S>,
    pub life: Arc<Life>,
    /// For the trace.
    pub name: &'static str,
}

impl<S: ObjectStore> FaultyStore<S> {
    fn named(&self, call: &str, key: &ObjectKey) -> String {
        format!("{} {call} {key}", self.name)
    }

    /// The connection may break off while the body is read.
    async fn maybe_torn(&self, read: Read) -> Read {
        let one_in = self.life.faults.fails_one_in;
        if one_in == 0 || read.size == 0 || self.life.draw(one_in * 2) > 0 {
            return read;
        }
        let is_told = self.life.draw(2) == 0;
        let bytes = read.body.collect().await.unwrap().to_bytes();
        let half = bytes.slice(..bytes.len() / 2);
        let mut frames: Vec<Result<Frame<Bytes>, BodyError>> = vec![Ok(Frame::data(half))];
        if is_told {
            frames.push(Err("the connection broke off".into()));
        }
        let body: Body = Box::pin(StreamBody::new(futures_util::stream::iter(frames)));
        Read { body, ..read }
    }
}

#[async_trait]
impl<S: ObjectStore> ObjectStore for FaultyStore<S> {
    async fn bucket(&self) -> Result<BucketFacts, StoreError> {
        self.life.call("bucket", self.inner.bucket()).await
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage, StoreError> {
        let name = format!("{} list {} after {:?}", self.name, request.prefix, request.after);
        self.life.call(&name, self.inner.list(request)).await
    }

    async fn head(
        &self,
        key: &ObjectKey,
        version: Option<&VersionId>,
        part: Option<PartNumber>,
    ) -> Result<Head, StoreError> {
        self.life.call(&self.named("head", key), self.inner.head(key, version, part)).await
    }

    async fn get(
        &self,
        key: &ObjectKey,
        range: Option<ByteRange>,
        pin: Option<&Pin>,
    ) -> Result<Read, StoreError> {
        let name = format!("{} {range:?}", self.named("get", key));
        let read = self.life.call(&name, self.inner.get(key, range, pin)).await?;
        let (key, pin) = (key.clone(), pin.map(|pin| pin.etag.clone()));
        lock(&self.life.fetched).push(Fetched { key, range, pin, bytes: read.size });
        Ok(self.maybe_torn(read).await)
    }

    async fn put(&self, put: Put<'_>, body: Body) -> Result<Written, StoreError> {
        let name = format!("{} if {:?}", self.named("put", put.key), put.condition);
        self.life.call(&name, self.inner.put(put, body)).await
    }

    async fn copy(&self, source: CopySource<'_>, put: Put<'_>) -> Result<Written, StoreError> {
        let name = format!("{} if {:?}", self.named("copy", put.key), put.condition);
        self.life.call(&name, self.inner.copy(source, put)).await
    }

    async fn create_upload(&self, key: &ObjectKey, write: &Write) -> Result<UploadId, StoreError> {
        let name = self.named("create_upload", key);
        self.life.call(&name, self.inner.create_upload(key, write)).await
    }

    async fn upload_part(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        number: PartNumber,
        size: u64,
        body: Body,
    ) -> Result<ETag, StoreError> {
        let name = format!("{} {upload:?} {number:?}", self.named("upload_part", key));
        self.life.call(&name, self.inner.upload_part(key, upload, number, size, body)).await
    }

    async fn copy_part(
        &self,
        source: CopySource<'_>,
        key: &ObjectKey,
        upload: &UploadId,
        number: PartNumber,
        range: ByteRange,
    ) -> Result<ETag, StoreError> {
        let name = format!("{} {upload:?} {number:?}", self.named("copy_part", key));
        self.life.call(&name, self.inner.copy_part(source, key, upload, number, range)).await
    }

    async fn list_parts(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        after: Option<PartNumber>,
    ) -> Result<PartPage, StoreError> {
        let name = format!("{} {upload:?}", self.named("list_parts", key));
        self.life.call(&name, self.inner.list_parts(key, upload, after)).await
    }

    async fn list_uploads(&self, key: &ObjectKey) -> Result<Vec<OpenUpload>, StoreError> {
        self.life.call(&self.named("list_uploads", key), self.inner.list_uploads(key)).await
    }

    async fn complete_upload(&self, completion: Completion<'_>) -> Result<Written, StoreError> {
        let Completion { key, upload, condition, .. } = &completion;
        let name = format!("{} {upload:?} if {condition:?}", self.named("complete_upload", key));
        self.life.call(&name, self.inner.complete_upload(completion)).await
    }

    async fn abort_upload(&self, key: &ObjectKey, upload: &UploadId) -> Result<(), StoreError> {
        let name = format!("{} {upload:?}", self.named("abort_upload", key));
        self.life.call(&name, self.inner.abort_upload(key, upload)).await
    }

    async fn delete(&self, key: &ObjectKey, condition: Option<&ETag>) -> Result<(), StoreError> {
        self.life.call(&self.named("delete", key), self.inner.delete(key, condition)).await
    }

    async fn tags(
        &self,
        key: &ObjectKey,
        version: Option<&VersionId>,
    ) -> Result<Vec<(String, String)>, StoreError> {
        self.life.call(&self.named("tags", key), self.inner.tags(key, version)).await
    }
}

/// The ledger of a process.
#[derive(Debug)]
pub struct FaultyLedger<L> {
    pub inner: Arc<L>,
    pub life: Arc<Life>,
}

#[async_trait]
impl<L: Ledger> Ledger for FaultyLedger<L> {
    async fn get(&self, key: &RowKey) -> Result<Option<Row>, LedgerError> {
        self.life.call(&format!("ledger get {}", key.0), self.inner.get(key)).await
    }

    async fn put(
        &self,
        key: &RowKey,
        row: Row,
        also: Option<(RowKey, Row)>,
    ) -> Result<bool, LedgerError> {
        let name = format!("ledger put {} {}", key.0, String::from_utf8_lossy(&row.value));
        self.life.call(&name, self.inner.put(key, row, also)).await
    }

    async fn page(
        &self,
        prefix: &str,
        after: Option<&RowKey>,
        limit: usize,
    ) -> Result<Vec<(RowKey, Row)>, LedgerError> {
        self.life
            .call(&format!("ledger page {prefix}"), self.inner.page(prefix, after, limit))
            .await
    }

    async fn due(&self, now: Millis, limit: usize) -> Result<Vec<(RowKey, Row)>, LedgerError> {
        let due = self.life.call("ledger due", self.inner.due(now, limit)).await?;
        let seen_before = std::mem::replace(&mut *lock(&self.life.index), due.clone());
        let one_in = self.life.faults.stale_one_in;
        let is_stale = one_in > 0 && self.life.draw(one_in) == 0;
        Ok(if is_stale { seen_before } else { due })
    }

    async fn record_part(
        &self,
        header: &HeaderId,
        epoch: u64,
        part: Part,
    ) -> Result<PartGroup, LedgerError> {
        let name = format!("ledger record_part {} {epoch} {:?}", header.0, part.number);
        self.life.call(&name, self.inner.record_part(header, epoch, part)).await
    }

    async fn part_group(
        &self,
        header: &HeaderId,
        epoch: u64,
        group: u16,
    ) -> Result<PartGroup, LedgerError> {
        let name = format!("ledger part_group {} {epoch} {group}", header.0);
        self.life.call(&name, self.inner.part_group(header, epoch, group)).await
    }

    async fn forget(&self, prefix: &str) -> Result<(), LedgerError> {
        self.life.call(&format!("ledger forget {prefix}"), self.inner.forget(prefix)).await
    }
}

/// The queues of a process.
#[derive(Debug)]
pub struct FaultyQueue<Q> {
    pub inner: Arc<Q>,
    pub life: Arc<Life>,
}

#[async_trait]
impl<Q: TaskQueue> TaskQueue for FaultyQueue<Q> {
    async fn send(&self, queue: Queue, bodies: Vec<String>) -> Result<(), LedgerError> {
        // What fails may have sent some of it: the first half, by the second fate.
        let name = format!("queue send {queue:?} {bodies:?}");
        lock(&self.life.sent).extend(bodies.iter().cloned());
        let rest = bodies.len() / 2;
        let (first, second) = bodies.split_at(rest);
        if !first.is_empty() {
            self.life.call(&name, self.inner.send(queue, first.to_vec())).await?;
        }
        self.life.call(&name, self.inner.send(queue, second.to_vec())).await
    }

    async fn receive(&self, queue: Queue, limit: usize) -> Result<Vec<Received>, LedgerError> {
        let name = format!("queue receive {queue:?}");
        let received = self.life.call(&name, self.inner.receive(queue, limit)).await?;
        lock(&self.life.received).extend(received.iter().map(|message| message.body.clone()));
        Ok(received)
    }

    async fn delay(&self, queue: Queue, receipt: &str, delay_ms: u64) -> Result<(), LedgerError> {
        let name = format!("queue delay {queue:?} {receipt} {delay_ms}");
        self.life.call(&name, self.inner.delay(queue, receipt, delay_ms)).await
    }

    async fn delete(&self, queue: Queue, receipt: &str) -> Result<(), LedgerError> {
        let name = format!("queue delete {queue:?} {receipt}");
        self.life.call(&name, self.inner.delete(queue, receipt)).await
    }

    async fn depth(&self, queue: Queue) -> Result<u64, LedgerError> {
        self.life.call("queue depth", self.inner.depth(queue)).await
    }
}

/// The completion port of a process.
#[derive(Debug)]
pub struct FaultyCompleter<C> {
    pub inner: Arc<C>,
    pub life: Arc<Life>,
}

#[async_trait]
impl<C: Completer> Completer for FaultyCompleter<C> {
    async fn start(&self, header: &HeaderId, epoch: u64, attempt: u32) -> Result<(), LedgerError> {
        let name = format!("completer start {} {epoch} {attempt}", header.0);
        self.life.call(&name, self.inner.start(header, epoch, attempt)).await
    }
}
