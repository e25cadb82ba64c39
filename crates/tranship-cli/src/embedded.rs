//! `tranship copy` and `tranship plan`: from settings to an engine, and from its end to a summary.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tranship_adapters::stores::s3::vendors::{Vendor, abiding};
use tranship_adapters::stores::s3::{S3Settings, Sse as StoreSse, check_ca_bundle};
use tranship_core::error::{Disposition, ErrorKind, LedgerError, StoreError};
use tranship_core::finder::KeyLines;
use tranship_core::location::Location;
use tranship_core::outcome::Outcome;
use tranship_core::policy::{DeleteGuard, Filter, Limits, Policy, ServerSide};
use tranship_core::progress::{Progress, ProgressReading};
use tranship_core::rows::RunState;

use crate::display::{Ending, Reporter, RunStart, Summary};
use crate::driver::Ended;
use crate::engine::{Engine, EngineError, Finished, Parts, Side};
use crate::exit::{Exit, Failure};
use crate::failure_list::{FailureList, check_place};
use crate::interrupt::Stop;
use crate::keys_file::KeysFile;
use crate::plan::{Made, Outlook, Plan};
use crate::report::{Report, RunEnd};
use crate::settings::{
    BASE_MEMORY_BYTES, CopySettings, STREAM_MEMORY_BYTES, SelectSettings, ServerSideCopy,
    SideSettings, Sse, patterns,
};
use crate::standstill;
use crate::timeline::Timeline;

const CA_BUNDLE_REMEDY: &str = "name a readable PEM file of certificates with --ca-bundle";

/// Runs one copy.
pub async fn copy(settings: CopySettings, reporter: Reporter, stop: Stop) -> Result<Exit, Failure> {
    let parts = parts(&settings)?;
    let names = Names {
        transfer_id: settings.transfer.id(),
        source: settings.source.location.display(),
        destination: settings.destination.location.display(),
        dry_run: settings.dry_run,
        outlook: Outlook::of(&settings),
    };
    let files = Files {
        failures: settings.failures.as_deref(),
        manifest: settings.delete.as_ref().and_then(|delete| delete.manifest.as_deref()),
        keys: settings.select.keys_from.as_deref(),
        report: settings.report.as_deref(),
    };
    let summary = run(parts, &names, &reporter, &stop, files).await?;
    reporter.run_ended(&summary);
    Ok(summary.exit())
}

/// How a run is called where a person reads of it.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) transfer_id: String,
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) dry_run: bool,
    /// What a plan reckons with.
    pub(crate) outlook: Outlook,
}

/// The files that a run reads and writes besides its ledger.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Files<'a> {
    pub(crate) failures: Option<&'a Path>,
    pub(crate) manifest: Option<&'a Path>,
    pub(crate) keys: Option<&'a Path>,
    /// The folder of the run report.
    pub(crate) report: Option<&'a Path>,
}

/// Runs an engine to its end under the reporter's eyes.
pub(crate) async fn run(
    parts: Parts,
    names: &Names,
    reporter: &Reporter,
    stop: &Stop,
    files: Files<'_>,
) -> Result<Summary, Failure> {
    let progress = Arc::new(if names.dry_run {
        Progress::with_survey(names.outlook.grants_max())
    } else {
        Progress::default()
    });
    // A store that does not answer must not keep a person who wants to leave.
    let engine = tokio::select! {
        engine = Engine::assemble(parts, progress.clone()) => engine.map_err(failure)?,
        () = stop.requested() => return Err(interrupted_before()),
    };
    let mut gathered = Gathered::begin(files)?;
    let ledger = engine.ledger_name();
    let with_ledger = |error| failure_at(error, &ledger);
    reporter.run_started(&RunStart {
        transfer_id: names.transfer_id.clone(),
        source: names.source.clone(),
        destination: names.destination.clone(),
        ledger: engine.ledger_name(),
        dry_run: names.dry_run,
        resumed: engine.resumes().await.map_err(with_ledger)?,
    });
    for text in engine.advice() {
        reporter.warning(text);
    }
    let (facts, policy, for_plan) = (engine.facts(), engine.policy(), engine.for_plan());
    let (stopping, listing_done, begin) =
        (engine.stopping(), engine.listing_done(), tokio::time::Instant::now());
    let Gathered { list, report } = &mut gathered;
    let parts = report.as_mut().map(|Report { failures, timeline, .. }| (failures, timeline));
    let (mut failed, timeline) = parts.unzip();
    let running = Box::pin(engine.run_and_read(files.manifest, files.report.is_some(), |note| {
        reporter.object_failed(&note.key, note.reason.as_deref().unwrap_or("no reason is known"));
        if let Some(list) = list {
            list.add(note);
        }
        if let Some(failures) = &mut failed {
            failures.add(note);
        }
    }));
    let watched = watched(running, reporter, stop, &stopping, progress.clone(), listing_done);
    let finished = timed(watched, timeline, &progress, begin).await.map_err(with_ledger)?;
    let elapsed_ms = elapsed_ms(begin);
    let failures = list_of(gathered.list.take(), &finished.ended, files)?;
    let summary = Summary {
        elapsed_ms,
        failures,
        deletes_held: deletes_held(&policy, &finished),
        delete_manifest: files.manifest.filter(|_| finished.candidates > 0).map(Path::to_owned),
        ..summary(names, &finished, &progress.read())
    };
    if let Some(findings) = progress.findings() {
        let made = Made {
            findings,
            policy: &policy,
            source: &facts.0,
            destination: &facts.1,
            asked: &for_plan,
            outlook: &names.outlook,
            listed: summary.listed,
            listed_destination: finished.listed_destination,
            account: &summary.account,
        };
        let plan = Some(Box::new(Plan::new(made)));
        return Ok(Summary { plan, ..summary });
    }
    with_report(gathered.report, summary, &finished)
}

