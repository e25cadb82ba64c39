//! Lists both sides in parallel ranges of keys, and looks at what the listings leave open.
//!
//! A worker takes a range, walks it page by page, and gives the second half of what remains to the
//! others while they have nothing to do. Nothing is kept of a key after its window was told. A range
//! whose listing fails is told as unlisted: its keys are neither equal nor absent.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_lock::Semaphore;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::{Doubt, Finding, Verdict, by_bytes, by_heads, by_listing, by_size, read};
use crate::compare::{self, Pair};
use crate::error::{Disposition, ErrorKind, StoreError};
use crate::listing::{Merged, Side, Sides, search};
use crate::location::{Transfer, rename};
use crate::loss::Loss;
use crate::object::{Identity, ObjectKey};
use crate::outcome::Count;
use crate::policy::Filter;
use crate::ports::Clock;
use crate::progress::Progress;
use crate::stage::Patience;
use crate::store::{Listed, ObjectStore};

/// Keys after which a range is split, if a worker is free. It doubles where no split was found.
pub const KEYS_BEFORE_SPLIT: u64 = 4_000;
/// Rounds of attempts at a page; each is a few requests.
const LISTING_ROUNDS: u32 = 3;
/// Pause of a worker that has nothing to do.
const IDLE_MS: u64 = 20;

/// A part of the listing that could not be had. Nothing is known of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlisted {
    /// Exclusive, in the source's terms; `None` is the beginning.
    pub after: Option<ObjectKey>,
    /// Inclusive; `None` is the end.
    pub through: Option<ObjectKey>,
    pub reason: String,
}

/// What was found in some pages of both listings.
#[derive(Debug, Default)]
pub struct Window {
    pub listed_source: Count,
    pub listed_destination: Count,
    /// Of the source, and what the destination has under the same keys.
    pub filtered_source: Count,
    pub filtered_destination: Count,
    pub findings: Vec<Finding>,
    pub unlisted: Option<Unlisted>,
}

/// Hears of every window, from any worker. An error ends the walk.
pub type Tell = dyn Fn(Window) -> Result<(), String> + Send + Sync;

/// Keys in `(after, through]`, in the source's terms.
#[derive(Debug, Clone, Default)]
struct Range {
    after: Option<ObjectKey>,
    through: Option<ObjectKey>,
}

/// The ranges that nobody walks yet, and the number of those that somebody does.
#[derive(Debug, Default)]
struct Ranges {
    waiting: VecDeque<Range>,
    walked: usize,
}

/// A comparison of two sides, shared by its workers.
pub struct Verification {
    pub transfer: Transfer,
    pub source: Arc<dyn ObjectStore>,
    pub destination: Arc<dyn ObjectStore>,
    pub filter: Filter,
    /// Read the bytes of both sides, whatever listings and HEADs say.
    pub deep: bool,
    /// The source lists links with a size of 0, and a HEAD says what they lead to.
    pub source_lists_links: bool,
    pub clock: Arc<dyn Clock>,
    pub progress: Arc<Progress>,
    /// HEADs, and pieces of objects, at a time.
    pub streams: Semaphore,
    workers: usize,
    keys_before_split: u64,
    stopping: AtomicBool,
    ranges: Mutex<Ranges>,
}

impl std::fmt::Debug for Verification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verification").field("transfer", &self.transfer).finish_non_exhaustive()
    }
}

/// What a verification is made of.
#[derive(Debug)]
pub struct Plan {
    pub transfer: Transfer,
    pub filter: Filter,
    pub deep: bool,
    /// The source lists links with a size of 0, and a HEAD says what they lead to.
    pub source_lists_links: bool,
    /// Ranges that are walked side by side.
    pub workers: usize,
    /// HEADs, and pieces of objects, at a time.
    pub streams: usize,
    pub keys_before_split: u64,
}

/// What a worker does next.
enum Next {
    Walk(Range),
    Wait,
    End,
}

impl Verification {
    pub fn new(
        plan: Plan,
        source: Arc<dyn ObjectStore>,
        destination: Arc<dyn ObjectStore>,
        clock: Arc<dyn Clock>,
        progress: Arc<Progress>,
    ) -> Self {
        let ranges = Ranges { waiting: VecDeque::from([Range::default()]), walked: 0 };
        Self {
            transfer: plan.transfer,
            source,
            destination,
            filter: plan.filter,
            deep: plan.deep,
            source_lists_links: plan.source_lists_links,
            clock,
            progress,
            streams: Semaphore::new(plan.streams.max(1)),
            workers: plan.workers.max(1),
            keys_before_split: plan.keys_before_split,
            stopping: AtomicBool::new(false),
            ranges: Mutex::new(ranges),
        }
    }

