//! What the template tells the functions, read from the environment once.
//!
//! Every setting has one name here and in the template; a test compares them. All mistakes are
//! found at once, and each names its setting. An empty value is none.

mod fleet;
mod options;
mod read;
#[cfg(test)]
mod tests;

use tranship_adapters::stores::s3::vendors::{
    AMAZON, Asked, Facts, Lacking, SideFacts, Vendor, abiding,
};
use tranship_core::link::PIECE_BYTES;
use tranship_core::location::{Location, Transfer};
use tranship_core::policy::{Compare, DeleteGuard, Limits, Overwrite, Policy};

pub use self::fleet::{DESTINATION_ENDPOINT, FleetSettings, SOURCE_ENDPOINT};
pub use self::read::Mistakes;
use self::read::{Reader, Word};

/// Messages of a scan that may follow one another. Lambda stops a chain of about 16, and after a
/// scan come the objects, the parts, and a few epochs of an object that keeps changing.
const HOPS_MAX: u32 = 8;
const MIB: u64 = 1 << 20;
/// What a function needs besides the pieces of parts: buffers of 32 streams, and itself.
const BASE_MEMORY_BYTES: u64 = 128 * MIB;
const HOUR_MS: u64 = 60 * 60 * 1_000;

/// How a side's requests are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// With the function's own role.
    Role,
    /// With the credentials in this secret.
    Secret(String),
    Anonymous,
}

/// A bucket and the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    pub location: Location,
    pub vendor: &'static Vendor,
    pub region: Option<String>,
    /// The endpoint is a domain of the bucket's own.
    pub bucket_endpoint: bool,
    /// Another endpoint of the same store, by which this process reaches it. The transfer is named after the one
    /// of the location, wherever its workers are.
    pub reached_at: Option<String>,
    /// What was seen of it, where that differs from the vendor's row.
    pub facts: SideFacts,
    pub access: Access,
}

impl Side {
    /// Reaches the store by an endpoint of this process's own, which a setting names.
    pub fn reach(&mut self, name: &str, endpoint: Option<String>) -> Result<(), Mistakes> {
        if let Some(given) = &endpoint
            && let Some(another) = self.vendor.another_of(given)
        {
            let (its, ours) = (another.name, self.vendor.name);
            return Err(Mistakes(vec![format!(
                "{name}: {given:?} is an endpoint of {its}, and this side is {ours}: name one by which the same bucket is reached"
            )]));
        }
        self.reached_at = endpoint;
        Ok(())
    }

    /// The endpoint by which this process reaches it, and whether that is a domain of the bucket's own, as only the
    /// location's may be.
    pub fn way(&self) -> (Option<&str>, bool) {
        match &self.reached_at {
            Some(endpoint) => (Some(endpoint), false),
            None => (self.location.endpoint.as_deref(), self.bucket_endpoint),
        }
    }
}

/// The settings that say whose store a side is, and where.
struct Store {
    kind: &'static str,
    region: &'static str,
    endpoint: &'static str,
    bucket_endpoint: &'static str,
    path_style: &'static str,
    credentials: &'static str,
}

const SOURCE: Store = Store {
    kind: "TRANSHIP_SOURCE_KIND",
    region: "TRANSHIP_SOURCE_REGION",
    endpoint: "TRANSHIP_SOURCE_ENDPOINT",
    bucket_endpoint: "TRANSHIP_SOURCE_BUCKET_ENDPOINT",
    path_style: "TRANSHIP_SOURCE_PATH_STYLE",
    credentials: "TRANSHIP_SOURCE_CREDENTIALS",
};
const DESTINATION: Store = Store {
    kind: "TRANSHIP_DESTINATION_KIND",
    region: "TRANSHIP_DESTINATION_REGION",
    endpoint: "TRANSHIP_DESTINATION_ENDPOINT",
    bucket_endpoint: "TRANSHIP_DESTINATION_BUCKET_ENDPOINT",
    path_style: "TRANSHIP_DESTINATION_PATH_STYLE",
    credentials: "TRANSHIP_DESTINATION_CREDENTIALS",
};