/// What a run gathers for the files that are written at its end.
struct Gathered {
    list: Option<FailureList>,
    report: Option<Report>,
}

impl Gathered {
    /// Names what cannot be written before anything is copied.
    fn begin(files: Files<'_>) -> Result<Self, Failure> {
        if let Some(manifest) = files.manifest {
            check_place(manifest).map_err(|error| {
                let what =
                    format!("the manifest {} cannot be written: {error}", manifest.display());
                Failure::new(Exit::Usage, what, "name a writable file with --delete-manifest")
            })?;
        }
        let list = files.failures.map(FailureList::begin).transpose()?;
        let report = files.report.map(Report::begin).transpose()?;
        Ok(Self { list, report })
    }
}

/// The summary of a run, without the files that it names.
fn summary(names: &Names, finished: &Finished, reading: &ProgressReading) -> Summary {
    let totals = finished.ended.run().totals.clone().unwrap_or_default();
    Summary {
        transfer_id: names.transfer_id.clone(),
        source: names.source.clone(),
        destination: names.destination.clone(),
        ending: ending(&finished.ended),
        dry_run: names.dry_run,
        listed: totals.listed,
        account: totals.account,
        bytes_moved: reading.bytes_moved,
        retries: reading.retries,
        failed_deletes: totals.failed_deletes,
        losses: totals.losses.iter().map(|(loss, n)| (loss.name().to_owned(), n)).collect(),
        ..Summary::default()
    }
}

/// Why nothing was deleted although deletes were asked for, if the guard held them back.
fn deletes_held(policy: &Policy, finished: &Finished) -> Option<String> {
    let guard = policy.delete?;
    let totals = finished.ended.run().totals.as_ref()?;
    let extra = totals.account.get(Outcome::Extra).objects;
    let listed = finished.listed_destination.objects;
    (!guard.admits(extra, listed)).then(|| {
        format!(
            "{extra} objects are only at the destination, which has {listed}; at most {} and at most {} % of it may go (--delete-max, --delete-max-ratio)",
            guard.objects_max, guard.percent_max
        )
    })
}

/// Writes the run report, if one was asked for.
fn with_report(
    report: Option<Report>,
    mut summary: Summary,
    finished: &Finished,
) -> Result<Summary, Failure> {
    let Some(report) = report else { return Ok(summary) };
    let run = finished.ended.run();
    let (started, ended) = (run.started, run.ended);
    let breakdown = &finished.breakdown;
    let failed_deliveries = run.totals.as_ref().map_or(0, |totals| totals.failed_deliveries);
    let end = RunEnd { summary: &summary, breakdown, started, ended, failed_deliveries };
    let folder = report.publish(&end)?;
    summary.report = Some(folder);
    Ok(summary)
}

