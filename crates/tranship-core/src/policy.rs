//! What the user decided: how to compare, what to overwrite, what to carry over, and the limits.

use regex::RegexSet;

use crate::object::{ETag, ETagForm, Millis, ObjectKey};
use crate::room::{MetadataRoom, ObjectRoom};

/// When two objects are held to be equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// Size and `ETag`s; where those differ, the identity recorded with the copy decides.
    ETag,
    Size,
    /// Same size, and the destination was written no earlier than the source.
    SizeAndTime,
    /// As `ETag`, and the headers, user metadata and tags besides.
    Metadata,
    /// Never: copy everything.
    Always,
}

/// What happens to an object that the destination already has, and that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    Always,
    Never,
    /// Only if the source was written later.
    Newer,
}

/// Whether bytes pass through this process, where both sides are one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerSide {
    Never,
    Always,
}

/// Which source keys take part, by key (relative to the source prefix), size and time.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// No pattern at all is no restriction.
    pub include: RegexSet,
    /// Wins over any include.
    pub exclude: RegexSet,
    pub min_size: Option<u64>,
    pub max_size: Option<u64>,
    /// Both inclusive.
    pub modified_after: Option<Millis>,
    pub modified_before: Option<Millis>,
}

impl Filter {
    pub fn admits_key(&self, key: &str) -> bool {
        let included = self.include.is_empty() || self.include.is_match(key);
        included && !self.exclude.is_match(key)
    }

    pub fn admits(&self, key: &str, size: u64, modified: Millis) -> bool {
        self.min_size.is_none_or(|min| size >= min)
            && self.max_size.is_none_or(|max| size <= max)
            && self.modified_after.is_none_or(|after| modified >= after)
            && self.modified_before.is_none_or(|before| modified <= before)
            && self.admits_key(key)
    }

    /// The part of a key that patterns see.
    pub fn relative<'a>(prefix: &str, key: &'a ObjectKey) -> &'a str {
        key.as_str().strip_prefix(prefix).unwrap_or(key.as_str())
    }
}

/// When deletes are on: how many are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteGuard {
    pub objects_max: u64,
    /// Of all objects that the destination listed.
    pub percent_max: u64,
}

impl DeleteGuard {
    /// Whether so many of the objects that the destination listed may go.
    pub fn admits(self, extra: u64, listed: u64) -> bool {
        extra <= self.objects_max
            && u128::from(extra) * 100 <= u128::from(listed) * u128::from(self.percent_max)
    }
}

/// Everything that decides what a run does.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Policy {
    pub compare: Compare,
    pub overwrite: Overwrite,
    /// Without other evidence, the same size and a later time are taken for equality.
    pub trust_size_and_time: bool,
    pub filter: Filter,
    pub delete: Option<DeleteGuard>,
    /// Write this storage class instead of the source's.
    pub storage_class: Option<String>,
    /// What the destination calls Amazon's storage classes, its name first. Of what stands in none it has no
    /// equal. Empty: it has Amazon's own, or nobody knows which it has.
    pub classes: &'static [(&'static str, &'static str)],
    /// Carry over headers and user metadata; without them only the bytes, tags and class arrive.
    pub metadata: bool,
    pub tags: bool,
    pub token: bool,
    pub server_side: ServerSide,
    /// Objects of this size and above are copied in parts, by many workers.
    pub multipart_threshold_bytes: u64,
    pub part_size_bytes: Option<u64>,
    /// Objects of this size and above are left to processes without a time limit, if there are any.
    pub large_object_bytes: Option<u64>,
    /// What the destination takes of user metadata.
    pub room: MetadataRoom,
    /// What it takes of keys and bytes.
    pub objects: ObjectRoom,
    /// Whether the destination honours conditions on writes.
    pub fenced: bool,
    /// Whether the source's `ETag`s of the form `…-N` follow from the MD5s of its parts, so that a copy
    /// in the same parts has the same one.
    pub composites_follow: bool,
    /// Whether an `ETag` of the source that has the form of an MD5 is that of the bytes, unless the object is said
    /// to be encrypted with keys of a key service. Then bytes that come to another one are damaged.
    pub md5_is_promised: bool,
    /// Whether the source's listing may show late what was written: then it proves no absence by itself.
    pub source_lists_late: bool,
    /// Deliveries of a task in which an object really failed before it is settled as failed.
    pub failures_max: u32,
    /// What an earlier run gave up is tried again, even if its source has not changed.
    pub retry_parked: bool,
    /// Decide everything, write nothing.
    pub dry_run: bool,
    /// Record the accounts by prefix, too: a write more for each window.
    pub by_prefix: bool,
    pub limits: Limits,
}

