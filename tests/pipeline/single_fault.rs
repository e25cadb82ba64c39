//! Each fault at each call: a scenario is run once to see which calls it makes, and then again with one
//! of them going wrong, in every way in which that call can.
//!
//! After the fault, nothing at the destination may be anything but what was there before or what the
//! source has. Then the fault is gone, and the same command has to come to the same end as without it:
//! equal, balanced, and no upload left open.

mod scenarios;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::sync::oneshot;
use tranship_cli::engine::{EngineError, Parts};
use tranship_core::location::Location;
use tranship_core::outcome::Outcome;
use tranship_core::rows::RunState;
use tranship_server::{Fault, Matcher, Rule, Server, Store};
use tranship_tests::rig::{DESTINATION, How, Report, Rig, SOURCE, run, settings};

use self::scenarios::{End, SCENARIOS, Scenario};

/// One run in so many is made in every test run; `make faults` makes them all.
const SAMPLE: u64 = 40;
/// Runs at once: they wait more than they compute.
const AT_ONCE: usize = 6;
/// Runs that may be needed to come to the end once the fault is gone.
const RUNS_MAX: usize = 3;

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wrong {
    /// The server plays it.
    Fault(Fault),
    /// The process ends just before the call has its effect, or just after.
    Killed { after: bool },
}

/// Which call: the n-th of its kind at one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Place {
    at_source: bool,
    operation: &'static str,
    index: u64,
}

/// In which ways a call can go wrong.
fn ways(operation: &str) -> Vec<Wrong> {
    let refused = |status, code| Fault::Refuse { status, code };
    let mut faults = vec![
        Fault::Throttle,
        Fault::Status5xxBefore,
        Fault::Status5xxAfter,
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::Stall(Duration::from_millis(30)),
        refused(403, "AccessDenied"),
        refused(403, "InvalidAccessKeyId"),
        refused(400, "InvalidRequest"),
        refused(404, "NoSuchBucket"),
    ];
    let of_its_own: &[Fault] = match operation {
        "GetObject" => &[
            Fault::CorruptBody,
            Fault::TruncateBody(0),
            Fault::TruncateBody(100),
            Fault::StallBody { after: 10, pause: Duration::from_millis(30) },
            Fault::IgnoreRange,
            Fault::IgnoreIfMatch,
            Fault::Refuse { status: 404, code: "NoSuchKey" },
            Fault::Refuse { status: 412, code: "PreconditionFailed" },
            Fault::Refuse { status: 403, code: "InvalidObjectState" },
        ],
        "HeadObject" => &[Fault::Refuse { status: 404, code: "NoSuchKey" }],
        "ListObjectsV2" | "ListParts" | "ListMultipartUploads" => &[
            Fault::TruncateBody(0),
            Fault::TruncateBody(100),
            Fault::OkWithErrorBody,
            Fault::ListRepeats,
            Fault::ListGoesBackwards,
            Fault::ListNeverAdvances,
        ],
        "PutObject"
        | "UploadPart"
        | "CreateMultipartUpload"
        | "CompleteMultipartUpload"
        | "CopyObject"
        | "UploadPartCopy" => &[
            Fault::OkWithErrorBody,
            Fault::OkWithErrorBodyAfter,
            Fault::LifecycleAbort,
            Fault::Refuse { status: 412, code: "PreconditionFailed" },
            Fault::Refuse { status: 409, code: "ConditionalRequestConflict" },
            Fault::Refuse { status: 404, code: "NoSuchUpload" },
            Fault::Refuse { status: 400, code: "BadDigest" },
        ],
        _ => &[],
    };
    faults.extend_from_slice(of_its_own);
    let mut ways: Vec<_> = faults.into_iter().map(Wrong::Fault).collect();
    ways.extend([false, true].map(|after| Wrong::Killed { after }));
    ways
}

/// A scenario with its servers.
struct Stage {
    scenario: &'static Scenario,
    rig: Rig,
    /// What the destination had before the run.
    before: BTreeMap<String, Vec<u8>>,
}

impl Stage {
    async fn set(scenario: &'static Scenario) -> Self {
        let (source, destination) = (scenario.options)();
        let rig = Rig::with(source, destination).await;
        let mut stage = Self { scenario, rig, before: BTreeMap::new() };
        stage.there().create_bucket(DESTINATION);
        (scenario.fill)(stage.rig.here(), stage.there());
        if let Some(change) = scenario.change {
            let report = stage.run().await.unwrap();
            assert_eq!(report.run.state, RunState::Complete, "{}: {report:?}", scenario.name);
            change(stage.rig.here(), stage.there());
        }
        stage.before = contents(stage.there(), DESTINATION);
        for server in [&stage.rig.source, &stage.rig.destination] {
            server.requests().clear();
        }
        stage
    }

    /// The server that has the destination.
    fn destination(&self) -> &Server {
        if self.scenario.one_server { &self.rig.source } else { &self.rig.destination }
    }

    fn there(&self) -> &Store {
        self.destination().store()
    }

    fn parts(&self) -> Parts {
        let mut parts = self.rig.parts((self.scenario.policy)());
        let endpoint = self.destination().endpoint();
        parts.transfer.destination = Location::new(Some(&endpoint), DESTINATION, "");
        parts.destination = settings(self.destination(), DESTINATION);
        parts.server_side_if_possible = self.scenario.one_server;
        parts.delete_unversioned = true;
        if parts.policy.dry_run {
            parts.ledger = None;
        }
        parts
    }