fn elapsed_ms(begin: tokio::time::Instant) -> u64 {
    u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Polls to the end, and notes the counters again and again meanwhile, if somebody keeps them.
async fn timed<T>(
    running: impl Future<Output = T>,
    timeline: Option<&mut Timeline>,
    progress: &Progress,
    begin: tokio::time::Instant,
) -> T {
    let Some(timeline) = timeline else { return running.await };
    timeline.add(0, progress.read().into());
    let mut running = std::pin::pin!(running);
    loop {
        let pause = std::time::Duration::from_millis(timeline.pause_ms());
        let ended = tokio::time::timeout(pause, &mut running).await;
        timeline.add(elapsed_ms(begin), progress.read().into());
        if let Ok(ended) = ended {
            return ended;
        }
    }
}

fn interrupted_before() -> Failure {
    let what = "interrupted before the run began; nothing was written";
    Failure::new(Exit::Interrupted, what, "run the same command again")
}

/// Where the failures are named. A run that is not over still reads its keys from the list that
/// this one would replace.
fn list_of(
    list: Option<FailureList>,
    ended: &Ended,
    files: Files<'_>,
) -> Result<Option<PathBuf>, Failure> {
    let is_over = matches!(ended, Ended::Closed(_));
    let would_replace_keys = files.keys.is_some() && files.keys == files.failures;
    match list {
        Some(list) if is_over || !would_replace_keys => list.publish(),
        _ => Ok(None),
    }
}

/// Polls a run to its end beside the display; the first request to stop reaches it as a flag.
async fn watched<T>(
    running: impl Future<Output = T>,
    reporter: &Reporter,
    stop: &Stop,
    stopping: &AtomicBool,
    progress: Arc<Progress>,
    listing_done: Arc<AtomicBool>,
) -> T {
    let looking_on = standstill::watch(&progress, reporter);
    let watching = reporter.watch(progress.clone(), listing_done);
    let stop_asked = async {
        stop.requested().await;
        stopping.store(true, Ordering::Relaxed);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = running => ended,
        () = watching => unreachable_watch().await,
        () = looking_on => unreachable_watch().await,
        () = stop_asked => unreachable_watch().await,
    }
}

/// Neither the display nor the wait for a stop ever returns.
async fn unreachable_watch<T>() -> T {
    std::future::pending().await
}

fn ending(ended: &Ended) -> Ending {
    match ended {
        Ended::Interrupted(_) => Ending::Interrupted,
        Ended::Halted(_, error) => {
            Ending::Halted { reason: format!("{error}{}", mend(error.kind)) }
        }
        Ended::Closed(run) if run.state == RunState::Complete => Ending::Complete,
        Ended::Closed(run) => {
            let unsettled = run.totals.as_ref().map_or(0, |totals| totals.unsettled.objects);
            let reason = if unsettled > 0 {
                format!("{unsettled} objects are unsettled; run the same command again")
            } else {
                "the outcomes do not add up to the listing; run the same command again".to_owned()
            };
            Ending::Incomplete { reason }
        }
    }
}

/// What to do about an error that halted a run, in whose midst either side may be meant.
fn mend(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Unauthenticated => "; give credentials that are good now",
        ErrorKind::Denied => "; give credentials that are allowed to do this",
        ErrorKind::Encryption => "; give credentials that may use the encryption key",
        // The message itself says it.
        _ => "",
    }
}

/// What stopped the whole command while it used this ledger.
fn failure_at(error: EngineError, ledger: &str) -> Failure {
    let EngineError::Rows(LedgerError::Unavailable(why)) = error else { return failure(error) };
    Failure::new(
        Exit::Ledger,
        format!("the ledger {ledger} cannot be used now: {why}"),
        "check the free space and the permissions of its folder, and run the same command again; it goes on where it stopped",
    )
}

/// What stopped the whole command, with its exit code and advice.
pub(crate) fn failure(error: EngineError) -> Failure {
    let what = error.to_string();
    match error {
        EngineError::Ledger(_) | EngineError::Rows(_) => Failure::new(Exit::Ledger, what, ""),
        EngineError::Refused(_) => Failure::new(Exit::Usage, what, ""),
        EngineError::Store(error) if error.disposition() == Disposition::Halt => Failure::new(
            Exit::Halted,
            what,
            "mend it, and run the same command again; it goes on where it stopped",
        ),
        EngineError::Store(_) => Failure::new(Exit::Other, what, "run the same command again"),
        EngineError::Side(side, vendor, error) => {
            let exit = match error.disposition() {
                Disposition::Halt => Exit::Halted,
                Disposition::Permanent => Exit::Usage,
                Disposition::Retry | Disposition::Replan => Exit::Other,
            };
            let advice = advice(side, vendor, &error);
            let remedy = if advice.is_empty() {
                "nothing was written".to_owned()
            } else {
                format!("{advice}; nothing was written")
            };
            Failure::new(exit, what, remedy)
        }
    }
}

