//! The driver: the stages' loops in one process, on a ledger and queues in one file.
//!
//! It decides nothing. It keeps a number of loops running (scans, tasks, completions), asks the
//! finder whether the run has ended, and sweeps when nothing moves any more.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tranship_core::completer;
use tranship_core::error::{Disposition, LedgerError, StageError, StoreError};
use tranship_core::finder::{self, Conclusion, KeyLines};
use tranship_core::message::{Message, ScanTask, Work};
use tranship_core::ports::{Completer, Queue, Received};
use tranship_core::progress::ProgressReading;
use tranship_core::rows::{HeaderId, List, Run, ScanRange};
use tranship_core::stage::Stage;
use tranship_core::sweep;
use tranship_core::worker::{self, Done};

/// How often the driver asks whether the run has ended.
const CONCLUDE_EVERY: Duration = Duration::from_millis(100);
/// The first of these pauses; they double, so that a short run is not all waiting.
const CONCLUDE_FIRST: Duration = Duration::from_millis(5);
/// Rounds of quiet after which what stopped halfway is started again.
const QUIET_ROUNDS: u32 = 20;
/// Sweeps without any progress after which the run is closed as it stands.
const SWEEPS_MAX: u32 = 5;
/// Loops that take tasks: enough to keep all streams busy, since a task waits for its slowest object.
const TASK_LOOPS: usize = 8;
/// Loops that complete uploads.
const COMPLETION_LOOPS: usize = 4;
/// Attempts of a call of the ledger or the queue: what fails longer than that is away for good.
const ATTEMPTS_MAX: u32 = 6;
/// Completions that may wait before a worker waits too.
const COMPLETIONS_WAITING: usize = 1_024;

/// A completion that was asked for.
type Asked = (HeaderId, u64);

/// The completion port in one process: a channel to the loops that complete. What is lost with the
/// process is found again by the sweep.
#[derive(Debug)]
pub struct Channel(mpsc::Sender<Asked>);

#[async_trait]
impl Completer for Channel {
    async fn start(&self, header: &HeaderId, epoch: u64, _attempt: u32) -> Result<(), LedgerError> {
        let gone = |_| LedgerError::Unavailable("the process is ending".to_owned());
        self.0.send((header.clone(), epoch)).await.map_err(gone)
    }
}

/// The two ends of the completion channel.
pub fn channel() -> (Arc<Channel>, mpsc::Receiver<Asked>) {
    let (sender, receiver) = mpsc::channel(COMPLETIONS_WAITING);
    (Arc::new(Channel(sender)), receiver)
}

/// How a run came to its end.
#[derive(Debug)]
pub enum Ended {
    /// Closed, complete or not: its totals say.
    Closed(Run),
    /// Asked to stop; the run is open, and the same command goes on with it.
    Interrupted(Run),
    /// Nothing in this transfer will get better by itself; the run is open.
    Halted(Run, StoreError),
}

impl Ended {
    pub fn run(&self) -> &Run {
        match self {
            Self::Closed(run) | Self::Interrupted(run) | Self::Halted(run, _) => run,
        }
    }
}

/// What a run is given besides its stage.
#[derive(Debug)]
pub struct Hooks {
    pub lines: Option<Arc<dyn KeyLines>>,
    /// Set once everything is listed.
    pub listing_done: Arc<AtomicBool>,
    /// Where the candidates for deletion are written before the first of them is deleted.
    pub manifest: Option<PathBuf>,
}

/// What the loops share.
struct Shared {
    stage: Arc<Stage>,
    hooks: Hooks,
    /// The first error that stops the whole transfer.
    halt: watch::Sender<Option<StageError>>,
    ended: watch::Sender<bool>,
    /// Completions at work. One of terabytes takes minutes in which nothing else moves.
    completing: AtomicUsize,
}

impl Shared {
    fn is_over(&self) -> bool {
        *self.ended.borrow() || self.stage.is_stopping()
    }

    /// Waits until the run has ended: then nothing is worth waiting for any more.
    async fn end(&self) {
        // The sender is our own, so this fails only by ending.
        self.ended.subscribe().wait_for(|ended| *ended).await.ok();
    }

    fn halt(&self, error: StageError) {
        self.stage.stopping.store(true, Ordering::Relaxed);
        self.halt.send_if_modified(|first| {
            let is_first = first.is_none();
            if is_first {
                *first = Some(error);
            }
            is_first
        });
    }
}

/// Repeats what the ledger or the queue may let pass in a moment. Every call of theirs may be
/// repeated.
async fn patiently<T, F, R>(stage: &Stage, mut call: F) -> Result<T, StageError>
where
    F: FnMut() -> R,
    R: Future<Output = Result<T, StageError>>,
{
    let mut attempt = 1;
    loop {
        match call().await {
            Err(error) if error.disposition() == Disposition::Retry && attempt < ATTEMPTS_MAX => {
                stage.back_off(attempt).await;
                attempt += 1;
            }
            answer => return answer,
        }
    }
}

