//! What a run will ask of both stores, what that costs, and how long it takes: arithmetic alone.
//!
//! Requests follow from sizes and part layouts, dollars from requests and a dated price table, hours
//! from rates that somebody names, that an earlier run had, or that are assumed. Nothing is a promise.

use std::collections::BTreeMap;

use crate::layout::{Layout, LayoutError};
use crate::object::{ETagForm, Millis, PART_SIZE_MIN_BYTES};
use crate::outcome::{Count, Outcome};
use crate::rows::Run;

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
pub(crate) const STANDARD: &str = "STANDARD";
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
mod tests {
    use super::*;
    use crate::object::{OBJECT_SIZE_MAX_BYTES, PART_SIZE_MAX_BYTES};
    use crate::rows::{RunState, Totals};
    use crate::timeline::{Mark, Timeline};
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;
    const PLAIN: ETagForm = ETagForm::Plain;

    fn composite(parts: u32) -> ETagForm {
        ETagForm::Composite { parts }
    }

    #[test]
    fn sizes_and_etags_decide_how_an_object_goes() {
        use Way::{Parts, Whole};
        for (size, form, threshold, part_size, expected) in [
            (0, PLAIN, 64 * MIB, None, Whole),
            (1, PLAIN, 64 * MIB, None, Whole),
            (64 * MIB - 1, PLAIN, 64 * MIB, None, Whole),
            (64 * MIB, PLAIN, 64 * MIB, None, Parts(1)),
            (64 * MIB + 1, PLAIN, 64 * MIB, None, Parts(2)),
            (64 * MIB, ETagForm::Opaque, 64 * MIB, Some(5 * MIB), Parts(13)),
            (1 << 30, PLAIN, 64 * MIB, None, Parts(8)),
            (100 << 30, PLAIN, 64 * MIB, None, Parts(400)),
            (12 * MIB, PLAIN, 6 * MIB, Some(6 * MIB), Parts(2)),
            // Its own layout, whatever the settings say.
            (12 * MIB, composite(2), 64 * MIB, Some(6 * MIB), Parts(2)),
            (1_000, composite(1), 64 * MIB, None, Parts(1)),
            (100 * MIB, composite(20), 64 * MIB, None, Parts(20)),
            // Parts below 5 MiB cannot be kept: the layout is the settings'.
            (100 * MIB, composite(21), 64 * MIB, None, Parts(2)),
            (8 * MIB, composite(4), 64 * MIB, None, Parts(1)),
            // An empty object has no parts, though its ETag may say so.
            (0, composite(1), 64 * MIB, None, Whole),
        ] {
            let got = way(size, form, threshold, part_size);
            assert_eq!(got, Ok(expected), "{size} {form:?} {threshold} {part_size:?}");
        }
        let too_large = OBJECT_SIZE_MAX_BYTES + 1;
        assert_eq!(way(too_large, PLAIN, 1, None), Err(LayoutError::TooLarge(too_large)));
    }

    #[test]
    fn a_number_of_parts_can_be_kept_or_not() {
        for (size, parts, part_size) in [
            (1, 1, Some(1)),
            (PART_SIZE_MAX_BYTES, 1, Some(PART_SIZE_MAX_BYTES)),
            (PART_SIZE_MAX_BYTES + 1, 1, None),
            (5 * MIB + 1, 2, Some(5 * MIB)),
            (5 * MIB, 2, None),
            (50_000 * MIB, 10_000, Some(5 * MIB)),
            (50_001 * MIB, 10_001, None),
            (10, 0, None),
            (10, 3, None),
        ] {
            let got = layout_of(size, parts).map(|layout| layout.part_size());
            assert_eq!(got, part_size, "{size} in {parts}");
        }
    }

    fn terms() -> Terms {
        Terms {
            prices: PRICES,
            egress: Egress {
                nanodollars_per_gib: 90_000_000,
                assumption: "a test's",
                is_within: false,
            },
            rates: Rates::default(),
            is_server_side: false,
            is_fenced: true,
            storage_class: None,
        }
    }

    fn counts(forecast: &Forecast) -> Vec<(Billed, &'static str, u64, u64)> {
        let of = |it: &Requests| (it.side, it.name, it.count, it.nanodollars);
        forecast.requests.iter().map(of).collect()
    }

