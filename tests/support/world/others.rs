//! Whoever else writes to the stores, and what befalls the ledger and the queues.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt as _;
use tranship_adapters::clock::Chance;
use tranship_adapters::ledgers::memory::MemoryLedger;
use tranship_adapters::queues::memory::MemoryQueue;
use tranship_adapters::stores::memory::MemoryStore;
use tranship_core::body::full;
use tranship_core::object::{ObjectKey, PartNumber};
use tranship_core::ports::Ledger as _;
use tranship_core::store::{Attributes, Completion, ObjectStore as _, Put, Write};

use super::nature::{Nature, Wipe};
use super::witness::Witness;
use super::{DESTINATION_PREFIX, FOREIGN, LARGE_BYTES, SOURCE_PREFIX};
use crate::rig::noise;

const MIB: usize = 1 << 20;

/// All bytes of all worlds are slices of these.
static NOISE: LazyLock<Bytes> = LazyLock::new(|| noise(4_711, 12 * MIB).into());

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

/// Whoever else writes.
pub struct Others {
    pub(super) source: Arc<MemoryStore>,
    pub(super) destination: Arc<MemoryStore>,
    pub(super) witness: Arc<Witness>,
    pub(super) ledger: Arc<MemoryLedger>,
    pub(super) queue: Arc<MemoryQueue>,
    pub(super) state: Mutex<OthersState>,
}

impl std::fmt::Debug for Others {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Others").finish_non_exhaustive()
    }
}

/// What happens before a call: the start of its name, how often it is let pass, and what.
pub type Plan = (&'static str, u32, fn(&Others));

pub(super) struct OthersState {
    pub(super) chance: Chance,
    pub(super) plan: Option<Plan>,
    /// Changes that are still to be made.
    pub(super) left: u64,
    serial: u64,
    /// What is to be lost, and before how many more calls.
    pub(super) to_wipe: Option<(u64, Wipe)>,
    /// Something was lost since a run was closed.
    pub(super) is_wiped: bool,
    /// Uploads that no row of the ledger names any more: a lifecycle rule's.
    pub(super) lost_uploads: BTreeSet<String>,
}

impl OthersState {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed),
            plan: None,
            left: 0,
            serial: 0,
            to_wipe: None,
            is_wiped: false,
            lost_uploads: BTreeSet::new(),
        }
    }
}

/// Makes a call of a store in memory, which never waits.
pub(super) fn at_once<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().unwrap()
}

fn slice(serial: u64, size: usize) -> Bytes {
    // Few places, so that what is known of large slices is found again.
    let at = usize::try_from(serial % 24).unwrap() * 4_096;
    NOISE.slice(at..at + size)
}

impl Others {
    pub(super) fn state(&self) -> MutexGuard<'_, OthersState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn name(n: u64) -> String {
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

    pub(super) fn open_uploads(&self) -> impl Iterator<Item = String> {
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
    pub(super) fn maybe_disturb(&self, nature: &Nature, call: &str) {
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
    pub(super) fn write_source(&self, name: &str, how: u64) {
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
