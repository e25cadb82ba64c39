//! A small world from a seed: two stores, a ledger and queues that outlive the processes that work
//! on them, somebody who writes to the source meanwhile, and a witness who sees every change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::time::Instant;
use tranship_adapters::clock::Chance;
use tranship_adapters::ledgers::memory::MemoryLedger;
use tranship_adapters::queues::memory::MemoryQueue;
use tranship_adapters::stores::memory::{Change, Digests, MemoryStore, Object};
use tranship_cli::driver::{self, Ended, Hooks};
use tranship_core::body::full;
use tranship_core::breakdown::breakdown;
use tranship_core::finder::{KeyLines, events};
use tranship_core::link::Link;
use tranship_core::location::{Location, Transfer};
use tranship_core::message::{Message, Work};
use tranship_core::object::{ByteRange, ETag, ObjectKey, PartNumber, UploadId};
use tranship_core::outcome::Outcome;
use tranship_core::policy::{Compare, DeleteGuard, Overwrite, Policy, ServerSide};
use tranship_core::ports::{Clock, Ledger as _};
use tranship_core::progress::Progress;
use tranship_core::rows::{self, Header, List, Note, Run, Scan, ScanRange, Status, Task};
use tranship_core::stage::Stage;
use tranship_core::store::{Attributes, Completion, ObjectStore, Put, Write};
use tranship_core::token;

use crate::faulty::{
    Disturbance, Faults, FaultyCompleter, FaultyLedger, FaultyQueue, FaultyStore, Fetched, Life,
    VirtualClock, pick,
};
use crate::functions;
use crate::rig::noise;

const SOURCE_PREFIX: &str = "in/";
const DESTINATION_PREFIX: &str = "out/";
const MIB: usize = 1 << 20;
/// From here on objects are copied in parts.
const LARGE_BYTES: usize = 1_000;
/// The largest part that any object here has.
const PART_BYTES_MAX: u64 = (5 << 20) + 5;
/// How long a message stays hidden that a process took and died with.
const VISIBILITY_MS: u64 = 20_000;
/// A process that makes more calls than this goes round in circles.
const CALLS_MAX: u64 = 60_000;
/// What marks an object that is not ours.
const FOREIGN: &str = "application/foreign";

/// All bytes of all worlds are slices of these.
static NOISE: LazyLock<Bytes> = LazyLock::new(|| noise(4_711, 12 * MIB).into());
static DIGESTS: LazyLock<Arc<Digests>> = LazyLock::new(Arc::default);

/// What a world is like.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a trait of its own")]
pub struct Nature {
    pub seed: u64,
    pub keys: u64,
    pub pages_of: usize,
    /// Messages come in order, and once.
    pub orderly: bool,
    pub opaque: bool,
    pub server_side: bool,
    pub token: bool,
    pub compare: Compare,
    pub overwrite: Overwrite,
    pub deletes: bool,
    pub scans_max: usize,
    /// Changes that others make while a process works: one before so many calls, and how many.
    pub disturbed_one_in: u64,
    pub disturbances: u64,
    /// Whether others write to the destination, too.
    pub foreign: bool,
    /// How far the destination's clock is ahead of ours.
    pub skew_ms: u64,
    /// How far the clocks of processes are apart.
    pub clocks_apart_ms: u64,
    /// The ledger or the queues are lost in the middle of this process, by its number from 1.
    pub wiped: Option<(u64, Wipe)>,
    pub streams_max: usize,
    pub objects_per_task_max: usize,
    pub window_keys: usize,
    pub queue_depth_max: u64,
    /// Who takes the largest objects' tasks where the functions run: nobody in particular, a fleet, or
    /// one that never comes.
    pub fleet: Option<Fleet>,
}

/// Those who poll the queue of the largest objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fleet {
    Polls,
    IsDead,
}

/// What is lost in mid-run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wipe {
    Ledger,
    Queues,
    Both,
}

impl Nature {
    /// A plain world in which nobody else writes.
    pub fn plain(seed: u64) -> Self {
        Self {
            seed,
            keys: 9,
            pages_of: 4,
            orderly: true,
            opaque: false,
            server_side: false,
            token: true,
            compare: Compare::ETag,
            overwrite: Overwrite::Always,
            deletes: false,
            scans_max: 1,
            disturbed_one_in: 10,
            disturbances: 0,
            foreign: false,
            skew_ms: 0,
            clocks_apart_ms: 0,
            wiped: None,
            streams_max: 4,
            objects_per_task_max: 3,
            window_keys: 3,
            queue_depth_max: 6,
            fleet: None,
        }
    }

