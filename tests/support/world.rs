//! A small world from a seed: two stores, a ledger and queues that outlive the processes that work
//! on them, somebody who writes to the source meanwhile, and a witness who sees every change.

mod expect;
mod nature;
mod others;
mod witness;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tranship_adapters::clock::Chance;
use tranship_adapters::ledgers::memory::MemoryLedger;
use tranship_adapters::queues::memory::MemoryQueue;
use tranship_adapters::stores::memory::{Digests, MemoryStore};
use tranship_cli::driver::{self, Ended, Hooks};
use tranship_core::finder::events::ChangeKind;
use tranship_core::finder::{KeyLines, events};
use tranship_core::link::Link;
use tranship_core::location::{Location, Transfer};
use tranship_core::object::{ObjectKey, UploadId};
use tranship_core::policy::Policy;
use tranship_core::ports::{Clock, Ledger as _};
use tranship_core::progress::Progress;
use tranship_core::rows::{self, Header, HeaderId, List, Note, Run, ScanRange};
use tranship_core::stage::{Learned, Stage};
use tranship_core::store::{ObjectStore, Write};

pub use self::nature::{Fleet, Nature, Wipe};
pub use self::others::{Make, Others, Plan};
use self::others::{OthersState, at_once};
pub use self::witness::Witness;
use crate::faulty::{
    Disturbance, Faults, FaultyCompleter, FaultyLedger, FaultyQueue, FaultyStore, Life,
    VirtualClock,
};
use crate::functions;

/// Completions that are asked for.
type Asked = mpsc::Receiver<(HeaderId, u64)>;

const SOURCE_PREFIX: &str = "in/";
const DESTINATION_PREFIX: &str = "out/";
/// From here on objects are copied in parts.
const LARGE_BYTES: usize = 1_000;
/// How long a message stays hidden that a process took and died with.
const VISIBILITY_MS: u64 = 20_000;
/// A process that makes more calls than this goes round in circles.
const CALLS_MAX: u64 = 60_000;
/// What marks an object that is not ours.
const FOREIGN: &str = "application/foreign";

static DIGESTS: LazyLock<Arc<Digests>> = LazyLock::new(Arc::default);

/// Who runs the stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Host {
    /// One process that stays: the command.
    Process,
    /// Visits that do not: the functions of a stack.
    Functions,
}

/// What a process is asked for.
#[derive(Clone)]
pub struct Errand {
    pub host: Host,
    /// What is listed; `None`: no run is begun, and only what waits is worked on.
    pub range: Option<ScanRange>,
    pub lines: Option<Arc<dyn KeyLines>>,
}

impl std::fmt::Debug for Errand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Errand").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Default for Errand {
    fn default() -> Self {
        Self { host: Host::Process, range: Some(ScanRange::whole()), lines: None }
    }
}

/// What outlives every process.
pub struct World {
    pub nature: Nature,
    pub source: Arc<MemoryStore>,
    pub destination: Arc<MemoryStore>,
    pub ledger: Arc<MemoryLedger>,
    pub witness: Arc<Witness>,
    queue: Arc<MemoryQueue>,
    /// When the world began, for the clocks in it.
    began: Instant,
    others: Arc<Others>,
    /// What the policy has besides the nature.
    pub amend: fn(&mut Policy),
    /// Keys whose end is not to be equal; whoever names them looks for himself.
    pub exempt: BTreeSet<String>,
    /// Changes that are told, until somebody took them.
    pub events: Vec<events::Change>,
    /// How long after the start of a process they are; 0: before it does anything else.
    pub told_after_ms: u64,
    /// Somebody else's, and older than anything of ours.
    foreign_upload: UploadId,
    lives: u64,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("nature", &self.nature).finish_non_exhaustive()
    }
}

/// How a process came to its end.
#[derive(Debug)]
pub enum How {
    Died,
    Closed(Box<Run>, Vec<Note>),
    /// Asked to stop, or halted by an error.
    Stopped(String),
    /// Nothing waits any more; there was no run.
    Idle,
}

