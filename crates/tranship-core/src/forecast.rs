//! What a run will ask of both stores, what that costs, and how long it takes: arithmetic alone.
//!
//! Requests follow from sizes and part layouts, dollars from requests and a dated price table, hours
//! from rates that somebody names, that an earlier run had, or that are assumed. Nothing is a promise.

use std::collections::BTreeMap;

use crate::layout::{Layout, LayoutError};
use crate::object::{ETagForm, Millis, PART_SIZE_MIN_BYTES};
use crate::outcome::{Count, Outcome};
use crate::rows::Run;
use crate::store::STANDARD;

/// Keys of one page of a listing.
const KEYS_PER_PAGE: u64 = 1_000;
/// Parts of one page of an upload's listing.
const PARTS_PER_PAGE: u64 = 1_000;
/// HEADs of the source for each upload: to plan it, before it completes, and after.
const SOURCE_LOOKS_PER_UPLOAD: u64 = 3;
/// HEADs of the destination for each upload: to plan it, and after it completed.
const DESTINATION_LOOKS_PER_UPLOAD: u64 = 2;
/// Listings of the source for each delete: the proof before, and the look after.
const LISTS_PER_DELETE: u64 = 2;
/// Classes that are told apart: a store has a dozen at most.
const CLASSES_MAX: usize = 32;
const GIB: u128 = 1 << 30;
/// A run that copied less shows how it began, and not how fast bytes move.
const MEASURED_BYTES_MIN: u64 = 1 << 30;
/// Below this mean size it is requests that took the time, and not bytes.
const MEASURED_MEAN_BYTES_MIN: u64 = 1 << 20;
/// The requests that read tags.
pub const TAG_READS: &str = "GET tags";
/// What the classes beyond the limit are called.
const OTHERS: &str = "(other)";

/// How an object goes to the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// One GET, one PUT.
    Whole,
    /// A multipart upload of so many parts.
    Parts(u16),
}

/// How an object goes, by its size and the form of its `ETag`. The number of parts of an object that
/// was uploaded in parts stands in its `ETag`.
pub fn way(
    size: u64,
    form: ETagForm,
    threshold: u64,
    part_size: Option<u64>,
) -> Result<Way, LayoutError> {
    let own = match form {
        ETagForm::Composite { parts } => Some(layout_of(size, parts)),
        ETagForm::Plain | ETagForm::Opaque => None,
    };
    if size == 0 || (own.is_none() && size < threshold) {
        return Ok(Way::Whole);
    }
    let layout = match own.flatten() {
        Some(layout) => layout,
        None => Layout::by_size(size, part_size)?,
    };
    Ok(Way::Parts(layout.part_count()))
}

/// A layout of so many equal parts that S3 accepts, the last one shorter; `None` if there is none,
/// and the object cannot keep its number of parts, nor its `ETag`.
pub fn layout_of(size: u64, parts: u32) -> Option<Layout> {
    let least = if parts > 1 { PART_SIZE_MIN_BYTES } else { 1 };
    let part_size = size.div_ceil(u64::from(parts).max(1)).max(least);
    Layout::of_source(size, part_size, parts)
}

/// The work of a run, counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Work {
    /// Keys that are listed, on each side.
    pub listed_source: u64,
    pub listed_destination: u64,
    /// HEADs that decide what the listings cannot.
    pub source_looks: u64,
    pub destination_looks: u64,
    /// Reads of tags, both sides together.
    pub tag_reads: u64,
    /// Objects that go in one request each way.
    pub whole: Count,
    /// Objects that go in parts.
    pub multipart: Count,
    /// Of these, uploaded in parts at the source, too.
    pub composite: u64,
    pub parts: u64,
    /// Requests that list the parts of an upload.
    pub part_pages: u64,
    pub deletes: u64,
    /// What is copied, by the source's storage class.
    pub classes: BTreeMap<String, ClassWork>,
}

/// The copies of one storage class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClassWork {
    pub copied: Count,
    /// Requests that read them.
    pub reads: u64,
    /// Requests that write them as a whole: a PUT, or the completion of an upload.
    pub writes: u64,
}

