//! `tranship demo`: two strict servers on loopback, a varied world, two runs and a comparison.

mod world;

use std::path::Path;

use tranship_adapters::stores::s3::{S3Settings, StaticCredentials};
use tranship_core::location::{Location, Transfer};
use tranship_core::outcome::Outcome;
use tranship_core::policy::{DeleteGuard, Policy};
use tranship_server::{Server, ServerError, ServerOptions};

use crate::args::DemoArgs;
use crate::display::{Reporter, Summary, count_text, size_text};
use crate::embedded::{self, Files, Names, objects};
use crate::engine::Parts;
use crate::exit::{Exit, Failure};
use crate::interrupt::Stop;
use crate::plan::Outlook;
use world::{DESTINATION, SOURCE, Scale};

const KEYS: (&str, &str) = ("DEMOACCESSKEY", "demo-secret");

/// Runs the demo.
pub async fn demo(options: DemoArgs, reporter: Reporter, stop: Stop) -> Result<Exit, Failure> {
    let started =
        |error: ServerError| Failure::new(Exit::Other, format!("the demo's server: {error}"), "");
    let source = serve().await.map_err(started)?;
    let destination = serve().await.map_err(started)?;
    let folder = std::env::temp_dir().join(format!("tranship-demo-{}", std::process::id()));
    let scale = if options.small { Scale::SMALL } else { Scale::FULL };
    reporter.note("Filling the source with small objects, hostile keys, tags, metadata and multipart objects …");
    destination.store().create_bucket(DESTINATION);
    destination
        .store()
        .configure(DESTINATION, |bucket| bucket.abort_incomplete_after_days = Some(7));
    let (keys, bytes) = world::fill(source.store(), scale);
    reporter.note(&format!(
        "{} objects, {} at {}; an empty bucket at {}",
        count_text(u64::try_from(keys).unwrap_or(u64::MAX)),
        size_text(bytes),
        source.endpoint(),
        destination.endpoint()
    ));
    let exit = Box::pin(passes(&source, &destination, &folder, &reporter, &stop)).await;
    if options.keep {
        keep(&source, &destination, &folder, &reporter, &stop).await;
    }
    std::fs::remove_dir_all(&folder).ok();
    exit
}

async fn serve() -> Result<Server, ServerError> {
    let credentials = Some((KEYS.0.to_owned(), KEYS.1.to_owned()));
    Server::start(ServerOptions { credentials, ..ServerOptions::default() }).await
}

async fn passes(
    source: &Server,
    destination: &Server,
    folder: &Path,
    reporter: &Reporter,
    stop: &Stop,
) -> Result<Exit, Failure> {
    let first = Box::pin(pass(source, destination, folder, reporter, stop)).await?;
    if first.exit() != Exit::Success {
        return Ok(first.exit());
    }
    let (changed, deleted) = world::change(source.store());
    reporter.note("");
    reporter.note(&format!(
        "Now {changed} objects are written at the source (one keeps its size), {deleted} are deleted, and the same copy runs again …"
    ));
    let second = Box::pin(pass(source, destination, folder, reporter, stop)).await?;
    if second.exit() != Exit::Success {
        return Ok(second.exit());
    }
    let differences = world::differences(source.store(), destination.store());
    for difference in &differences {
        reporter.warning(difference);
    }
    let open = destination.store().open_uploads(DESTINATION).len();
    let text = if differences.is_empty() && open == 0 {
        "every object is the same on both sides: bytes, ETag, headers, user metadata and tags; no upload was left open".to_owned()
    } else {
        format!("{} differences, {open} uploads left open", differences.len())
    };
    reporter.note("");
    reporter.note(&format!(
        "The first run copied {} objects ({}), the second only {} and deleted {}; {} were equal and cost no request of their own.",
        count_text(objects(&first, Outcome::Copied)),
        size_text(first.account.get(Outcome::Copied).bytes),
        count_text(objects(&second, Outcome::Copied)),
        count_text(objects(&second, Outcome::Deleted)),
        count_text(objects(&second, Outcome::Equal)),
    ));
    reporter.note(&format!("Compared: {text}."));
    Ok(if differences.is_empty() && open == 0 { Exit::Success } else { Exit::Failed })
}

async fn pass(
    source: &Server,
    destination: &Server,
    folder: &Path,
    reporter: &Reporter,
    stop: &Stop,
) -> Result<Summary, Failure> {
    let transfer = Transfer {
        source: Location::new(Some(&source.endpoint()), SOURCE, ""),
        destination: Location::new(Some(&destination.endpoint()), DESTINATION, ""),
    };
    let names = Names {
        transfer_id: transfer.id(),
        source: transfer.source.display(),
        destination: transfer.destination.display(),
        dry_run: false,
        outlook: Outlook::default(),
    };
    let parts = Parts {
        transfer,
        source: settings(source, SOURCE),
        destination: settings(destination, DESTINATION),
        policy: Policy {
            delete: Some(DeleteGuard { objects_max: 10, percent_max: 10 }),
            ..Policy::default()
        },
        bandwidth: None,
        delete_unversioned: true,
        server_side_if_possible: false,
        ledger: Some(folder.join("ledger.redb")),
        fingerprint: "demo".to_owned(),
        lines: None,
    };
    let manifest = folder.join("candidates.jsonl");
    let files = Files { manifest: Some(&manifest), ..Files::default() };
    let summary = embedded::run(parts, &names, reporter, stop, files).await?;
    reporter.run_ended(&summary);
    Ok(summary)
}

fn settings(server: &Server, bucket: &str) -> S3Settings {
    S3Settings {
        bucket: bucket.to_owned(),
        region: Some("us-east-1".to_owned()),
        endpoint: Some(server.endpoint()),
        path_style: true,
        credentials: Some(StaticCredentials {
            access_key: KEYS.0.to_owned(),
            secret_key: KEYS.1.to_owned(),
            token: None,
        }),
        ..S3Settings::default()
    }
}

/// Leaves the servers running until Ctrl-C, so that other tools can look at them.
async fn keep(
    source: &Server,
    destination: &Server,
    folder: &Path,
    reporter: &Reporter,
    stop: &Stop,
) {
    reporter.note(&format!(
        "Kept until Ctrl-C: s3://{SOURCE} at {}, s3://{DESTINATION} at {} (AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={}), ledger in {}",
        source.endpoint(),
        destination.endpoint(),
        KEYS.0,
        KEYS.1,
        folder.display()
    ));
    stop.requested().await;
}