/// The encryption that writes ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sse {
    Managed,
    /// `None` is the account's default key.
    Kms(Option<String>),
}

/// What of the source's events is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Events {
    None,
    Create,
    CreateAndDelete,
}

/// When runs begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// By the schedule of the template.
    Repeated(String),
    /// The sweep begins the only one.
    Once,
}

/// The list of prefixes that takes the place of a whole listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixList {
    /// `None` is the source's own.
    pub bucket: Option<String>,
    pub key: String,
}

/// A queue and where its hopeless messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueUrls {
    pub url: String,
    pub dead_letters: String,
}

/// The stack's own things, by the names that their services know them by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    pub stack: String,
    pub table: String,
    pub scan: QueueUrls,
    pub transfer: QueueUrls,
    pub event: QueueUrls,
    /// Of the largest objects, where processes without a time limit take them.
    pub large: Option<QueueUrls>,
    pub state_machine: String,
    pub bucket: String,
    pub worker_function: String,
    pub finder_function: String,
    pub log: tracing::Level,
}

/// Everything that a function is told.
#[derive(Debug, Clone)]
pub struct Settings {
    pub transfer: Transfer,
    pub source: Side,
    pub destination: Side,
    pub requester_pays: bool,
    pub expected_owner: Option<String>,
    pub acl: Option<String>,
    pub sse: Option<Sse>,
    pub events: Events,
    pub prefix_list: Option<PrefixList>,
    pub delete_unversioned: bool,
    pub policy: Policy,
    pub run_deadline_ms: u64,
    pub schedule: Schedule,
    pub message_bytes_max: usize,
    /// Of everybody who works on the transfer, together.
    pub bandwidth_bytes_per_second: Option<u64>,
    /// How long what this process receives stays hidden from others, in seconds; `None`: as the queue says.
    pub hidden_seconds: Option<u16>,
    /// A part that comes slowly may have several connections: there is memory for their pieces.
    pub spreads: bool,
    pub own: Own,
    /// Names everything that decides what a run copies.
    pub fingerprint: String,
}

const BOOLEAN: &[Word<bool>] = &[("true", true), ("false", false)];
const COMPARE: &[Word<Compare>] = &[
    ("etag", Compare::ETag),
    ("size", Compare::Size),
    ("size+time", Compare::SizeAndTime),
    ("metadata", Compare::Metadata),
    ("always", Compare::Always),
];
const OVERWRITE: &[Word<Overwrite>] =
    &[("always", Overwrite::Always), ("never", Overwrite::Never), ("newer", Overwrite::Newer)];
const EVENTS: &[Word<Events>] = &[
    ("none", Events::None),
    ("create", Events::Create),
    ("create-and-delete", Events::CreateAndDelete),
];
const LEVELS: &[Word<tracing::Level>] = &[
    ("error", tracing::Level::ERROR),
    ("warn", tracing::Level::WARN),
    ("info", tracing::Level::INFO),
    ("debug", tracing::Level::DEBUG),
];
const PATH_STYLE: &[Word<Option<bool>>] =
    &[("auto", None), ("true", Some(true)), ("false", Some(false))];
const SSE: &[Word<Option<bool>>] =
    &[("none", None), ("AES256", Some(false)), ("aws:kms", Some(true))];