/// Runs one run to its end, from wherever an earlier process left it.
pub async fn run(
    stage: Arc<Stage>,
    asked: mpsc::Receiver<Asked>,
    fingerprint: &str,
    range: ScanRange,
    hooks: Hooks,
) -> Result<Ended, StageError> {
    let begun =
        patiently(&stage, || finder::begin(&stage, fingerprint, range.clone(), false)).await?;
    let run = begun.run().clone();
    let shared = Arc::new(Shared {
        stage: stage.clone(),
        hooks,
        halt: watch::channel(None).0,
        ended: watch::channel(false).0,
        completing: AtomicUsize::new(0),
    });
    if matches!(begun, finder::Begun::Resumed(_)) {
        // Before anything moves: the display goes on where the earlier process left it.
        let (totals, _) = finder::totals(&stage, run.generation).await?;
        stage.progress.listed(totals.listed.objects, totals.listed.bytes);
        for (outcome, count) in totals.account.iter() {
            stage.progress.settled(outcome, count.objects, count.bytes);
        }
    }
    let mut loops = JoinSet::new();
    spawn_loops(&mut loops, &shared, asked);
    // After a run that has ended, too: what one task settled another may have left open.
    patiently(&stage, || recover(&stage)).await?;
    let closed = conclude(&shared, &run).await;
    shared.ended.send_replace(true);
    while loops.join_next().await.is_some() {}
    let halted = shared.halt.borrow().clone();
    match (closed?, halted) {
        (Some(run), _) => Ok(Ended::Closed(run)),
        (None, Some(StageError::Store(error))) => Ok(Ended::Halted(run, error)),
        (None, Some(error @ StageError::Ledger(_))) => Err(error),
        (None, None) => Ok(Ended::Interrupted(run)),
    }
}

/// Takes over what the process before this one left.
async fn recover(stage: &Stage) -> Result<(), StageError> {
    let resend = stage.queue.depth(Queue::Transfer).await? == 0;
    sweep::recover(stage, resend).await
}

fn spawn_loops(loops: &mut JoinSet<()>, shared: &Arc<Shared>, asked: mpsc::Receiver<Asked>) {
    for _ in 0..shared.stage.policy.limits.scans_max.max(1) {
        loops.spawn(scan_loop(shared.clone()));
    }
    for _ in 0..TASK_LOOPS {
        loops.spawn(task_loop(shared.clone()));
    }
    let asked = Arc::new(Mutex::new(asked));
    for _ in 0..COMPLETION_LOOPS {
        loops.spawn(completion_loop(shared.clone(), asked.clone()));
    }
}

async fn receive(shared: &Shared, queue: Queue) -> Option<Received> {
    let stage = &shared.stage;
    let receive = || async { Ok(stage.queue.receive(queue, 1).await?) };
    let received = tokio::select! {
        received = patiently(stage, receive) => received,
        () = shared.end() => return None,
    };
    match received {
        Ok(received) => received.into_iter().next(),
        Err(error) => {
            shared.halt(error);
            None
        }
    }
}

async fn scan_loop(shared: Arc<Shared>) {
    while !shared.is_over() {
        let Some(received) = receive(&shared, Queue::Scan).await else { continue };
        // Only this program writes here; what it cannot read it does not want.
        if let Ok(Message { work: Work::Scan(task), .. }) = Message::decode(&received.body) {
            run_scan(&shared, &task).await;
            if shared.stage.is_stopping() {
                return;
            }
        }
        acknowledge(&shared, Queue::Scan, &received.receipt).await;
    }
}

/// Runs a scan until it ends; a listing that fails for good stops the run, since nothing can be
/// said about the keys behind it.
async fn run_scan(shared: &Shared, task: &ScanTask) {
    let stage = &shared.stage;
    let mut failures = 0;
    while !shared.is_over() {
        match Box::pin(finder::run_scan(stage, task, shared.hooks.lines.as_ref())).await {
            Ok(_) => return,
            Err(error) => {
                failures += 1;
                let passes = error.disposition() == Disposition::Retry;
                if !passes || failures >= stage.policy.failures_max {
                    return shared.halt(error);
                }
                stage.back_off(failures + 2).await;
            }
        }
    }
}

async fn task_loop(shared: Arc<Shared>) {
    let mut settled: Option<String> = None;
    while !shared.is_over() || settled.is_some() {
        // An acknowledgement waits for the disk; meanwhile the next task moves bytes.
        let acknowledged = async {
            if let Some(receipt) = settled.take() {
                acknowledge(&shared, Queue::Transfer, &receipt).await;
            }
        };
        let (next, ()) = tokio::join!(Box::pin(task(&shared)), acknowledged);
        settled = next;
    }
}