/// What to do about a side that cannot be used.
pub(crate) fn advice(side: Side, vendor: &Vendor, error: &StoreError) -> String {
    match error.kind {
        ErrorKind::NoSuchBucket if vendor.is_of_regions() => format!(
            "create the bucket, or correct its name or --{side}-region, since no bucket of another region is seen from here"
        ),
        ErrorKind::NoSuchBucket => {
            format!("create the bucket, or correct its name or --{side}-endpoint")
        }
        ErrorKind::WrongRegion => {
            format!("give the region that the bucket is in as --{side}-region")
        }
        ErrorKind::Denied => {
            let writes = if side == Side::Destination { ", s3:PutObject" } else { "" };
            format!(
                "give credentials that are allowed s3:ListBucket, s3:GetObject{writes} there: in the environment, as --{side}-profile, or none at all for a public bucket with --{side}-anonymous"
            )
        }
        ErrorKind::ClockSkewed => {
            "set this machine's clock, best by a time service such as NTP".to_owned()
        }
        ErrorKind::Unauthenticated => format!(
            "give credentials that are good now, in the environment or as --{side}-profile, or none at all for a public bucket with --{side}-anonymous"
        ),
        ErrorKind::Throttled | ErrorKind::Unavailable => format!(
            "check --{side}-endpoint and the network; a certificate authority of your own needs --ca-bundle"
        ),
        ErrorKind::Invalid => {
            format!("check --{side}-region, --{side}-endpoint and --{side}-profile")
        }
        _ => String::new(),
    }
}

fn parts(settings: &CopySettings) -> Result<Parts, Failure> {
    let keys = settings.select.keys_from.as_deref().map(|path| {
        KeysFile::open(path).map_err(|error| {
            let remedy = "name a readable file with --keys-from: one key a line, or a failure list";
            Failure::new(Exit::Usage, error, remedy)
        })
    });
    let keys = keys.transpose()?;
    let pem = settings.ca_bundle.as_deref().map(authorities).transpose()?;
    let destination = S3Settings {
        expected_bucket_owner: settings.expected_bucket_owner.clone(),
        acl: settings.acl.clone(),
        sse: settings.sse.as_ref().map(encryption),
        ..side(&settings.destination, pem.as_deref())
    };
    Ok(Parts {
        transfer: settings.transfer.clone(),
        source: S3Settings {
            classes: settings.class_map.clone(),
            ..side(&settings.source, pem.as_deref())
        },
        destination,
        policy: policy(settings)?,
        bandwidth: settings.bandwidth_bytes,
        delete_unversioned: settings.delete.as_ref().is_some_and(|delete| delete.unversioned),
        server_side_if_possible: settings.server_side == ServerSideCopy::Auto
            && settings.destination.vendor.quirks.part_copy,
        ledger: Some(settings.ledger.clone()),
        fingerprint: fingerprint(settings, keys.as_ref().map(KeysFile::checksum)),
        lines: keys.map(|keys| -> Arc<dyn KeyLines> { Arc::new(keys) }),
    })
}

/// What the destination is asked to encrypt with.
pub(crate) fn encryption(sse: &Sse) -> StoreSse {
    match sse {
        Sse::Aes256 => StoreSse::Managed,
        Sse::Kms { key_id } => StoreSse::Kms { key_id: key_id.clone(), bucket_key: true },
    }
}

/// The certificate authorities in a file.
pub(crate) fn authorities(path: &Path) -> Result<Vec<u8>, Failure> {
    let wrong = |what: String| Failure::new(Exit::Usage, what, CA_BUNDLE_REMEDY);
    let pem = std::fs::read(path).map_err(|error| {
        wrong(format!("the CA bundle {} cannot be read: {error}", path.display()))
    })?;
    check_ca_bundle(&pem)
        .map_err(|error| wrong(format!("the CA bundle {} is not one: {error}", path.display())))?;
    Ok(pem)
}

