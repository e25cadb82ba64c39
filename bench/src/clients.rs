//! How each client is called: with the same streams and part size, whatever it calls them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use clap::ValueEnum as _;

use crate::case::Work;
use crate::serve::{DESTINATION, KEYS, Place, SOURCE};
use crate::who::Who;

/// Variables that would make one client do something else than another.
const FOREIGN: [&str; 8] = [
    // rclone of Debian does not start with it, whatever else it is told to trust.
    "AWS_CA_BUNDLE",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "REQUESTS_CA_BUNDLE",
    "RUST_LOG",
];

/// A client that is there, and what it says it is.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) who: Who,
    pub(crate) version: String,
    program: PathBuf,
}

/// What one run is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errand<'a> {
    pub(crate) work: Work,
    pub(crate) place: &'a Place,
    /// For what a client keeps from run to run.
    pub(crate) folder: &'a Path,
}

/// Looks for a client. What is missing is told, with the way to get it.
pub(crate) fn find(who: Who) -> Result<Found, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let (programs, arguments, advice): (Vec<PathBuf>, Vec<OsString>, _) = match who {
        Who::Tranship | Who::Bare => {
            let program = std::env::current_exe().map_err(|error| error.to_string())?;
            return Ok(Found { who, version: env!("CARGO_PKG_VERSION").to_owned(), program });
        }
        Who::Rclone => (
            vec!["rclone".into()],
            vec!["version".into()],
            "install it with the system's package manager, e.g. apt-get install rclone",
        ),
        Who::S3sync => (
            vec![root.join("target/peers/bin/s3sync"), "s3sync".into()],
            vec!["--version".into()],
            "make peers builds it, in a quarter of an hour or more",
        ),
        Who::Boto3 => (
            vec![root.join(".venv-bench/bin/python")],
            vec![root.join("bench/boto3_copy.py").into(), "--version".into()],
            "make peers installs it",
        ),
    };
    for program in programs {
        let asked = Command::new(&program).args(&arguments).stdin(Stdio::null()).output();
        if let Ok(told) = asked
            && told.status.success()
        {
            let version = String::from_utf8_lossy(&told.stdout).lines().next().map(str::to_owned);
            return Ok(Found { who, version: version.unwrap_or_default(), program });
        }
    }
    Err(format!("{} is not compared, since it is not found; {advice}", who.name()))
}

impl Found {
    /// The command of one run.
    pub(crate) fn command(&self, errand: &Errand<'_>) -> Result<Command> {
        let mut command = Command::new(&self.program);
        for name in FOREIGN {
            command.env_remove(name);
        }
        command
            .env("AWS_ACCESS_KEY_ID", KEYS.0)
            .env("AWS_SECRET_ACCESS_KEY", KEYS.1)
            .env("AWS_EC2_METADATA_DISABLED", "true");
        match self.who {
            Who::Tranship => tranship(&mut command, errand),
            Who::Bare => bare(&mut command, errand)?,
            Who::Rclone => rclone(&mut command, errand),
            Who::S3sync => s3sync(&mut command, errand),
            Who::Boto3 => boto3(&mut command, errand),
        }
        Ok(command)
    }
}

fn bucket(name: &str) -> String {
    format!("s3://{name}/")
}

/// Objects side by side, and parts of one object side by side: together as many as streams.
fn side_by_side(work: Work) -> (usize, usize) {
    let streams = work.case.streams();
    let objects = usize::try_from(work.objects()).unwrap_or(streams).clamp(1, streams);
    (objects, streams / objects)
}

/// The command itself, of which this program is another name.
fn tranship(command: &mut Command, errand: &Errand<'_>) {
    let Errand { work, place, folder } = errand;
    command
        .args(["tranship", "copy", &bucket(SOURCE), &bucket(DESTINATION)])
        .args(["--source-endpoint", &place.source, "--destination-endpoint", &place.destination])
        .args(["--source-region", "us-east-1", "--destination-region", "us-east-1"])
        .args(["--source-path-style", "--destination-path-style"])
        .args(["--ca-bundle", &place.ca_bundle])
        .args(["--concurrency", &work.case.streams().to_string()])
        .args(["--part-size", &work.case.part_bytes().to_string()])
        .arg("--ledger")
        .arg(folder.join("ledger.redb"))
        .arg("--quiet");
}

fn bare(command: &mut Command, errand: &Errand<'_>) -> Result<()> {
    let Errand { work, place, .. } = errand;
    let case = work.case.to_possible_value().context("the case has no name")?;
    command
        .args(["bare", "--case", case.get_name(), "--scale", &work.scale.to_string()])
        .args(["--source", &place.source, "--destination", &place.destination])
        .args(["--ca-bundle", &place.ca_bundle]);
    Ok(())
}

