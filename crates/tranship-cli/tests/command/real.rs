//! A short suite for real accounts: what a vendor's store does is compared with what its row of the
//! table says, and a handful of odd objects is copied and compared.
//!
//! Nobody has accounts in `make test`, so the suite itself is tested here: the same variables lead it to
//! strict servers that speak as the vendors document. `make real` lets it go where the environment says.

mod place;
mod probe;
mod tap;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use tranship_adapters::clock::SystemClock;
use tranship_core::ports::Clock as _;
use tranship_server::{Dialect, Server, ServerOptions};

use self::place::Place;
use self::probe::{Seen, contents, fill};
use crate::support::{CANARY, Done, outcomes, run};

/// Variables by their names: the process's own, or those of a test.
type Environment = BTreeMap<String, String>;

const VARIABLES: &str = "TRANSHIP_REAL_";
const MAY_WRITE: &str = "TRANSHIP_REAL_MAY_WRITE";

/// What the suite found out.
#[derive(Debug, Default)]
struct Found {
    /// Of each side, in words.
    seen: Vec<(&'static str, Seen)>,
    /// What each command came to.
    steps: Vec<String>,
}

impl Found {
    fn differences(&self) -> Vec<(&'static str, &'static str)> {
        let differs = |(_, seen): &&(&str, Seen)| seen.differs();
        self.seen.iter().filter(differs).map(|(side, seen)| (*side, seen.what)).collect()
    }

    #[expect(clippy::print_stdout, reason = "a person reads it, and no test does")]
    fn tell(&self) {
        for step in &self.steps {
            println!("{step}");
        }
        for (side, seen) in &self.seen {
            let mark = if seen.differs() { "DIFFERS" } else { "as said" };
            println!(
                "{mark}  {side}: {}: the table says {}, seen: {}",
                seen.what, seen.table, seen.found
            );
        }
        println!("{} of {} differ from the table", self.differences().len(), self.seen.len());
    }
}

/// The command, between these places and with nothing of the suite's own variables.
struct Commands<'a> {
    environment: &'a Environment,
    source: &'a Place,
    destination: &'a Place,
    folder: tempfile::TempDir,
    steps: Vec<String>,
}

impl Commands<'_> {
    /// Runs it; `Err` is what it said, if it did not end so.
    fn run(&mut self, verb: &str, options: &[&str], codes: &[i32]) -> Result<Done, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tranship"));
        command
            .args([verb, &self.source.address(), &self.destination.address()])
            .args(self.source.options("source"))
            .args(self.destination.options("destination"))
            .args(options)
            .env_clear()
            .envs(self.environment.iter().filter(|(name, _)| !name.starts_with("TRANSHIP_")))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let done = run(command);
        let step = format!("tranship {verb} {}: exit code {:?}", options.join(" "), done.code);
        self.steps.push(step.clone());
        if done.code.is_some_and(|code| codes.contains(&code)) {
            return Ok(done);
        }
        Err(format!("{step}\n{done}"))
    }

    /// A copy that must come to exactly this.
    fn copy(&mut self, outcome: &str, objects: usize) -> Result<(), String> {
        let ledger = self.folder.path().join("ledger.redb").display().to_string();
        let done = self.run("copy", &["--json", "--ledger", &ledger], &[0])?;
        let (found, objects) = (outcomes(&done.last_event()), u64::try_from(objects).unwrap());
        if found == [(outcome.to_owned(), objects)] {
            return Ok(());
        }
        Err(format!("not {objects} {outcome} but {found:?}\n{done}"))
    }
}

/// The whole suite. What it wrote is gone afterwards, however it ends.
async fn suite(environment: &Environment) -> Result<Found, String> {
    let here = Place::read(environment, "SOURCE")?;
    let there = Place::read(environment, "DESTINATION")?;
    if environment.get(MAY_WRITE).is_none_or(|value| value != "1") {
        return look(environment, &here, &there);
    }
    let now = SystemClock::new().now();
    let folder = format!("tranship-real-{:x}-{:x}/", now.0, std::process::id());
    let (here, there) = (here.below(&folder), there.below(&folder));
    let found = write(environment, &here, &there).await;
    let cleared = [here.clear().await, there.clear().await];
    let left = cleared.into_iter().collect::<Result<Vec<()>, _>>();
    match (found, left) {
        (found, Ok(_)) => found,
        (Ok(_), Err(left)) => Err(left),
        (Err(error), Err(left)) => Err(format!("{error}\n{left}")),
    }
}

/// Reads a little, and writes nothing.
fn look(environment: &Environment, here: &Place, there: &Place) -> Result<Found, String> {
    let mut commands = Commands {
        environment,
        source: here,
        destination: there,
        folder: folder()?,
        steps: vec![format!("nothing is written: {MAY_WRITE} is not 1")],
    };
    let done = commands.run("doctor", &[], &[0, 8])?;
    let mut steps = commands.steps;
    steps.push(done.out);
    Ok(Found { steps, ..Found::default() })
}

/// Writes below both places, looks at what came of it, and copies.
async fn write(environment: &Environment, here: &Place, there: &Place) -> Result<Found, String> {
    let mut found = Found::default();
    for (side, place) in [("source", here), ("destination", there)] {
        let seen = probe::look(place).await.map_err(|error| format!("{side}: {error}"))?;
        found.seen.extend(seen.into_iter().map(|seen| (side, seen)));
        place.clear().await?;
    }
    let objects = contents().len();
    fill(here).await?;
    let mut commands = Commands {
        environment,
        source: here,
        destination: there,
        folder: folder()?,
        steps: Vec::new(),
    };
    let doctor = commands.run("doctor", &["--write-probe"], &[0, 8])?;
    commands.run("plan", &[], &[0])?;
    commands.copy("copied", objects)?;
    commands.copy("equal", objects)?;
    commands.run("verify", &["--deep"], &[0])?;
    found.steps = commands.steps;
    found.steps.push(doctor.out);
    Ok(found)
}

