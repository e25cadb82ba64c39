//! Ports that fail by a seed, in a process that may die between any two of its calls.
//!
//! Every call of every port goes through one [`Life`]. There it takes some time, may fail before its
//! effect or after it (the caller cannot tell which), may be the moment in which the rest of the
//! world moves, or may be the last thing that the process ever did. Or everything goes well but one
//! call, which goes wrong in one [`Wrong`] way.

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
    /// The number of the one call that goes wrong, from 1, and how.
    pub wrong: Option<(u64, Wrong)>,
    /// Every call whose name begins so goes wrong, and how.
    pub always: Option<(&'static str, Wrong)>,
}

/// A way in which a single call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wrong {
    /// It has no effect, and this is why.
    Before(ErrorKind),
    /// It has its effect, and the answer says something else.
    After(ErrorKind),
    /// Nobody answers for a long time; before the effect, or after it.
    TimesOut { after: bool },
    /// The process dies; before the effect, or after it.
    Killed { after: bool },
    /// The answer is that of a second try: the first one was lost on its way back.
    Repeated,
    /// A delivery or a start comes twice.
    Twice,
    /// Of the messages of a batch only the first is sent, and the call fails.
    SendsOne,
    /// Of the messages of a batch all but the first are sent, and the call fails.
    LosesOne,
    /// It says that it was done, and it was not.
    Undone,
    /// The ledger's index does not show yet what is due.
    Stale,
    /// The keys of a page come in the wrong order.
    Disorder,
    /// A page is the same again, and has the same page behind it.
    NeverAdvances,
    /// A body ends in the middle; with an error, or as if that were all.
    Cut { told: bool },
    /// One bit of a body is another.
    Flipped,
}

/// How long a call takes that nobody answers: longer than a message stays hidden.
const TIMEOUT_MS: u64 = 60_000;

/// A read that a process asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub key: ObjectKey,
    pub range: Option<ByteRange>,
    pub pin: Option<ETag>,
    pub bytes: u64,
}

/// What the rest of the world does just before a call, by its name.
pub type Disturbance = Arc<dyn Fn(&str) + Send + Sync>;

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
    /// The calls as they were begun: the n-th here is the n-th that a fault can strike.
    begun: Mutex<Vec<String>>,
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
    Wrong(Wrong),
}