/// Compares by MD5 where a listing shows one, as its manual advises between two S3 stores: by time,
/// which is the default, it would ask for the header of each object.
fn rclone(command: &mut Command, errand: &Errand<'_>) {
    let Errand { work, place, folder } = errand;
    for (remote, endpoint) in [("HERE", &place.source), ("THERE", &place.destination)] {
        for (name, value) in [
            ("TYPE", "s3"),
            // Of the providers with AWS's habits, one whose buckets are addressed by path.
            ("PROVIDER", "Minio"),
            ("ACCESS_KEY_ID", KEYS.0),
            ("SECRET_ACCESS_KEY", KEYS.1),
            ("REGION", "us-east-1"),
            ("ENDPOINT", endpoint),
            // The bucket is there: else each run asks first, and makes it.
            ("NO_CHECK_BUCKET", "true"),
        ] {
            command.env(format!("RCLONE_CONFIG_{remote}_{name}"), value);
        }
    }
    let (objects, parts) = side_by_side(*work);
    let part_size = format!("{}B", work.case.part_bytes());
    command
        .arg("copy")
        .args([format!("here:{SOURCE}"), format!("there:{DESTINATION}")])
        .args(["--checksum", "--fast-list", "--quiet"])
        .args(["--ca-cert", &place.ca_bundle])
        .args(["--transfers", &objects.to_string(), "--checkers", &objects.to_string()])
        .args(["--s3-upload-cutoff", &part_size, "--s3-chunk-size", &part_size])
        .args(["--s3-upload-concurrency", &parts.to_string()])
        .arg("--config")
        .arg(folder.join("rclone.conf"));
}

/// Compares by `ETag`, as the others do, and not by time alone.
fn s3sync(command: &mut Command, errand: &Errand<'_>) {
    let Errand { work, place, .. } = errand;
    for (side, endpoint) in [("source", &place.source), ("target", &place.destination)] {
        command
            .args([format!("--{side}-endpoint-url"), endpoint.clone()])
            .args([format!("--{side}-access-key"), KEYS.0.to_owned()])
            .args([format!("--{side}-secret-access-key"), KEYS.1.to_owned()])
            .args([format!("--{side}-region"), "us-east-1".to_owned()])
            .arg(format!("--{side}-force-path-style"));
    }
    let (objects, _) = side_by_side(*work);
    let part_size = work.case.part_bytes().to_string();
    command
        .env("SSL_CERT_FILE", &place.ca_bundle)
        .args(["--check-etag", "--show-no-progress"])
        .args(["--worker-size", &objects.to_string()])
        .args(["--max-parallel-uploads", &work.case.streams().to_string()])
        .args(["--multipart-threshold", &part_size, "--multipart-chunksize", &part_size])
        .args([bucket(SOURCE), bucket(DESTINATION)]);
    if !work.has_true_etags() {
        // It computes the `ETag` of what it copies in parts, and ends in a warning if it differs.
        command.arg("--disable-multipart-verify");
    }
}

fn boto3(command: &mut Command, errand: &Errand<'_>) {
    let Errand { work, place, .. } = errand;
    let (objects, parts) = side_by_side(*work);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("boto3_copy.py");
    command
        .arg(script)
        .args(["--source", &place.source, "--destination", &place.destination])
        .args(["--source-bucket", SOURCE, "--destination-bucket", DESTINATION])
        .args(["--source-ca", &place.source_ca, "--destination-ca", &place.destination_ca])
        .args(["--streams", &objects.to_string(), "--parts-side-by-side", &parts.to_string()])
        .args(["--part-bytes", &work.case.part_bytes().to_string()]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Case;

    fn words(who: Who, case: Case) -> Vec<String> {
        let place = Place {
            source: "https://127.0.0.1:1".to_owned(),
            destination: "https://127.0.0.1:2".to_owned(),
            ca_bundle: "/ca.pem".to_owned(),
            source_ca: "/source.pem".to_owned(),
            destination_ca: "/destination.pem".to_owned(),
        };
        let work = Work { case, scale: 1 };
        let errand = Errand { work, place: &place, folder: Path::new("/kept") };
        let found = Found { who, version: String::new(), program: "client".into() };
        let command = found.command(&errand).unwrap();
        command.get_args().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    fn value(who: Who, case: Case, name: &str) -> Option<String> {
        words(who, case).into_iter().skip_while(|word| word != name).nth(1)
    }

    #[test]
    fn all_have_the_same_streams_and_parts() {
        for (case, streams, part) in
            [(Case::Small, 64, 64), (Case::Large, 16, 64), (Case::Resume, 8, 16)]
        {
            let number = |who, name: &str| -> usize {
                let value = value(who, case, name).unwrap();
                value.trim_end_matches('B').parse().unwrap()
            };
            let part_bytes = part << 20;
            assert_eq!(number(Who::Tranship, "--concurrency"), streams);
            assert_eq!(number(Who::Tranship, "--part-size"), part_bytes);
            assert_eq!(number(Who::S3sync, "--max-parallel-uploads"), streams);
            assert_eq!(number(Who::S3sync, "--multipart-chunksize"), part_bytes);
            assert_eq!(
                number(Who::Rclone, "--transfers") * number(Who::Rclone, "--s3-upload-concurrency"),
                streams
            );
            assert_eq!(number(Who::Rclone, "--s3-chunk-size"), part_bytes);
            assert_eq!(
                number(Who::Boto3, "--streams") * number(Who::Boto3, "--parts-side-by-side"),
                streams
            );
            assert_eq!(number(Who::Boto3, "--part-bytes"), part_bytes);
        }
    }

    /// What `tranship` would not understand is no measurement of it.
    #[test]
    fn the_command_is_understood() {
        use clap::Parser as _;
        for case in Case::USUAL {
            let words = words(Who::Tranship, case);
            tranship_cli::args::Cli::try_parse_from(&words).unwrap();
        }
    }
}