impl Work {
    /// Counts the copy of one object in.
    pub fn copy(&mut self, size: u64, way: Way, form: ETagForm, class: Option<&str>) {
        let one = Count { objects: 1, bytes: size };
        let reads = match way {
            Way::Whole => {
                self.whole.add(one);
                1
            }
            Way::Parts(parts) => {
                let parts = u64::from(parts);
                self.multipart.add(one);
                self.composite += u64::from(matches!(form, ETagForm::Composite { .. }));
                self.parts += parts;
                self.part_pages += parts.div_ceil(PARTS_PER_PAGE);
                parts
            }
        };
        let class = class.unwrap_or(STANDARD);
        let is_known = self.classes.contains_key(class) || self.classes.len() < CLASSES_MAX;
        let class = if is_known { class } else { OTHERS };
        let entry = self.classes.entry(class.to_owned()).or_default();
        entry.copied.add(one);
        entry.reads += reads;
        entry.writes += 1;
    }

    /// Everything that is copied.
    pub fn copied(&self) -> Count {
        let mut sum = self.whole;
        sum.add(self.multipart);
        sum
    }
}

/// Which side answers a request, and bills it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Billed {
    Source,
    Destination,
}

/// Requests of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requests {
    pub side: Billed,
    /// As a price list names them.
    pub name: &'static str,
    pub count: u64,
    pub nanodollars: u64,
}

/// The price of requests to objects of a storage class, in thousand-millionths of a dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassPrice {
    pub class: &'static str,
    pub write: u64,
    pub read: u64,
    /// Of a GiB that is read.
    pub retrieval: u64,
}

/// A dated price list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prices {
    pub dated: &'static str,
    pub region: &'static str,
    /// The first is the standard class; one that is not listed is priced as that.
    pub classes: &'static [ClassPrice],
    /// Of a GiB to another region of the same partition, and to the internet.
    pub to_region: u64,
    pub to_internet: u64,
}

const fn class(class: &'static str, write: u64, read: u64, retrieval: u64) -> ClassPrice {
    ClassPrice { class, write, read, retrieval }
}

/// List prices without free tiers; LIST, `UploadPart`, Create, Complete and `ListParts` cost what a PUT
/// costs, HEAD what a GET costs, and DELETE nothing. The one place where prices stand.
pub const PRICES: Prices = Prices {
    dated: "2026-11",
    region: "us-east-1",
    classes: &[
        class(STANDARD, 5_000, 400, 0),
        class("INTELLIGENT_TIERING", 5_000, 400, 0),
        class("REDUCED_REDUNDANCY", 5_000, 400, 0),
        class("STANDARD_IA", 10_000, 1_000, 10_000_000),
        class("ONEZONE_IA", 10_000, 1_000, 10_000_000),
        class("GLACIER_IR", 20_000, 10_000, 30_000_000),
        class("GLACIER", 30_000, 400, 0),
        class("DEEP_ARCHIVE", 50_000, 400, 0),
    ],
    to_region: 20_000_000,
    to_internet: 90_000_000,
};

impl Prices {
    /// The price of a class.
    pub fn of(&self, class: &str) -> ClassPrice {
        let standard = ClassPrice { class: STANDARD, write: 0, read: 0, retrieval: 0 };
        let known = self.classes.iter().find(|price| price.class == class);
        known.or(self.classes.first()).copied().unwrap_or(standard)
    }
}

/// What decides whether bytes that leave the source are billed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Pair {
    pub source_is_amazon: bool,
    pub destination_is_amazon: bool,
    /// Both sides answer at one address.
    pub is_one_store: bool,
    /// Of two sides at Amazon: nothing leads from one partition to another but the internet.
    pub is_one_partition: bool,
    /// As the buckets say, where they do.
    pub source_region: Option<String>,
    pub destination_region: Option<String>,
}

/// The price of a GiB that leaves the source, and the assumption that it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Egress {
    pub nanodollars_per_gib: u64,
    pub assumption: &'static str,
    /// What the store copies by itself leaves nothing: both sides are one region, or one store.
    pub is_within: bool,
}