impl Settings {
    /// Reads all settings; `variable` is the environment.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Mistakes> {
        let mut read = Reader::new(&variable);
        let facts = facts(&mut read);
        let source = source(&mut read, facts.source);
        let destination = destination(&mut read, facts.destination);
        let transfer =
            Transfer { source: source.location.clone(), destination: destination.location.clone() };
        if let Some(overlap) = transfer.overlap() {
            read.mistake(
                "TRANSHIP_DESTINATION_BUCKET",
                &format!("the transfer would feed on itself ({overlap:?}): choose another bucket or prefix"),
            );
        }
        let sse = sse(&mut read, destination.vendor);
        let policy = policy(&mut read, &facts);
        if policy
            .storage_class
            .as_deref()
            .is_some_and(|class| destination.vendor.lacks_class(class))
        {
            let name = destination.vendor.name;
            let what =
                format!("it has no equal at {name}: leave it empty, or give a class of that store");
            read.mistake("TRANSHIP_DESTINATION_STORAGE_CLASS", &what);
        }
        let mut policy = abiding(policy, source.vendor, destination.vendor);
        policy.fenced = facts.conditions.unwrap_or(policy.fenced);
        let own = own(&mut read);
        policy.large_object_bytes = large_object_bytes(&mut read, own.large.is_some());
        let bandwidth = read.number("TRANSHIP_BANDWIDTH_MIB_PER_SECOND", 0..=1_048_576, 0);
        let settings = Self {
            requester_pays: requester_pays(&mut read, source.vendor),
            expected_owner: expected_owner(&mut read, destination.vendor),
            acl: read.text("TRANSHIP_DESTINATION_ACL"),
            events: read.word("TRANSHIP_SOURCE_EVENTS", EVENTS, Events::None),
            prefix_list: prefix_list(&mut read),
            delete_unversioned: read.word("TRANSHIP_DELETE_UNVERSIONED", BOOLEAN, false),
            run_deadline_ms: read
                .number("TRANSHIP_RUN_DEADLINE_HOURS", 1..=24 * 14, 24)
                .saturating_mul(HOUR_MS),
            schedule: match read.text("TRANSHIP_SCHEDULE") {
                None => Schedule::Once,
                Some(text) if text == "once" => Schedule::Once,
                Some(text) => Schedule::Repeated(text),
            },
            message_bytes_max: usize_of(read.number(
                "TRANSHIP_MESSAGE_BYTES_MAX",
                65_536..=1_048_576,
                262_144,
            )),
            hidden_seconds: None,
            spreads: has_memory_to_spread(&mut read, policy.limits.streams_max),
            bandwidth_bytes_per_second: (bandwidth > 0).then_some(bandwidth * MIB),
            own,
            fingerprint: String::new(),
            transfer,
            source,
            destination,
            sse,
            policy,
        };
        read.end()?;
        Ok(settings.with_limits())
    }

    fn with_limits(mut self) -> Self {
        self.policy.limits.message_bytes_max =
            self.policy.limits.message_bytes_max.min(self.message_bytes_max);
        self.fingerprint = self.fingerprint();
        self
    }

    /// A run that was begun with other settings than these is another run.
    fn fingerprint(&self) -> String {
        let policy = &self.policy;
        let what = (policy.compare, policy.overwrite, policy.trust_size_and_time, policy.delete);
        let how = (&self.acl, &self.sse, &policy.storage_class, policy.tags, policy.token);
        let with = (policy.metadata, policy.part_size_bytes, policy.multipart_threshold_bytes);
        format!("{what:?} {how:?} {with:?} {:?}", self.prefix_list)
    }
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn facts(read: &mut Reader<'_>) -> Facts {
    let line = read.text("TRANSHIP_FACTS").unwrap_or_default();
    Facts::read(&line).unwrap_or_else(|wrong| {
        read.mistake(
            "TRANSHIP_FACTS",
            &format!("{wrong}; tranship doctor prints them as they are read here"),
        );
        Facts::default()
    })
}

fn source(read: &mut Reader<'_>, facts: SideFacts) -> Side {
    let bucket = read.required("TRANSHIP_SOURCE_BUCKET");
    let prefix = read.text("TRANSHIP_SOURCE_PREFIX").unwrap_or_default();
    let secret = read.text(SOURCE.credentials);
    let own = read.word("TRANSHIP_SOURCE_IN_CURRENT_ACCOUNT", BOOLEAN, false);
    if own && secret.is_some() {
        read.mistake(
            SOURCE.credentials,
            "TRANSHIP_SOURCE_IN_CURRENT_ACCOUNT is true, so the function's role is used: leave out one of them",
        );
    }
    side(read, &SOURCE, (&bucket, &prefix), access(secret, own), facts)
}