/// Takes one task, if there is one, and runs it; gives the receipt if it is to be acknowledged.
async fn task(shared: &Shared) -> Option<String> {
    if shared.is_over() {
        return None;
    }
    let stage = &shared.stage;
    let received = receive(shared, Queue::Transfer).await?;
    match Box::pin(worker::run(stage, &received)).await {
        Done::Settled | Done::Unreadable(_) => return Some(received.receipt),
        Done::Again { after_ms, why } => {
            stage.progress.troubled(why);
            let receipt = &received.receipt;
            let delay =
                || async { Ok(stage.queue.delay(Queue::Transfer, receipt, after_ms).await?) };
            if let Err(error) = patiently(stage, delay).await {
                shared.halt(error);
            }
        }
        Done::Halt(error) => shared.halt(error.into()),
    }
    None
}

async fn completion_loop(shared: Arc<Shared>, asked: Arc<Mutex<mpsc::Receiver<Asked>>>) {
    let stage = &shared.stage;
    while !shared.is_over() {
        let next = async { asked.lock().await.recv().await };
        let next = tokio::select! {
            next = tokio::time::timeout(CONCLUDE_EVERY, next) => next,
            () = shared.end() => return,
        };
        let Ok(Some((header, epoch))) = next else { continue };
        shared.completing.fetch_add(1, Ordering::Relaxed);
        let completed = Box::pin(completer::complete(stage, &header, epoch)).await;
        shared.completing.fetch_sub(1, Ordering::Relaxed);
        match completed {
            Ok(()) => {}
            Err(error) if error.disposition() == Disposition::Halt => shared.halt(error),
            // It is due again, and the sweep starts it.
            Err(error) => stage.progress.troubled(error.to_string()),
        }
    }
}

async fn acknowledge(shared: &Shared, queue: Queue, receipt: &str) {
    let stage = &shared.stage;
    let delete = || async { Ok(stage.queue.delete(queue, receipt).await?) };
    if let Err(error) = patiently(stage, delete).await {
        shared.halt(error);
    }
}

/// Waits for the run's end; `None` if it was stopped.
async fn conclude(shared: &Shared, run: &Run) -> Result<Option<Run>, StageError> {
    let stage = &shared.stage;
    let (mut quiet, mut sweeps) = (0, 0);
    let mut before = moved(stage);
    let mut pause = CONCLUDE_FIRST;
    while !stage.is_stopping() {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(CONCLUDE_EVERY);
        match patiently(stage, || look(shared, run)).await? {
            Look::Ended(run) => return Ok(Some(*run)),
            Look::Busy => continue,
            Look::Quiet => {}
        }
        let now = moved(stage);
        let moves = now != before || shared.completing.load(Ordering::Relaxed) > 0;
        before = now;
        if moves {
            (quiet, sweeps) = (0, 0);
            continue;
        }
        quiet += 1;
        if quiet >= QUIET_ROUNDS {
            quiet = 0;
            sweeps += 1;
            if sweeps > SWEEPS_MAX {
                return patiently(stage, || finder::abandon(stage, run.clone())).await.map(Some);
            }
            patiently(stage, || sweep::recover(stage, true)).await?;
            // Whoever wrote a scan down may have died before its message was sent; and a scan at the
            // end of a long chain of splits is left to us.
            patiently(stage, || finder::resend_scans(stage, run.generation)).await?;
        }
    }
    Ok(None)
}

/// What has moved so far. To try again moves nothing.
fn moved(stage: &Stage) -> ProgressReading {
    stage.progress.read().movement()
}

/// What a look at the run shows.
enum Look {
    Ended(Box<Run>),
    /// Messages are waiting or in flight, or the deletes have just begun.
    Busy,
    /// No messages, and yet not everything is settled.
    Quiet,
}

async fn look(shared: &Shared, run: &Run) -> Result<Look, StageError> {
    let stage = &shared.stage;
    let scans = stage.queue.depth(Queue::Scan).await?;
    shared.hooks.listing_done.store(scans == 0, Ordering::Relaxed);
    sweep::sweep(stage, false).await?;
    let waiting = stage.queue.depth(Queue::Transfer).await?;
    if scans + waiting > 0 || sweep::is_waiting(stage).await? {
        return Ok(Look::Busy);
    }
    if let Some(path) = shared.hooks.manifest.as_deref()
        && finder::is_about_to_delete(stage, run.generation).await?
    {
        write_manifest(stage, run.generation, path).await?;
    }
    Ok(match finder::conclude(stage, run.generation).await? {
        Conclusion::Ended(run) => Look::Ended(Box::new(run)),
        Conclusion::Deleting | Conclusion::Unknown => Look::Busy,
        Conclusion::NotYet(_) => Look::Quiet,
    })
}

/// Writes down what is about to be deleted, before the first of it is.
async fn write_manifest(stage: &Stage, generation: u64, path: &Path) -> Result<(), LedgerError> {
    let unwritable = |error: std::io::Error| {
        LedgerError::Unavailable(format!("the manifest {}: {error}", path.display()))
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(unwritable)?;
    }
    let mut file = BufWriter::new(File::create(path).map_err(unwritable)?);
    finder::notes(stage, List::Candidates, generation, |note| {
        serde_json::to_writer(&mut file, note).map_err(|error| unwritable(error.into()))?;
        file.write_all(b"\n").map_err(unwritable)
    })
    .await?;
    file.flush().map_err(unwritable)
}
