//! The stages where no host stays: each message is one visit that may be cut short, and a sweep looks
//! in from time to time. Memory lies behind every port, and time is simulated.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tranship_adapters::clock::SimulatedClock;
use tranship_adapters::ledgers::memory::MemoryLedger;
use tranship_adapters::queues::memory::MemoryQueue;
use tranship_adapters::stores::memory::MemoryStore;
use tranship_core::body::full;
use tranship_core::breaker::{self, State};
use tranship_core::error::{ErrorKind, LedgerError};
use tranship_core::finder::events::{self, Change, ChangeKind};
use tranship_core::finder::{self, Begun, KeyLines, ScanEnd, Watched};
use tranship_core::link::Link;
use tranship_core::location::{Location, Transfer};
use tranship_core::message::{Message, Work};
use tranship_core::object::{Millis, ObjectKey};
use tranship_core::outcome::Outcome;
use tranship_core::policy::{Limits, Policy};
use tranship_core::ports::{Clock as _, Completer, Queue, Received};
use tranship_core::progress::Progress;
use tranship_core::rows::{self, Header, HeaderId, Run, RunState, Scan, ScanRange, Status};
use tranship_core::stage::{Learned, Stage};
use tranship_core::store::{ObjectStore as _, Put, Write};
use tranship_core::timeline::Mark;
use tranship_core::worker::{self, Done};
use tranship_core::{completer, sweep};
use tranship_tests::faulty::{Faults, FaultyLedger, FaultyStore, Life, Wrong};
use tranship_tests::functions::Lines;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DEADLINE_MS: u64 = 24 * HOUR_MS;
/// The beginning of an hour.
const BEGAN: Millis = Millis(500_000 * HOUR_MS);

/// Completions that were asked for.
#[derive(Default)]
struct Asked(Mutex<Vec<(HeaderId, u64)>>);

#[async_trait]
impl Completer for Asked {
    async fn start(&self, header: &HeaderId, epoch: u64, _: u32) -> Result<(), LedgerError> {
        self.0.lock().unwrap().push((header.clone(), epoch));
        Ok(())
    }
}

pub(crate) struct Visits {
    pub(crate) stage: Stage,
    pub(crate) clock: Arc<SimulatedClock>,
    pub(crate) source: Arc<MemoryStore>,
    pub(crate) destination: Arc<MemoryStore>,
    ledger: Arc<MemoryLedger>,
    asked: Arc<Asked>,
    lines: Option<Arc<dyn KeyLines>>,
    /// The most hops that a message had.
    hops: u32,
}

impl Visits {
    pub(crate) fn new(policy: Policy) -> Self {
        let clock = Arc::new(SimulatedClock::automatic(BEGAN, 1));
        let source = Arc::new(MemoryStore::new("source", clock.clone()).with_pages_of(10));
        let destination =
            Arc::new(MemoryStore::new("destination", clock.clone()).with_pages_of(10));
        let at = |bucket| Location::new(Some("https://memory"), bucket, "");
        let transfer = Transfer { source: at("source"), destination: at("destination") };
        let asked = Arc::<Asked>::default();
        let ledger = Arc::new(MemoryLedger::new());
        let stage = Stage {
            transfer_id: transfer.id(),
            transfer,
            link: Link::new(8),
            policy: Policy { retry_parked: false, ..policy },
            source: source.clone(),
            destination: destination.clone(),
            ledger: ledger.clone(),
            queue: Arc::new(MemoryQueue::new(clock.clone()).with_visibility(18 * MINUTE_MS)),
            completer: asked.clone(),
            clock: clock.clone(),
            progress: Arc::new(Progress::default()),
            stopping: Arc::default(),
            learned: Learned::default(),
        };
        Self { stage, clock, source, destination, ledger, asked, lines: None, hops: 0 }
    }

    fn limits() -> Limits {
        Limits { window_keys: 20, hops_max: 8, scans_max: 4, ..Limits::default() }
    }

    pub(crate) async fn put(&self, key: &str, bytes: impl AsRef<[u8]>) {
        let (key, bytes) = (ObjectKey::new(key), bytes.as_ref().to_vec());
        let size = u64::try_from(bytes.len()).unwrap();
        let (write, condition, checksum, md5) = (Write::default(), None, None, None);
        let put = Put { key: &key, size, write, condition, checksum, md5 };
        self.source.put(put, full(bytes.into())).await.unwrap();
    }

