//! Puts the embedded engine together: two stores, a ledger, a policy, and the loops that run them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::mpsc;
use tranship_adapters::clock::SystemClock;
use tranship_adapters::embedded::{EmbeddedFile, OpenError};
use tranship_adapters::ledgers::looking::LookingLedger;
use tranship_adapters::ledgers::memory::MemoryLedger;
use tranship_adapters::queues::memory::MemoryQueue;
use tranship_adapters::stores::s3::vendors::Vendor;
use tranship_adapters::stores::s3::{S3Settings, S3Store};
use tranship_core::breakdown::{self, Breakdown};
use tranship_core::error::{Disposition, LedgerError, StageError, StoreError};
use tranship_core::finder::{self, KeyLines};
use tranship_core::forecast::{self, Measured};
use tranship_core::link::Link;
pub use tranship_core::location::Side;
use tranship_core::location::Transfer;
use tranship_core::outcome::Count;
use tranship_core::policy::{Policy, ServerSide};
use tranship_core::ports::{Clock, Ledger, TaskQueue};
use tranship_core::progress::Progress;
use tranship_core::rows::{self, HeaderId, List, Note, Run, ScanRange};
use tranship_core::stage::{Learned, Stage};
use tranship_core::store::{BucketFacts, ListPage, ListRequest, ObjectStore, Versioning};
use tranship_core::survey;

use crate::driver::{self, Ended, Hooks};

/// The queue's messages are this process's own: none is to come back while it lives.
const VISIBILITY_MS: u64 = 365 * 24 * 60 * 60 * 1_000;

/// Attempts of each question that is asked before the run begins.
const PREFLIGHT_ATTEMPTS: u32 = 5;
/// Objects of the source that are looked at before the run begins.
const SAMPLES: u16 = 5;
/// Pause after the first of them; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// What an engine is made of.
#[derive(Debug)]
pub struct Parts {
    pub transfer: Transfer,
    pub source: S3Settings,
    pub destination: S3Settings,
    pub policy: Policy,
    /// Bytes that may move in a second.
    pub bandwidth: Option<u64>,
    /// The second flag of deletes: without it, an unversioned destination keeps everything.
    pub delete_unversioned: bool,
    /// Copy on the server's side if both sides are one store and the destination may read the source.
    pub server_side_if_possible: bool,
    /// `None`: in memory, for a run that is to leave no trace. A dry run only reads it.
    pub ledger: Option<PathBuf>,
    /// Names everything that decides what a run copies.
    pub fingerprint: String,
    /// Where the keys come from, if not from the listing.
    pub lines: Option<Arc<dyn KeyLines>>,
}