/// The price of data that leaves the source, as a pair of stores suggests it. Amazon bills a copy
/// between two regions alike, whether the store makes it or the bytes pass through here: Amazon S3,
/// price page, *Data transfer*.
pub fn egress(prices: &Prices, pair: &Pair) -> Egress {
    let of = |nanodollars_per_gib, is_within, assumption| Egress {
        nanodollars_per_gib,
        assumption,
        is_within,
    };
    match (pair.source_is_amazon, pair.destination_is_amazon) {
        (true, true) if !pair.is_one_partition => of(
            prices.to_internet,
            false,
            "the buckets are in two partitions of AWS, and between those lies the internet",
        ),
        (true, true) => match (&pair.source_region, &pair.destination_region) {
            (Some(here), Some(there)) if here == there => {
                of(0, true, "both buckets are in one region, and the copy runs there")
            }
            (Some(_), Some(_)) => of(
                prices.to_region,
                false,
                "the buckets are in two regions, and the copy runs in one of them",
            ),
            _ => of(
                prices.to_region,
                false,
                "the buckets do not say their regions: taken for two, and the copy runs in one of them",
            ),
        },
        (true, false) => of(prices.to_internet, false, "from Amazon S3 to the internet"),
        (false, _) if pair.is_one_store => of(0, true, "within one store, taken for one region"),
        (false, _) => of(
            prices.to_internet,
            false,
            "what this source bills is not known: taken for Amazon S3's price to the internet",
        ),
    }
}

/// From the least to the most, of anything that is done in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Band {
    pub low: u64,
    pub high: u64,
}

impl Band {
    /// No more than that.
    #[must_use]
    pub fn at_most(self, limit: u64) -> Self {
        Self { low: self.low.min(limit), high: self.high.min(limit) }
    }
}

/// How fast things go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    pub bytes: Band,
    /// Two requests of each.
    pub objects: Band,
    pub keys: Band,
}

impl Rates {
    /// Of a store that copies by itself, assumed: 64 streams of 4 to 64 MiB/s each.
    pub fn within_a_store() -> Self {
        Self { bytes: Band { low: 256 << 20, high: 4 << 30 }, ..Self::default() }
    }
}

impl Default for Rates {
    /// Assumed: from a fifth of a gigabit link to a quarter of ten; one to nine hundred small objects
    /// (64 streams at S3's median latency); listings from one scan alone to many.
    fn default() -> Self {
        Self {
            bytes: Band { low: 25 << 20, high: 250 << 20 },
            objects: Band { low: 100, high: 900 },
            keys: Band { low: 2_000, high: 20_000 },
        }
    }
}

/// What bytes an earlier run moved in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    pub bytes_per_second: u64,
    /// The run's end.
    pub ended: Millis,
}

/// The rate of a run that is over, by the stretches of its timeline in which it copied; `None` where it
/// copied too little to show one, or objects so small that bytes did not decide.
pub fn measured(run: &Run) -> Option<Measured> {
    let ended = run.ended.filter(|_| !run.is_open())?;
    let copied = run.totals.as_ref()?.account.get(Outcome::Copied);
    if copied.bytes / copied.objects.max(1) < MEASURED_MEAN_BYTES_MIN {
        return None;
    }
    let points = run.timeline.points();
    let stretches =
        points.iter().zip(points.iter().skip(1)).map(|((from, before), (to, after))| {
            let bytes = after.bytes_copied.saturating_sub(before.bytes_copied);
            (if bytes > 0 { to.saturating_sub(*from) } else { 0 }, bytes)
        });
    let (ms, bytes) = stretches.fold((0_u64, 0_u64), |(ms, bytes), (more_ms, more_bytes)| {
        (ms.saturating_add(more_ms), bytes.saturating_add(more_bytes))
    });
    if bytes < MEASURED_BYTES_MIN || ms == 0 {
        return None;
    }
    Some(Measured { bytes_per_second: scale(bytes, 1_000, u128::from(ms)), ended })
}

/// What else a forecast rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    pub prices: Prices,
    pub egress: Egress,
    pub rates: Rates,
    /// The store copies by itself.
    pub is_server_side: bool,
    /// The destination honours conditions; else every whole object is looked at once more at the source
    /// after it was written.
    pub is_fenced: bool,
    /// Written in place of the source's class.
    pub storage_class: Option<String>,
}

/// Requests, dollars and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    pub requests: Vec<Requests>,
    /// What the source's classes bill for reading.
    pub retrieval_nanodollars: u64,
    pub egress_bytes: u64,
    pub egress_nanodollars: u64,
    /// Milliseconds.
    pub time: Band,
}

impl Forecast {
    pub fn nanodollars(&self) -> u64 {
        let requests = self.requests.iter().map(|requests| requests.nanodollars);
        let others = [self.retrieval_nanodollars, self.egress_nanodollars];
        requests.chain(others).fold(0, u64::saturating_add)
    }
}

