//! `tranship verify`: from settings to two stores, through the core's walk, to a report.

mod page;
mod report;
mod summary;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;
use tokio::time::Instant;
use tranship_adapters::clock::SystemClock;
use tranship_adapters::stores::s3::{S3Settings, S3Store};
use tranship_core::object::escape;
use tranship_core::policy::Limits;
use tranship_core::ports::Clock;
use tranship_core::progress::Progress;
use tranship_core::store::{ListRequest, ObjectStore};
use tranship_core::verify::tally::{Conclusion, Tally};
use tranship_core::verify::walk::{KEYS_BEFORE_SPLIT, Plan, Tell, Verification, Window};
use tranship_core::verify::{Finding, Kind};

use self::report::{Leftovers, Report};
use self::summary::Summary;
use crate::display::{Reporter, Walked};
use crate::embedded::{authorities, failure, filter, side};
use crate::engine::{EngineError, Side, connect, patiently};
use crate::exit::{Exit, Failure};
use crate::settings::VerifySettings;

/// Differences that the page shows.
const DIFFERENCES_KEPT: usize = 100;

/// Compares both sides. Writes to neither, and to the folder of the report alone.
pub async fn verify(settings: VerifySettings, reporter: Reporter) -> Result<Exit, Failure> {
    let pem = settings.ca_bundle.as_deref().map(authorities).transpose()?;
    let _leftovers = settings.report.as_deref().map(Leftovers::of);
    let report = settings.report.as_deref().map(Report::begin).transpose()?;
    let destination = S3Settings {
        expected_bucket_owner: settings.expected_bucket_owner.clone(),
        ..side(&settings.destination, pem.as_deref())
    };
    let source = open(Side::Source, side(&settings.source, pem.as_deref()), &settings).await?;
    let destination = open(Side::Destination, destination, &settings).await?;
    let (from, to) = (settings.source.location.display(), settings.destination.location.display());
    reporter.verification_started(&from, &to, settings.deep);
    let (clock, progress) = (Arc::new(SystemClock::new()), Arc::new(Progress::default()));
    let now = clock.now();
    let streams = usize::try_from(settings.concurrency).unwrap_or(usize::MAX);
    let plan = Plan {
        transfer: settings.transfer.clone(),
        filter: filter(&settings.select)?,
        deep: settings.deep,
        source_lists_links: settings.source.vendor.quirks.lists_links,
        workers: Limits::default().scans_max.min(streams),
        streams,
        keys_before_split: KEYS_BEFORE_SPLIT,
    };
    let workers = plan.workers;
    let verification = Verification::new(plan, source, destination, clock, progress.clone());
    let tally = Tally::new(&settings.transfer.source.prefix, now);
    let found = Arc::new(Mutex::new(Found { tally, report, kept: Vec::new(), told: 0 }));
    let begin = Instant::now();
    let walking = walk(Arc::new(verification), workers, told(found.clone(), reporter.clone()));
    let watching = reporter.watch_verification(|| walked(&found, &progress));
    tokio::select! {
        walked = walking => walked?,
        () = watching => {}
    }
    let elapsed_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    let Some(found) = Arc::into_inner(found) else {
        return Err(Failure::new(
            Exit::Other,
            "a worker did not end",
            "run the same command again",
        ));
    };
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let reading = progress.read();
    let summary = Summary {
        source: from,
        destination: to,
        deep: settings.deep,
        ignore_extra: settings.ignore_extra,
        taken_at: now,
        elapsed_ms,
        bytes_read: reading.bytes_moved,
        retries: reading.retries,
        tally: &found.tally,
    };
    end(&summary, found.report, &found.kept, settings.report.as_deref(), &reporter)
}

/// Connects a side, and asks for a first key: what is wrong with the bucket is told before all else.
async fn open(
    which: Side,
    how: S3Settings,
    settings: &VerifySettings,
) -> Result<Arc<dyn ObjectStore>, Failure> {
    let vendor = how.vendor();
    let store: S3Store = connect(which, how).await.map_err(failure)?;
    let prefix = match which {
        Side::Source => settings.transfer.source.prefix.clone(),
        Side::Destination => settings.transfer.destination.prefix.clone(),
    };
    let first = ListRequest { prefix, limit: 1, ..ListRequest::default() };
    patiently(|| store.list(&first))
        .await
        .map_err(|error| failure(EngineError::Side(which, vendor, error)))?;
    Ok(Arc::new(store))
}

/// What is known so far.
struct Found {
    tally: Tally,
    report: Option<Report>,
    /// The first of what is not proven to be equal, for the page.
    kept: Vec<serde_json::Value>,
    told: u64,
}

fn lock(found: &Mutex<Found>) -> MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes every window in: counts it, writes its differences down, and shows the first of them.
fn told(found: Arc<Mutex<Found>>, reporter: Reporter) -> Arc<Tell> {
    Arc::new(move |window: Window| {
        let mut found = lock(&found);
        found.tally.add(&window);
        if let Some(unlisted) = &window.unlisted {
            let line = summary::unlisted(unlisted);
            found.take_in(&reporter, line, &format!("not listed: {}", escape(&unlisted.reason)))?;
        }
        let differ = |finding: &&Finding| finding.verdict.kind() != Kind::Equal;
        for finding in window.findings.iter().filter(differ) {
            found.take_in(&reporter, summary::line(finding), &summary::sentence(finding))?;
        }
        Ok(())
    })
}

impl Found {
    fn take_in(
        &mut self,
        reporter: &Reporter,
        line: serde_json::Value,
        text: &str,
    ) -> Result<(), String> {
        if let Some(report) = &mut self.report {
            report.add(&line)?;
        }
        reporter.difference(&line, text, self.told);
        self.told += 1;
        if self.kept.len() < DIFFERENCES_KEPT {
            self.kept.push(line);
        }
        Ok(())
    }
}

fn walked(found: &Mutex<Found>, progress: &Progress) -> Walked {
    let reading = progress.read();
    let found = lock(found);
    Walked {
        source: found.tally.listed_source,
        destination: found.tally.listed_destination,
        differences: found.told,
        bytes_read: reading.bytes_moved,
        retries: reading.retries,
    }
}

/// Runs the workers to their end. When this is dropped, so are they.
async fn walk(
    verification: Arc<Verification>,
    workers: usize,
    tell: Arc<Tell>,
) -> Result<(), Failure> {
    let mut walking = JoinSet::new();
    for _ in 0..workers {
        let (verification, tell) = (verification.clone(), tell.clone());
        walking.spawn(async move { verification.work(&*tell).await });
    }
    let failed = |what: String| Failure::new(Exit::Other, what, "run the same command again");
    while let Some(worked) = walking.join_next().await {
        worked.map_err(|error| failed(format!("a worker broke off: {error}")))?.map_err(failed)?;
    }
    Ok(())
}

fn end(
    summary: &Summary<'_>,
    report: Option<Report>,
    kept: &[serde_json::Value],
    place: Option<&Path>,
    reporter: &Reporter,
) -> Result<Exit, Failure> {
    if let Some(report) = report {
        report.publish(summary, &page::page(summary, kept))?;
    }
    let is_equal = summary.conclusion() == Conclusion::Equal;
    reporter.verification_ended(&summary.event(place), &summary.text(place), is_equal);
    Ok(summary.exit())
}