fn destination(read: &mut Reader<'_>, facts: SideFacts) -> Side {
    let bucket = read.required("TRANSHIP_DESTINATION_BUCKET");
    let prefix = read.text("TRANSHIP_DESTINATION_PREFIX").unwrap_or_default();
    let secret = read.text(DESTINATION.credentials);
    let own = read.word("TRANSHIP_DESTINATION_IN_CURRENT_ACCOUNT", BOOLEAN, secret.is_none());
    match (own, &secret) {
        (true, Some(_)) => read.mistake(
            DESTINATION.credentials,
            "TRANSHIP_DESTINATION_IN_CURRENT_ACCOUNT is true, so the function's role is used: leave out one of them",
        ),
        (false, None) => read.mistake(
            DESTINATION.credentials,
            "nobody may write without credentials: name a secret, or set TRANSHIP_DESTINATION_IN_CURRENT_ACCOUNT to true",
        ),
        _ => {}
    }
    side(read, &DESTINATION, (&bucket, &prefix), access(secret, own), facts)
}

fn side(
    read: &mut Reader<'_>,
    names: &Store,
    (bucket, prefix): (&str, &str),
    access: Access,
    facts: SideFacts,
) -> Side {
    let region = read.text(names.region);
    let (vendor, endpoint) = store(read, names, region.as_deref());
    if access == Access::Role && vendor.scheme != "s3" {
        let what =
            format!("{} does not know a function's role: name a secret with its keys", vendor.name);
        read.mistake(names.credentials, &what);
    }
    let bucket_endpoint = read.word(names.bucket_endpoint, BOOLEAN, false);
    if bucket_endpoint && read.text(names.endpoint).is_none() {
        let what =
            format!("it has no effect without {}: name the bucket's domain there", names.endpoint);
        read.mistake(names.bucket_endpoint, &what);
    }
    let given = read.word(names.path_style, PATH_STYLE, None);
    if given.is_some() && facts.path_style.is_some_and(|seen| given != Some(seen)) {
        let what = "TRANSHIP_FACTS says otherwise: leave out one of them";
        read.mistake(names.path_style, what);
    }
    let path_style = given.or(facts.path_style);
    Side {
        location: Location::new(endpoint.as_deref(), bucket, prefix).with_scheme(vendor.scheme),
        vendor,
        region,
        bucket_endpoint,
        reached_at: None,
        facts: SideFacts { path_style, ..facts },
        access,
    }
}

/// Whose store it is, and its endpoint. Where the kind says no more than that it speaks Amazon's protocol,
/// the endpoint's host does.
fn store(
    read: &mut Reader<'_>,
    names: &Store,
    region: Option<&str>,
) -> (&'static Vendor, Option<String>) {
    let kinds: Vec<Word<_>> = Vendor::all().map(|vendor| (vendor.kind, vendor)).collect();
    let kind = read.word(names.kind, &kinds, &AMAZON);
    let given = read.endpoint(names.endpoint);
    if let Some(given) = given {
        if kind.scheme == "s3" {
            return (Vendor::of_endpoint(Some(&given)), Some(given));
        }
        if let Some(another) = kind.another_of(&given) {
            let what = format!(
                "{given:?} is an endpoint of {}, and {} says {}: correct one of them, or leave the endpoint out",
                another.name, names.kind, kind.name
            );
            read.mistake(names.endpoint, &what);
        }
        return (kind, Some(given));
    }
    if kind.endpoints.is_none() && kind != &AMAZON {
        let what = format!("{} is {}, and such a store needs an endpoint", names.kind, kind.kind);
        read.mistake(names.endpoint, &what);
    }
    let derived = kind.endpoint(region, false).unwrap_or_else(|_| {
        let what = format!(
            "{} names a store whose endpoint follows from its region: name that, or set {}",
            names.kind, names.endpoint
        );
        read.mistake(names.region, &what);
        None
    });
    (kind, derived)
}

