//! Each fault at each call of each port: a scenario is run once to see which calls it makes, and then
//! again with one of them going wrong, in every way in which that call can.
//!
//! It is the sweep of `single_fault.rs` below the adapters: memory lies behind every port and time is
//! simulated, so the calls of the ledger, the queues and the completion are struck as well, and there is
//! time for all of them. Every scenario is run by the command's driver and by the functions of a stack.
//! Afterwards the same is asked for again, without faults, and has to come to its end.

mod scenarios;

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicUsize, Ordering};

use tranship_core::error::{Disposition, ErrorKind};
use tranship_core::rows::ScanRange;
use tranship_tests::faulty::{Faults, Life, Wrong};
use tranship_tests::world::{Errand, Host, How, World};

use self::scenarios::{SCENARIOS, Scenario};
use crate::simulation::in_virtual_time;

/// One case in so many is tried in every test run; `make faults` tries them all.
const SAMPLE: u64 = 40;
/// Runs that may be needed to come to the end once the fault is gone.
const RUNS_MAX: usize = 3;
const LATENCY_MS: u64 = 3;
/// Calls that are the same word for word, such as looks into an empty queue: so many of them are struck.
const ALIKE_MAX: u32 = 3;

/// One call of one scenario that goes wrong.
#[derive(Debug, Clone)]
struct Case {
    scenario: &'static Scenario,
    host: Host,
    at: u64,
    call: String,
    wrong: Wrong,
}

/// In which ways a call can go wrong, by its name.
fn ways(call: &str) -> Vec<Wrong> {
    let mut ways = vec![
        Wrong::Before(ErrorKind::Unavailable),
        Wrong::After(ErrorKind::Unavailable),
        Wrong::TimesOut { after: false },
        Wrong::TimesOut { after: true },
        Wrong::Killed { after: false },
        Wrong::Killed { after: true },
    ];
    let words: Vec<_> = call.split(' ').collect();
    let word = |index: usize| words.get(index).copied().unwrap_or_default();
    match (word(0), word(1)) {
        ("queue", "send") => {
            ways.push(Wrong::Twice);
            if word(3) != "1" {
                ways.extend([Wrong::SendsOne, Wrong::LosesOne]);
            }
        }
        ("queue", "delete" | "delay") => ways.push(Wrong::Undone),
        ("ledger", "due") => ways.push(Wrong::Stale),
        ("completer", _) => ways.push(Wrong::Twice),
        ("source" | "destination", operation) => ways.extend(ways_of_store(operation)),
        _ => {}
    }
    ways
}

fn ways_of_store(operation: &str) -> Vec<Wrong> {
    use ErrorKind as Kind;
    let refusals = [
        Kind::Throttled,
        Kind::Lied,
        Kind::Denied,
        Kind::Unauthenticated,
        Kind::Invalid,
        Kind::NoSuchBucket,
    ];
    let mut ways: Vec<_> = refusals.into_iter().map(Wrong::Before).collect();
    let (before, after): (&[Kind], &[Kind]) = match operation {
        "get" => {
            ways.extend([Wrong::Cut { told: true }, Wrong::Cut { told: false }, Wrong::Flipped]);
            (&[Kind::NoSuchKey, Kind::PreconditionFailed, Kind::Archived, Kind::Forbidden], &[])
        }
        "head" => (&[Kind::NotFound, Kind::Forbidden], &[]),
        "list" => {
            ways.extend([Wrong::Disorder, Wrong::NeverAdvances]);
            (&[], &[])
        }
        "list_parts" => (&[Kind::NoSuchUpload], &[]),
        "put" | "copy" => (
            &[Kind::PreconditionFailed, Kind::BadDigest, Kind::Conflict],
            &[Kind::PreconditionFailed],
        ),
        "upload_part" | "copy_part" => {
            (&[Kind::NoSuchUpload, Kind::BadDigest, Kind::PreconditionFailed], &[])
        }
        "complete_upload" => (
            &[Kind::NoSuchUpload, Kind::InvalidPart, Kind::PreconditionFailed, Kind::Conflict],
            &[Kind::NoSuchUpload, Kind::PreconditionFailed],
        ),
        "abort_upload" => (&[], &[Kind::NoSuchUpload]),
        "delete" => (&[Kind::PreconditionFailed], &[Kind::NoSuchKey]),
        _ => (&[], &[]),
    };
    ways.extend(before.iter().copied().map(Wrong::Before));
    ways.extend(after.iter().copied().map(Wrong::After));
    ways
}