    #[test]
    fn nothing_to_do_lists_both_sides_once() {
        let forecast = forecast(&Work::default(), &terms());
        let (here, there) = (Billed::Source, Billed::Destination);
        assert_eq!(counts(&forecast), [(here, "LIST", 1, 5_000), (there, "LIST", 1, 5_000)]);
        assert_eq!((forecast.nanodollars(), forecast.time), (10_000, Band { low: 0, high: 0 }));
    }

    #[test]
    fn requests_follow_from_the_work() {
        let mut work = Work {
            listed_source: 2_001,
            listed_destination: 1_000,
            source_looks: 1,
            destination_looks: 2,
            tag_reads: 5,
            deletes: 3,
            ..Work::default()
        };
        work.copy(10, Way::Whole, PLAIN, None);
        work.copy(1 << 30, Way::Parts(8), PLAIN, None);
        work.copy(12 << 30, Way::Parts(1_536), composite(1_536), Some("GLACIER_IR"));
        assert_eq!(work.copied(), Count { objects: 3, bytes: 10 + (13 << 30) });
        let (here, there) = (Billed::Source, Billed::Destination);
        let through = forecast(&work, &terms());
        let put = (there, "PUT, COPY, Complete", 3, 2 * 5_000 + 20_000);
        let parts = 8 + 1_536 + 1 + 2 + 2;
        assert_eq!(
            counts(&through),
            [
                (here, "LIST", 3 + 6, 9 * 5_000),
                (here, "HEAD", 1 + 6 + 1, 8 * 400),
                (here, "GET", 1 + 8 + 1_536, 9 * 400 + 1_536 * 10_000),
                (here, "GET tags", 5, 5 * 400),
                (there, "LIST", 1, 5_000),
                (there, "HEAD", 2 + 4, 6 * 400),
                put,
                (there, "Create, UploadPart, ListParts", parts, parts * 5_000),
                (there, "DELETE", 3, 0),
            ]
        );
        assert_eq!(through.retrieval_nanodollars, 12 * 30_000_000);
        // Ten bytes are rounded up to a thousand-millionth of a dollar.
        assert_eq!(through.egress_nanodollars, 13 * 90_000_000 + 1);
        let set = Terms { storage_class: Some("STANDARD_IA".to_owned()), ..terms() };
        let there_all = counts(&forecast(&work, &set));
        assert!(there_all.contains(&(there, "PUT, COPY, Complete", 3, 30_000)), "{there_all:?}");
        let within = forecast(&work, &Terms { is_server_side: true, ..terms() });
        let lines = counts(&within);
        assert!(lines.contains(&(here, "HEAD", 9, 9 * 400)), "{lines:?}");
        assert!(lines.iter().all(|(_, name, ..)| *name != "GET"), "{lines:?}");
    }

    #[test]
    fn writes_that_are_not_fenced_are_followed_by_a_look_at_the_source() {
        let mut work = Work::default();
        work.copy(10, Way::Whole, PLAIN, None);
        work.copy(20, Way::Whole, PLAIN, None);
        work.copy(1 << 30, Way::Parts(8), PLAIN, None);
        for (is_server_side, is_fenced, heads) in
            [(false, true, 3), (false, false, 5), (true, true, 5), (true, false, 7)]
        {
            let terms = Terms { is_server_side, is_fenced, ..terms() };
            let lines = counts(&forecast(&work, &terms));
            let line = (Billed::Source, "HEAD", heads, heads * 400);
            assert!(lines.contains(&line), "{is_server_side} {is_fenced}: {lines:?}");
        }
    }

    #[test]
    fn a_copy_by_the_store_itself_is_billed_between_two_regions() {
        let mut work = Work::default();
        work.copy(7 << 30, Way::Parts(56), PLAIN, None);
        let of = |there: &str, is_server_side| {
            let pair = Pair {
                source_is_amazon: true,
                destination_is_amazon: true,
                is_one_store: true,
                is_one_partition: true,
                source_region: Some("us-east-1".to_owned()),
                destination_region: Some(there.to_owned()),
            };
            let egress = egress(&PRICES, &pair);
            let forecast = forecast(&work, &Terms { egress, is_server_side, ..terms() });
            (forecast.egress_bytes >> 30, forecast.egress_nanodollars)
        };
        assert_eq!(of("us-east-1", true), (0, 0));
        assert_eq!(of("us-east-1", false), (7, 0));
        for is_server_side in [true, false] {
            assert_eq!(of("eu-west-1", is_server_side), (7, 7 * PRICES.to_region));
        }
        // It takes its time, too, whoever moves the bytes.
        let terms = Terms { is_server_side: true, rates: Rates::within_a_store(), ..terms() };
        let time = forecast(&work, &terms).time;
        assert_eq!((time.low, time.high), (1_750, 28_000 + 570));
    }