fn access(secret: Option<String>, own: bool) -> Access {
    match secret {
        Some(secret) => Access::Secret(secret),
        None if own => Access::Role,
        None => Access::Anonymous,
    }
}

fn prefix_list(read: &mut Reader<'_>) -> Option<PrefixList> {
    let bucket = read.text("TRANSHIP_SOURCE_PREFIX_LIST_BUCKET");
    let key = read.text("TRANSHIP_SOURCE_PREFIX_LIST");
    if key.is_none() && bucket.is_some() {
        read.mistake(
            "TRANSHIP_SOURCE_PREFIX_LIST_BUCKET",
            "it is the bucket of TRANSHIP_SOURCE_PREFIX_LIST, which is not set",
        );
    }
    key.map(|key| PrefixList { bucket, key })
}

/// Notes a setting that asks what the store does not know: it would pass over the header in silence.
fn known(read: &mut Reader<'_>, name: &str, vendor: &Vendor, asked: Asked) {
    if let Some(Lacking { what, to_do }) = vendor.lacks(asked) {
        read.mistake(name, &format!("{what}: {to_do}"));
    }
}

fn requester_pays(read: &mut Reader<'_>, vendor: &Vendor) -> bool {
    let name = "TRANSHIP_SOURCE_REQUESTER_PAYS";
    let pays = read.word(name, BOOLEAN, false);
    if pays {
        known(read, name, vendor, Asked::Payer);
    }
    pays
}

fn expected_owner(read: &mut Reader<'_>, vendor: &Vendor) -> Option<String> {
    let name = "TRANSHIP_DESTINATION_EXPECTED_OWNER";
    let owner = read.text(name)?;
    known(read, name, vendor, Asked::Owner);
    Some(owner)
}

fn sse(read: &mut Reader<'_>, vendor: &Vendor) -> Option<Sse> {
    let kms = read.word("TRANSHIP_DESTINATION_SSE", SSE, None);
    if kms == Some(true) {
        known(read, "TRANSHIP_DESTINATION_SSE", vendor, Asked::Kms);
    }
    let key = read.text("TRANSHIP_DESTINATION_SSE_KMS_KEY_ID");
    if key.is_some() && kms != Some(true) {
        read.mistake(
            "TRANSHIP_DESTINATION_SSE_KMS_KEY_ID",
            "a key is used only where TRANSHIP_DESTINATION_SSE is aws:kms",
        );
    }
    Some(if kms? { Sse::Kms(key) } else { Sse::Managed })
}

fn policy(read: &mut Reader<'_>, facts: &Facts) -> Policy {
    let compare = read.word("TRANSHIP_COMPARE", COMPARE, Compare::ETag);
    let skip = read.word("TRANSHIP_SKIP_COMPARE", BOOLEAN, false);
    let delete = read.word("TRANSHIP_DELETE", BOOLEAN, false);
    let guard = DeleteGuard {
        objects_max: read.number("TRANSHIP_DELETE_OBJECTS_MAX", 0..=u64::MAX, 1_000),
        percent_max: read.number("TRANSHIP_DELETE_PERCENT_MAX", 0..=100, 10),
    };
    let threshold = read.number("TRANSHIP_MULTIPART_THRESHOLD_MIB", 5..=5 * 1_024, 64);
    let part = read.number("TRANSHIP_PART_SIZE_MIB", 0..=5 * 1_024, 0);
    if (1..5).contains(&part) {
        read.mistake("TRANSHIP_PART_SIZE_MIB", "parts have 5 MiB or more; 0 is automatic");
    }
    let streams = read.number("TRANSHIP_STREAMS", 1..=256, 32);
    Policy {
        compare: if skip { Compare::Always } else { compare },
        overwrite: read.word("TRANSHIP_OVERWRITE", OVERWRITE, Overwrite::Always),
        trust_size_and_time: read.word("TRANSHIP_TRUST_SIZE_AND_TIME", BOOLEAN, false),
        delete: delete.then_some(guard),
        storage_class: read.text("TRANSHIP_DESTINATION_STORAGE_CLASS"),
        metadata: read.word("TRANSHIP_INCLUDE_METADATA", BOOLEAN, true),
        tags: read.word("TRANSHIP_TAGS", BOOLEAN, true),
        token: read.word("TRANSHIP_TOKEN", BOOLEAN, true),
        multipart_threshold_bytes: facts.multipart_threshold_bytes.unwrap_or(threshold * MIB),
        part_size_bytes: (part > 0).then_some(part * MIB),
        // What was given up stays so until its source changes, or a person says `retry`.
        retry_parked: false,
        // A run's report has its accounts by prefix, so that they must be on record before it is asked for.
        by_prefix: true,
        limits: Limits {
            streams_max: usize_of(streams),
            hops_max: HOPS_MAX,
            event_deletes_per_hour: read.number(
                "TRANSHIP_EVENT_DELETES_PER_HOUR",
                1..=u64::MAX,
                10_000,
            ),
            // The queue is a service: nothing is gained by waiting for it.
            queue_depth_max: u64::MAX,
            ..Limits::default()
        },
        ..Policy::default()
    }
}