fn folder() -> Result<tempfile::TempDir, String> {
    tempfile::tempdir().map_err(|error| error.to_string())
}

/// `make real`; the variables stand in `CONTRIBUTING.md`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs accounts: make real"]
async fn accounts_that_the_environment_names() {
    let environment = std::env::vars().collect();
    match suite(&environment).await {
        Ok(found) => found.tell(),
        Err(error) => panic!("{error}"),
    }
}

/// A server in the place of an account, and the variables that name it.
struct Account {
    server: Server,
    bucket: &'static str,
}

impl Account {
    async fn new(dialect: Dialect, native_headers: bool) -> Self {
        let bucket = if dialect == Dialect::Cos { "real-1250000000" } else { "real" };
        let options = ServerOptions {
            dialect,
            native_headers,
            check_region: false,
            credentials: Some(("AKIDEXAMPLE".to_owned(), CANARY.to_owned())),
            ..ServerOptions::default()
        };
        let server = Server::start(options).await.unwrap();
        server.store().create_bucket(bucket);
        Self { server, bucket }
    }

    fn variables(&self, side: &str, scheme: &str) -> [(String, String); 3] {
        [
            (format!("{VARIABLES}{side}"), format!("{scheme}://{}/a b", self.bucket)),
            (format!("{VARIABLES}{side}_ENDPOINT"), self.server.endpoint()),
            (format!("{VARIABLES}{side}_REGION"), "us-east-1".to_owned()),
        ]
    }

    /// Fails unless nothing is left of the suite.
    #[track_caller]
    fn expect_empty(&self) {
        assert!(self.server.requests().count("PutObject") > 0, "it wrote");
        assert!(self.server.store().keys(self.bucket).is_empty(), "objects are left");
        assert_eq!(self.server.store().open_uploads(self.bucket), []);
    }
}

fn environment(source: &Account, scheme: &str, destination: &Account, to: &str) -> Environment {
    let home = tempfile::tempdir().unwrap();
    let own = [
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", CANARY),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("HOME", home.path().to_str().unwrap()),
        (MAY_WRITE, "1"),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let sides = [source.variables("SOURCE", scheme), destination.variables("DESTINATION", to)];
    own.into_iter().chain(sides.into_iter().flatten()).collect()
}

/// Each store that speaks as its vendor documents: what is seen of it, and that the suite passes.
#[tokio::test(flavor = "multi_thread")]
async fn the_suite_for_accounts_passes_where_the_vendors_do_as_documented() {
    for (dialect, scheme, differences) in [
        (Dialect::Amazon, "s3", &[][..]),
        (Dialect::Oss, "oss", &[]),
        (Dialect::Cos, "cos", &[]),
        // The row believes nothing of what Qiniu leaves open.
        (Dialect::Kodo, "kodo", &["ETag of a plain write"]),
        (Dialect::Gcs, "gs", &[]),
    ] {
        for native_headers in [false, true] {
            let source = Account::new(dialect, native_headers).await;
            let destination = Account::new(Dialect::Amazon, false).await;
            let environment = environment(&source, scheme, &destination, "s3");
            let found =
                suite(&environment).await.unwrap_or_else(|error| panic!("{scheme}: {error}"));
            let expected: Vec<_> = differences.iter().map(|what| ("source", *what)).collect();
            assert_eq!(found.differences(), expected, "{scheme}: {:#?}", found.seen);
            source.expect_empty();
            destination.expect_empty();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_for_accounts_says_where_a_store_differs_from_its_row() {
    let source = Account::new(Dialect::Amazon, false).await;
    let destination = Account::new(Dialect::Oss, true).await;
    let environment = environment(&source, "s3", &destination, "oss");
    let found = suite(&environment).await.unwrap();
    assert_eq!(found.differences(), [], "{:#?}", found.seen);
    // A store of Amazon's kind behind another vendor's name.
    let environment = self::environment(&source, "kodo", &destination, "oss");
    let found = suite(&environment).await.unwrap();
    let differences = found.differences();
    for what in ["conditions on writes", "tags", "encoded listings"] {
        assert!(differences.contains(&("source", what)), "{what}: {:#?}", found.seen);
    }
    source.expect_empty();
    destination.expect_empty();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_for_accounts_writes_nothing_without_leave_and_clears_up_after_a_failure() {
    let source = Account::new(Dialect::Amazon, false).await;
    let destination = Account::new(Dialect::Amazon, false).await;
    let mut environment = environment(&source, "s3", &destination, "s3");
    environment.remove(MAY_WRITE);
    let found = suite(&environment).await.unwrap();
    assert!(found.steps.iter().any(|step| step.contains("nothing is written")), "{found:?}");
    for account in [&source, &destination] {
        assert_eq!(account.server.requests().count("PutObject"), 0);
    }
    environment.insert(MAY_WRITE.to_owned(), "1".to_owned());
    let gone = format!("{VARIABLES}DESTINATION");
    environment.insert(gone, "s3://nowhere/".to_owned());
    let error = suite(&environment).await.unwrap_err();
    assert!(error.contains("destination") && error.contains("NoSuchBucket"), "{error}");
    source.expect_empty();
    environment.remove(&format!("{VARIABLES}SOURCE"));
    let error = suite(&environment).await.unwrap_err();
    assert!(error.contains("TRANSHIP_REAL_SOURCE is not set"), "{error}");
}