/// A scenario that is set: its world, and what is asked for.
struct Stage {
    scenario: &'static Scenario,
    world: World,
    errand: Errand,
}

impl Stage {
    async fn set(scenario: &'static Scenario, host: Host) -> Self {
        let mut world = World::bare((scenario.nature)());
        world.amend = scenario.policy;
        let left = scenario.absent.iter().chain(scenario.foreign);
        world.exempt = left.map(|name| (*name).to_owned()).collect();
        let errand = scenario.errand(host);
        let mut stage = Self { scenario, world, errand };
        (scenario.fill)(stage.world.others());
        if let Some(change) = scenario.change {
            stage.close().await;
            change(stage.world.others());
        }
        if let Some(ms) = scenario.stopped_ms {
            stage.live(Faults::default(), Some(ms)).await;
        }
        if let Some(at) = scenario.died_at {
            let faults = Faults { dies_at: Some(at), ..Faults::default() };
            stage.live(faults, None).await;
        }
        stage.world.events = (scenario.events)();
        if !stage.world.events.is_empty() {
            stage.errand.range = None;
        }
        stage.world.plan(scenario.meanwhile);
        stage
    }

    async fn live(
        &mut self,
        faults: Faults,
        stop_after_ms: Option<u64>,
    ) -> (std::sync::Arc<Life>, How) {
        let faults = Faults { latency_ms: LATENCY_MS, ..faults };
        self.world.live_for(&self.errand, faults, stop_after_ms).await
    }

    /// The same again without faults, until it has ended; what was begun must then be complete.
    async fn close(&mut self) {
        let mut why = Vec::new();
        for _ in 0..RUNS_MAX {
            match self.live(Faults::default(), None).await.1 {
                How::Closed(run, notes) if run.verdict() == "complete" => {
                    self.world.expect_broken_down(&run).await;
                    return self.world.expect_complete(&run, &notes);
                }
                How::Idle => return,
                how => why.push(how),
            }
        }
        self.world.complain(format!("no run closes: {why:?}"));
    }

    /// What there is to complain of once everything that the fault left has been mended.
    ///
    /// `told_to_fail`: what is listed no more may have failed for good, and waits for the next run.
    async fn end(mut self, told_to_fail: bool) -> Vec<String> {
        self.close().await;
        if self.errand.range.is_none() {
            // Events alone have to bring the destination there; the next run must find it so.
            if !told_to_fail {
                self.world.expect_settled().await;
            }
            self.errand.range = Some(ScanRange::whole());
            self.close().await;
        }
        self.close().await;
        self.world.expect_settled().await;
        for (names, is_foreign) in [(self.scenario.absent, false), (self.scenario.foreign, true)] {
            for name in names {
                self.world.expect_left(name, is_foreign);
            }
        }
        self.world.witness.complaints()
    }
}

/// The calls of a scenario in which nothing goes wrong; or what there is to complain of then.
fn calls(scenario: &'static Scenario, host: Host) -> Result<Vec<String>, String> {
    let (calls, how, mut complaints) = in_virtual_time(async {
        let mut stage = Stage::set(scenario, host).await;
        let (life, how) = stage.live(Faults::default(), None).await;
        (life.begun(), how, stage.end(false).await)
    });
    if !matches!(how, How::Closed(..) | How::Idle) {
        complaints.push(format!("{how:?}"));
    }
    let name = scenario.name;
    let complain = || Err(format!("{name} on {host:?} without faults: {complaints:#?}"));
    if complaints.is_empty() { Ok(calls) } else { complain() }
}