/// Whether this function has memory for what waits of parts in pieces. Lambda says how much it has.
fn has_memory_to_spread(read: &mut Reader<'_>, streams: usize) -> bool {
    let memory_mib = read.number("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", 0..=u64::MAX, 0);
    let pieces_bytes = PIECE_BYTES * u64::try_from(streams).unwrap_or(u64::MAX);
    memory_mib * MIB >= BASE_MEMORY_BYTES + pieces_bytes
}

/// From which size on the parts of an object go to the queue of the largest. 0 is never.
fn large_object_bytes(read: &mut Reader<'_>, has_queue: bool) -> Option<u64> {
    let from = read.number("TRANSHIP_LARGE_OBJECT_MIB", 0..=52_428_800, 0);
    if from > 0 && !has_queue {
        read.mistake(
            "TRANSHIP_LARGE_OBJECT_MIB",
            "there is no queue for such objects: set TRANSHIP_LARGE_QUEUE_URL, or 0 here",
        );
    }
    (from > 0).then_some(from * MIB)
}

/// The queue of the largest objects: both of its addresses, or none.
fn large(read: &mut Reader<'_>) -> Option<QueueUrls> {
    let url = read.text("TRANSHIP_LARGE_QUEUE_URL")?;
    let dead_letters = read.required("TRANSHIP_LARGE_DEAD_LETTER_QUEUE_URL");
    Some(QueueUrls { url, dead_letters })
}

fn own(read: &mut Reader<'_>) -> Own {
    Own {
        stack: read.required("TRANSHIP_STACK"),
        table: read.required("TRANSHIP_TABLE"),
        scan: QueueUrls {
            url: read.required("TRANSHIP_SCAN_QUEUE_URL"),
            dead_letters: read.required("TRANSHIP_SCAN_DEAD_LETTER_QUEUE_URL"),
        },
        transfer: QueueUrls {
            url: read.required("TRANSHIP_TRANSFER_QUEUE_URL"),
            dead_letters: read.required("TRANSHIP_TRANSFER_DEAD_LETTER_QUEUE_URL"),
        },
        event: QueueUrls {
            url: read.required("TRANSHIP_EVENT_QUEUE_URL"),
            dead_letters: read.required("TRANSHIP_EVENT_DEAD_LETTER_QUEUE_URL"),
        },
        large: large(read),
        state_machine: read.required("TRANSHIP_STATE_MACHINE_ARN"),
        bucket: read.required("TRANSHIP_BUCKET"),
        worker_function: read.required("TRANSHIP_WORKER_FUNCTION"),
        finder_function: read.required("TRANSHIP_FINDER_FUNCTION"),
        log: read.word("TRANSHIP_LOG", LEVELS, tracing::Level::INFO),
    }
}
