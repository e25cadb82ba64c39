//! The state of the model, small enough that millions of them are looked at; and what it is in the
//! words of `tranship-core`.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::rc::Rc;
use std::sync::LazyLock;
use std::thread::LocalKey;

use tranship_core::checksum::{Algorithm, Checksum};
use tranship_core::layout::Layout;
use tranship_core::loss::Losses;
use tranship_core::object::{ETag, Identity, Millis, ObjectKey, PartNumber, UploadId};
use tranship_core::protocol::COMPLETION_LEASE_MS;
use tranship_core::room::MetadataRoom;
use tranship_core::rows::{AccountRef, Bits, Header, PartGroup, Status, TaskId};
use tranship_core::store::{Attributes, Condition, Head, OpenUpload, Part};
use tranship_core::token::Token;

pub(crate) const TRANSFER: &str = "t";
pub(crate) const NOW: Millis = Millis(1_000_000_000);
pub(crate) const PARTS_MAX: usize = 3;
const PART_BYTES: u64 = 5 << 20;

/// What lies at the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Object {
    Absent,
    Foreign(u8),
    /// What this upload made.
    Copy(u8),
}

/// Whether an upload can still be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Life {
    Open,
    Completed,
    /// By us, or by a lifecycle rule.
    Aborted,
}

/// A part as it was sent: of which generation of the source, and by which request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Sent {
    pub(crate) generation: u8,
    /// Every request gives another `ETag`, as with keys of the store's own.
    pub(crate) request: u8,
}

pub(crate) type Parts = [Option<Sent>; PARTS_MAX];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Upload {
    pub(crate) epoch: u8,
    pub(crate) random: u8,
    /// Of the source, as the token names it.
    pub(crate) generation: u8,
    pub(crate) life: Life,
    pub(crate) parts: Parts,
    /// What a completion made visible, part by part.
    pub(crate) visible: Parts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Lease {
    None,
    Held,
    Lapsed,
}

/// Mirrors the core's, which has no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Stands {
    Planning,
    Open,
    Completing,
    Done,
    Conflict,
    Gone,
    Parked,
}

/// Uploads, as bits.
pub(crate) type Uploads = u16;
pub(crate) const UPLOADS_MAX: usize = 16;

/// Any upload that is gone, where it is named as an old one: that there was one is all that matters.
pub(crate) const GONE: u8 = 15;

pub(crate) fn numbers(uploads: Uploads) -> impl Iterator<Item = u8> {
    (0..=GONE).filter(move |number| uploads >> number & 1 == 1)
}

/// A header, without what never differs here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) revision: u8,
    pub(crate) epoch: u8,
    pub(crate) first_epoch: u8,
    pub(crate) stands: Stands,
    pub(crate) random: u8,
    /// Of the source; 0 before it is planned.
    pub(crate) generation: u8,
    pub(crate) upload: Option<u8>,
    pub(crate) old_uploads: Uploads,
    pub(crate) condition: Option<Object>,
    pub(crate) is_full: bool,
    pub(crate) lease: Lease,
    pub(crate) attempt: u8,
    pub(crate) is_due: bool,
    pub(crate) account: u8,
    pub(crate) tries: u8,
    pub(crate) has_orphans: bool,
    /// What the plan saw, whether it is fenced or not: no header holds this.
    pub(crate) over: Object,
}

/// What the ledger holds of an epoch's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct Group {
    pub(crate) parts: Parts,
    /// How often a part was counted, where counting is what broke.
    pub(crate) count: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Task {
    Plan { account: u8 },
    Part { epoch: u8, index: u8 },
}

impl From<Status> for Stands {
    fn from(status: Status) -> Self {
        match status {
            Status::Planning => Self::Planning,
            Status::Open => Self::Open,
            Status::Completing => Self::Completing,
            Status::Done => Self::Done,
            Status::Conflict => Self::Conflict,
            Status::Gone => Self::Gone,
            Status::Parked => Self::Parked,
        }
    }
}

impl From<Stands> for Status {
    fn from(stands: Stands) -> Self {
        match stands {
            Stands::Planning => Self::Planning,
            Stands::Open => Self::Open,
            Stands::Completing => Self::Completing,
            Stands::Done => Self::Done,
            Stands::Conflict => Self::Conflict,
            Stands::Gone => Self::Gone,
            Stands::Parked => Self::Parked,
        }
    }
}

impl Stands {
    pub(crate) fn is_terminal(self) -> bool {
        Status::from(self).is_terminal()
    }
}