/// How a side is spoken to.
pub(crate) fn side(side: &SideSettings, pem: Option<&[u8]>) -> S3Settings {
    let Location { endpoint, bucket, .. } = &side.location;
    S3Settings {
        bucket: bucket.clone(),
        bucket_endpoint: side.bucket_endpoint,
        region: side.region.clone(),
        endpoint: endpoint.clone(),
        vendor: Some(side.vendor),
        path_style: side.path_style.unwrap_or(side.vendor.quirks.path_style),
        list_version: side.list_version,
        list_encoding: side.list_encoding,
        checksums: side.checksums,
        anonymous: side.anonymous,
        requester_pays: side.requester_pays,
        profile: side.profile.clone(),
        ca_bundle_pem: pem.map(<[u8]>::to_vec),
        ..S3Settings::default()
    }
}

/// Everything that decides what a run copies: with another of these, the next command is another run.
/// A file of keys counts by what is in it, since a run goes on at a line of it.
fn fingerprint(settings: &CopySettings, keys: Option<u64>) -> String {
    let CopySettings { select, compare, overwrite, trust_size_and_time, delete, .. } = settings;
    let CopySettings { storage_class, class_map, acl, sse, tags, token, part_size_bytes, .. } =
        settings;
    let threshold = settings.multipart_threshold_bytes;
    let what = (select, compare, overwrite, trust_size_and_time, delete.is_some());
    let how = (storage_class, class_map, acl, sse, tags, token, part_size_bytes, threshold);
    format!("{what:?} {how:?} {keys:?}")
}

fn policy(settings: &CopySettings) -> Result<Policy, Failure> {
    let streams = settings
        .concurrency
        .min(settings.memory_budget_bytes.saturating_sub(BASE_MEMORY_BYTES) / STREAM_MEMORY_BYTES);
    let limits = Limits {
        streams_max: usize::try_from(streams.max(1)).unwrap_or(usize::MAX),
        ..if settings.dry_run { dry_limits() } else { Limits::default() }
    };
    let policy = Policy {
        compare: settings.compare,
        overwrite: settings.overwrite,
        trust_size_and_time: settings.trust_size_and_time,
        filter: filter(&settings.select)?,
        delete: settings.delete.as_ref().map(|delete| DeleteGuard {
            objects_max: delete.objects_max,
            percent_max: delete.percent_max,
        }),
        storage_class: settings.storage_class.clone(),
        metadata: true,
        tags: settings.tags,
        token: settings.token,
        server_side: match settings.server_side {
            ServerSideCopy::Always => ServerSide::Always,
            ServerSideCopy::Auto | ServerSideCopy::Never => ServerSide::Never,
        },
        multipart_threshold_bytes: settings.multipart_threshold_bytes,
        part_size_bytes: settings.part_size_bytes,
        // The first attempt is no retry.
        failures_max: settings.retries + 1,
        // Whoever runs the command again wants it tried again.
        retry_parked: true,
        dry_run: settings.dry_run,
        // So that any later command can report on the run, whoever began it.
        by_prefix: !settings.dry_run,
        limits,
        ..Policy::default()
    };
    let policy = abiding(policy, settings.source.vendor, settings.destination.vendor);
    Ok(Policy { fenced: settings.conditions, ..policy })
}

/// A dry run moves no bytes, and keeps a row for each task in memory: few tasks are enough, as large
/// as a window.
fn dry_limits() -> Limits {
    let limits = Limits::default();
    Limits {
        objects_per_task_max: limits.window_keys,
        bytes_per_task_max: u64::MAX,
        message_bytes_max: 16 << 20,
        ..limits
    }
}

pub(crate) fn filter(select: &SelectSettings) -> Result<Filter, Failure> {
    // The settings have compiled the same sets before, so that a mistake is told with its place.
    let set = |globs: &[String], regexes: &[String]| {
        patterns::set(globs, regexes)
            .map_err(|bad| Failure::new(Exit::Usage, bad.reason, "use fewer or simpler patterns"))
    };
    Ok(Filter {
        include: set(&select.include_globs, &select.include_regexes)?,
        exclude: set(&select.exclude_globs, &select.exclude_regexes)?,
        min_size: select.min_size,
        max_size: select.max_size,
        modified_after: select.modified_after,
        modified_before: select.modified_before,
    })
}

/// The number of objects with an outcome, for the demo's words.
pub(crate) fn objects(summary: &Summary, outcome: Outcome) -> u64 {
    summary.account.get(outcome).objects
}