/// Takes the changes that were told, as `s3-event` does: a message that failed comes again.
async fn take_events(stage: &Stage, told: &Mutex<Vec<events::Change>>) {
    for _ in 0..3 {
        let changes = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if changes.is_empty() {
            return;
        }
        if events::take(stage, &changes).await.is_ok() {
            told.lock().unwrap_or_else(PoisonError::into_inner).clear();
        } else {
            stage.clock.sleep(VISIBILITY_MS).await;
        }
    }
}

impl World {
    /// Inside a runtime whose time is paused.
    pub async fn new(nature: Nature) -> Self {
        let world = Self::bare(nature);
        world.populate();
        tokio::time::advance(Duration::from_mins(10)).await;
        world
    }

    /// With nothing in it but somebody else's upload.
    pub fn bare(nature: Nature) -> Self {
        let began = Instant::now();
        let clock: Arc<dyn Clock> = Arc::new(VirtualClock::new(began, 0, nature.seed));
        let skewed: Arc<dyn Clock> = Arc::new(VirtualClock::new(began, nature.skew_ms, 0));
        let witness = Arc::new(Witness::new(nature.clone()));
        let (here, there) = (witness.clone(), witness.clone());
        let source = MemoryStore::new("source", clock.clone())
            .with_digests(DIGESTS.clone())
            .with_pages_of(nature.pages_of)
            .observed(move |change| here.source_changed(change));
        let source = Arc::new(source);
        let mut destination = MemoryStore::new("destination", skewed)
            .with_digests(DIGESTS.clone())
            .with_pages_of(nature.pages_of)
            .reading(source.clone())
            .observed(move |change| there.destination_changed(change));
        if nature.opaque {
            destination = destination.with_opaque_etags();
        }
        let destination = Arc::new(destination);
        let queue = if nature.orderly {
            MemoryQueue::new(clock.clone())
        } else {
            MemoryQueue::chaotic(clock.clone(), nature.seed)
        };
        let queue = queue.with_visibility(VISIBILITY_MS);
        let (ledger, queue) = (Arc::<MemoryLedger>::default(), Arc::new(queue));
        let others = Arc::new(Others {
            source: source.clone(),
            destination: destination.clone(),
            witness: witness.clone(),
            ledger: ledger.clone(),
            queue: queue.clone(),
            state: Mutex::new(OthersState::new(nature.seed)),
        });
        // Somebody else's upload of a key of ours is older than anything that we do.
        let key = ObjectKey::new(format!("{DESTINATION_PREFIX}{}", Others::name(4)));
        let foreign_upload = at_once(destination.create_upload(&key, &Write::default())).unwrap();
        Self {
            nature,
            source,
            destination,
            ledger,
            witness,
            queue,
            began,
            others,
            amend: |_| {},
            exempt: BTreeSet::new(),
            events: Vec::new(),
            told_after_ms: 0,
            foreign_upload,
            lives: 0,
        }
    }

    pub fn others(&self) -> &Others {
        &self.others
    }

    /// Tells the next process of some keys, at some time within its first minutes.
    pub fn tell(&mut self) {
        let mut state = self.others.state();
        let count = state.chance.below(self.nature.events_max + 1);
        self.told_after_ms = 1 + state.chance.below(5 * 60_000);
        for _ in 0..count {
            let name = Others::name(state.chance.below(self.nature.keys + 1));
            let gone = self.nature.deletes && state.chance.below(2) == 0;
            let kind = if gone { ChangeKind::Deleted } else { ChangeKind::Written(None) };
            let key = ObjectKey::new(format!("{SOURCE_PREFIX}{name}"));
            self.events.push(events::Change { key, kind });
        }
    }

    /// Before the call whose name begins so, after so many of them, this happens.
    pub fn plan(&self, plan: Option<Plan>) {
        self.others.state().plan = plan;
    }

    fn populate(&self) {
        let nature = &self.nature;
        for n in 0..nature.keys {
            // Every kind of object comes up in a world of eight keys.
            let how = self.others.state().chance.next();
            self.others.write_source(&Others::name(n), (how / 8 * 8).wrapping_add(n % 8));
        }
        if nature.deletes || nature.foreign {
            self.others.write_destination("only there");
            self.others.write_destination(&Others::name(0));
        }
        self.others.state().left = nature.disturbances;
    }

