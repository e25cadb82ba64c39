//! The walk over both sides in virtual time, from a seed: small pages, ranges that split at every
//! chance, calls that fail before their effect or after it. What is true is known of every key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::Instant;
use tranship_adapters::clock::Chance;
use tranship_adapters::stores::memory::MemoryStore;
use tranship_core::body::full;
use tranship_core::location::{Location, Transfer};
use tranship_core::object::{Millis, ObjectKey};
use tranship_core::policy::Filter;
use tranship_core::store::{ObjectStore as _, Put, Write};
use tranship_core::verify::Kind;
use tranship_core::verify::tally::{Conclusion, Tally};
use tranship_core::verify::walk::{Plan, Unlisted, Verification, Window};
use tranship_tests::faulty::{Faults, FaultyStore, Life, VirtualClock, pick};

const SEEDS: u64 = 400;
const FROM: &str = "in/";
const TO: &str = "out";

/// What a key holds on each side.
type Truth = BTreeMap<ObjectKey, (Option<Bytes>, Option<Bytes>)>;

fn truth(chance: &mut Chance) -> Truth {
    let mut truth = Truth::new();
    let are_equal = chance.below(2) == 0;
    let letters = ["a", "b", "/", "é", "\u{1f600}", "0", "1", " "];
    for _ in 0..chance.below(60) {
        let mut key = FROM.to_owned();
        for _ in 0..=chance.below(4) {
            key.push_str(pick(&letters, chance.next()));
        }
        let bytes = |chance: &mut Chance| {
            let size = usize::try_from(pick(&[0, 3, 3, 9], chance.next())).unwrap();
            Bytes::from(vec![b'a' + u8::from(chance.below(8) == 0); size])
        };
        let here = bytes(chance);
        let is_same = are_equal || chance.below(4) > 0;
        let there = if is_same { here.clone() } else { bytes(chance) };
        let has = match chance.below(8) {
            _ if are_equal => (Some(here), Some(there)),
            0 => (Some(here), None),
            1 => (None, Some(there)),
            _ => (Some(here), Some(there)),
        };
        truth.insert(ObjectKey::new(key), has);
    }
    truth
}

async fn put(store: &MemoryStore, key: &ObjectKey, bytes: Bytes) {
    let size = u64::try_from(bytes.len()).unwrap();
    let (condition, checksum, md5) = (None, None, None);
    let put = Put { key, size, write: Write::default(), condition, checksum, md5 };
    store.put(put, full(bytes)).await.unwrap();
}

/// What a walk told, and whether it could fail.
struct Told {
    windows: Vec<Window>,
    truth: Truth,
    has_faults: bool,
    deep: bool,
    opaque: bool,
}

async fn walk(seed: u64) -> Told {
    let mut chance = Chance::new(seed);
    let truth = truth(&mut chance);
    let clock = Arc::new(VirtualClock::new(Instant::now(), 0, seed));
    let pages = usize::try_from(1 + chance.below(7)).unwrap();
    let store = |name| MemoryStore::new(name, clock.clone()).with_pages_of(pages);
    let opaque = chance.below(3) == 0;
    let (source, destination) = (store("source"), store("destination"));
    let destination = if opaque { destination.with_opaque_etags() } else { destination };
    let transfer = Transfer {
        source: Location::new(None, "source", FROM),
        destination: Location::new(None, "destination", TO),
    };
    for (key, (here, there)) in &truth {
        if let Some(bytes) = here {
            put(&source, key, bytes.clone()).await;
        }
        if let Some(bytes) = there {
            let key = transfer.destination_key(key).unwrap();
            put(&destination, &key, bytes.clone()).await;
        }
    }
    // One in one: nothing can be known.
    let fails_one_in = pick(&[0, 30, 8, 3, 2, 1], chance.next());
    let faults =
        Faults { fails_one_in, latency_ms: pick(&[0, 30], chance.next()), ..Faults::default() };
    let life = Life::undisturbed(faults, seed);
    let deep = chance.below(2) == 0;
    let workers = usize::try_from(1 + chance.below(4)).unwrap();
    let plan = Plan {
        transfer,
        filter: Filter::default(),
        deep,
        source_lists_links: false,
        workers,
        streams: 3,
        keys_before_split: 1 + chance.below(5),
    };
    let (here, there) = (Arc::new(source), Arc::new(destination));
    let source = FaultyStore { inner: here, life: life.clone(), name: "source" };
    let destination = FaultyStore { inner: there, life, name: "destination" };
    let verification =
        Verification::new(plan, Arc::new(source), Arc::new(destination), clock, Arc::default());
    let windows = Arc::new(Mutex::new(Vec::new()));
    let tell = |windows: Arc<Mutex<Vec<Window>>>| {
        move |window| {
            windows.lock().unwrap().push(window);
            Ok(())
        }
    };
    let tell = tell(windows.clone());
    let walked = join_all((0..workers).map(|_| verification.work(&tell))).await;
    assert!(walked.iter().all(Result::is_ok), "{walked:?}");
    drop(tell);
    let windows = Arc::into_inner(windows).unwrap().into_inner().unwrap();
    Told { windows, truth, has_faults: fails_one_in > 0, deep, opaque }
}