    async fn run(&self) -> Result<Report, EngineError> {
        run(self.parts(), None).await
    }

    /// The calls that the scenario makes when nothing goes wrong.
    fn calls(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for (at_source, server) in [(true, &self.rig.source), (false, &self.rig.destination)] {
            for (operation, count) in server.requests().counts() {
                places.extend((0..count).map(|index| Place { at_source, operation, index }));
            }
        }
        places
    }

    /// Runs with one call going wrong; whatever the run says of it, it may not have done harm.
    /// Says whether the call was made at all.
    async fn spoiled(&self, place: Place, wrong: &Wrong) -> bool {
        let server = if place.at_source { &self.rig.source } else { &self.rig.destination };
        let faults = server.faults();
        let (tell, told) = oneshot::channel();
        let fault = match wrong {
            Wrong::Fault(fault) => fault.clone(),
            Wrong::Killed { after } => {
                let matcher = Matcher::on(place.operation);
                faults.before(matcher, place.index, |_| {
                    tell.send(()).ok();
                });
                if *after { Fault::ResetAfter } else { Fault::ResetBefore }
            }
        };
        let matcher = Matcher::on(place.operation);
        faults.add(Rule::once(matcher, fault).skip(place.index));
        tokio::select! {
            biased;
            Ok(()) = told => {}
            ended = self.run() => drop(ended),
        }
        let struck = faults.struck() > 0;
        for server in [&self.rig.source, &self.rig.destination] {
            server.faults().clear();
        }
        let here = contents(self.rig.here(), SOURCE);
        for (key, bytes) in contents(self.there(), DESTINATION) {
            let known = [here.get(&key), self.before.get(&key)];
            assert!(known.contains(&Some(&bytes)), "{key:?} is neither the old nor the new object");
        }
        struck
    }

    /// The same command again, until nothing is left to do; then it has to be as without the fault.
    async fn end(&self) {
        for _ in 0..RUNS_MAX {
            let ended = self.patiently().await;
            let failed = ended.objects(Outcome::Failed);
            if ended.how == How::Closed && ended.run.state == RunState::Complete && failed == 0 {
                let totals = ended.run.totals.as_ref().unwrap();
                assert!(totals.balances(), "{totals:?}");
                return self.expect_end();
            }
        }
        panic!("it does not come to an end: {:?}", self.patiently().await);
    }

    /// A process that was killed gives its ledger back in a moment.
    async fn patiently(&self) -> Report {
        let mut last = None;
        for _ in 0..50 {
            match self.run().await {
                Ok(report) => return report,
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the run does not begin: {last:?}");
    }

    fn expect_end(&self) {
        let there = contents(self.there(), DESTINATION);
        match self.scenario.end {
            End::Equal => assert!(there == contents(self.rig.here(), SOURCE), "not equal"),
            End::AsBefore => assert!(there == self.before, "something was written"),
            End::Keys(keys) => assert_eq!(there.keys().collect::<Vec<_>>(), keys),
        }
        assert_eq!(self.there().open_uploads(DESTINATION), []);
    }
}

fn contents(store: &Store, bucket: &str) -> BTreeMap<String, Vec<u8>> {
    let keys = store.keys(bucket).into_iter();
    keys.filter_map(|key| Some((key.clone(), store.read(bucket, &key)?.to_vec()))).collect()
}

/// Whether the tests make this run: the same ones each time.
fn is_sampled(scenario: &str, place: Place, wrong: &Wrong) -> bool {
    let mut hash = DefaultHasher::new();
    (scenario, place, format!("{wrong:?}")).hash(&mut hash);
    hash.finish().is_multiple_of(SAMPLE)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_fault_at_any_call_loses_nothing() {
    try_faults(false).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half an hour; `make faults`"]
async fn every_fault_at_every_call_loses_nothing() {
    try_faults(true).await;
}

async fn try_faults(all: bool) {
    let (mut calls, mut possible, mut cases) = (0, 0, Vec::new());
    for scenario in SCENARIOS {
        let stage = Stage::set(scenario).await;
        let report = stage.run().await.unwrap();
        assert_eq!(report.how, How::Closed, "{}: {report:?}", scenario.name);
        stage.expect_end();
        for place in stage.calls() {
            calls += 1;
            for wrong in ways(place.operation) {
                possible += 1;
                if all || is_sampled(scenario.name, place, &wrong) {
                    cases.push((scenario, place, wrong));
                }
            }
        }
    }
    let made = cases.len();
    println!(
        "{} scenarios make {calls} calls, which can go wrong in {possible} ways; {made} are tried",
        SCENARIOS.len()
    );
    assert!(SCENARIOS.len() >= 30 && made > 100);
    let tried = stream::iter(cases).map(|(scenario, place, wrong)| async move {
        let case = format!("{}: {place:?} {wrong:?}", scenario.name);
        let tried = tokio::spawn(async move {
            let stage = Stage::set(scenario).await;
            let struck = stage.spoiled(place, &wrong).await;
            stage.end().await;
            struck
        });
        tried.await.map_err(|_| case)
    });
    let tried: Vec<_> = tried.buffer_unordered(AT_ONCE).collect().await;
    // Not every run makes the same looks.
    let struck = tried.iter().filter(|tried| matches!(tried, Ok(true))).count();
    assert!(struck * 10 > made * 9, "of {made} calls only {struck} were made again");
    let failed: Vec<_> = tried.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{} of {made}:\n{}", failed.len(), failed.join("\n"));
}