    /// Nobody but us writes from now on.
    pub fn calm_down(&self) {
        self.others.state().left = 0;
    }

    /// The same command again, in a new process; `stop_after_ms`: it is asked to stop then.
    pub async fn live(&mut self, faults: Faults, stop_after_ms: Option<u64>) -> (Arc<Life>, How) {
        let errand = Errand { host: self.nature.host, ..Errand::default() };
        self.live_for(&errand, faults, stop_after_ms).await
    }

    /// A new process, for this errand.
    pub async fn live_for(
        &mut self,
        errand: &Errand,
        faults: Faults,
        stop_after_ms: Option<u64>,
    ) -> (Arc<Life>, How) {
        let number = self.next_life();
        let told = std::mem::take(&mut self.events);
        let left = Mutex::new(told);
        let lived = self.live_as(number, errand, &left, faults, stop_after_ms).await;
        self.events = left.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.after_life();
        lived
    }

    /// Two processes at the same time, each with its own faults.
    pub async fn live_together(&mut self, faults: [Faults; 2]) -> [(Arc<Life>, How); 2] {
        let numbers = [self.next_life(), self.next_life()];
        let [one, other] = faults;
        let errand = Errand { host: self.nature.host, ..Errand::default() };
        let none = Mutex::default();
        let together = tokio::join!(
            self.live_as(numbers[0], &errand, &none, one, None),
            self.live_as(numbers[1], &errand, &none, other, None),
        );
        self.after_life();
        together.into()
    }

    fn next_life(&mut self) -> u64 {
        self.lives += 1;
        if let Some((life, wipe)) = self.nature.wiped
            && life == self.lives
        {
            let mut state = self.others.state();
            let calls = state.chance.below(400);
            state.to_wipe = Some((calls, wipe));
        }
        self.lives
    }

    /// What a process leaves at the destination whose ledger was lost, nobody knows.
    fn after_life(&self) {
        let mut state = self.others.state();
        state.to_wipe = None;
        if state.is_wiped {
            state.lost_uploads.extend(self.others.open_uploads());
        }
    }

    /// Whether something was lost since this was asked last.
    pub fn was_wiped(&self) -> bool {
        std::mem::take(&mut self.others.state().is_wiped)
    }

