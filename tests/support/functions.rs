//! The stages as the functions of a stack run them, in one process: each message is one visit, a sweep
//! looks in every minute, and an error that halts the transfer opens the breaker.
//!
//! Nothing here recovers what an earlier process left: what a dead visit held comes back when its
//! message shows again, or when the sweep finds it due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::future::{join, join_all};
use tokio::sync::{Mutex, mpsc};
use tranship_core::breaker::{self, State};
use tranship_core::completer;
use tranship_core::error::{Disposition, StageError, StoreError};
use tranship_core::finder::{self, KeyLines, ScanEnd, Watched};
use tranship_core::fleet;
use tranship_core::message::{Message, Work};
use tranship_core::object::{Millis, ObjectKey};
use tranship_core::ports::{Queue, Received};
use tranship_core::rows::{self, HeaderId, Run, ScanRange};
use tranship_core::stage::Stage;
use tranship_core::sweep;
use tranship_core::worker::{self, Done};

use crate::world::Fleet;

const MINUTE_MS: u64 = 60_000;
/// How long a message waits whose visit was cut off, or that met an open breaker.
const PAUSE_MS: u64 = 30_000;
/// How long nobody asks a queue that was empty: whoever asks again and again only makes the simulation slow.
const EMPTY_MS: u64 = 10_000;
/// A run that takes longer than this many sweeps goes round in circles.
const SWEEPS_MAX: u32 = 300;
/// Visits to tasks at once.
const TASKS_AT_ONCE: usize = 3;
/// One visit in so many is cut off by its time, where there is somebody without such a limit.
const CUT_OFF_ONE_IN: u64 = 8;
const DEADLINE_MS: u64 = 24 * 60 * MINUTE_MS;

/// A list of prefixes or keys, by line.
#[derive(Debug)]
pub struct Lines(pub Vec<String>);

#[async_trait]
impl KeyLines for Lines {
    async fn read(&self, from: u64, limit: usize) -> Result<(Vec<ObjectKey>, u64), String> {
        let from = usize::try_from(from).unwrap();
        let lines = self.0.iter().skip(from).take(limit);
        let lines: Vec<_> = lines.map(|line| ObjectKey::new(line.clone())).collect();
        let next = u64::try_from(from + lines.len()).unwrap();
        Ok((lines, next))
    }
}

/// What the visits share.
struct Functions<'a> {
    stage: &'a Stage,
    lines: Option<Arc<dyn KeyLines>>,
    asked: Mutex<mpsc::Receiver<(HeaderId, u64)>>,
    fleet: Option<Fleet>,
    /// As the event source mappings are: nothing is taken from the queues.
    is_off: AtomicBool,
    /// As the mapping of the largest objects is: the functions take their tasks.
    helps: AtomicBool,
    has_ended: AtomicBool,
}

/// Begins a run over `range` and lets it go on until it ends; without a range, until the queues are
/// empty and nothing is due. `None`: nothing was begun, or it does not end.
pub async fn run(
    stage: &Stage,
    asked: mpsc::Receiver<(HeaderId, u64)>,
    range: Option<ScanRange>,
    lines: Option<Arc<dyn KeyLines>>,
    fleet: Option<Fleet>,
) -> Option<Run> {
    let functions = Functions {
        stage,
        lines,
        asked: Mutex::new(asked),
        fleet,
        is_off: AtomicBool::new(false),
        helps: AtomicBool::new(false),
        has_ended: AtomicBool::new(false),
    };
    let watched = async {
        let run = functions.watched(range).await;
        functions.has_ended.store(true, Ordering::Relaxed);
        run
    };
    let tasks = (0..TASKS_AT_ONCE).map(|_| functions.tasks());
    let large = join(functions.large(), functions.polls());
    let visits = join(join(functions.scans(), join_all(tasks)), functions.completions());
    let visits = join(visits, large);
    let (run, _) = join(watched, visits).await;
    run
}