/// Limits of a stage. Each has a unit and a reason.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Streams of one process: each holds a connection on both sides and about a mebibyte.
    pub streams_max: usize,
    /// Objects of one task: enough that a message costs nothing per object, few enough that a task
    /// lasts seconds.
    pub objects_per_task_max: usize,
    /// Bytes of one task: what one Lambda moves in a burst.
    pub bytes_per_task_max: u64,
    /// Bytes of one message; SQS takes 1 MiB, some partitions 256 KiB.
    pub message_bytes_max: usize,
    /// Bytes of one parts task: hundreds of MiB are seconds, not minutes.
    pub bytes_per_parts_task: u64,
    /// Messages of a scan that may follow one another. Lambda takes 16 for a loop, and stops it.
    pub hops_max: u32,
    /// Scans of a run that are open at once.
    pub scans_max: usize,
    /// Keys of one window: a ledger write for each.
    pub window_keys: usize,
    /// Deletes that events may ask for in one hour: a slip at the source is to be noticed before all of
    /// its copies are gone.
    pub event_deletes_per_hour: u64,
    /// Messages that may wait before the finder pauses; unlimited where the queue is a service.
    pub queue_depth_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams_max: 64,
            objects_per_task_max: 250,
            bytes_per_task_max: 256 << 20,
            message_bytes_max: 240 << 10,
            bytes_per_parts_task: 256 << 20,
            hops_max: u32::MAX,
            scans_max: 16,
            window_keys: 4_000,
            event_deletes_per_hour: u64::MAX,
            queue_depth_max: 1_000,
        }
    }
}

impl Policy {
    /// The class that the copy of an object of this one is written in, by Amazon's name or as it was asked for;
    /// `None`: the bucket's own.
    pub fn class_for<'a>(&'a self, source: Option<&'a str>) -> Option<&'a str> {
        let has = |class: &str| {
            self.classes.is_empty() || self.classes.iter().any(|(_, amazon)| *amazon == class)
        };
        self.storage_class.as_deref().or_else(|| source.filter(|class| has(class)))
    }

    /// What an `ETag` of the source says.
    pub fn form_of(&self, etag: &ETag) -> ETagForm {
        match etag.form() {
            ETagForm::Composite { .. } if !self.composites_follow => ETagForm::Opaque,
            form => form,
        }
    }

    /// The number of parts that an object of the source was uploaded in, where a copy in the same parts
    /// would have the same `ETag`.
    pub fn parts_to_keep(&self, etag: &ETag) -> Option<u32> {
        match self.form_of(etag) {
            ETagForm::Composite { parts } => Some(parts),
            ETagForm::Plain | ETagForm::Opaque => None,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            compare: Compare::ETag,
            overwrite: Overwrite::Always,
            trust_size_and_time: false,
            filter: Filter::default(),
            delete: None,
            storage_class: None,
            classes: &[],
            metadata: true,
            tags: true,
            token: true,
            server_side: ServerSide::Never,
            multipart_threshold_bytes: 64 << 20,
            part_size_bytes: None,
            large_object_bytes: None,
            room: MetadataRoom::ASSUMED,
            objects: ObjectRoom::WHOLE,
            fenced: true,
            composites_follow: true,
            md5_is_promised: true,
            source_lists_late: false,
            failures_max: 5,
            retry_parked: true,
            dry_run: false,
            by_prefix: false,
            limits: Limits::default(),
        }
    }
}