    /// Walks ranges until none is left. As many of these as there are workers run side by side.
    pub async fn work(&self, tell: &Tell) -> Result<(), String> {
        while !self.stopping.load(Ordering::Relaxed) {
            match self.next() {
                Next::Walk(range) => {
                    let walked = Box::pin(self.walk(range, tell)).await;
                    self.ranges().walked -= 1;
                    if walked.is_err() {
                        self.stopping.store(true, Ordering::Relaxed);
                    }
                    walked?;
                }
                Next::Wait => self.clock.sleep(IDLE_MS).await,
                Next::End => return Ok(()),
            }
        }
        Ok(())
    }

    pub(super) fn patience(&self) -> Patience<'_> {
        Patience { clock: &*self.clock, progress: &self.progress, stopping: &self.stopping }
    }

    fn ranges(&self) -> MutexGuard<'_, Ranges> {
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Next {
        let mut ranges = self.ranges();
        if let Some(range) = ranges.waiting.pop_front() {
            ranges.walked += 1;
            return Next::Walk(range);
        }
        if ranges.walked > 0 { Next::Wait } else { Next::End }
    }

    fn has_idle_workers(&self) -> bool {
        let ranges = self.ranges();
        ranges.walked + ranges.waiting.len() < self.workers
    }

    async fn walk(&self, mut range: Range, tell: &Tell) -> Result<(), String> {
        let mut sides = self.sides(range.after.as_ref());
        let (mut keys, mut before_split) = (0, self.keys_before_split);
        while !self.stopping.load(Ordering::Relaxed) {
            if let Err(error) = self.fill(&mut sides, range.through.as_ref()).await {
                let Range { after, through } = range;
                let unlisted = Unlisted { after, through, reason: error.to_string() };
                return tell(Window { unlisted: Some(unlisted), ..Window::default() });
            }
            let Some(merged) = sides.take() else { return Ok(()) };
            range.after = Some(merged.through.clone());
            let window = self.judge(&merged).await;
            keys += window.listed_source.objects.max(window.listed_destination.objects);
            tell(window)?;
            if sides.have_ended() {
                return Ok(());
            }
            if keys >= before_split && self.has_idle_workers() {
                keys = 0;
                if let Some(at) = self.split(&range).await {
                    let through = range.through.replace(at.clone());
                    sides.end_at(&at);
                    self.ranges().waiting.push_back(Range { after: Some(at), through });
                } else {
                    before_split *= 2;
                }
            }
        }
        Ok(())
    }

    fn sides(&self, after: Option<&ObjectKey>) -> Sides<'_> {
        let here = self.transfer.source.prefix.clone();
        let there = self.transfer.destination.prefix.clone();
        Sides {
            source: Side::new(&*self.source, here.clone(), here.clone(), after),
            destination: Side::new(&*self.destination, there, here, after),
        }
    }

    async fn fill(
        &self,
        sides: &mut Sides<'_>,
        through: Option<&ObjectKey>,
    ) -> Result<(), StoreError> {
        let patience = self.patience();
        let mut round = 1;
        loop {
            match sides.fill(&patience, through).await {
                Err(error)
                    if error.disposition() == Disposition::Retry && round < LISTING_ROUNDS =>
                {
                    round += 1;
                    patience.back_off(round + 1).await;
                }
                answer => return answer,
            }
        }
    }

    /// A key at which the rest of a range can be split. Whatever keeps it from being found is no
    /// error of the listing.
    async fn split(&self, range: &Range) -> Option<ObjectKey> {
        let patience = self.patience();
        let cursor = range.after.as_ref()?;
        let (here, there) = (&self.transfer.source.prefix, &self.transfer.destination.prefix);
        let through = range.through.as_ref();
        let found = search(&patience, &*self.source, here, cursor, through).await.ok()?;
        if found.is_some() {
            return found;
        }
        // The source has come to its end; the destination may have much that the source has not.
        let cursor = rename(here, there, cursor)?;
        let through = through.and_then(|key| rename(here, there, key));
        let store = &*self.destination;
        let found = search(&patience, store, there, &cursor, through.as_ref()).await.ok()?;
        rename(there, here, &found?)
    }

    /// What the keys of some pages come to.
    async fn judge(&self, merged: &Merged) -> Window {
        let mut window = Window::default();
        let mut looks = FuturesUnordered::new();
        for pair in compare::merge(&merged.source, &merged.destination) {
            if let Some((source, destination)) = self.sort(&mut window, &pair) {
                let look: BoxFuture<'_, Finding> = Box::pin(self.look(source, destination));
                looks.push(look);
            }
        }
        while let Some(finding) = looks.next().await {
            window.findings.push(finding);
        }
        window
    }

    /// Tells a key by the listings; gives the pair back if they cannot tell.
    fn sort(&self, window: &mut Window, pair: &Pair<'_>) -> Option<(Listed, Listed)> {
        let prefix = &self.transfer.source.prefix;
        let count = |listed: &Listed| Count { objects: 1, bytes: listed.size };
        let found = |source: Option<&Listed>, destination: Option<&Listed>, verdict| Finding {
            key: source.or(destination).map(|listed| listed.key.clone()).unwrap_or_default(),
            source: source.cloned(),
            destination: destination.cloned(),
            verdict,
            reason: None,
        };
        match *pair {
            Pair::Extra(there) => {
                window.listed_destination.add(count(there));
                if self.filter.admits_key(Filter::relative(prefix, &there.key)) {
                    window.findings.push(found(None, Some(there), Verdict::Extra));
                } else {
                    window.filtered_destination.add(count(there));
                }
            }
            Pair::Source(here, there) => {
                window.listed_source.add(count(here));
                let of_pair = there.map(count).unwrap_or_default();
                window.listed_destination.add(of_pair);
                let relative = Filter::relative(prefix, &here.key);
                if !self.filter.admits(relative, here.size, here.modified) {
                    window.filtered_source.add(count(here));
                    window.filtered_destination.add(of_pair);
                    return None;
                }
                let Some(there) = there else {
                    window.findings.push(self.missing(found(Some(here), None, Verdict::Missing)));
                    return None;
                };
                let told = if self.may_be_link(here) { None } else { self.by_rows(here, there) };
                let Some(verdict) = told else { return Some((here.clone(), there.clone())) };
                window.findings.push(found(Some(here), Some(there), verdict));
            }
        }
        None
    }

    /// Says of a missing key if there is no place for it at the destination.
    fn missing(&self, finding: Finding) -> Finding {
        let has_place = self.transfer.destination_key(&finding.key).is_some();
        let reason = "with the destination prefix, the key would be longer than 1,024 bytes";
        Finding { reason: (!has_place).then(|| reason.to_owned()), ..finding }
    }

    /// Looks at a pair that the listings cannot judge.
    async fn look(&self, source: Listed, destination: Listed) -> Finding {
        let (verdict, reason) = match self.told(&source, &destination).await {
            Ok(verdict) => (verdict, None),
            Err(error) => (after_error(error.kind), Some(error.to_string())),
        };
        let key = source.key.clone();
        Finding { key, source: Some(source), destination: Some(destination), verdict, reason }
    }

    /// What the rows of both listings say of a pair.
    fn by_rows(&self, source: &Listed, destination: &Listed) -> Option<Verdict> {
        if self.deep { by_size(source, destination) } else { by_listing(source, destination) }
    }

    async fn told(&self, listed: &Listed, destination: &Listed) -> Result<Verdict, StoreError> {
        let source = &*self.behind(listed).await?;
        if self.may_be_link(listed)
            && let Some(verdict) = self.by_rows(source, destination)
        {
            return Ok(verdict);
        }
        if self.deep {
            return read::are_equal(self, source, destination).await.map(by_bytes);
        }
        self.heads(source, destination).await
    }

    fn may_be_link(&self, source: &Listed) -> bool {
        self.source_lists_links && source.size == 0
    }

    /// What a link leads to, as if that were listed under its key: this is what a copy of it has. Everything else is
    /// as it was listed.
    async fn behind<'a>(&self, source: &'a Listed) -> Result<Cow<'a, Listed>, StoreError> {
        if !self.may_be_link(source) {
            return Ok(Cow::Borrowed(source));
        }
        let _stream = self.streams.acquire().await;
        let head = self.patience().retried(|| self.source.head(&source.key, None, None)).await?;
        if !head.losses.contains(&Loss::Link) {
            return Ok(Cow::Borrowed(source));
        }
        let Identity { etag, size, modified, .. } = head.identity;
        Ok(Cow::Owned(Listed { size, etag, modified, ..source.clone() }))
    }

    async fn heads(&self, source: &Listed, destination: &Listed) -> Result<Verdict, StoreError> {
        let _stream = self.streams.acquire().await;
        let (from, to) = (&self.transfer.source.prefix, &self.transfer.destination.prefix);
        let there = rename(from, to, &destination.key).unwrap_or_else(|| source.key.clone());
        let patience = self.patience();
        let (here, there) = futures_util::join!(
            patience.retried(|| self.source.head(&source.key, None, None)),
            patience.retried(|| self.destination.head(&there, None, None)),
        );
        Ok(by_heads(source, destination, &here?, &there?))
    }
}

/// What an error while a pair is looked at makes of it.
fn after_error(kind: ErrorKind) -> Verdict {
    match kind {
        // It was listed a moment ago.
        ErrorKind::NoSuchKey | ErrorKind::NotFound | ErrorKind::PreconditionFailed => {
            Verdict::Changed
        }
        _ => Verdict::NotProvable(Doubt::Unreadable),
    }
}