    /// Gives the transfer a destination whose policy denies all keys that begin so.
    fn denied_below(mut self, prefix: &str) -> Self {
        let store = MemoryStore::new("destination", self.clock.clone()).denying(prefix);
        self.destination = Arc::new(store);
        self.stage.destination = self.destination.clone();
        self
    }

    async fn put_many(&self, count: u32) {
        for n in 0..count {
            self.put(&format!("key/{n:05}"), &format!("{n}")).await;
        }
    }

    pub(crate) async fn begin(&self) -> Begun {
        let range = match self.lines {
            None => ScanRange::whole(),
            Some(_) => ScanRange::Prefixes { next: 0, until: None },
        };
        finder::begin(&self.stage, "settings", range, false).await.unwrap()
    }

    async fn receive(&self, queue: Queue) -> Option<Received> {
        self.stage.queue.receive(queue, 1).await.unwrap().into_iter().next()
    }

    /// One visit of the finder to a message of the scan queue; `cut`: its time ends after a window.
    pub(crate) async fn visit_scan(&mut self, cut: bool) -> bool {
        let Some(received) = self.receive(Queue::Scan).await else { return false };
        let Work::Scan(task) = Message::decode(&received.body).unwrap().work else { panic!() };
        self.hops = self.hops.max(task.hops);
        let stopping = self.stage.stopping.clone();
        let run = finder::run_scan(&self.stage, &task, self.lines.as_ref());
        let stop = async {
            if cut {
                // A few turns of the runtime: in the middle of a window.
                for _ in 0..40 {
                    tokio::task::yield_now().await;
                }
                stopping.store(true, Ordering::Relaxed);
            }
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! { biased; () = stop => None, ended = run => Some(ended) };
        self.stage.stopping.store(false, Ordering::Relaxed);
        if let Some(Ok(ScanEnd::Left)) = ended {
            finder::pass_on(&self.stage, &task).await.unwrap();
        }
        self.stage.queue.delete(Queue::Scan, &received.receipt).await.unwrap();
        true
    }

    async fn visit_task(&self) -> bool {
        self.visit(Queue::Transfer).await.is_some()
    }

    /// One visit of the worker, and of the completer to what it asked for.
    pub(crate) async fn visit(&self, queue: Queue) -> Option<Done> {
        let received = self.receive(queue).await?;
        let (queues, receipt) = (&self.stage.queue, &received.receipt);
        let done = worker::run(&self.stage, &received).await;
        match &done {
            Done::Settled => queues.delete(queue, receipt).await.unwrap(),
            Done::Again { after_ms, .. } => queues.delay(queue, receipt, *after_ms).await.unwrap(),
            done => panic!("{done:?}"),
        }
        self.complete().await;
        Some(done)
    }

    /// The completer's visits to what it was asked for.
    async fn complete(&self) {
        let asked = std::mem::take(&mut *self.asked.0.lock().unwrap());
        for (header, epoch) in asked {
            completer::complete(&self.stage, &header, epoch).await.unwrap();
        }
    }

    pub(crate) async fn sweep(&self) -> Watched {
        let waiting = self.stage.queue.depth(Queue::Transfer).await.unwrap();
        sweep::sweep(&self.stage, waiting == 0).await.unwrap();
        self.complete().await;
        finder::watch(&self.stage, DEADLINE_MS).await.unwrap()
    }

    /// Visits and sweeps until the run has ended.
    pub(crate) async fn run_to_end(&mut self, cut: bool) -> Run {
        for _ in 0..2_000 {
            while self.visit_scan(cut).await {}
            while self.visit_task().await {}
            if let Watched::Ended(run) = self.sweep().await {
                return run;
            }
            self.clock.advance(MINUTE_MS);
        }
        panic!("the run does not end");
    }

    pub(crate) fn expect_equal(&self) {
        assert_eq!(self.source.keys(), self.destination.keys());
        for key in self.source.keys() {
            let (here, there) = (self.source.object(&key), self.destination.object(&key));
            assert!(there.unwrap().has_bytes_of(&here.unwrap()), "{key}");
        }
    }

    async fn scans(&self, run: &Run) -> usize {
        let prefix = Scan::prefix(run.generation);
        self.stage.ledger.page(&prefix, None, usize::MAX).await.unwrap().len()
    }
}

fn objects(run: &Run, outcome: Outcome) -> u64 {
    run.totals.as_ref().unwrap().account.get(outcome).objects
}

#[tokio::test]
async fn a_listing_longer_than_a_visit_goes_on_in_the_next() {
    for cut in [false, true] {
        let mut visits = Visits::new(Policy { limits: Visits::limits(), ..Policy::default() });
        visits.put_many(500).await;
        visits.begin().await;
        let run = visits.run_to_end(cut).await;
        assert_eq!(run.state, RunState::Complete, "{run:?}");
        assert_eq!(objects(&run, Outcome::Copied), 500, "{run:?}");
        visits.expect_equal();
        assert!(visits.hops <= 8, "a chain of {} messages", visits.hops);
        assert!(visits.scans(&run).await > 1, "it split itself");
    }
}

#[tokio::test]
async fn a_second_schedule_finds_the_open_run() {
    let mut visits = Visits::new(Policy::default());
    visits.put_many(5).await;
    let first = visits.begin().await;
    let second = visits.begin().await;
    assert!(matches!(first, Begun::Fresh(_)) && matches!(second, Begun::Resumed(_)));
    assert_eq!(first.run().generation, second.run().generation);
    visits.run_to_end(false).await;
    assert!(matches!(visits.begin().await, Begun::Fresh(_)));
}

#[tokio::test]
async fn a_lost_scan_message_is_sent_again() {
    let mut visits = Visits::new(Policy::default());
    visits.put_many(5).await;
    visits.begin().await;
    let lost = visits.receive(Queue::Scan).await.unwrap();
    visits.stage.queue.delete(Queue::Scan, &lost.receipt).await.unwrap();
    let run = visits.run_to_end(false).await;
    assert_eq!((run.state, objects(&run, Outcome::Copied)), (RunState::Complete, 5));
}

#[tokio::test]
async fn a_run_that_lost_its_tasks_ends_incomplete_and_the_next_repairs_it() {
    let mut visits = Visits::new(Policy::default());
    visits.put_many(5).await;
    visits.begin().await;
    visits.visit_scan(false).await;
    let lost = visits.receive(Queue::Transfer).await.unwrap();
    visits.stage.queue.delete(Queue::Transfer, &lost.receipt).await.unwrap();
    let began = visits.clock.now();
    let run = visits.run_to_end(false).await;
    assert_eq!(run.verdict(), "incomplete");
    assert_eq!(run.totals.unwrap().unsettled.objects, 5);
    assert!(visits.clock.now().0 - began.0 < 2 * HOUR_MS, "long before its deadline");
    visits.begin().await;
    assert_eq!(visits.run_to_end(false).await.verdict(), "complete");
    visits.expect_equal();
}

#[tokio::test]
async fn a_run_ends_at_its_deadline_whatever_waits() {
    let mut visits = Visits::new(Policy::default());
    visits.put_many(5).await;
    visits.begin().await;
    visits.visit_scan(false).await;
    visits.clock.advance(DEADLINE_MS - MINUTE_MS);
    assert!(matches!(visits.sweep().await, Watched::Running(_)));
    visits.clock.advance(2 * MINUTE_MS);
    let Watched::Ended(run) = visits.sweep().await else { panic!("it goes on") };
    assert_eq!(run.verdict(), "incomplete");
    assert!(matches!(visits.sweep().await, Watched::Idle));
}

/// Pages of tasks for which a visit has the time.
const PAGES_OF_A_VISIT: u32 = 2;

/// A run of so many tasks, all of them done, in whose sweeps there is time for a part of the sum.
async fn hurried(tasks: u32) -> (Visits, Arc<AtomicU32>) {
    let limits = Limits { objects_per_task_max: 1, ..Limits::default() };
    let mut visits = Visits::new(Policy { limits, ..Policy::default() });
    visits.put_many(tasks).await;
    visits.begin().await;
    while visits.visit_scan(false).await {}
    while visits.visit_task().await {}
    let (pages, stopping) = (Arc::<AtomicU32>::default(), visits.stage.stopping.clone());
    let counted = pages.clone();
    let count = move |call: &str| {
        if call.starts_with("ledger page task/")
            && counted.fetch_add(1, Ordering::Relaxed) + 1 >= PAGES_OF_A_VISIT
        {
            stopping.store(true, Ordering::Relaxed);
        }
    };
    let life = Arc::new(Life::new(Faults::default(), 1, Arc::new(count)));
    visits.stage.ledger = Arc::new(FaultyLedger { inner: visits.ledger.clone(), life });
    (visits, pages)
}

async fn hurried_sweep(visits: &Visits, pages: &AtomicU32) -> Watched {
    visits.stage.stopping.store(false, Ordering::Relaxed);
    pages.store(0, Ordering::Relaxed);
    visits.sweep().await
}

#[tokio::test]
async fn a_run_too_large_for_one_sum_is_summed_up_by_several_sweeps() {
    let (visits, pages) = hurried(2_300).await;
    let mut sweeps = 0;
    let run = loop {
        sweeps += 1;
        assert!(sweeps < 20, "it does not end");
        if let Watched::Ended(run) = hurried_sweep(&visits, &pages).await {
            break run;
        }
        visits.clock.advance(MINUTE_MS);
    };
    assert!(sweeps > 2, "{sweeps} sweeps are not several");
    assert_eq!((run.verdict(), objects(&run, Outcome::Copied)), ("complete", 2_300));
    assert_eq!(run.totals, Some(finder::totals(&visits.stage, run.generation).await.unwrap().0));
}

/// Whatever is left to be summed up, the next run can begin.
#[tokio::test]
async fn a_run_too_large_for_one_sum_ends_at_its_deadline_too() {
    let (visits, pages) = hurried(2_300).await;
    visits.clock.advance(DEADLINE_MS);
    let Watched::Ended(run) = hurried_sweep(&visits, &pages).await else { panic!("it goes on") };
    assert_eq!(run.verdict(), "incomplete");
    assert!(matches!(visits.begin().await, Begun::Fresh(_)));
}

#[tokio::test]
async fn a_lost_ledger_never_numbers_a_run_as_one_whose_messages_live() {
    let mut visits = Visits::new(Policy::default());
    visits.put_many(5).await;
    let first = visits.begin().await.run().generation;
    visits.visit_scan(false).await;
    visits.stage.ledger = Arc::new(MemoryLedger::new());
    visits.clock.advance(1_000);
    visits.put_many(9).await;
    let second = visits.begin().await.run().generation;
    assert_ne!(first, second);
    let run = visits.run_to_end(false).await;
    assert_eq!((run.state, run.totals.unwrap().listed.objects), (RunState::Complete, 9));
    visits.expect_equal();
}

/// How a run went is stored with what the sweep stores anyway: every look that is stored is a point.
#[tokio::test]
async fn a_run_tells_how_it_went_and_nothing_is_stored_for_that() {
    let limits = Limits { objects_per_task_max: 5, ..Visits::limits() };
    let mut visits = Visits::new(Policy { limits, ..Policy::default() });
    visits.put_many(200).await;
    let began = visits.begin().await.run().clone();
    assert_eq!(began.timeline.points(), [(0, Mark::default())]);
    while visits.visit_scan(false).await {}
    let run = loop {
        // One task in two minutes, and a look in each.
        visits.visit_task().await;
        for _ in 0..2 {
            visits.clock.advance(MINUTE_MS);
            let watched = visits.sweep().await;
            if let Watched::Running(run) = &watched
                && let Some(known) = &run.progress
            {
                let (_, seen) = run.timeline.points().last().unwrap();
                assert_eq!(seen.settled_objects, known.account.of_source().objects, "{run:?}");
            }
        }
        let run = rows::load::<Run>(&*visits.stage.ledger, &Run::row_key()).await.unwrap();
        if let Some(run) = run.filter(|run| !run.is_open()) {
            break run;
        }
    };
    assert_eq!(run.verdict(), "complete");
    let points = run.timeline.points();
    assert_eq!(
        u64::try_from(points.len()).unwrap(),
        run.revision,
        "one for each time it was stored"
    );
    assert!(points.len() > 10, "{points:?}");
    assert!(points.is_sorted_by_key(|(at_ms, _)| *at_ms));
    assert!(points.is_sorted_by_key(|(_, mark)| (mark.settled_objects, mark.bytes_copied)));
    let (at_ms, end) = points.last().unwrap();
    assert_eq!(*at_ms, run.ended.unwrap().0 - run.started.0);
    assert_eq!(*end, Mark::of(&run.totals.clone().unwrap()));
    assert_eq!(end.settled_objects, 200);
}

#[tokio::test]
async fn a_list_of_prefixes_is_listed_and_nothing_else() {
    let mut visits = Visits::new(Policy { limits: Visits::limits(), ..Policy::default() });
    for key in ["a/1", "a/2", "b/1", "b+/ x", "c/1"] {
        visits.put(key, key).await;
    }
    for n in 0..130 {
        visits.put(&format!("large/{n:03}"), "x").await;
    }
    let names = ["a/", "none/", "large/", "b+/"];
    visits.lines = Some(Arc::new(Lines(names.map(str::to_owned).to_vec())));
    visits.begin().await;
    let run = visits.run_to_end(false).await;
    assert_eq!((run.verdict(), objects(&run, Outcome::Copied)), ("complete", 133));
    let there: Vec<_> = visits.destination.keys().iter().map(ToString::to_string).collect();
    assert!(!there.contains(&"b/1".to_owned()) && !there.contains(&"c/1".to_owned()));
    assert!(there.contains(&"b+/ x".to_owned()), "{there:?}");
    visits.begin().await;
    let again = visits.run_to_end(true).await;
    assert_eq!((again.verdict(), objects(&again, Outcome::Equal)), ("complete", 133));
}

#[tokio::test]
async fn a_list_of_many_prefixes_is_handed_out_in_groups() {
    let mut visits = Visits::new(Policy { limits: Visits::limits(), ..Policy::default() });
    visits.put("p/02500/x", "x").await;
    visits.put("p/00001/x", "y").await;
    let names = (0..2_600).map(|n| format!("p/{n:05}/")).collect();
    visits.lines = Some(Arc::new(Lines(names)));
    visits.begin().await;
    let run = visits.run_to_end(true).await;
    assert_eq!((run.verdict(), objects(&run, Outcome::Copied)), ("complete", 2));
    assert_eq!(visits.scans(&run).await, 4, "one that hands out, and three groups");
}

#[tokio::test]
async fn an_hour_of_events_has_an_account_of_its_own() {
    let visits = Visits::new(Policy::default());
    visits.put("a", "1").await;
    visits.put("b", "22").await;
    let written = |key: &str, size| Change {
        key: ObjectKey::new(key),
        kind: ChangeKind::Written(Some(size)),
    };
    let gone = Change { key: ObjectKey::new("gone"), kind: ChangeKind::Deleted };
    let taken = events::take(&visits.stage, &[written("a", 1), written("b", 2), gone]).await;
    assert_eq!(taken.unwrap().sent, 3);
    assert_eq!(events::next_hour(&visits.stage).await.unwrap(), None, "it is not over");
    visits.clock.advance(HOUR_MS);
    assert_eq!(events::next_hour(&visits.stage).await.unwrap(), None, "it is not settled");
    while visits.visit_task().await {}
    visits.clock.advance(11 * MINUTE_MS);
    let hour = events::next_hour(&visits.stage).await.unwrap().unwrap();
    assert_eq!((hour.verdict(), hour.started), ("complete", BEGAN));
    let outcomes: BTreeMap<_, _> = hour
        .totals
        .account
        .iter()
        .filter(|(_, count)| count.objects > 0)
        .map(|(outcome, count)| (outcome.name(), count.objects))
        .collect();
    assert_eq!(outcomes.get("copied"), Some(&2), "{outcomes:?}");
    events::told(&visits.stage, hour.generation).await.unwrap();
    assert_eq!(events::next_hour(&visits.stage).await.unwrap(), None, "it was told");
    visits.expect_equal();
}

#[tokio::test]
async fn an_hour_whose_tasks_were_lost_ends_incomplete() {
    let visits = Visits::new(Policy::default());
    let change = Change { key: ObjectKey::new("a"), kind: ChangeKind::Written(None) };
    events::take(&visits.stage, &[change]).await.unwrap();
    visits.clock.advance(14 * HOUR_MS);
    let hour = events::next_hour(&visits.stage).await.unwrap().unwrap();
    assert_eq!((hour.verdict(), hour.totals.unsettled.objects), ("incomplete", 1));
}

#[tokio::test]
async fn events_delete_no_more_in_an_hour_than_they_may() {
    let limits = Limits { event_deletes_per_hour: 2, ..Limits::default() };
    let mut visits = Visits::new(Policy { limits, ..Policy::default() });
    let keys = ["a", "b", "c", "d", "e"];
    for key in keys {
        visits.put(key, "1").await;
    }
    visits.begin().await;
    visits.run_to_end(false).await;
    visits.clock.advance(HOUR_MS - (visits.clock.now().0 - BEGAN.0) % HOUR_MS);
    for key in keys {
        let key = ObjectKey::new(key);
        visits.source.delete(&key, None).await.unwrap();
        let gone = Change { key, kind: ChangeKind::Deleted };
        // A copy in the same task does not wait with it.
        let new = format!("new/{}", gone.key);
        visits.put(&new, "2").await;
        let new = Change { key: ObjectKey::new(new), kind: ChangeKind::Written(Some(1)) };
        events::take(&visits.stage, &[gone, new]).await.unwrap();
    }
    for left in [3, 1, 0] {
        while visits.visit_task().await {}
        let there = visits.destination.keys();
        let (new, old): (Vec<_>, Vec<_>) =
            there.iter().partition(|key| key.as_str().starts_with("new/"));
        assert_eq!((new.len(), old.len()), (5, left), "{there:?}");
        visits.clock.advance(HOUR_MS + 6 * MINUTE_MS);
    }
    visits.expect_equal();
}

#[tokio::test]
async fn an_error_opens_the_breaker_and_only_a_person_ends_a_pause() {
    let visits = Visits::new(Policy::default());
    let (ledger, clock) = (&*visits.stage.ledger, &*visits.stage.clock);
    assert!(breaker::read(ledger).await.unwrap().is_closed());
    let set = async |state, reason| breaker::set(ledger, clock, state, reason).await.unwrap();
    let opened = set(State::Open, "denied").await;
    assert_eq!((opened.state, opened.since), (State::Open, BEGAN));
    assert_eq!(set(State::Open, "later").await.reason, "denied", "the first reason stays");
    assert_eq!(set(State::Paused, "by a person").await.state, State::Paused);
    assert_eq!(set(State::Open, "denied").await.state, State::Paused, "no error ends a pause");
    assert_eq!(set(State::Closed, "by a person").await.state, State::Closed);
    breaker::probe(&visits.stage).await.unwrap();
    assert!(visits.destination.open_uploads().is_empty(), "the probe leaves one");
}

/// Somebody pauses the transfer while the sweep probes an open breaker.
#[tokio::test]
async fn a_pause_outlasts_a_probe() {
    let visits = Visits::new(Policy::default());
    let (ledger, clock) = (&*visits.stage.ledger, &*visits.stage.clock);
    let probed = breaker::set(ledger, clock, State::Open, "denied").await.unwrap();
    breaker::set(ledger, clock, State::Paused, "by a person").await.unwrap();
    let then = breaker::close(ledger, clock, probed, "can be used again").await.unwrap();
    assert_eq!((then.state, then.reason.as_str()), (State::Paused, "by a person"));
}

/// No probe shows what is denied there: each closing only costs the messages a delivery.
#[tokio::test]
async fn a_breaker_that_opens_again_and_again_rests_ever_longer() {
    let visits = Visits::new(Policy::default());
    let (ledger, clock) = (&*visits.stage.ledger, &*visits.clock);
    let mut rests = Vec::new();
    for _ in 0..12 {
        let open = breaker::set(ledger, clock, State::Open, "denied").await.unwrap();
        let mut minutes = 0;
        while open.rests(clock.now()) {
            clock.advance(MINUTE_MS);
            minutes += 1;
        }
        rests.push(minutes);
        breaker::close(ledger, clock, open, "can be used again").await.unwrap();
    }
    assert_eq!(rests, [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
    // Much later it is another matter, and so it is after a person went on.
    clock.advance(2 * HOUR_MS);
    let open = breaker::set(ledger, clock, State::Open, "denied").await.unwrap();
    assert_eq!(open.halts, 1);
    breaker::close(ledger, clock, open, "can be used again").await.unwrap();
    breaker::set(ledger, clock, State::Closed, "by a person").await.unwrap();
    let open = breaker::set(ledger, clock, State::Open, "denied").await.unwrap();
    assert_eq!(open.halts, 1);
}

/// A world in which one call at the destination goes wrong, and the process that makes the calls.
fn disturbed(wrong: Option<(u64, Wrong)>) -> (Visits, Arc<Life>) {
    let size = Some(5 << 20);
    let policy =
        Policy { multipart_threshold_bytes: 5 << 20, part_size_bytes: size, ..Policy::default() };
    let mut world = Visits::new(policy);
    let life = Life::undisturbed(Faults { wrong, ..Faults::default() }, 1);
    let (inner, name) = (world.destination.clone(), "destination");
    world.stage.destination = Arc::new(FaultyStore { inner, life: life.clone(), name });
    (world, life)
}

#[tokio::test]
async fn an_upload_that_is_created_late_and_never_named_is_aborted() {
    let key = ObjectKey::new("large");
    let (mut world, life) = disturbed(None);
    world.put("large", vec![7; 11 << 20]).await;
    world.begin().await;
    world.run_to_end(false).await;
    let creates = life.begun().iter().position(|call| call.contains("create_upload")).unwrap();
    // The answer to that call is lost, and the object is planned anew.
    let number = u64::try_from(creates).unwrap() + 1;
    let (mut world, _) = disturbed(Some((number, Wrong::After(ErrorKind::Unavailable))));
    world.put("large", vec![7; 11 << 20]).await;
    world.begin().await;
    world.run_to_end(false).await;
    world.expect_equal();
    assert_eq!(world.destination.open_uploads(), [], "what was there was aborted");
    // Whoever was slow creates his upload only now, and dies.
    world.destination.create_upload(&key, &Write::default()).await.unwrap();
    let header = async |world: &Visits| {
        let row = HeaderId::of(&key).row_key();
        rows::load::<Header>(&*world.stage.ledger, &row).await.unwrap().unwrap()
    };
    let due = header(&world).await.due.expect("it is looked at once more");
    world.clock.advance(due.0 - world.clock.now().0);
    world.sweep().await;
    assert_eq!(world.destination.open_uploads(), []);
    let header = header(&world).await;
    assert_eq!((header.status, header.due, header.orphans_since), (Status::Done, None, None));
    world.expect_equal();
}

/// A policy of the destination's bucket can deny a few keys, and those must not keep the others from arriving. It
/// makes no difference whether others were written before, or whether there are any.
#[tokio::test]
async fn keys_that_the_destination_denies_fail_alone() {
    let policy = || Policy { multipart_threshold_bytes: 6 << 20, ..Policy::default() };
    for others in [0, 25] {
        let mut visits = Visits::new(policy()).denied_below("denied/");
        for n in 0..20 {
            visits.put(&format!("denied/{n:02}"), "bytes").await;
        }
        visits.put("denied/large", vec![7; 7 << 20]).await;
        visits.put_many(others).await;
        visits.begin().await;
        let run = visits.run_to_end(false).await;
        assert_eq!(objects(&run, Outcome::Failed), 21, "{run:?}");
        assert_eq!(objects(&run, Outcome::Copied), u64::from(others), "{run:?}");
        assert_eq!(visits.destination.keys().len(), usize::try_from(others).unwrap());
        assert_eq!(visits.destination.open_uploads(), [], "an upload was left by a question");
    }
}

/// What is denied of every key is no matter of one of them.
#[tokio::test]
async fn a_destination_that_denies_every_key_stops_the_transfer() {
    for (key, size) in [("small", 10), ("large", 7 << 20)] {
        let policy = Policy { multipart_threshold_bytes: 6 << 20, ..Policy::default() };
        let mut visits = Visits::new(policy).denied_below("");
        visits.put(key, vec![7; size]).await;
        visits.begin().await;
        while visits.visit_scan(false).await {}
        let received = visits.receive(Queue::Transfer).await.unwrap();
        let done = worker::run(&visits.stage, &received).await;
        let is_halted = matches!(&done, Done::Halt(error) if error.kind == ErrorKind::Denied);
        assert!(is_halted, "{key}: {done:?}");
    }
}