/// Why there is no run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Found before the run began: nothing was written.
    #[error("the {0} cannot be used: {2}")]
    Side(Side, &'static Vendor, StoreError),
    #[error(transparent)]
    Ledger(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Rows(#[from] LedgerError),
    #[error("{0}")]
    Refused(String),
}

impl From<StageError> for EngineError {
    fn from(error: StageError) -> Self {
        match error {
            StageError::Store(error) => Self::Store(error),
            StageError::Ledger(error) => Self::Rows(error),
        }
    }
}

/// An engine that is ready to run.
#[derive(Debug)]
pub struct Engine {
    stage: Arc<Stage>,
    asked: mpsc::Receiver<(HeaderId, u64)>,
    fingerprint: String,
    lines: Option<Arc<dyn KeyLines>>,
    listing_done: Arc<AtomicBool>,
    // Held so that the file stays open, and locked, as long as the engine lives.
    file: Option<EmbeddedFile>,
    advice: Vec<String>,
    facts: (BucketFacts, BucketFacts),
    for_plan: ForPlan,
}

/// What a plan says besides what a run finds out, and no copy asks for.
#[derive(Debug, Clone, Default)]
pub struct ForPlan {
    /// How fast the last run of this transfer went.
    pub rate: Option<Measured>,
    /// Whether object locks are on at the source, or why that is not known.
    pub source_locks: Option<Result<bool, StoreError>>,
}

/// What a run came to, and what its rows show when it is over.
#[derive(Debug)]
pub struct Finished {
    pub ended: Ended,
    /// Candidates for deletion that the manifest names.
    pub candidates: u64,
    pub listed_destination: Count,
    /// The account by prefix, if it was asked for.
    pub breakdown: Breakdown,
}

impl Engine {
    /// Connects both sides, asks them what must be known before anything is written, and opens the
    /// ledger last: whatever is wrong with the buckets leaves no file behind.
    pub async fn assemble(parts: Parts, progress: Arc<Progress>) -> Result<Self, EngineError> {
        let mut policy = parts.policy;
        if parts.server_side_if_possible && parts.source.endpoint == parts.destination.endpoint {
            let bucket = parts.source.bucket.clone();
            let through =
                connect(Side::Destination, S3Settings { bucket, ..parts.destination.clone() })
                    .await?;
            if can_read(&through, &parts.transfer.source.prefix).await {
                policy.server_side = ServerSide::Always;
            }
        }
        let vendors = (parts.source.vendor(), parts.destination.vendor());
        let from = Arc::new(connect(Side::Source, parts.source).await?);
        let source: Arc<dyn ObjectStore> = from.clone();
        let destination: Arc<dyn ObjectStore> =
            Arc::new(connect(Side::Destination, parts.destination).await?);
        let (here, there) = preflight(&parts.transfer, vendors, &*source, &*destination).await?;
        let mut for_plan = ForPlan::default();
        if policy.dry_run {
            for_plan.source_locks = Some(patiently(|| from.has_object_locks()).await);
        }
        let mut advice = advice(&parts.transfer, &here, &there);
        if policy.delete.is_some() && !there.keeps_versions() && !parts.delete_unversioned {
            return Err(EngineError::Refused(format!(
                "--delete: the bucket {} keeps no versions, or does not tell, so what is deleted there is lost; add --delete-unversioned if that is meant",
                parts.transfer.destination.bucket
            )));
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let transfer_id = parts.transfer.id();
        let file = match &parts.ledger {
            Some(path) if !policy.dry_run => Some(EmbeddedFile::open(path, &transfer_id)?),
            _ => None,
        };
        let (ledger, queue): (Arc<dyn Ledger>, Arc<dyn TaskQueue>) = if let Some(file) = &file {
            let queue = file.queue(clock.clone()).with_visibility(VISIBILITY_MS);
            (Arc::new(file.ledger()), Arc::new(queue))
        } else {
            let queue = MemoryQueue::new(clock.clone()).with_visibility(VISIBILITY_MS);
            let (ledger, rate) = in_memory(parts.ledger, &transfer_id, &mut advice)?;
            for_plan.rate = rate;
            (ledger, Arc::new(queue))
        };
        let (completer, asked) = driver::channel();
        let stage = Stage {
            transfer: parts.transfer,
            transfer_id,
            link: Link::new(policy.limits.streams_max).limited(parts.bandwidth, &ledger, &clock),
            policy,
            source,
            destination,
            ledger,
            queue,
            completer,
            clock,
            progress,
            stopping: Arc::default(),
            learned: Learned::default(),
        };
        let (fingerprint, lines) = (parts.fingerprint, parts.lines);
        let listing_done = Arc::default();
        let stage = Arc::new(stage);
        let facts = (here, there);
        Ok(Self { stage, asked, fingerprint, lines, listing_done, file, advice, facts, for_plan })
    }

    /// Set it, and the run stops at the next safe point.
    pub fn stopping(&self) -> Arc<AtomicBool> {
        self.stage.stopping.clone()
    }

    /// What a person should know before the first byte moves.
    pub fn advice(&self) -> &[String] {
        &self.advice
    }

    /// What the source's bucket and the destination's say about themselves.
    pub fn facts(&self) -> (BucketFacts, BucketFacts) {
        self.facts.clone()
    }

    /// What was asked for the plan of a dry run.
    pub fn for_plan(&self) -> ForPlan {
        self.for_plan.clone()
    }

    /// What decides, with what was learned before the run.
    pub fn policy(&self) -> Policy {
        self.stage.policy.clone()
    }

    /// Set once everything is listed.
    pub fn listing_done(&self) -> Arc<AtomicBool> {
        self.listing_done.clone()
    }

    /// Where the ledger is, for a person.
    pub fn ledger_name(&self) -> String {
        self.file
            .as_ref()
            .map_or_else(|| "memory".to_owned(), |file| file.path().display().to_string())
    }

    /// Whether an earlier process left this run open.
    pub async fn resumes(&self) -> Result<bool, EngineError> {
        let run = rows::load::<Run>(&*self.stage.ledger, &Run::row_key()).await?;
        Ok(run.is_some_and(|run| run.is_open() && run.fingerprint == self.fingerprint))
    }

    /// Runs to the end of the run; tells what failed, and how many candidates for deletion the
    /// manifest names.
    pub async fn run(
        self,
        manifest: Option<&Path>,
        each_failure: impl FnMut(&Note),
    ) -> Result<(Ended, u64), EngineError> {
        let finished = self.run_and_read(manifest, false, each_failure).await?;
        Ok((finished.ended, finished.candidates))
    }

    /// The same, and reads from the rows what else a report or a plan says.
    pub async fn run_and_read(
        self,
        manifest: Option<&Path>,
        by_prefix: bool,
        mut each_failure: impl FnMut(&Note),
    ) -> Result<Finished, EngineError> {
        let range = match &self.lines {
            Some(_) => ScanRange::File { line: 0 },
            None => ScanRange::whole(),
        };
        let Self { stage, asked, fingerprint, lines, listing_done, file: _file, .. } = self;
        let hooks = Hooks { lines, listing_done, manifest: manifest.map(Path::to_owned) };
        let ended = driver::run(stage.clone(), asked, &fingerprint, range, hooks).await?;
        if matches!(ended, Ended::Closed(_)) {
            survey::look_at_grants(&stage).await;
        }
        let ended = with_totals(&stage, ended).await?;
        let generation = ended.run().generation;
        finder::notes(&stage, List::Failures, generation, |note| {
            each_failure(note);
            Ok(())
        })
        .await?;
        let mut candidates = 0;
        finder::notes(&stage, List::Candidates, generation, |_| {
            candidates += 1;
            Ok(())
        })
        .await?;
        // Another pass over the rows, for those who want it.
        let scans = if by_prefix || stage.policy.dry_run || stage.policy.delete.is_some() {
            finder::totals(&stage, generation).await?.1
        } else {
            Vec::new()
        };
        let mut listed_destination = Count::default();
        for scan in &scans {
            listed_destination.add(scan.listed_destination);
        }
        let breakdown = if by_prefix {
            breakdown::breakdown(&*stage.ledger, generation, &scans).await?
        } else {
            Breakdown::default()
        };
        Ok(Finished { ended, candidates, listed_destination, breakdown })
    }
}

/// The ledger of a run that is to leave no trace. What an earlier copy remembers is read from its
/// file, where there is one, and so is how fast it went.
fn in_memory(
    earlier: Option<PathBuf>,
    transfer_id: &str,
    advice: &mut Vec<String>,
) -> Result<(Arc<dyn Ledger>, Option<Measured>), LedgerError> {
    let Some(path) = earlier else { return Ok((Arc::new(MemoryLedger::new()), None)) };
    let key = Run::row_key();
    match LookingLedger::look(path.clone(), transfer_id, &key) {
        Ok((ledger, run)) => {
            let run = run.map(|run| rows::parse::<Run>(&key, &run)).transpose()?;
            if run.as_ref().is_some_and(Run::is_open) {
                let text = "an earlier copy was interrupted: where it was begun with the same options, the next one goes on in its run, and its accounts hold what was settled before";
                advice.push(text.to_owned());
            }
            Ok((Arc::new(ledger), run.as_ref().and_then(forecast::measured)))
        }
        Err(trouble) => {
            advice.push(format!("what earlier copies remember is not known here: {trouble}"));
            Ok((Arc::new(MemoryLedger::new()), None))
        }
    }
}

pub(crate) async fn connect(side: Side, settings: S3Settings) -> Result<S3Store, EngineError> {
    let vendor = settings.vendor();
    S3Store::connect(settings).await.map_err(|error| EngineError::Side(side, vendor, error))
}

/// A run that is still open has no totals of its own yet; a person wants to see how far it came.
async fn with_totals(stage: &Stage, mut ended: Ended) -> Result<Ended, StageError> {
    if let Ended::Interrupted(run) | Ended::Halted(run, _) = &mut ended {
        let (totals, _) = finder::totals(stage, run.generation).await?;
        run.totals = Some(totals);
    }
    Ok(ended)
}

/// Whether a store's credentials can read an object under a prefix of its bucket.
async fn can_read(store: &S3Store, prefix: &str) -> bool {
    let request = ListRequest { prefix: prefix.to_owned(), limit: 1, ..ListRequest::default() };
    let Ok(page) = store.list(&request).await else { return false };
    let Some(first) = page.objects.first() else { return false };
    store.head(&first.key, None, None).await.is_ok()
}

/// Repeats what may pass: a hiccup at the start is no reason to run the command again.
pub(crate) async fn patiently<T, F, R>(mut call: F) -> Result<T, StoreError>
where
    F: FnMut() -> R,
    R: Future<Output = Result<T, StoreError>>,
{
    let mut pause = FIRST_PAUSE;
    for _ in 1..PREFLIGHT_ATTEMPTS {
        match call().await {
            Err(error) if error.disposition() == Disposition::Retry => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            answer => return answer,
        }
    }
    call().await
}

/// Both buckets are there, may be listed, and answer; what they say about themselves.
async fn preflight(
    transfer: &Transfer,
    vendors: (&'static Vendor, &'static Vendor),
    source: &dyn ObjectStore,
    destination: &dyn ObjectStore,
) -> Result<(BucketFacts, BucketFacts), EngineError> {
    let first = |prefix: &str| ListRequest {
        prefix: prefix.to_owned(),
        limit: SAMPLES,
        ..ListRequest::default()
    };
    let here = first(&transfer.source.prefix);
    let at = |side| {
        let vendor = if side == Side::Source { vendors.0 } else { vendors.1 };
        move |error| EngineError::Side(side, vendor, error)
    };
    let listed = patiently(|| source.list(&here)).await.map_err(at(Side::Source))?;
    let there = first(&transfer.destination.prefix);
    patiently(|| destination.list(&there)).await.map_err(at(Side::Destination))?;
    may_read(source, &listed).await.map_err(at(Side::Source))?;
    let here = facts(source).await.map_err(at(Side::Source))?;
    let there = facts(destination).await.map_err(at(Side::Destination))?;
    Ok((here, there))
}

/// Whether any of the first objects can be read: one alone may have an owner of its own.
async fn may_read(source: &dyn ObjectStore, listed: &ListPage) -> Result<(), StoreError> {
    let mut denied = None;
    for object in &listed.objects {
        match patiently(|| source.head(&object.key, None, None)).await {
            Err(error) if error.kind.is_about_credentials() => denied = Some(error),
            // Whatever else it is, the run finds out, and says so of the object.
            _ => return Ok(()),
        }
    }
    denied.map_or(Ok(()), Err)
}

async fn facts(store: &dyn ObjectStore) -> Result<BucketFacts, StoreError> {
    match patiently(|| store.bucket()).await {
        Ok(facts) => Ok(facts),
        // Listing works; a policy that hides the bucket's own settings is common, and no reason to stop. Neither is a
        // store that has none.
        Err(error) if !error.kind.is_of_the_way() => Ok(BucketFacts::default()),
        Err(error) => Err(error),
    }
}

/// What the buckets' own settings mean for this transfer.
fn advice(transfer: &Transfer, source: &BucketFacts, destination: &BucketFacts) -> Vec<String> {
    let mut advice = Vec::new();
    if matches!(source.versioning, Versioning::Enabled | Versioning::Suspended) {
        advice.push(format!(
            "the bucket {} keeps versions, or kept them once: the current one of each key is copied, its history is not",
            transfer.source.bucket
        ));
    }
    if destination.aborts_incomplete_uploads(&transfer.destination.prefix) == Some(false) {
        advice.push(format!(
            "the bucket {} has no lifecycle rule that aborts incomplete multipart uploads there: should this transfer be given up halfway, the parts of its open uploads would be billed until somebody aborts them; a rule of some days costs nothing",
            transfer.destination.bucket
        ));
    }
    advice
}