fn is_within(key: &ObjectKey, range: &Unlisted) -> bool {
    range.after.as_ref().is_none_or(|after| key > after)
        && range.through.as_ref().is_none_or(|through| key <= through)
}

/// Fails unless everything that was told is true, of every key once, and nothing is kept quiet.
fn judge(seed: u64, told: &Told) {
    let mut tally = Tally::new(FROM, Millis(0));
    told.windows.iter().for_each(|window| tally.add(window));
    let mut kinds = BTreeMap::new();
    for finding in told.windows.iter().flat_map(|window| &window.findings) {
        let before = kinds.insert(finding.key.clone(), finding.verdict.kind());
        assert_eq!(before, None, "seed {seed}: {} is told twice", finding.key);
    }
    let unlisted: Vec<_> =
        told.windows.iter().filter_map(|window| window.unlisted.as_ref()).collect();
    assert!(told.has_faults || unlisted.is_empty(), "seed {seed}: {unlisted:?}");
    for (key, (here, there)) in &told.truth {
        let Some(kind) = kinds.remove(key) else {
            let is_named = unlisted.iter().any(|range| is_within(key, range));
            assert!(is_named, "seed {seed}: nothing is told of {key}");
            continue;
        };
        let is_true = match kind {
            Kind::Missing => there.is_none(),
            Kind::Extra => here.is_none(),
            Kind::Equal => here == there,
            Kind::Different => here.is_some() && there.is_some() && here != there,
            // An opaque ETag, a checksum that is not kept; or something that failed.
            Kind::NotProvable => told.has_faults || (!told.deep && told.opaque),
            Kind::Changed => false,
        };
        assert!(is_true, "seed {seed}: {key} is said to be {kind:?}: {here:?} {there:?}");
    }
    assert!(kinds.is_empty(), "seed {seed}: of no side: {kinds:?}");
    assert!(tally.is_balanced(), "seed {seed}: {tally:?}");
    let equal = told.truth.values().all(|(here, there)| here == there);
    match tally.conclusion(false) {
        Conclusion::Equal => assert!(equal, "seed {seed}: they differ"),
        Conclusion::Different => assert!(!equal, "seed {seed}: they are equal"),
        Conclusion::NotProvable => {}
    }
}

#[test]
fn whatever_fails_no_verdict_is_wrong_and_no_key_is_told_twice() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    let (mut conclusions, mut unlisted) = (BTreeMap::new(), 0);
    for seed in 0..SEEDS {
        let told = runtime.block_on(walk(seed));
        judge(seed, &told);
        let mut tally = Tally::new(FROM, Millis(0));
        told.windows.iter().for_each(|window| tally.add(window));
        unlisted += tally.unlisted;
        *conclusions.entry(format!("{:?}", tally.conclusion(false))).or_insert(0) += 1;
    }
    assert_eq!(conclusions.len(), 3, "each came up: {conclusions:?}");
    assert!(unlisted > 10, "some listings failed for good: {unlisted}");
}