/// What there is to complain of after this case, and what led to it.
fn complaints(case: &Case, others_struck: &AtomicUsize) -> Vec<String> {
    in_virtual_time(async {
        let mut stage = Stage::set(case.scenario, case.host).await;
        let faults = Faults { wrong: Some((case.at, case.wrong)), ..Faults::default() };
        let (life, how) = stage.live(faults, None).await;
        // One object that may not be read is held to be alone with that.
        let may_fail = |kind: ErrorKind| {
            kind == ErrorKind::Denied || kind.disposition() == Disposition::Permanent
        };
        let told_to_fail = matches!(case.wrong, Wrong::Before(kind) if may_fail(kind));
        let mut complaints = stage.end(told_to_fail).await;
        let made = life.begun();
        let at = usize::try_from(case.at).unwrap();
        if made.get(at - 1) != Some(&case.call) {
            others_struck.fetch_add(1, Ordering::Relaxed);
        }
        if !complaints.is_empty() {
            complaints.push(format!("the process with the fault: {how:?}"));
        }
        complaints
    })
}

/// Whether the tests make this case: the same ones each time.
fn is_sampled(case: &Case) -> bool {
    let mut hash = DefaultHasher::new();
    (case.scenario.name, case.host, case.at, case.wrong).hash(&mut hash);
    hash.finish().is_multiple_of(SAMPLE)
}

fn try_faults(all: bool) {
    let (mut made, mut possible) = (0, 0);
    let (mut tried, mut faultless) = (Vec::new(), Vec::new());
    for scenario in SCENARIOS {
        for host in [Host::Process, Host::Functions] {
            if !scenario.runs_on(host) {
                continue;
            }
            let calls = match calls(scenario, host) {
                Ok(calls) => calls,
                Err(complaint) => {
                    faultless.push(complaint);
                    continue;
                }
            };
            let mut alike: HashMap<String, u32> = HashMap::new();
            for (at, call) in (1..).zip(calls) {
                let before = alike.entry(call.clone()).or_default();
                *before += 1;
                if *before > ALIKE_MAX {
                    continue;
                }
                made += 1;
                for wrong in ways(&call) {
                    possible += 1;
                    let case = Case { scenario, host, at, call: call.clone(), wrong };
                    tried.extend((all || is_sampled(&case)).then_some(case));
                }
            }
        }
    }
    assert!(faultless.is_empty(), "{}", faultless.join("\n"));
    println!(
        "{} scenarios make {made} calls of ports, which can go wrong in {possible} ways; {} are tried",
        SCENARIOS.len(),
        tried.len()
    );
    assert!(SCENARIOS.len() >= 30 && tried.len() > 500);
    let (next, others_struck) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        let mut broken = Vec::new();
        while let Some(case) = tried.get(next.fetch_add(1, Ordering::Relaxed)) {
            let complaints = complaints(case, &others_struck);
            broken.extend((!complaints.is_empty()).then(|| (case.clone(), complaints)));
        }
        broken
    };
    let broken: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    // A process that is asked to stop does not always stop at the same call.
    let others_struck = others_struck.into_inner();
    assert!(others_struck * 50 < tried.len(), "{others_struck} times another call was struck");
    let mut by_scenario: BTreeMap<_, usize> = BTreeMap::new();
    for (case, _) in &broken {
        *by_scenario.entry((case.scenario.name, format!("{:?}", case.host))).or_default() += 1;
    }
    let text: Vec<_> = broken
        .iter()
        .take(12)
        .map(|(case, what)| {
            let Case { scenario, host, at, call, wrong } = case;
            format!("{} on {host:?}, call {at}, {wrong:?}: {call}: {what:#?}", scenario.name)
        })
        .collect();
    assert!(broken.is_empty(), "{} cases {by_scenario:#?}\n{}", broken.len(), text.join("\n"));
}

#[test]
fn one_fault_at_any_call_of_a_port_loses_nothing() {
    try_faults(false);
}

#[test]
#[ignore = "takes minutes; `make faults`"]
fn every_fault_at_every_call_of_a_port_loses_nothing() {
    try_faults(true);
}
