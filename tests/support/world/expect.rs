//! What must hold of a world after its processes: each expectation that does not is a complaint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tranship_adapters::stores::memory::Object;
use tranship_core::breakdown::breakdown;
use tranship_core::message::{Message, Work};
use tranship_core::object::{ByteRange, ETag, ObjectKey, UploadId};
use tranship_core::outcome::Outcome;
use tranship_core::policy::{Compare, Overwrite};
use tranship_core::ports::Ledger as _;
use tranship_core::rows::{self, Note, Run, Scan, Status, Task};
use tranship_core::token;

use super::witness::is_foreign;
use super::{DESTINATION_PREFIX, LARGE_BYTES, SOURCE_PREFIX, World};
use crate::faulty::{Fetched, Life};

/// The largest part that any object here has.
const PART_BYTES_MAX: u64 = (5 << 20) + 5;

impl World {
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