impl Functions<'_> {
    fn goes_on(&self) -> bool {
        !self.has_ended.load(Ordering::Relaxed)
    }

    /// The schedule and the sweep.
    async fn watched(&self, range: Option<ScanRange>) -> Option<Run> {
        let mut begun = range.is_none();
        let mut ended = None;
        for _ in 0..SWEEPS_MAX {
            if let Some(range) = range.as_ref().filter(|_| !begun)
                && self.breaker_is_closed().await
            {
                let begin = finder::begin(self.stage, "settings", range.clone(), false);
                begun = begin.await.is_ok();
            }
            self.stage.clock.sleep(MINUTE_MS).await;
            let Ok(watched) = self.sweep().await else { continue };
            if range.is_some() && begun && !matches!(watched, Watched::Running(_)) {
                ended = match watched {
                    Watched::Ended(run) => Some(run),
                    // An earlier sweep saw it end, and its answer was lost.
                    _ => ended.or(self.last_run().await),
                };
            }
            // Sweeps come as long as the stack is there: what is due still, they do.
            let is_over = if range.is_some() { ended.is_some() } else { begun };
            if is_over && self.is_idle().await {
                return ended;
            }
        }
        None
    }

    async fn last_run(&self) -> Option<Run> {
        let run = rows::load::<Run>(&*self.stage.ledger, &Run::row_key()).await.ok().flatten();
        run.filter(|run| !run.is_open())
    }

    async fn sweep(&self) -> Result<Watched, StageError> {
        let stage = self.stage;
        let (ledger, clock) = (&*stage.ledger, &*stage.clock);
        let breaker = breaker::read(ledger).await?;
        if !breaker.is_closed() {
            // Stands for the sweeps that let it rest.
            while breaker.rests(clock.now()) {
                clock.sleep(PAUSE_MS).await;
            }
            breaker::probe(stage).await?;
            breaker::close(ledger, clock, breaker, "probed").await?;
        }
        self.is_off.store(false, Ordering::Relaxed);
        let waiting = fleet::waiting(stage).await?;
        if stage.policy.large_object_bytes.is_some() {
            self.helps.store(
                fleet::needs_help(stage, stage.queue.depth(Queue::Large).await?).await?,
                Ordering::Relaxed,
            );
        }
        sweep::sweep(stage, waiting == 0).await?;
        finder::watch(stage, DEADLINE_MS).await
    }

    /// Whoever cannot ask looks again later.
    async fn breaker_is_closed(&self) -> bool {
        let read = breaker::read(&*self.stage.ledger).await;
        read.is_ok_and(|breaker| breaker.is_closed())
    }

    /// Whether nothing is left to do, now or at any time.
    async fn is_idle(&self) -> bool {
        let Stage { ledger, clock, .. } = self.stage;
        let depth = fleet::waiting(self.stage).await;
        let due = ledger.due(clock.now().plus(DEADLINE_MS), 1).await;
        matches!(depth, Ok(0)) && due.is_ok_and(|due| due.is_empty())
    }

    async fn halt(&self, error: &StoreError) {
        self.is_off.store(true, Ordering::Relaxed);
        let (ledger, clock) = (&*self.stage.ledger, &*self.stage.clock);
        breaker::set(ledger, clock, State::Open, &error.to_string()).await.ok();
    }

    async fn receive(&self, queue: Queue) -> Option<Received> {
        if self.is_off.load(Ordering::Relaxed) {
            self.stage.clock.sleep(PAUSE_MS).await;
            return None;
        }
        let received = self.stage.queue.receive(queue, 1).await.ok()?;
        if received.is_empty() {
            self.stage.clock.sleep(EMPTY_MS).await;
        }
        received.into_iter().next()
    }

    async fn scans(&self) {
        while self.goes_on() {
            let Some(received) = self.receive(Queue::Scan).await else { continue };
            let Ok(Message { work: Work::Scan(task), .. }) = Message::decode(&received.body) else {
                panic!("not a scan: {}", received.body);
            };
            let run = Box::pin(finder::run_scan(self.stage, &task, self.lines.as_ref()));
            let listed = match run.await {
                Ok(ScanEnd::Done) => true,
                Ok(ScanEnd::Left) => finder::pass_on(self.stage, &task).await.is_ok(),
                Err(StageError::Store(error)) if error.disposition() == Disposition::Halt => {
                    self.halt(&error).await;
                    false
                }
                Err(_) => false,
            };
            self.follow(Queue::Scan, &received, (!listed).then_some(PAUSE_MS)).await;
        }
    }

    async fn tasks(&self) {
        while self.goes_on() {
            let Some(received) = self.receive(Queue::Transfer).await else { continue };
            let is_cut_off =
                self.fleet.is_some() && self.stage.clock.random().is_multiple_of(CUT_OFF_ONE_IN);
            if !is_cut_off {
                self.task(Queue::Transfer, &received).await;
                continue;
            }
            // Its time was over before anything was done.
            let passed_on = fleet::pass_on(self.stage, &received).await.unwrap_or(false);
            self.follow(Queue::Transfer, &received, (!passed_on).then_some(PAUSE_MS)).await;
        }
    }

    /// The functions, where they take what is the fleet's.
    async fn large(&self) {
        while self.goes_on() && self.fleet.is_some() {
            if !self.helps.load(Ordering::Relaxed) {
                self.stage.clock.sleep(MINUTE_MS).await;
                continue;
            }
            let Some(received) = self.receive(Queue::Large).await else { continue };
            self.task(Queue::Large, &received).await;
        }
    }

    /// The fleet: a process that stays.
    async fn polls(&self) {
        let mut shown = None;
        while self.goes_on() && self.fleet == Some(Fleet::Polls) {
            let now = self.stage.clock.now();
            if shown.is_none_or(|shown: Millis| shown.plus(fleet::SHOW_MS) <= now) {
                shown = fleet::show(self.stage, "i-1").await.is_ok().then_some(now);
            }
            if !self.breaker_is_closed().await {
                self.stage.clock.sleep(PAUSE_MS).await;
                continue;
            }
            let Ok(received) = self.stage.queue.receive(Queue::Large, 3).await else { continue };
            if received.is_empty() {
                self.stage.clock.sleep(EMPTY_MS).await;
            }
            for received in received {
                self.task(Queue::Large, &received).await;
            }
        }
    }

    async fn task(&self, queue: Queue, received: &Received) {
        let after_ms = match Box::pin(worker::run(self.stage, received)).await {
            Done::Settled => None,
            Done::Again { after_ms, .. } => Some(after_ms),
            Done::Unreadable(reason) => panic!("{reason}: {}", received.body),
            Done::Halt(error) => {
                self.halt(&error).await;
                Some(PAUSE_MS)
            }
        };
        self.follow(queue, received, after_ms).await;
    }

    /// Deletes a message, or lets it come back later. What fails here leaves it where it is.
    async fn follow(&self, queue: Queue, received: &Received, after_ms: Option<u64>) {
        let (queues, receipt) = (&self.stage.queue, &received.receipt);
        match after_ms {
            None => queues.delete(queue, receipt).await.ok(),
            Some(after_ms) => queues.delay(queue, receipt, after_ms).await.ok(),
        };
    }

    async fn completions(&self) {
        while self.goes_on() {
            let mut asked = self.asked.lock().await;
            let next = tokio::time::timeout(std::time::Duration::from_secs(1), asked.recv()).await;
            drop(asked);
            let Ok(Some((header, epoch))) = next else { continue };
            let completed = Box::pin(completer::complete(self.stage, &header, epoch)).await;
            if let Err(StageError::Store(error)) = completed
                && error.disposition() == Disposition::Halt
            {
                self.halt(&error).await;
            }
        }
    }
}