    #[test]
    fn classes_beyond_the_limit_are_counted_together() {
        let mut work = Work::default();
        for class in 0..100 {
            work.copy(1, Way::Whole, PLAIN, Some(&class.to_string()));
        }
        assert_eq!(work.classes.len(), CLASSES_MAX + 1);
        assert_eq!(work.classes[OTHERS].copied.objects, 68);
        assert_eq!(work.copied().objects, 100);
    }

    #[test]
    fn a_class_that_is_not_listed_is_priced_as_standard() {
        assert_eq!(PRICES.of("STANDARD_IA").retrieval, 10_000_000);
        assert_eq!(PRICES.of("MAZ_STANDARD"), PRICES.of(STANDARD));
    }

    #[test]
    fn a_pair_of_stores_suggests_the_price_of_what_leaves() {
        let region = |name: &str| Some(name.to_owned());
        let (same, other) = ((region("a"), region("a")), (region("a"), region("b")));
        for (source, destination, one, partition, regions, price, is_within) in [
            (true, true, true, true, same.clone(), 0, true),
            (true, true, true, true, other.clone(), PRICES.to_region, false),
            (true, true, true, true, (None, region("b")), PRICES.to_region, false),
            // Two partitions answer by one name here, and no line leads from one to the other.
            (true, true, true, false, other, PRICES.to_internet, false),
            (true, true, true, false, (None, region("b")), PRICES.to_internet, false),
            (true, false, false, true, same.clone(), PRICES.to_internet, false),
            (false, true, false, true, same, PRICES.to_internet, false),
            (false, false, false, true, (None, None), PRICES.to_internet, false),
            (false, false, true, true, (None, None), 0, true),
        ] {
            let pair = Pair {
                source_is_amazon: source,
                destination_is_amazon: destination,
                is_one_store: one,
                is_one_partition: partition,
                source_region: regions.0,
                destination_region: regions.1,
            };
            let got = egress(&PRICES, &pair);
            assert_eq!((got.nanodollars_per_gib, got.is_within), (price, is_within), "{pair:?}");
            assert_eq!(got.assumption.contains("partitions"), !partition, "{pair:?}");
        }
    }

    #[test]
    fn hours_are_a_band() {
        let band = |low, high| Band { low, high };
        let rates = Rates { bytes: band(10, 100), objects: band(1, 5), keys: band(50, 1_000) };
        for (bytes, objects, listed, looks, time) in [
            (0, 0, 0, 0, band(0, 0)),
            (1_000, 1, 0, 0, band(10_000, 101_000)),
            (10, 50, 0, 0, band(10_000, 51_000)),
            (0, 1, 100_000, 0, band(100_000, 2_001_000)),
            // A look at each side of so many keys takes as long as the copies of so many objects.
            (0, 0, 1_000, 1_000, band(200_000, 1_020_000)),
            (u64::MAX, 1, 1, 0, band(u64::MAX, u64::MAX)),
        ] {
            let whole = Count { objects, bytes };
            let work = Work {
                whole,
                listed_source: listed,
                source_looks: looks,
                destination_looks: looks,
                ..Work::default()
            };
            let terms = Terms { rates, ..terms() };
            assert_eq!(forecast(&work, &terms).time, time, "{bytes} {objects} {listed} {looks}");
        }
        assert_eq!(band(10, 100).at_most(50), band(10, 50));
        assert_eq!(band(10, 100).at_most(5), band(5, 5));
    }