impl Fate {
    fn is(&self, wrong: Wrong) -> bool {
        matches!(self, Self::Wrong(is) if *is == wrong)
    }
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
            begun: Mutex::default(),
        }
    }

    /// One that nobody disturbs, and whose calls go wrong as it is told.
    pub fn undisturbed(faults: Faults, seed: u64) -> Arc<Self> {
        Arc::new(Self::new(faults, seed, Arc::new(|_| {})))
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

    /// The names of its calls, in the order in which they are counted.
    pub fn begun(&self) -> Vec<String> {
        lock(&self.begun).clone()
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

    async fn dies(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
        self.death.notify_one();
        self.unless_dead().await;
    }

    async fn fate(&self, name: &str) -> Fate {
        self.takes_time().await;
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        lock(&self.begun).push(name.to_owned());
        if self.faults.dies_at == Some(number) {
            self.dies().await;
        }
        (self.disturbance)(name);
        if let Some((_, wrong)) = self.faults.wrong.filter(|(at, _)| *at == number) {
            return Fate::Wrong(wrong);
        }
        if let Some((_, wrong)) = self.faults.always.filter(|(of, _)| name.starts_with(of)) {
            return Fate::Wrong(wrong);
        }
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
        let fate = self.fate(name).await;
        self.meet(name, &fate, effect).await
    }

    /// Makes a call whose fate is known.
    async fn meet<T, E: Failure>(
        &self,
        name: &str,
        fate: &Fate,
        effect: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        let (answer, note) = match fate {
            Fate::Goes => (effect.await, String::new()),
            Fate::FailsBefore(how) => (Err(E::before(name, *how)), " (fails before)".to_owned()),
            Fate::FailsAfter(how) => {
                let _lost_answer = effect.await;
                (Err(E::after(name, *how)), " (fails after)".to_owned())
            }
            Fate::Wrong(wrong) => {
                (self.goes_wrong(name, *wrong, effect).await, format!(" ({wrong:?})"))
            }
        };
        let is_error = if answer.is_err() { " error" } else { "" };
        lock(&self.trace).push(format!("{name}{note}{is_error}"));
        self.takes_time().await;
        answer
    }

    async fn goes_wrong<T, E: Failure>(
        &self,
        name: &str,
        wrong: Wrong,
        effect: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        let timeout = Duration::from_millis(TIMEOUT_MS);
        match wrong {
            Wrong::Before(kind) => return Err(E::of(kind, name)),
            Wrong::TimesOut { after: false } => {
                tokio::time::sleep(timeout).await;
                return Err(E::of(ErrorKind::Unavailable, name));
            }
            Wrong::Killed { after: false } => self.dies().await,
            _ => {}
        }
        let answer = effect.await;
        match wrong {
            Wrong::After(kind) => return Err(E::of(kind, name)),
            Wrong::SendsOne | Wrong::LosesOne => return Err(E::of(ErrorKind::Unavailable, name)),
            Wrong::TimesOut { after: true } => {
                tokio::time::sleep(timeout).await;
                return Err(E::of(ErrorKind::Unavailable, name));
            }
            Wrong::Killed { after: true } => self.dies().await,
            _ => {}
        }
        answer
    }
}

/// An error that a fault can be.
trait Failure: Send {
    /// Nothing happened.
    fn before(call: &str, how: u64) -> Self;
    /// It happened, and the answer is lost, or says something else.
    fn after(call: &str, how: u64) -> Self;
    /// It failed so, as far as such an error can say.
    fn of(kind: ErrorKind, call: &str) -> Self;
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

    fn of(kind: ErrorKind, call: &str) -> Self {
        Self::new(kind, call, "the one fault")
    }
}

impl Failure for LedgerError {
    fn before(call: &str, _: u64) -> Self {
        Self::Unavailable(format!("{call}: a fault before the effect"))
    }

    fn after(call: &str, _: u64) -> Self {
        Self::Unavailable(format!("{call}: a fault after the effect"))
    }

    fn of(_: ErrorKind, call: &str) -> Self {
        Self::Unavailable(format!("{call}: the one fault"))
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

    /// The connection may break off while the body is read, and a bit may be another.
    async fn maybe_torn(&self, read: Read, fate: &Fate) -> Read {
        let torn = match fate {
            Fate::Wrong(wrong @ (Wrong::Cut { .. } | Wrong::Flipped)) => Some(*wrong),
            Fate::Wrong(_) => None,
            _ => {
                let one_in = self.life.faults.fails_one_in;
                let is_torn = one_in > 0 && read.size > 0 && self.life.draw(one_in * 2) == 0;
                is_torn.then(|| Wrong::Cut { told: self.life.draw(2) == 0 })
            }
        };
        let Some(torn) = torn.filter(|_| read.size > 0) else { return read };
        let bytes = read.body.collect().await.unwrap().to_bytes();
        let half = bytes.len() / 2;
        let frames: Vec<Result<Frame<Bytes>, BodyError>> = if torn == Wrong::Flipped {
            let mut flipped = bytes.to_vec();
            flipped[half] ^= 1;
            vec![Ok(Frame::data(flipped.into()))]
        } else {
            let rest = (torn == Wrong::Cut { told: true })
                .then(|| Err(BodyError::from("the connection broke off")));
            std::iter::once(Ok(Frame::data(bytes.slice(..half)))).chain(rest).collect()
        };
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
        let fate = self.life.fate(&name).await;
        let mut page = self.life.meet(&name, &fate, self.inner.list(request)).await?;
        if fate.is(Wrong::Disorder) {
            page.objects.reverse();
        }
        if fate.is(Wrong::NeverAdvances) {
            page.truncated = true;
            page.continuation.clone_from(&request.continuation);
        }
        Ok(page)
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
        let fate = self.life.fate(&name).await;
        let read = self.life.meet(&name, &fate, self.inner.get(key, range, pin)).await?;
        let (key, pin) = (key.clone(), pin.map(|pin| pin.etag.clone()));
        lock(&self.life.fetched).push(Fetched { key, range, pin, bytes: read.size });
        Ok(self.maybe_torn(read, &fate).await)
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

    async fn has_acls(&self) -> Result<bool, StoreError> {
        self.life.call("has_acls", self.inner.has_acls()).await
    }

    async fn grants(&self, key: &ObjectKey) -> Result<usize, StoreError> {
        self.life.call(&self.named("grants", key), self.inner.grants(key)).await
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
        let fate = self.life.fate(&name).await;
        if fate.is(Wrong::Repeated) {
            self.inner.put(key, row.clone(), also.clone()).await?;
        }
        self.life.meet(&name, &fate, self.inner.put(key, row, also)).await
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
        let fate = self.life.fate("ledger due").await;
        let due = self.life.meet("ledger due", &fate, self.inner.due(now, limit)).await?;
        if fate.is(Wrong::Stale) {
            return Ok(Vec::new());
        }
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

impl<Q: TaskQueue> FaultyQueue<Q> {
    async fn send_some(&self, queue: Queue, bodies: &[String]) -> Result<(), LedgerError> {
        let name = format!("queue send {queue:?} {} {bodies:?}", bodies.len());
        let fate = self.life.fate(&name).await;
        let sent = match &fate {
            Fate::Wrong(Wrong::SendsOne) => bodies.iter().take(1).cloned().collect(),
            Fate::Wrong(Wrong::LosesOne) => bodies.iter().skip(1).cloned().collect(),
            Fate::Wrong(Wrong::Twice) => [bodies, bodies].concat(),
            _ => bodies.to_vec(),
        };
        self.life.meet(&name, &fate, self.inner.send(queue, sent)).await
    }
}

#[async_trait]
impl<Q: TaskQueue> TaskQueue for FaultyQueue<Q> {
    async fn send(&self, queue: Queue, bodies: Vec<String>) -> Result<(), LedgerError> {
        // What fails may have sent some of it: the first half, by the second fate.
        lock(&self.life.sent).extend(bodies.iter().cloned());
        let rest = bodies.len() / 2;
        let (first, second) = bodies.split_at(rest);
        if !first.is_empty() {
            self.send_some(queue, first).await?;
        }
        self.send_some(queue, second).await
    }

    async fn receive(&self, queue: Queue, limit: usize) -> Result<Vec<Received>, LedgerError> {
        let name = format!("queue receive {queue:?}");
        let received = self.life.call(&name, self.inner.receive(queue, limit)).await?;
        lock(&self.life.received).extend(received.iter().map(|message| message.body.clone()));
        Ok(received)
    }

    async fn delay(&self, queue: Queue, receipt: &str, delay_ms: u64) -> Result<(), LedgerError> {
        let name = format!("queue delay {queue:?} {receipt} {delay_ms}");
        let fate = self.life.fate(&name).await;
        if fate.is(Wrong::Undone) {
            return Ok(());
        }
        self.life.meet(&name, &fate, self.inner.delay(queue, receipt, delay_ms)).await
    }

    async fn delete(&self, queue: Queue, receipt: &str) -> Result<(), LedgerError> {
        let name = format!("queue delete {queue:?} {receipt}");
        let fate = self.life.fate(&name).await;
        if fate.is(Wrong::Undone) {
            return Ok(());
        }
        self.life.meet(&name, &fate, self.inner.delete(queue, receipt)).await
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
        let fate = self.life.fate(&name).await;
        if fate.is(Wrong::Twice) {
            self.inner.start(header, epoch, attempt).await?;
        }
        self.life.meet(&name, &fate, self.inner.start(header, epoch, attempt)).await
    }
}
