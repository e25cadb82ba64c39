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
    let idle: &[_] =
        &[(0, 0), (3_600_000, 0), (3_610_000, gib(1)), (3_620_000, gib(4)), (7_200_000, gib(4))];
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