pub(crate) fn small(number: impl TryInto<u8>) -> u8 {
    number.try_into().ok().unwrap()
}

pub(crate) fn number(index: u8) -> PartNumber {
    PartNumber::new(u16::from(index) + 1).unwrap()
}

pub(crate) fn layout(parts: u8) -> Layout {
    Layout::new(u64::from(parts) * PART_BYTES, PART_BYTES).unwrap()
}

/// A generation of the source.
pub(crate) fn identity(generation: u8, parts: u8) -> Identity {
    Identity {
        etag: ETag::new(&format!("g{generation}")),
        version: None,
        size: u64::from(parts) * PART_BYTES,
        modified: Millis(u64::from(generation)),
    }
}

fn etag_of(object: Object) -> ETag {
    match object {
        Object::Absent => ETag::new("none"),
        Object::Foreign(n) => ETag::new(&format!("f{n}")),
        Object::Copy(upload) => ETag::new(&format!("c{upload}")),
    }
}

fn object_of(condition: &Condition) -> Object {
    let Condition::Is(etag) = condition else { return Object::Absent };
    let (kind, number) = etag.as_str().trim_matches('"').split_at(1);
    let number = number.parse().unwrap();
    if kind == "f" { Object::Foreign(number) } else { Object::Copy(number) }
}

pub(crate) fn account(generation: u8) -> AccountRef {
    let generation = u64::from(generation);
    let task = TaskId { generation, scan: 1, window: 0, attempt: 1, index: 0 };
    AccountRef { task, object: 0, of: 1, listed_size: 1 }
}

/// What a header is before anything of it is known.
static FRESH: LazyLock<Header> = LazyLock::new(|| Header {
    revision: 0,
    source_key: ObjectKey::new("k"),
    destination_key: ObjectKey::new("k"),
    epoch: 1,
    first_epoch: 1,
    status: Status::Planning,
    random: 0,
    planned_at: NOW,
    source: None,
    upload: None,
    old_uploads: Vec::new(),
    layout: None,
    condition: None,
    full_groups: Bits::default(),
    lease_until: None,
    attempt: 0,
    due: Some(NOW),
    account: account(0),
    tries: 1,
    server_side: false,
    checksum: None,
    reason: None,
    losses: Losses::new(),
    orphans_since: None,
});

/// `random` is one more than that of the intent before: no two intents have the same.
pub(crate) fn fresh(account_of: u8, random: u8) -> Header {
    Header { random: u64::from(random), account: account(account_of), ..FRESH.clone() }
}

/// What the state is in the words of the core: the same little comes again and again.
type Known<K, V> = RefCell<HashMap<K, Rc<V>>>;

thread_local! {
    static HEADERS: Known<(Row, u8), Header> = RefCell::default();
    static GROUPS: Known<Parts, PartGroup> = RefCell::default();
    static HEADS: Known<(Object, Option<Upload>, u8), Head> = RefCell::default();
}

/// So that what is known takes no gigabytes in the longest of searches.
const KNOWN_MAX: usize = 1 << 17;

fn known<K: Eq + Hash + Copy, V>(
    cache: &'static LocalKey<Known<K, V>>,
    key: K,
    make: impl FnOnce(&K) -> V,
) -> Rc<V> {
    cache.with_borrow_mut(|known| {
        if known.len() == KNOWN_MAX {
            known.clear();
        }
        Rc::clone(known.entry(key).or_insert_with_key(|key| Rc::new(make(key))))
    })
}

impl Row {
    pub(crate) fn to_core(self, parts: u8) -> Rc<Header> {
        known(&HEADERS, (self, parts), |(row, parts)| row.made_core(*parts))
    }

    fn made_core(&self, parts: u8) -> Header {
        let is_planned = self.generation > 0;
        let mut full_groups = Bits::default();
        if self.is_full {
            full_groups.insert(0);
        }
        Header {
            revision: self.revision.into(),
            epoch: self.epoch.into(),
            first_epoch: self.first_epoch.into(),
            status: self.stands.into(),
            random: self.random.into(),
            source: is_planned.then(|| identity(self.generation, parts)),
            upload: self.upload.map(upload_id),
            old_uploads: numbers(self.old_uploads).map(upload_id).collect(),
            layout: is_planned.then(|| layout(parts)),
            condition: self.condition.map(|object| match object {
                Object::Absent => Condition::Absent,
                there => Condition::Is(etag_of(there)),
            }),
            full_groups,
            lease_until: match self.lease {
                Lease::None => None,
                Lease::Held => Some(NOW.plus(COMPLETION_LEASE_MS)),
                Lease::Lapsed => Some(NOW),
            },
            attempt: self.attempt.into(),
            due: self.is_due.then_some(NOW),
            account: account(self.account),
            tries: self.tries.into(),
            orphans_since: self.has_orphans.then_some(NOW),
            ..FRESH.clone()
        }
    }

