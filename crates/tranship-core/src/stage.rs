//! What every stage holds in its hands: the transfer, the policy and the ports.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use async_lock::{OnceCell, SemaphoreGuard};

use crate::breakdown::segment;
use crate::error::{Disposition, ErrorKind, StoreError};
use crate::link::Link;
use crate::location::Transfer;
use crate::object::{ByteRange, ObjectKey};
use crate::policy::Policy;
use crate::ports::{Clock, Completer, Ledger, TaskQueue};
use crate::progress::Progress;
use crate::store::{ObjectStore, Pin, Read};

/// Attempts of one request within one delivery of its task; what fails longer comes back later.
const ATTEMPTS_MAX: u32 = 3;
/// The first back-off; it doubles with each attempt and is spread by chance.
const BACK_OFF_MS: u64 = 100;

/// Denied reads in a row after which it is the credentials, and not the objects.
const DENIALS_MAX: u32 = 16;

/// A stage's surroundings.
pub struct Stage {
    pub transfer: Transfer,
    pub transfer_id: String,
    pub policy: Policy,
    pub source: Arc<dyn ObjectStore>,
    pub destination: Arc<dyn ObjectStore>,
    pub ledger: Arc<dyn Ledger>,
    pub queue: Arc<dyn TaskQueue>,
    pub completer: Arc<dyn Completer>,
    pub clock: Arc<dyn Clock>,
    pub progress: Arc<Progress>,
    pub link: Link,
    /// Set when the process is to end: nothing new is begun.
    pub stopping: Arc<AtomicBool>,
    pub learned: Learned,
}

/// What this process has seen of the two sides since it began, when it knew nothing.
#[derive(Debug, Default)]
pub struct Learned {
    /// The destination's `ETag`s do not say what was written, so every copy needs a token.
    pub(crate) destination_is_opaque: AtomicBool,
    /// The source's tags may not be read, and it does not tell of any.
    pub(crate) hides_tags: OnceCell<bool>,
    /// Reads of the source that were denied, one after the other.
    denials: AtomicU32,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").field("transfer", &self.transfer).finish_non_exhaustive()
    }
}

impl Stage {
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// A permit for one stream; held while bytes move.
    pub async fn stream(&self) -> SemaphoreGuard<'_> {
        self.link.stream().await
    }

    /// The destination's key of a source key, or why it has none.
    pub fn destination_key(&self, key: &ObjectKey) -> Result<ObjectKey, StoreError> {
        let cannot = |why: String| {
            let context = format!("map {key} to {}", self.transfer.destination.display());
            StoreError::new(ErrorKind::Invalid, context, why)
        };
        let mapped = self.transfer.destination_key(key).ok_or_else(|| {
            cannot("the key is not under the source prefix, or with the destination prefix it is longer than 1,024 bytes; choose a shorter destination prefix".to_owned())
        })?;
        match self.policy.objects.refuses_key(&mapped) {
            Some(why) => Err(cannot(why)),
            None => Ok(mapped),
        }
    }

    /// What a key's outcome is counted under, where accounts are kept by prefix.
    pub fn prefix_of(&self, key: &ObjectKey) -> Option<String> {
        let prefix = &self.transfer.source.prefix;
        self.policy.by_prefix.then(|| segment(prefix, key).to_owned())
    }

    /// Opens an object of the source.
    pub async fn read(
        &self,
        key: &ObjectKey,
        range: Option<ByteRange>,
        pin: Option<&Pin>,
    ) -> Result<Read, StoreError> {
        let read = self.judged(self.source.get(key, range, pin).await)?;
        Ok(Read { body: self.link.paced(read.body), ..read })
    }

    /// Tells an object that may not be read from a source that may not: an object can have an owner,
    /// a lock or a key of its own, and one of them is to stop nothing but itself.
    pub fn judged<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        match &answer {
            Err(error) if error.kind == ErrorKind::Denied => {
                let before = self.learned.denials.fetch_add(1, Ordering::Relaxed);
                if before + 1 < DENIALS_MAX {
                    return answer
                        .map_err(|error| StoreError { kind: ErrorKind::Forbidden, ..error });
                }
            }
            Err(_) => {}
            Ok(_) => self.learned.denials.store(0, Ordering::Relaxed),
        }
        answer
    }

    /// How this stage repeats what may pass.
    pub fn patience(&self) -> Patience<'_> {
        Patience { clock: &*self.clock, progress: &self.progress, stopping: &self.stopping }
    }

    /// Repeats what may pass, with back-off.
    pub async fn retried<T, F, R>(&self, call: F) -> Result<T, StoreError>
    where
        F: FnMut() -> R,
        R: Future<Output = Result<T, StoreError>>,
    {
        self.patience().retried(call).await
    }

    /// Waits before another attempt, the longer the more there were.
    pub async fn back_off(&self, attempt: u32) {
        self.patience().back_off(attempt).await;
    }

    /// A time between half of `ms` and all of it.
    pub fn spread(&self, ms: u64) -> u64 {
        self.patience().spread(ms)
    }
}

/// Repeats what may pass: what it takes to wait, and to know when waiting is over.
#[derive(Clone, Copy)]
pub struct Patience<'a> {
    pub clock: &'a dyn Clock,
    pub progress: &'a Progress,
    /// Set when the process is to end: nothing is tried again.
    pub stopping: &'a AtomicBool,
}

impl std::fmt::Debug for Patience<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Patience").finish_non_exhaustive()
    }
}

impl Patience<'_> {
    /// Repeats what may pass, with back-off.
    pub async fn retried<T, F, R>(&self, mut call: F) -> Result<T, StoreError>
    where
        F: FnMut() -> R,
        R: Future<Output = Result<T, StoreError>>,
    {
        let mut attempt = 0;
        loop {
            match call().await {
                Err(error) if error.disposition() == Disposition::Retry => {
                    attempt += 1;
                    if error.kind == ErrorKind::Throttled {
                        self.progress.throttled();
                    }
                    if attempt >= ATTEMPTS_MAX || self.stopping.load(Ordering::Relaxed) {
                        return Err(error);
                    }
                    self.back_off(attempt).await;
                }
                answer => return answer,
            }
        }
    }

    /// Waits before another attempt, the longer the more there were.
    pub async fn back_off(&self, attempt: u32) {
        self.progress.retried();
        self.clock.sleep(self.spread(BACK_OFF_MS << attempt.min(10))).await;
    }

    /// A time between half of `ms` and all of it.
    pub fn spread(&self, ms: u64) -> u64 {
        let half = ms / 2;
        half + self.clock.random() % (half + 1)
    }
}
