//! `tranship copy`: from settings to an engine, and from its end to a summary.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tranship_adapters::stores::s3::{S3Settings, Sse as StoreSse};
use tranship_core::error::Disposition;
use tranship_core::finder::KeyLines;
use tranship_core::location::Location;
use tranship_core::outcome::Outcome;
use tranship_core::policy::{DeleteGuard, Filter, Limits, Policy, ServerSide};
use tranship_core::progress::Progress;
use tranship_core::rows::{Note, Run, RunState};

use crate::display::{Ending, Reporter, RunStart, Summary};
use crate::driver::Ended;
use crate::engine::{Engine, EngineError, Parts};
use crate::exit::{Exit, Failure};
use crate::interrupt::Stop;
use crate::keys_file::KeysFile;
use crate::settings::{
    BASE_MEMORY_BYTES, CopySettings, STREAM_MEMORY_BYTES, ServerSideCopy, SideSettings, Sse,
    patterns,
};

/// Runs one copy.
pub async fn copy(settings: CopySettings, reporter: Reporter, stop: Stop) -> Result<Exit, Failure> {
    let parts = parts(&settings)?;
    let names = Names {
        transfer_id: settings.transfer.id(),
        source: settings.source.location.display(),
        destination: settings.destination.location.display(),
        dry_run: settings.dry_run,
    };
    let manifest = settings.delete.as_ref().map(|delete| delete.manifest.clone());
    let summary =
        run(parts, &names, &reporter, &stop, Some(&settings.failures), manifest.as_deref()).await?;
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
}

/// Runs an engine to its end under the reporter's eyes.
pub(crate) async fn run(
    parts: Parts,
    names: &Names,
    reporter: &Reporter,
    stop: &Stop,
    failures: Option<&Path>,
    manifest: Option<&Path>,
) -> Result<Summary, Failure> {
    let progress = Arc::new(Progress::default());
    let engine = Engine::assemble(parts, progress.clone()).await.map_err(failure)?;
    reporter.run_started(&RunStart {
        transfer_id: names.transfer_id.clone(),
        source: names.source.clone(),
        destination: names.destination.clone(),
        ledger: engine.ledger_name(),
        dry_run: names.dry_run,
        resumed: engine.resumes().await.map_err(failure)?,
    });
    let (stopping, listing_done, begin) =
        (engine.stopping(), engine.listing_done(), tokio::time::Instant::now());
    let mut list = List::new(failures);
    let running = engine.run(manifest, |note| {
        reporter.object_failed(&note.key, note.reason.as_deref().unwrap_or("no reason is known"));
        list.add(note);
    });
    let ended = watched(running, reporter, stop, &stopping, progress.clone(), listing_done).await;
    let elapsed = begin.elapsed().as_millis();
    let (ended, candidates) = ended.map_err(failure)?;
    let failures = list.close()?;
    let reading = progress.read();
    let (run, ending) = ending(ended);
    let totals = run.totals.unwrap_or_default();
    Ok(Summary {
        transfer_id: names.transfer_id.clone(),
        source: names.source.clone(),
        destination: names.destination.clone(),
        ending,
        dry_run: names.dry_run,
        listed: totals.listed,
        account: totals.account,
        bytes_moved: reading.bytes_moved,
        retries: reading.retries,
        elapsed_ms: u64::try_from(elapsed).unwrap_or(u64::MAX),
        failures,
        delete_manifest: manifest.filter(|_| candidates > 0).map(Path::to_owned),
        losses: Vec::new(),
    })
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
    let watching = reporter.watch(progress, listing_done);
    let stop_asked = async {
        stop.requested().await;
        stopping.store(true, Ordering::Relaxed);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = running => ended,
        () = watching => unreachable_watch().await,
        () = stop_asked => unreachable_watch().await,
    }
}

/// Neither the display nor the wait for a stop ever returns.
async fn unreachable_watch<T>() -> T {
    std::future::pending().await
}

fn ending(ended: Ended) -> (Run, Ending) {
    match ended {
        Ended::Interrupted(run) => (run, Ending::Interrupted),
        Ended::Halted(run, error) => (run, Ending::Halted { reason: error.to_string() }),
        Ended::Closed(run) if run.state == RunState::Complete => (run, Ending::Complete),
        Ended::Closed(run) => {
            let unsettled = run.totals.as_ref().map_or(0, |totals| totals.unsettled.objects);
            let reason = if unsettled > 0 {
                format!("{unsettled} objects are unsettled; run the same command again")
            } else {
                "the outcomes do not add up to the listing; run the same command again".to_owned()
            };
            (run, Ending::Incomplete { reason })
        }
    }
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
            "nothing was written; mend it, and run the same command again",
        ),
        EngineError::Store(_) => Failure::new(Exit::Other, what, "nothing was written"),
    }
}

/// The failure list: written as it grows, made only when something failed.
struct List<'a> {
    path: Option<&'a Path>,
    file: Option<BufWriter<File>>,
    error: Option<std::io::Error>,
}

impl<'a> List<'a> {
    fn new(path: Option<&'a Path>) -> Self {
        Self { path, file: None, error: None }
    }

    fn add(&mut self, note: &Note) {
        if let Err(error) = self.write(note) {
            self.error.get_or_insert(error);
        }
    }