    #[test]
    fn an_earlier_run_tells_its_rate_if_it_moved_enough() {
        let run = |copied: Count, points: &[(u64, u64)], state: RunState| {
            let mut totals = Totals::default();
            totals.account.add_count(Outcome::Copied, copied);
            let mut timeline = Timeline::default();
            for (at_ms, bytes_copied) in points {
                timeline.add(*at_ms, Mark { bytes_copied: *bytes_copied, ..Mark::default() });
            }
            Run {
                revision: 1,
                generation: 7,
                state,
                started: Millis(1_000),
                ended: Some(Millis(9_000)),
                fingerprint: String::new(),
                totals: Some(totals),
                progress: None,
                insist: false,
                told: false,
                timeline,
            }
        };
        let gib = |gib: u64| gib << 30;
        let of = |objects, bytes| Count { objects, bytes };
        let (done, cut, open) = (RunState::Complete, RunState::Incomplete, RunState::Copying);
        // An hour before the first byte, and another after the last, in which nothing was copied.
        let idle: &[_] = &[
            (0, 0),
            (3_600_000, 0),
            (3_610_000, gib(1)),
            (3_620_000, gib(4)),
            (7_200_000, gib(4)),
        ];
        for (copied, points, state, rate) in [
            (of(4, gib(4)), &[(0, 0), (16_000, gib(4))][..], done, Some(256 << 20)),
            (of(4, gib(4)), idle, done, Some(gib(4).div_ceil(20))),
            (of(4, gib(4)), idle, cut, Some(gib(4).div_ceil(20))),
            (of(4, gib(4)), idle, open, None),
            (of(1, gib(1) - 1), &[(0, 0), (16_000, gib(1) - 1)], done, None),
            // A million small objects: another number of objects would take another time.
            (of(1_000_000, gib(4)), &[(0, 0), (16_000, gib(4))], done, None),
            (of(4, gib(4)), &[], done, None),
            (of(0, 0), &[(0, 0), (16_000, 0)], done, None),
        ] {
            let measured = measured(&run(copied, points, state));
            let got = measured.map(|it| (it.bytes_per_second, it.ended));
            assert_eq!(got, rate.map(|rate| (rate, Millis(9_000))), "{copied:?} {points:?}");
        }
    }

    /// The page on costs has a table by object size; the items that are requests to S3 come out
    /// the same.
    #[test]
    fn a_tebibyte_costs_what_the_page_on_costs_says() {
        let tib = 1_u64 << 40;
        // Object size, and the page's dollars for S3 in hundredths: without listings and HEADs.
        for (size, cents) in [(10_240, 57_982), (MIB, 566), (100 * MIB, 27), (1 << 30, 6)] {
            let objects = tib / size;
            let mut one = Work::default();
            let way = way(size, PLAIN, 64 * MIB, None).unwrap();
            one.copy(size, way, PLAIN, None);
            let forecast = forecast(&one, &terms());
            let wanted = |it: &&Requests| !matches!(it.name, "LIST" | "HEAD");
            let each: u64 = forecast.requests.iter().filter(wanted).map(|it| it.nanodollars).sum();
            let got = each * objects / 10_000_000;
            assert!(got.abs_diff(cents) <= 2, "{size}: {got} and not {cents}");
        }
    }

    proptest! {
        #[test]
        fn more_work_never_costs_less(
            size in 0..=OBJECT_SIZE_MAX_BYTES,
            parts in 0_u32..10_100,
            threshold in 5 * MIB..=PART_SIZE_MAX_BYTES,
            part_size in proptest::option::of(5 * MIB..=PART_SIZE_MAX_BYTES),
        ) {
            let form = if parts == 0 { PLAIN } else { composite(parts) };
            let way = way(size, form, threshold, part_size).unwrap();
            if let Way::Parts(count) = way {
                prop_assert!((1..=10_000).contains(&count));
                prop_assert!(u64::from(count) * PART_SIZE_MAX_BYTES >= size);
            } else {
                prop_assert!(size < threshold);
            }
            let mut work = Work::default();
            work.copy(size, way, form, None);
            let one = forecast(&work, &terms());
            work.copy(size, way, form, None);
            let two = forecast(&work, &terms());
            prop_assert!(two.nanodollars() > one.nanodollars());
            prop_assert!(two.time.low >= one.time.low && two.time.high >= one.time.high);
            prop_assert!(one.time.high >= one.time.low);
        }
    }
}