    pub fn drawn(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0x000a_1b2c);
        let mut one_in = |n| chance.below(n) == 0;
        let opaque = one_in(6);
        let token = opaque || !one_in(8);
        let overwrite = if one_in(4) { Overwrite::Never } else { Overwrite::Always };
        let overwrite = if one_in(6) { Overwrite::Newer } else { overwrite };
        let weaker = [Compare::Size, Compare::SizeAndTime, Compare::Metadata, Compare::Always];
        let compare = if one_in(3) { pick(&weaker, seed / 3) } else { Compare::ETag };
        let (deletes, foreign, server_side) = (one_in(4), one_in(3), one_in(8));
        let wipe = pick(&[Wipe::Ledger, Wipe::Queues, Wipe::Both], chance.next());
        let wiped = (chance.below(4) == 0).then(|| (1 + chance.below(2), wipe));
        let mut few = |most| usize::try_from(1 + chance.below(most)).unwrap();
        let (streams_max, scans_max) = (few(6), few(3));
        let (objects_per_task_max, window_keys) = (few(4), few(5));
        Self {
            seed,
            keys: 2 + chance.below(6),
            pages_of: usize::try_from(1 + chance.below(6)).unwrap(),
            orderly: false,
            opaque,
            server_side,
            token,
            compare,
            overwrite,
            deletes,
            scans_max,
            disturbed_one_in: 5 + chance.below(60),
            disturbances: chance.below(4) * chance.below(5),
            foreign,
            skew_ms: chance.below(3) * 900,
            clocks_apart_ms: chance.below(3) * 15_000,
            wiped,
            streams_max,
            objects_per_task_max,
            window_keys,
            queue_depth_max: 2 + chance.below(8),
            fleet: pick(&[None, None, Some(Fleet::Polls), Some(Fleet::IsDead)], chance.next()),
        }
    }

    fn policy(&self) -> Policy {
        let guard = DeleteGuard { objects_max: 1_000, percent_max: 100 };
        let mut policy = Policy {
            multipart_threshold_bytes: u64::try_from(LARGE_BYTES).unwrap(),
            part_size_bytes: Some(5 << 20),
            compare: self.compare,
            overwrite: self.overwrite,
            delete: self.deletes.then_some(guard),
            token: self.token,
            server_side: if self.server_side { ServerSide::Always } else { ServerSide::Never },
            by_prefix: true,
            ..Policy::default()
        };
        policy.limits.streams_max = self.streams_max;
        policy.limits.objects_per_task_max = self.objects_per_task_max;
        policy.limits.bytes_per_parts_task = 5 << 20;
        policy.limits.window_keys = self.window_keys;
        policy.limits.scans_max = self.scans_max;
        policy.limits.queue_depth_max = self.queue_depth_max;
        policy
    }
}

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

/// What an object is made of, for those who do not draw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make {
    Empty,
    Small,
    /// Large, and yet one part.
    OnePart,
    /// Three parts.
    Parts,
    /// Uploaded in so many parts.
    Uploaded(usize),
    /// In an archive.
    Archived,
}

/// Sees every visible change, and complains about those that must never be.
#[derive(Debug)]
pub struct Witness {
    nature: Nature,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// What lay at each key of the source, by the rest of the key behind the prefix.
    generations: BTreeMap<String, Vec<Arc<Object>>>,
    /// Which of them we wrote last. A later one may be equal to it: every empty object is.
    lying: BTreeMap<String, usize>,
    complaints: Vec<String>,
    /// Somebody else is writing at the destination.
    is_stranger: bool,
}

fn is_foreign(object: &Object) -> bool {
    object.attributes.content_type.as_deref() == Some(FOREIGN)
}

impl Witness {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn complaints(&self) -> Vec<String> {
        self.seen().complaints.clone()
    }

    fn source_changed(&self, change: &Change<'_>) {
        let rest = change.key.as_str().strip_prefix(SOURCE_PREFIX).unwrap().to_owned();
        if let Some(after) = change.after {
            self.seen().generations.entry(rest).or_default().push(after.clone());
        }
    }

