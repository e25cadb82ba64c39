//! Two strict servers, a ledger in a temporary folder, and the embedded engine between them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tranship_adapters::stores::s3::{S3Settings, StaticCredentials};
use tranship_cli::driver::Ended;
use tranship_cli::engine::{Engine, EngineError, Parts};
use tranship_core::finder::KeyLines;
use tranship_core::location::{Location, Transfer};
use tranship_core::outcome::{Count, Outcome};
use tranship_core::policy::Policy;
use tranship_core::progress::Progress;
use tranship_core::rows::{Note, Run, RunState};
use tranship_server::{Server, ServerOptions, Store};

/// The buckets of every rig.
pub const SOURCE: &str = "source-bucket";
pub const DESTINATION: &str = "destination-bucket";
pub const MIB: usize = 1 << 20;

const KEYS: (&str, &str) = ("AKIDEXAMPLE", "canary-secret-that-no-log-may-show");

/// Both sides and what lies between.
#[derive(Debug)]
pub struct Rig {
    pub source: Server,
    pub destination: Server,
    pub prefixes: (String, String),
    pub folder: tempfile::TempDir,
}

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    pub run: Run,
    pub failures: Vec<Note>,
    pub how: How,
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub enum How {
    Closed,
    Interrupted,
    Halted(String),
}

impl Report {
    /// Objects with an outcome.
    pub fn objects(&self, outcome: Outcome) -> u64 {
        self.run.totals.as_ref().map_or(0, |totals| totals.account.get(outcome).objects)
    }

    /// The outcomes that any object had, with their numbers.
    pub fn outcomes(&self) -> Vec<(&'static str, u64)> {
        let totals = self.run.totals.clone().unwrap_or_default();
        let some = totals.account.iter().filter(|(_, count)| *count != Count::default());
        some.map(|(outcome, count)| (outcome.name(), count.objects)).collect()
    }

    /// Fails unless the run is complete, balances, and has exactly these outcomes.
    #[track_caller]
    pub fn expect(&self, outcomes: &[(&str, u64)]) {
        assert_eq!(self.how, How::Closed);
        assert_eq!(self.run.state, RunState::Complete, "{self:?}");
        let totals = self.run.totals.as_ref().unwrap();
        assert!(totals.balances(), "{totals:?}");
        assert_eq!(self.outcomes(), outcomes, "{:?}", self.failures);
    }
}

impl Rig {
    pub async fn new() -> Self {
        Self::with(ServerOptions::default(), ServerOptions::default()).await
    }

    /// Signatures are always checked, so every request of every test is signed right.
    pub async fn with(source: ServerOptions, destination: ServerOptions) -> Self {
        let signed =
            |options: ServerOptions| ServerOptions { credentials: Some(credentials()), ..options };
        let source = Server::start(signed(source)).await.unwrap();
        let destination = Server::start(signed(destination)).await.unwrap();
        source.store().create_bucket(SOURCE);
        destination.store().create_bucket(DESTINATION);
        let folder = tempfile::tempdir().unwrap();
        Self { source, destination, prefixes: (String::new(), String::new()), folder }
    }

    pub fn here(&self) -> &Store {
        self.source.store()
    }

    pub fn there(&self) -> &Store {
        self.destination.store()
    }

    pub fn put(&self, key: &str, bytes: impl Into<Vec<u8>>) -> String {
        self.here().put(SOURCE, key, bytes.into())
    }

    /// What a copy between the two sides is made of.
    pub fn parts(&self, policy: Policy) -> Parts {
        let at = |server: &Server, bucket, prefix: &str| {
            Location::new(Some(&server.endpoint()), bucket, prefix)
        };
        Parts {
            transfer: Transfer {
                source: at(&self.source, SOURCE, &self.prefixes.0),
                destination: at(&self.destination, DESTINATION, &self.prefixes.1),
            },
            source: settings(&self.source, SOURCE),
            destination: settings(&self.destination, DESTINATION),
            policy,
            bandwidth: None,
            delete_unversioned: false,
            server_side_if_possible: false,
            ledger: Some(self.folder.path().join("ledger.redb")),
            fingerprint: "test".to_owned(),
            lines: None,
        }
    }

    pub async fn copy(&self, policy: Policy) -> Report {
        self.run(self.parts(policy), None).await.unwrap()
    }

    pub async fn copy_keys(&self, policy: Policy, lines: Arc<dyn KeyLines>) -> Report {
        let parts = Parts { lines: Some(lines), ..self.parts(policy) };
        self.run(parts, None).await.unwrap()
    }

    /// Runs; stops it after a while, if asked to.
    pub async fn run(
        &self,
        parts: Parts,
        stop_after: Option<Duration>,
    ) -> Result<Report, EngineError> {
        run(parts, stop_after).await
    }

    /// Fails unless the destination has exactly the source's keys and bytes, and no upload is open.
    #[track_caller]
    pub fn expect_equal(&self) {
        let (from, to) = &self.prefixes;
        let keys = |store: &Store, bucket, prefix: &str| -> Vec<String> {
            let keys = store.keys(bucket);
            keys.iter().filter_map(|key| key.strip_prefix(prefix)).map(str::to_owned).collect()
        };
        let here = keys(self.here(), SOURCE, from);
        assert_eq!(here, keys(self.there(), DESTINATION, to));
        for key in here {
            let a = self.here().read(SOURCE, &format!("{from}{key}"));
            let b = self.there().read(DESTINATION, &format!("{to}{key}"));
            assert!(a == b, "the bytes of {key:?} differ");
        }
        assert_eq!(self.there().open_uploads(DESTINATION), []);
    }
}

/// Runs what these parts make, with any servers on either side.
pub async fn run(parts: Parts, stop_after: Option<Duration>) -> Result<Report, EngineError> {
    let engine = Engine::assemble(parts, Arc::new(Progress::default())).await?;
    let stopping = engine.stopping();
    let stopper = stop_after.map(|after| {
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            stopping.store(true, Ordering::Relaxed);
        })
    });
    let mut failures = Vec::new();
    let (ended, _) = engine.run(None, |note| failures.push(note.clone())).await?;
    if let Some(stopper) = stopper {
        stopper.abort();
    }
    let (run, how) = match ended {
        Ended::Closed(run) => (run, How::Closed),
        Ended::Interrupted(run) => (run, How::Interrupted),
        Ended::Halted(run, error) => (run, How::Halted(error.to_string())),
    };
    Ok(Report { run, failures, how })
}

/// The settings of an adapter for one of the servers.
pub fn settings(server: &Server, bucket: &str) -> S3Settings {
    S3Settings {
        ca_bundle_pem: server.ca_pem().map(|pem| pem.as_bytes().to_vec()),
        ..settings_at(server.endpoint(), bucket)
    }
}

/// The access key and the secret that requests are signed with.
pub fn credentials() -> (String, String) {
    (KEYS.0.to_owned(), KEYS.1.to_owned())
}

/// The settings of an adapter for a server without TLS.
pub fn settings_at(endpoint: String, bucket: &str) -> S3Settings {
    S3Settings {
        bucket: bucket.to_owned(),
        region: Some("us-east-1".to_owned()),
        endpoint: Some(endpoint),
        path_style: true,
        credentials: Some(StaticCredentials {
            access_key: KEYS.0.to_owned(),
            secret_key: KEYS.1.to_owned(),
            token: None,
        }),
        ..S3Settings::default()
    }
}

/// Bytes that look like nothing else: a different stream for each seed.
pub fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(size + 8);
    while out.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(size);
    out
}