    fn write(&mut self, note: &Note) -> std::io::Result<()> {
        let Some(path) = self.path else { return Ok(()) };
        let file = match &mut self.file {
            Some(file) => file,
            empty => {
                if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty())
                {
                    std::fs::create_dir_all(folder)?;
                }
                empty.insert(BufWriter::new(File::create(path)?))
            }
        };
        writeln!(file, "{}", serde_json::to_string(note)?)
    }

    fn close(mut self) -> Result<Option<std::path::PathBuf>, Failure> {
        let flushed = self.file.as_mut().map_or(Ok(()), BufWriter::flush);
        match (self.error.take().map_or(flushed, Err), self.path) {
            (Err(error), Some(path)) => Err(Failure::new(
                Exit::Other,
                format!("the failure list {} cannot be written: {error}", path.display()),
                "name a writable file with --failures, and run the same command again",
            )),
            _ => Ok(self.file.is_some().then(|| self.path.map(Path::to_owned)).flatten()),
        }
    }
}

fn parts(settings: &CopySettings) -> Result<Parts, Failure> {
    let lines: Option<Arc<dyn KeyLines>> = match &settings.select.keys_from {
        Some(path) => {
            let file = KeysFile::open(path).map_err(|error| {
                Failure::new(Exit::Usage, error, "name a readable file with --keys-from")
            })?;
            Some(Arc::new(file))
        }
        None => None,
    };
    let pem = match &settings.ca_bundle {
        Some(path) => Some(std::fs::read(path).map_err(|error| {
            let what = format!("the CA bundle {} cannot be read: {error}", path.display());
            Failure::new(Exit::Usage, what, "name a readable PEM file with --ca-bundle")
        })?),
        None => None,
    };
    let destination = S3Settings {
        expected_bucket_owner: settings.expected_bucket_owner.clone(),
        acl: settings.acl.clone(),
        sse: settings.sse.as_ref().map(|sse| match sse {
            Sse::Aes256 => StoreSse::Managed,
            Sse::Kms { key_id } => StoreSse::Kms { key_id: key_id.clone(), bucket_key: true },
        }),
        ..side(&settings.destination, pem.as_deref())
    };
    Ok(Parts {
        transfer: settings.transfer.clone(),
        source: side(&settings.source, pem.as_deref()),
        destination,
        policy: policy(settings)?,
        delete_unversioned: settings.delete.as_ref().is_some_and(|delete| delete.unversioned),
        server_side_if_possible: settings.server_side == ServerSideCopy::Auto,
        ledger: (!settings.dry_run).then(|| settings.ledger.clone()),
        fingerprint: fingerprint(settings),
        lines,
    })
}

fn side(side: &SideSettings, pem: Option<&[u8]>) -> S3Settings {
    let Location { endpoint, bucket, .. } = &side.location;
    S3Settings {
        bucket: bucket.clone(),
        region: side.region.clone(),
        endpoint: endpoint.clone(),
        // Stores behind an endpoint of their own rarely have a name for each bucket.
        path_style: side.path_style.unwrap_or(endpoint.is_some()),
        anonymous: side.anonymous,
        requester_pays: side.requester_pays,
        profile: side.profile.clone(),
        ca_bundle_pem: pem.map(<[u8]>::to_vec),
        ..S3Settings::default()
    }
}

/// Everything that decides what a run copies: with another of these, the next command is another run.
fn fingerprint(settings: &CopySettings) -> String {
    let CopySettings { select, compare, overwrite, trust_size_and_time, delete, .. } = settings;
    let CopySettings { storage_class, acl, sse, tags, token, part_size_bytes, .. } = settings;
    let threshold = settings.multipart_threshold_bytes;
    let what = (select, compare, overwrite, trust_size_and_time, delete.is_some());
    let how = (storage_class, acl, sse, tags, token, part_size_bytes, threshold);
    format!("{what:?} {how:?}")
}

fn policy(settings: &CopySettings) -> Result<Policy, Failure> {
    let streams = settings
        .concurrency
        .min(settings.memory_budget_bytes.saturating_sub(BASE_MEMORY_BYTES) / STREAM_MEMORY_BYTES);
    let limits = Limits {
        streams_max: usize::try_from(streams.max(1)).unwrap_or(usize::MAX),
        ..Limits::default()
    };
    Ok(Policy {
        compare: settings.compare,
        overwrite: settings.overwrite,
        trust_size_and_time: settings.trust_size_and_time,
        filter: filter(settings)?,
        delete: settings.delete.as_ref().map(|delete| DeleteGuard {
            objects_max: delete.objects_max,
            percent_max: delete.percent_max,
        }),
        storage_class: settings.storage_class.clone(),
        tags: settings.tags,
        token: settings.token,
        server_side: match settings.server_side {
            ServerSideCopy::Always => ServerSide::Always,
            ServerSideCopy::Auto | ServerSideCopy::Never => ServerSide::Never,
        },
        multipart_threshold_bytes: settings.multipart_threshold_bytes,
        part_size_bytes: settings.part_size_bytes,
        fenced: true,
        // The first attempt is no retry.
        failures_max: settings.retries + 1,
        dry_run: settings.dry_run,
        limits,
    })
}

fn filter(settings: &CopySettings) -> Result<Filter, Failure> {
    let select = &settings.select;
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