    fn destination_changed(&self, change: &Change<'_>) {
        let mut seen = self.seen();
        if seen.is_stranger {
            return;
        }
        if let Some(complaint) = self.judge(&mut seen, change) {
            seen.complaints.push(format!("{}: {complaint}", change.key));
        }
    }

    fn judge(&self, seen: &mut Seen, change: &Change<'_>) -> Option<String> {
        let rest = change.key.as_str().strip_prefix(DESTINATION_PREFIX).unwrap();
        let none = Vec::new();
        let generations = seen.generations.get(rest).unwrap_or(&none);
        let of = |object: &Object| {
            generations.iter().rposition(|g| {
                let mut user = object.attributes.user.clone();
                token::strip(&mut user);
                user == g.attributes.user && object.has_bytes_of(g)
            })
        };
        let Some(after) = change.after else {
            return (!self.nature.deletes).then(|| "we deleted it".to_owned());
        };
        let Some(written) = of(after) else {
            return Some(format!("{} bytes of no one generation", after.size()));
        };
        let lay = seen.lying.insert(rest.to_owned(), written);
        let before = change.before?;
        if is_foreign(before) {
            let source = generations.get(written)?;
            let clobbered = match self.nature.overwrite {
                Overwrite::Always => false,
                Overwrite::Never => true,
                Overwrite::Newer => before.modified >= source.modified,
            };
            return clobbered.then(|| "we clobbered a foreign object".to_owned());
        }
        let lay = lay?;
        (lay > written).then(|| format!("went back from generation {lay} to {written}"))
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
    /// Changes that are told before anything else, until somebody took them.
    pub events: Vec<events::Change>,
    /// Somebody else's, and older than anything of ours.
    foreign_upload: UploadId,
    lives: u64,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("nature", &self.nature).finish_non_exhaustive()
    }
}

/// Whoever else writes.
pub struct Others {
    source: Arc<MemoryStore>,
    destination: Arc<MemoryStore>,
    witness: Arc<Witness>,
    ledger: Arc<MemoryLedger>,
    queue: Arc<MemoryQueue>,
    state: Mutex<OthersState>,
}

impl std::fmt::Debug for Others {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Others").finish_non_exhaustive()
    }
}

/// What happens before a call: the start of its name, how often it is let pass, and what.
pub type Plan = (&'static str, u32, fn(&Others));

struct OthersState {
    chance: Chance,
    plan: Option<Plan>,
    /// Changes that are still to be made.
    left: u64,
    serial: u64,
    /// What is to be lost, and before how many more calls.
    to_wipe: Option<(u64, Wipe)>,
    /// Something was lost since a run was closed.
    is_wiped: bool,
    /// Uploads that no row of the ledger names any more: a lifecycle rule's.
    lost_uploads: BTreeSet<String>,
}

/// Makes a call of a store in memory, which never waits.
fn at_once<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().unwrap()
}

fn slice(serial: u64, size: usize) -> Bytes {
    // Few places, so that what is known of large slices is found again.
    let at = usize::try_from(serial % 24).unwrap() * 4_096;
    NOISE.slice(at..at + size)
}