    pub(crate) fn of_core(header: &Header, over: Object) -> Self {
        let generation = |source: &Identity| source.etag.as_str().trim_matches('"')[1..].parse();
        Self {
            revision: small(header.revision),
            epoch: small(header.epoch),
            first_epoch: small(header.first_epoch),
            stands: header.status.into(),
            random: small(header.random),
            generation: header.source.as_ref().map_or(0, |source| generation(source).unwrap()),
            upload: header.upload.as_ref().map(upload_number),
            old_uploads: bits(&header.old_uploads),
            condition: header.condition.as_ref().map(object_of),
            is_full: header.full_groups.contains(0),
            lease: match header.lease_until {
                None => Lease::None,
                Some(until) if until > NOW => Lease::Held,
                Some(_) => Lease::Lapsed,
            },
            attempt: small(header.attempt),
            is_due: header.due.is_some(),
            account: small(header.account.task.generation),
            tries: small(header.tries),
            has_orphans: header.orphans_since.is_some(),
            over,
        }
    }
}

pub(crate) fn upload_id(upload: u8) -> UploadId {
    UploadId(upload.to_string())
}

pub(crate) fn upload_number(upload: &UploadId) -> u8 {
    upload.0.parse().unwrap()
}

pub(crate) fn bits(uploads: &[UploadId]) -> Uploads {
    uploads.iter().map(upload_number).fold(0, |bits, number| bits | 1 << number)
}

pub(crate) fn open_upload(upload: u8) -> OpenUpload {
    let (key, upload) = (ObjectKey::new("k"), upload_id(upload));
    OpenUpload { key, upload, initiated: NOW, initiator: None }
}

/// Parts as the ledger has them, with their checksums, or as a listing shows them, without.
pub(crate) fn core_parts(parts: &Parts, with_checksums: bool) -> Vec<Part> {
    let numbered = (0_u8..).zip(parts).filter_map(|(index, sent)| Some((index, (*sent)?)));
    numbered
        .map(|(index, sent)| {
            let value = sent.generation.into();
            let checksum = Checksum { algorithm: Algorithm::Crc64Nvme, value };
            Part {
                number: number(index),
                size: PART_BYTES,
                etag: ETag::new(&sent.request.to_string()),
                checksums: if with_checksums { vec![checksum] } else { Vec::new() },
            }
        })
        .collect()
}

impl Group {
    pub(crate) fn to_core(self) -> Rc<PartGroup> {
        known(&GROUPS, self.parts, |parts| PartGroup { parts: core_parts(parts, true) })
    }
}

/// What a HEAD of the destination shows.
pub(crate) fn head(object: Object, uploads: &[Upload], parts: u8) -> Option<Rc<Head>> {
    let made_by = match object {
        Object::Absent => return None,
        Object::Foreign(_) => None,
        Object::Copy(upload) => Some(Upload {
            life: Life::Completed,
            parts: [None; PARTS_MAX],
            visible: [None; PARTS_MAX],
            ..uploads[usize::from(upload)]
        }),
    };
    Some(known(&HEADS, (object, made_by, parts), |(object, made_by, parts)| {
        made_head(*object, made_by.as_ref(), *parts)
    }))
}

fn made_head(object: Object, made_by: Option<&Upload>, parts: u8) -> Head {
    let mut user = BTreeMap::new();
    if let Some(upload) = made_by {
        let token = Token {
            transfer: TRANSFER.to_owned(),
            epoch: upload.epoch.into(),
            random: upload.random.into(),
            source: identity(upload.generation, parts),
        };
        assert!(token.write(&mut user, &MetadataRoom::ASSUMED));
    }
    Head {
        identity: Identity { etag: etag_of(object), ..identity(0, parts) },
        attributes: Attributes { user, ..Attributes::default() },
        tag_count: 0,
        checksum: None,
        qetag: None,
        etag_is_opaque: false,
        is_archived: false,
        losses: Losses::new(),
        part_count: None,
        content_size: u64::from(parts) * PART_BYTES,
    }
}