/// Adds everything up.
pub fn forecast(work: &Work, terms: &Terms) -> Forecast {
    let Terms { prices, egress, is_server_side, .. } = terms;
    let egress_bytes = if *is_server_side && egress.is_within { 0 } else { work.copied().bytes };
    let retrieval = work
        .classes
        .iter()
        .map(|(class, of)| scale(of.copied.bytes, prices.of(class).retrieval, GIB));
    Forecast {
        requests: requests(work, terms),
        retrieval_nanodollars: retrieval.fold(0, u64::saturating_add),
        egress_bytes,
        egress_nanodollars: scale(egress_bytes, egress.nanodollars_per_gib, GIB),
        time: time(work, terms),
    }
}

fn requests(work: &Work, terms: &Terms) -> Vec<Requests> {
    let prices = &terms.prices;
    let ClassPrice { write, read, .. } = prices.of(STANDARD);
    let pages = |keys: u64| keys.div_ceil(KEYS_PER_PAGE).max(1);
    let uploads = work.multipart.objects;
    let lists = pages(work.listed_source) + LISTS_PER_DELETE * work.deletes;
    let again = if terms.is_fenced { 0 } else { work.whole.objects };
    let looks = work.source_looks + SOURCE_LOOKS_PER_UPLOAD * uploads + work.composite + again;
    // A copy on the server's side reads nothing here: one HEAD says what a GET's headers would.
    let (heads, gets) = if terms.is_server_side {
        (looks + work.whole.objects, 0)
    } else {
        (looks, work.whole.objects + work.parts)
    };
    let (reading, writing) = by_class(work, terms);
    // What no condition can guard is looked at before it is deleted.
    let guards = if terms.is_fenced { 0 } else { work.deletes };
    let looks_there = work.destination_looks + DESTINATION_LOOKS_PER_UPLOAD * uploads + guards;
    let parts = work.parts + work.part_pages + uploads;
    let (here, there) = (Billed::Source, Billed::Destination);
    let line = |side, name, count, nanodollars| Requests { side, name, count, nanodollars };
    let at = |count: u64, price: u64| count.saturating_mul(price);
    let lines = [
        line(here, "LIST", lists, at(lists, write)),
        line(here, "HEAD", heads, at(heads, read)),
        line(here, "GET", gets, if gets == 0 { 0 } else { reading }),
        line(here, TAG_READS, work.tag_reads, at(work.tag_reads, read)),
        line(
            there,
            "LIST",
            pages(work.listed_destination),
            at(pages(work.listed_destination), write),
        ),
        line(there, "HEAD", looks_there, at(looks_there, read)),
        line(there, "PUT, COPY, Complete", work.copied().objects, writing),
        line(there, "Create, UploadPart, ListParts", parts, at(parts, write)),
        line(there, "DELETE", work.deletes, 0),
    ];
    lines.into_iter().filter(|requests| requests.count > 0).collect()
}

/// What reads and whole writes cost, each at the price of its class.
fn by_class(work: &Work, terms: &Terms) -> (u64, u64) {
    let prices = &terms.prices;
    work.classes.iter().fold((0_u64, 0_u64), |(reading, writing), (class, of)| {
        let written = terms.storage_class.as_deref().unwrap_or(class);
        let reads = of.reads.saturating_mul(prices.of(class).read);
        let writes = of.writes.saturating_mul(prices.of(written).write);
        (reading.saturating_add(reads), writing.saturating_add(writes))
    })
}

/// At the best everything goes on at once, and the slowest of it decides; at the worst one thing
/// waits for the other.
fn time(work: &Work, terms: &Terms) -> Band {
    let Rates { bytes, objects, keys } = terms.rates;
    let copied = work.copied();
    // The copy of a small object is two requests, and so are the looks at both sides of a key.
    let looks = work.source_looks + work.destination_looks + work.tag_reads;
    let amounts = [
        (copied.bytes, bytes),
        (copied.objects + work.parts + work.deletes + looks.div_ceil(2), objects),
        (work.listed_source.max(work.listed_destination), keys),
    ];
    let ms = |amount: u64, rate: u64| scale(amount, 1_000, u128::from(rate.max(1)));
    let low = amounts.iter().map(|(amount, rate)| ms(*amount, rate.high)).max().unwrap_or(0);
    let high = amounts.iter().map(|(amount, rate)| ms(*amount, rate.low));
    Band { low, high: high.fold(0, u64::saturating_add).max(low) }
}

/// `a × b ÷ c`, rounded up, without overflow on the way.
fn scale(a: u64, b: u64, c: u128) -> u64 {
    u64::try_from((u128::from(a) * u128::from(b)).div_ceil(c)).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "forecast/tests.rs"]
mod tests;