impl Others {
    fn state(&self) -> MutexGuard<'_, OthersState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(n: u64) -> String {
        // Some are prefixes of others, and some are not ASCII.
        ["a", "a/", "a/b", "b+c", "d e", "é", "f%2B", "g", "😀", "z"]
            .get(usize::try_from(n % 10).unwrap())
            .map(|name| (*name).to_owned())
            .unwrap()
    }

    /// Loses the ledger or the queues, if it is time for that.
    fn maybe_wipe(&self) {
        let mut state = self.state();
        match &mut state.to_wipe {
            None => return,
            Some((calls @ 1.., _)) => {
                *calls -= 1;
                return;
            }
            Some((0, _)) => {}
        }
        let Some((_, wipe)) = state.to_wipe.take() else { return };
        state.is_wiped = true;
        if wipe != Wipe::Queues {
            at_once(self.ledger.forget("")).unwrap();
            state.lost_uploads.extend(self.open_uploads());
        }
        if wipe != Wipe::Ledger {
            self.queue.wipe();
        }
    }

    fn open_uploads(&self) -> impl Iterator<Item = String> {
        self.destination.open_uploads().into_iter().map(|(_, upload)| upload.0)
    }

    /// Does what was planned to happen before this call.
    fn maybe_do_as_planned(&self, call: &str) {
        let mut state = self.state();
        let Some((of, pass, act)) = state.plan.filter(|(of, ..)| call.starts_with(of)) else {
            return;
        };
        state.plan = (pass > 0).then(|| (of, pass - 1, act));
        drop(state);
        if pass == 0 {
            act(self);
        }
    }

    /// Makes one change, if it is time for one.
    fn maybe_disturb(&self, nature: &Nature, call: &str) {
        self.maybe_wipe();
        self.maybe_do_as_planned(call);
        let mut state = self.state();
        if state.left == 0 || state.chance.below(nature.disturbed_one_in) > 0 {
            return;
        }
        state.left -= 1;
        let name = Self::name(state.chance.below(nature.keys + 1));
        let (what, how) =
            (state.chance.below(if nature.foreign { 6 } else { 4 }), state.chance.next());
        drop(state);
        match what {
            0..3 => self.write_source(&name, how),
            3 => self.delete_source(&name),
            4 => self.write_destination(&name),
            _ => self.delete_destination(&name),
        }
    }

    fn next(&self) -> u64 {
        let mut state = self.state();
        state.serial += 1;
        state.serial
    }

    fn attributes(serial: u64) -> Write {
        let user = BTreeMap::from([("generation".to_owned(), serial.to_string())]);
        let attributes = Attributes { user, ..Attributes::default() };
        let tags = vec![("tagged".to_owned(), serial.to_string())];
        Write { attributes, tags: if serial.is_multiple_of(3) { tags } else { Vec::new() } }
    }

    /// Writes the next generation of a key: empty, small, large in one part or in several, and of
    /// those some that came by multipart upload.
    fn write_source(&self, name: &str, how: u64) {
        let serial = self.next();
        let key = ObjectKey::new(format!("{SOURCE_PREFIX}{name}"));
        let small = 1 + usize::try_from(how >> 32).unwrap() % (LARGE_BYTES - 1);
        match how % 8 {
            0 => self.put(&key, slice(serial, 0), serial),
            1 | 2 => self.put(&key, slice(serial, small), serial),
            3 => self.put(&key, slice(serial, small + LARGE_BYTES), serial),
            4 => self.put(&key, slice(serial, 5 * MIB + 101), serial),
            5 => self.put(&key, slice(serial, 10 * MIB + 17), serial),
            6 => self.put_in_parts(&key, &[slice(serial, small)], serial),
            _ => {
                let parts = [slice(serial, 5 * MIB + 5), slice(serial + 1, MIB)];
                self.put_in_parts(&key, &parts, serial);
            }
        }
    }

    fn put(&self, key: &ObjectKey, bytes: Bytes, serial: u64) {
        let size = u64::try_from(bytes.len()).unwrap();
        // All empty objects have one ETag: what differs beside the bytes is not seen by default.
        let write = if size == 0 { Write::default() } else { Self::attributes(serial) };
        let put = Put { key, size, write, condition: None, checksum: None, md5: None };
        at_once(self.source.put(put, full(bytes))).unwrap();
    }

    fn put_in_parts(&self, key: &ObjectKey, parts: &[Bytes], serial: u64) {
        let store = &self.source;
        let upload = at_once(store.create_upload(key, &Self::attributes(serial))).unwrap();
        let mut etags = Vec::new();
        let mut size = 0;
        for (number, bytes) in (1..).zip(parts) {
            let number = PartNumber::new(number).unwrap();
            let length = u64::try_from(bytes.len()).unwrap();
            let sent = store.upload_part(key, &upload, number, length, full(bytes.clone()));
            etags.push((number, at_once(sent).unwrap()));
            size += length;
        }
        let completion = Completion { key, upload: &upload, parts: &etags, size, condition: None };
        at_once(store.complete_upload(completion)).unwrap();
    }

    /// Makes the next generation of a key so.
    pub fn make(&self, name: &str, make: Make) {
        let serial = self.next();
        let key = ObjectKey::new(format!("{SOURCE_PREFIX}{name}"));
        match make {
            Make::Empty => self.put(&key, slice(serial, 0), serial),
            Make::Small => self.put(&key, slice(serial, 100), serial),
            Make::OnePart => self.put(&key, slice(serial, 2 * LARGE_BYTES), serial),
            Make::Parts => self.put(&key, slice(serial, 10 * MIB + 17), serial),
            Make::Uploaded(count) => {
                let inner = (1..count).map(|n| {
                    let at = u64::try_from(n).unwrap();
                    slice(serial + at, 5 * MIB)
                });
                let parts: Vec<_> = inner.chain([slice(serial, 101)]).collect();
                self.put_in_parts(&key, &parts, serial);
            }
            Make::Archived => {
                let mut write = Self::attributes(serial);
                write.attributes.storage_class = Some("GLACIER".to_owned());
                let put =
                    Put { key: &key, size: 100, write, condition: None, checksum: None, md5: None };
                at_once(self.source.put(put, full(slice(serial, 100)))).unwrap();
            }
        }
    }

    pub fn delete_source(&self, name: &str) {
        let key = ObjectKey::new(format!("{SOURCE_PREFIX}{name}"));
        at_once(self.source.delete(&key, None)).unwrap();
    }

    pub fn write_destination(&self, name: &str) {
        let serial = self.next();
        let key = ObjectKey::new(format!("{DESTINATION_PREFIX}{name}"));
        let content_type = Some(FOREIGN.to_owned());
        let attributes = Attributes { content_type, ..Attributes::default() };
        let write = Write { attributes, tags: Vec::new() };
        let bytes = Bytes::from(format!("foreign {serial}"));
        let size = u64::try_from(bytes.len()).unwrap();
        let put = Put { key: &key, size, write, condition: None, checksum: None, md5: None };
        self.as_stranger(|| at_once(self.destination.put(put, full(bytes))).map(|_| ()).unwrap());
    }

    pub fn delete_destination(&self, name: &str) {
        let key = ObjectKey::new(format!("{DESTINATION_PREFIX}{name}"));
        self.as_stranger(|| at_once(self.destination.delete(&key, None)).unwrap());
    }

    fn as_stranger(&self, write: impl FnOnce()) {
        self.witness.seen().is_stranger = true;
        write();
        self.witness.seen().is_stranger = false;
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
        let witness = Arc::new(Witness { nature: nature.clone(), seen: Mutex::default() });
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
        let state = OthersState {
            chance: Chance::new(nature.seed),
            plan: None,
            left: 0,
            serial: 0,
            to_wipe: None,
            is_wiped: false,
            lost_uploads: BTreeSet::new(),
        };
        let others = Arc::new(Others {
            source: source.clone(),
            destination: destination.clone(),
            witness: witness.clone(),
            ledger: ledger.clone(),
            queue: queue.clone(),
            state: Mutex::new(state),
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
            foreign_upload,
            lives: 0,
        }
    }

    pub fn others(&self) -> &Others {
        &self.others
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
        self.live_for(&Errand::default(), faults, stop_after_ms).await
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
        let (errand, none) = (Errand::default(), Mutex::default());
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
            take_events(&stage, told).await;
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
            denials: std::sync::atomic::AtomicU32::new(0),
            destination_is_opaque: AtomicBool::new(false),
        }
    }

    pub async fn headers(&self) -> Vec<Header> {
        let page = self.ledger.page(Header::prefix(), None, usize::MAX).await.unwrap();
        page.iter().map(|(key, row)| rows::parse(key, row).unwrap()).collect()
    }

    /// What a new process need not read again: the recorded parts of open uploads, and the small
    /// objects whose outcome is settled. By key, `ETag` and range.
    pub async fn recorded(&self, lives: &[Arc<Life>]) -> Vec<(ObjectKey, ETag, Option<ByteRange>)> {
        let mut recorded = Vec::new();
        for header in self.headers().await {
            let (Some(source), Some(layout)) = (&header.source, header.layout) else { continue };
            if !matches!(header.status, Status::Open | Status::Completing) {
                continue;
            }
            for group in 0..header.group_count() {
                let group =
                    self.ledger.part_group(&header.id(), header.epoch, group).await.unwrap();
                recorded.extend(group.parts.iter().map(|part| {
                    (header.source_key.clone(), source.etag.clone(), layout.range(part.number))
                }));
            }
        }
        for body in lives.iter().flat_map(|life| life.sent()) {
            let Ok(Message { work: Work::Objects(task), .. }) = Message::decode(&body) else {
                continue;
            };
            let row: Option<Task> = rows::load(&*self.ledger, &task.id.row_key()).await.unwrap();
            let Some(row) = row else { continue };
            for (bit, entry) in task.objects.iter().enumerate() {
                if let Some(etag) = entry.etag.clone().filter(|_| row.settled.contains(bit)) {
                    recorded.push((entry.key.clone(), etag, None));
                }
            }
        }
        recorded
    }

    /// Complains of what a process read although it was recorded before.
    pub fn expect_not_fetched(
        &self,
        recorded: &[(ObjectKey, ETag, Option<ByteRange>)],
        fetched: &[Fetched],
    ) {
        for (key, etag, range) in recorded {
            let again = |f: &&Fetched| {
                f.key == *key
                    && (range.is_none() || f.range == *range)
                    && f.pin.as_ref().is_none_or(|pin| pin == etag)
            };
            if let Some(again) = fetched.iter().find(again) {
                self.complain(format!("read again although it was recorded: {again:?}"));
            }
        }
    }

    /// Complains if a key was read more often than tasks that name it were delivered. `spared`: so many
    /// calls failed, each of which may cost one read more.
    pub async fn expect_frugal(&self, lives: &[Arc<Life>], spared: u64) {
        let headers: BTreeMap<_, _> =
            self.headers().await.into_iter().map(|header| (header.id(), header)).collect();
        // How often each key may be read as a whole, and how many parts of it by themselves.
        let mut whole: BTreeMap<ObjectKey, u64> = BTreeMap::new();
        let mut parts: BTreeMap<ObjectKey, u64> = BTreeMap::new();
        for body in lives.iter().flat_map(|life| life.received()) {
            match Message::decode(&body).map(|message| message.work) {
                Ok(Work::Objects(task)) => {
                    for entry in task.objects {
                        *whole.entry(entry.key).or_default() += 1;
                    }
                }
                Ok(Work::Parts(task)) => {
                    if let Some(header) = headers.get(&task.header) {
                        let key = header.source_key.clone();
                        *parts.entry(key).or_default() += u64::from(task.count);
                    }
                }
                Ok(Work::Scan(_)) | Err(_) => {}
            }
        }
        let mut read: BTreeMap<ObjectKey, u64> = BTreeMap::new();
        for fetched in lives.iter().flat_map(|life| life.fetched()) {
            *read.entry(fetched.key).or_default() += fetched.bytes;
        }
        for (key, bytes) in read {
            let size = self.source.object(&key).map_or(0, |object| object.size());
            let (whole, parts) = (whole.get(&key).unwrap_or(&0), parts.get(&key).unwrap_or(&0));
            let is_large = size >= u64::try_from(LARGE_BYTES).unwrap();
            let deliveries = if is_large { parts } else { whole };
            if bytes > (deliveries + spared) * size.min(PART_BYTES_MAX) {
                let of =
                    format!("{whole} whole, {parts} parts, {spared} failed calls, {size} bytes");
                self.complain(format!("{key}: {bytes} bytes were read: {of}"));
            }
        }
    }

    /// Complains unless the run is complete and every listed key is in exactly one outcome.
    pub fn expect_complete(&self, run: &Run, notes: &[Note]) {
        let totals = run.totals.clone().unwrap_or_default();
        if run.state != rows::RunState::Complete || !totals.balances() {
            self.complain(format!("the run is {:?}: {totals:?} {notes:?}", run.state));
        }
        let never = [
            (Outcome::Kept, self.nature.overwrite == Overwrite::Always),
            (Outcome::Deleted, !self.nature.deletes),
            (Outcome::Filtered, self.exempt.is_empty()),
            (Outcome::Archived, self.exempt.is_empty()),
        ];
        for (outcome, is_wrong) in never {
            if is_wrong && totals.account.get(outcome).objects > 0 {
                self.complain(format!("an object is {}, which none may be here", outcome.name()));
            }
        }
    }

    /// Complains unless the accounts by prefix balance, each for itself, and add up to the run's.
    pub async fn expect_broken_down(&self, run: &Run) {
        let page = self.ledger.page(&Scan::prefix(run.generation), None, usize::MAX).await.unwrap();
        let scans = page.iter().map(|(key, row)| rows::parse(key, row).unwrap());
        let scans: Vec<Scan> = scans.collect();
        let breakdown = breakdown(&*self.ledger, run.generation, &scans).await.unwrap();
        let (sum, totals) = (breakdown.sum(), run.totals.clone().unwrap_or_default());
        if (sum.listed, &sum.account) != (totals.listed, &totals.account) {
            self.complain(format!("the prefixes are not the run: {breakdown:?} {totals:?}"));
        }
        for (prefix, account) in breakdown.prefixes.iter().filter(|(_, it)| !it.balances()) {
            self.complain(format!("the prefix {prefix:?} does not balance: {account:?}"));
        }
    }

    /// Whether the settings say that what lies there may stay, although it differs.
    fn may_differ(&self, ours: &Object, copy: &Object) -> bool {
        let same_size = copy.size() == ours.size();
        let is_late = copy.modified >= ours.modified;
        let is_held_equal = match self.nature.compare {
            Compare::Size => same_size,
            Compare::SizeAndTime => same_size && is_late,
            Compare::ETag | Compare::Metadata | Compare::Always => false,
        };
        is_held_equal
            || match self.nature.overwrite {
                Overwrite::Always => false,
                Overwrite::Never => true,
                Overwrite::Newer => is_late,
            }
    }

    /// Complains unless the destination has nothing at a key, or, if `foreign`, what somebody else put
    /// there.
    pub fn expect_left(&self, name: &str, foreign: bool) {
        let key = ObjectKey::new(format!("{DESTINATION_PREFIX}{name}"));
        let there = self.destination.object(&key);
        if there.as_ref().map(|there| is_foreign(there)) != foreign.then_some(true) {
            self.complain(format!("{name}: not left alone: {there:?}"));
        }
    }

    /// Complains unless the destination is what it should be once nobody writes any more, and no
    /// upload is left open.
    pub async fn expect_settled(&self) {
        let open = self.destination.open_uploads();
        if !open.iter().any(|(_, upload)| *upload == self.foreign_upload) {
            self.complain("somebody else's upload was aborted".to_owned());
        }
        let lost = self.others.state().lost_uploads.clone();
        let is_ours =
            |upload: &UploadId| *upload != self.foreign_upload && !lost.contains(&upload.0);
        for (key, upload) in open.iter().filter(|(_, upload)| is_ours(upload)) {
            self.complain(format!("{key}: the upload {} is left open", upload.0));
        }
        for header in self.headers().await.into_iter().filter(|h| !h.status.is_terminal()) {
            let (key, status) = (&header.destination_key, header.status);
            self.complain(format!("{key}: the header is left {status:?}"));
        }
        let rest = |keys: Vec<ObjectKey>, prefix: &str| -> BTreeSet<String> {
            keys.iter().map(|key| key.as_str().strip_prefix(prefix).unwrap().to_owned()).collect()
        };
        let here = rest(self.source.keys(), SOURCE_PREFIX);
        let there = rest(self.destination.keys(), DESTINATION_PREFIX);
        let counts = |names: &BTreeSet<String>| -> BTreeSet<String> {
            names.difference(&self.exempt).cloned().collect()
        };
        let (here, there) = (counts(&here), counts(&there));
        if self.nature.deletes && here != there {
            self.complain(format!("the keys differ: {here:?} {there:?}"));
        }
        for name in &here {
            let at = |prefix: &str| ObjectKey::new(format!("{prefix}{name}"));
            let ours = self.source.object(&at(SOURCE_PREFIX)).unwrap();
            let copy = self.destination.object(&at(DESTINATION_PREFIX));
            let may_differ = copy.as_ref().is_some_and(|copy| self.may_differ(&ours, copy));
            let equal = copy.as_ref().is_some_and(|copy| {
                let mut attributes = copy.attributes.clone();
                token::strip(&mut attributes.user);
                copy.has_bytes_of(&ours) && attributes == ours.attributes && copy.tags == ours.tags
            });
            if !equal && !may_differ {
                self.complain(format!("{name}: the destination is not equal to the source"));
            }
        }
    }
}