    async fn live_as(
        &self,
        number: u64,
        errand: &Errand,
        told: &Mutex<Vec<events::Change>>,
        faults: Faults,
        stop_after_ms: Option<u64>,
    ) -> (Arc<Life>, How) {
        let (others, nature) = (self.others.clone(), self.nature.clone());
        let disturbance: Disturbance = Arc::new(move |call| others.maybe_disturb(&nature, call));
        let faults = Faults { dies_at: faults.dies_at.or(Some(CALLS_MAX)), ..faults };
        let seed = self.nature.seed.wrapping_mul(1_000).wrapping_add(number);
        let life = Arc::new(Life::new(faults, seed, disturbance));
        let (channel, asked) = driver::channel();
        let mut chance = Chance::new(seed);
        let ahead_ms = chance.below(self.nature.clocks_apart_ms + 1);
        let clock = Arc::new(VirtualClock::new(self.began, ahead_ms, chance.next()));
        let mut stage = self.stage(&life, clock, channel);
        if errand.host == Host::Functions && self.nature.fleet.is_some() {
            stage.policy.large_object_bytes = Some(u64::try_from(2 * LARGE_BYTES).unwrap());
        }
        let stage = Arc::new(stage);
        let stopping = stage.stopping.clone();
        let stopper = async {
            match stop_after_ms {
                Some(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                None => std::future::pending().await,
            }
            stopping.store(true, std::sync::atomic::Ordering::Relaxed);
            std::future::pending::<()>().await;
        };
        let run = async {
            if self.told_after_ms == 0 {
                take_events(&stage, told).await;
            }
            let later = self.tell_later(Arc::clone(&stage), told);
            let work = self.work(stage, errand, asked);
            tokio::join!(Box::pin(work), later).0
        };
        let how = tokio::select! {
            biased;
            () = life.death() => How::Died,
            how = Box::pin(run) => how,
            () = stopper => How::Died,
        };
        if matches!(how, How::Died) && life.calls() >= CALLS_MAX {
            self.complain(format!("the process makes {CALLS_MAX} calls and does not end"));
        }
        (life, how)
    }

    async fn tell_later(&self, stage: Arc<Stage>, told: &Mutex<Vec<events::Change>>) {
        if self.told_after_ms > 0 {
            tokio::time::sleep(Duration::from_millis(self.told_after_ms)).await;
            take_events(&stage, told).await;
        }
    }

    /// What a process does, to its end.
    async fn work(&self, stage: Arc<Stage>, errand: &Errand, asked: Asked) -> How {
        match (errand.host, errand.range.clone()) {
            (Host::Process, Some(range)) => {
                let lines = errand.lines.clone();
                let hooks = Hooks { lines, listing_done: Arc::default(), manifest: None };
                let run = driver::run(stage, asked, "the same command", range, hooks);
                self.how(Box::pin(run).await).await
            }
            (_, range) => {
                let is_run = range.is_some();
                let lines = errand.lines.clone();
                let run = functions::run(&stage, asked, range, lines, self.nature.fleet).await;
                match run {
                    Some(run) => self.how(Ok(Ended::Closed(run))).await,
                    None if is_run => How::Stopped("it does not end".to_owned()),
                    None => How::Idle,
                }
            }
        }
    }

    pub fn complain(&self, text: String) {
        self.witness.seen().complaints.push(text);
    }

    async fn how(&self, ended: Result<Ended, tranship_core::error::StageError>) -> How {
        match ended {
            Ok(Ended::Closed(run)) => {
                let notes = self.failures(run.generation).await;
                How::Closed(Box::new(run), notes)
            }
            Ok(Ended::Interrupted(_)) => How::Stopped("asked to stop".to_owned()),
            Ok(Ended::Halted(_, error)) => How::Stopped(error.to_string()),
            Err(error) => How::Stopped(error.to_string()),
        }
    }

    async fn failures(&self, generation: u64) -> Vec<Note> {
        let prefix = rows::Notes::prefix(List::Failures, generation);
        let page = self.ledger.page(&prefix, None, usize::MAX).await.unwrap();
        let notes = page.iter().map(|(key, row)| rows::parse::<rows::Notes>(key, row).unwrap());
        notes.flat_map(|notes| notes.notes).collect()
    }

    fn stage(
        &self,
        life: &Arc<Life>,
        clock: Arc<dyn Clock>,
        channel: Arc<driver::Channel>,
    ) -> Stage {
        let at = |bucket, prefix| Location::new(Some("https://simulated"), bucket, prefix);
        let transfer = Transfer {
            source: at("source", SOURCE_PREFIX),
            destination: at("destination", DESTINATION_PREFIX),
        };
        let mut policy = self.nature.policy();
        (self.amend)(&mut policy);
        let store = |inner: &Arc<MemoryStore>, name| -> Arc<dyn ObjectStore> {
            Arc::new(FaultyStore { inner: inner.clone(), life: life.clone(), name })
        };
        Stage {
            transfer_id: transfer.id(),
            transfer,
            link: Link::new(policy.limits.streams_max),
            policy,
            source: store(&self.source, "source"),
            destination: store(&self.destination, "destination"),
            ledger: Arc::new(FaultyLedger { inner: self.ledger.clone(), life: life.clone() }),
            queue: Arc::new(FaultyQueue { inner: self.queue.clone(), life: life.clone() }),
            completer: Arc::new(FaultyCompleter { inner: channel, life: life.clone() }),
            clock,
            progress: Arc::new(Progress::default()),
            stopping: Arc::new(AtomicBool::new(false)),
            learned: Learned::default(),
        }
    }

    pub async fn headers(&self) -> Vec<Header> {
        let page = self.ledger.page(Header::prefix(), None, usize::MAX).await.unwrap();
        page.iter().map(|(key, row)| rows::parse(key, row).unwrap()).collect()
    }
}
