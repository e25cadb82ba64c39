//! Storage classes of each vendor, and archives among them.

use tranship_adapters::stores::s3::S3Settings;
use tranship_adapters::stores::s3::vendors::{ListVersion, Vendor, abiding};
use tranship_core::loss::Loss;
use tranship_core::policy::{Compare, Policy, ServerSide};
use tranship_server::{Dialect, Matcher, Object, Store};
use tranship_tests::rig::{self, MIB, noise};

use super::{DIALECTS, Pair, Side, in_parts};

/// Archives of every store, and how their keys are listed: most listings do not say what is restored.
const ARCHIVES: [(Dialect, &str, &str, Option<ListVersion>); 8] = [
    (Dialect::Amazon, "s3", "GLACIER", Some(ListVersion::V1)),
    (Dialect::Amazon, "s3", "DEEP_ARCHIVE", Some(ListVersion::V2)),
    (Dialect::Oss, "oss", "GLACIER", None),
    (Dialect::Oss, "oss", "ColdArchive", None),
    (Dialect::Cos, "cos", "ARCHIVE", None),
    (Dialect::Cos, "cos", "DEEP_ARCHIVE", None),
    (Dialect::Kodo, "kodo", "GLACIER", None),
    (Dialect::Kodo, "kodo", "DEEP_ARCHIVE", None),
];

/// Puts a small, a large and a small multipart object into a class, and one into none.
fn freeze(store: &Store, bucket: &str, class: &str) {
    store.put_in_class(bucket, "cold", noise(1, 500), class);
    store.put_in_class(bucket, "cold and large", noise(2, 8 * MIB), class);
    store.put_multipart(bucket, "cold in a part", vec![noise(3, 2_000).into()]);
    let freeze = |object: &mut Object| object.properties.storage_class = Some(class.to_owned());
    assert!(store.change(bucket, "cold in a part", freeze));
    store.put(bucket, "warm", noise(4, 500));
}

fn thaw(store: &Store, bucket: &str) {
    for key in ["cold", "cold and large", "cold in a part"] {
        assert!(store.restore(bucket, key, 4_000_000_000), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn archived_objects_are_counted_and_restored_ones_copied() {
    for (dialect, scheme, class, list_version) in ARCHIVES {
        for native_headers in [false, true] {
            let what = format!("{scheme} {class} {list_version:?}, native: {native_headers}");
            let pair = Pair::from(dialect, scheme, native_headers).await;
            let (store, there) = (pair.source.server.store(), pair.destination.server.store());
            freeze(store, pair.source.bucket, class);
            let copy = async || {
                let mut parts = pair.parts(in_parts());
                parts.source.list_version = list_version;
                rig::run(parts, None).await.unwrap()
            };
            for warm in ["copied", "equal"] {
                copy().await.expect(&[(warm, 1), ("archived", 3)]);
                assert_eq!(pair.destination.keys(), ["warm"], "{what}");
                assert_eq!(there.open_uploads(pair.destination.bucket), [], "{what}");
            }
            thaw(store, pair.source.bucket);
            copy().await.expect(&[("equal", 1), ("copied", 3)]);
            pair.expect_equal(&what);
            copy().await.expect(&[("equal", 4)]);
        }
    }
}

/// What a dry run says of them where the listing does not: that they are archived, without a request each.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_takes_what_lies_in_an_archive_for_archived() {
    let pair = Pair::from(Dialect::Oss, "oss", true).await;
    freeze(pair.source.server.store(), pair.source.bucket, "GLACIER");
    let report = pair.copy(Policy { dry_run: true, ..in_parts() }).await;
    report.expect(&[("copied", 1), ("archived", 3)]);
    assert_eq!(pair.source.server.requests().count("GetObject"), 0);
}

/// As where a bucket lets archived objects be read at once: its class says that nobody can, and the store gives it.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_gives_is_copied_whatever_its_class_says() {
    let generous = Side { vendor: Vendor::of_scheme("oss").unwrap(), ..Side::amazon().await };
    let pair = Pair::new(generous, Side::amazon().await);
    freeze(pair.source.server.store(), pair.source.bucket, "Archive");
    let mut parts = pair.parts(in_parts());
    parts.source.path_style = true;
    rig::run(parts, None).await.unwrap().expect(&[("copied", 4)]);
    pair.expect_equal("read at once");
}

/// Both buckets at one store, which copies by itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_itself_copies_archived_objects_only_when_they_are_restored() {
    for (dialect, scheme, class) in
        [(Dialect::Oss, "oss", "Archive"), (Dialect::Kodo, "kodo", "GLACIER")]
    {
        let pair = Pair::from(dialect, scheme, true).await;
        let store = pair.source.server.store();
        store.create_bucket("copies");
        freeze(store, pair.source.bucket, class);
        let copy = async || {
            let mut parts = pair.parts(Policy { server_side: ServerSide::Always, ..in_parts() });
            "copies".clone_into(&mut parts.transfer.destination.bucket);
            parts.transfer.destination.endpoint = parts.transfer.source.endpoint.clone();
            parts.destination =
                S3Settings { bucket: "copies".to_owned(), ..pair.source.settings() };
            parts.policy = abiding(parts.policy, pair.source.vendor, pair.source.vendor);
            rig::run(parts, None).await.unwrap()
        };
        copy().await.expect(&[("copied", 1), ("archived", 3)]);
        assert_eq!(
            (store.keys("copies"), store.open_uploads("copies")),
            (vec!["warm".to_owned()], vec![])
        );
        thaw(store, pair.source.bucket);
        copy().await.expect(&[("equal", 1), ("copied", 3)]);
        assert_eq!(store.keys("copies"), store.keys(pair.source.bucket), "{scheme}");
        assert_eq!(store.bytes_sent(), 0, "no byte passes this process: {scheme}");
    }
}

/// An object that goes back into its archive while it is copied.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_archived_again_meanwhile_leaves_nothing_open() {
    let pair = Pair::from(Dialect::Cos, "cos", true).await;
    let (store, bucket) = (pair.source.server.store(), pair.source.bucket);
    store.put_in_class(bucket, "k", noise(1, 17 * MIB), "ARCHIVE");
    assert!(store.restore(bucket, "k", 4_000_000_000));
    pair.source.server.faults().before(Matcher::on("GetObject"), 1, |store| {
        store.change("bucket-1250000000", "k", |object| object.restored_until = None);
    });
    pair.copy(in_parts()).await.expect(&[("archived", 1)]);
    let there = pair.destination.server.store();
    assert_eq!(there.open_uploads(pair.destination.bucket), []);
    assert!(store.restore(bucket, "k", 4_000_000_000));
    pair.copy(Policy { retry_parked: false, ..in_parts() }).await.expect(&[("copied", 1)]);
    pair.expect_equal("restored again");
}

/// What is written in place of a class says nothing about the bytes of the source.
#[tokio::test(flavor = "multi_thread")]
async fn a_class_that_is_mapped_to_an_archives_is_copied_into_it() {
    for dry_run in [true, false] {
        let pair = Pair::to(Dialect::Oss, "oss", true).await;
        let store = pair.source.server.store();
        for (key, size) in [("small", 500), ("large", 8 * MIB)] {
            store.put(pair.source.bucket, key, noise(1, size));
            store.put_in_class(
                pair.source.bucket,
                &format!("ia/{key}"),
                noise(2, size),
                "STANDARD_IA",
            );
        }
        let mut parts = pair.parts(Policy { dry_run, ..in_parts() });
        parts.source.classes = [("STANDARD", "GLACIER"), ("STANDARD_IA", "DEEP_ARCHIVE")]
            .map(|(from, to)| (from.to_owned(), to.to_owned()))
            .to_vec();
        rig::run(parts, None).await.unwrap().expect(&[("copied", 4)]);
        let there = pair.destination.server.store();
        let class = |key| {
            let object = there.get(pair.destination.bucket, key)?;
            object.properties.storage_class.clone()
        };
        for (key, written) in [
            ("small", "GLACIER"),
            ("large", "GLACIER"),
            ("ia/small", "DEEP_ARCHIVE"),
            ("ia/large", "DEEP_ARCHIVE"),
        ] {
            assert_eq!(class(key).as_deref(), (!dry_run).then_some(written), "{key}");
        }
    }
}

/// Amazon's classes, and what they are in the order of the dialects.
const CLASSES: [(&str, [Option<&str>; 4]); 7] = [
    ("STANDARD_IA", [Some("STANDARD_IA"), Some("STANDARD_IA"), Some("LINE"), Some("NEARLINE")]),
    ("ONEZONE_IA", [None; 4]),
    ("REDUCED_REDUNDANCY", [None; 4]),
    ("INTELLIGENT_TIERING", [None, Some("INTELLIGENT_TIERING"), Some("INTELLIGENT_TIERING"), None]),
    ("GLACIER_IR", [None, Some("COLD"), Some("GLACIER_IR"), Some("COLDLINE")]),
    ("GLACIER", [Some("GLACIER"), Some("ARCHIVE"), Some("GLACIER"), None]),
    ("DEEP_ARCHIVE", [Some("DEEP_ARCHIVE"), Some("DEEP_ARCHIVE"), Some("DEEP_ARCHIVE"), None]),
];

/// The strict servers refuse a class that their vendor has not.
#[tokio::test(flavor = "multi_thread")]
async fn a_class_without_an_equal_becomes_the_buckets_own_and_is_counted() {
    for (n, (dialect, scheme)) in DIALECTS.into_iter().enumerate() {
        let pair = Pair::to(dialect, scheme, false).await;
        let (store, bucket) = (pair.source.server.store(), pair.source.bucket);
        let mut lost = 0;
        for (class, there) in CLASSES {
            for (kind, size) in [("small", 500), ("large", 7 * MIB)] {
                let key = format!("{class}/{kind}");
                store.put_in_class(bucket, &key, noise(1, size), class);
                store.restore(bucket, &key, 4_000_000_000);
            }
            lost += 2 * u64::from(there[n].is_none());
        }
        let report = pair.copy(in_parts()).await;
        report.expect(&[("copied", 14)]);
        let losses = report.run.totals.unwrap().losses;
        let counted = losses.iter().find(|(loss, _)| *loss == Loss::Class);
        assert_eq!(counted.map(|(_, objects)| objects), Some(lost), "{scheme}");
        let destination = pair.destination.server.store();
        for (class, there) in CLASSES {
            for kind in ["small", "large"] {
                let key = format!("{class}/{kind}");
                let object = destination.get(pair.destination.bucket, &key).unwrap();
                assert_eq!(object.properties.storage_class.as_deref(), there[n], "{scheme} {key}");
            }
        }
        // What was lost is no difference that the next run would have to mend.
        let policy = Policy { compare: Compare::Metadata, ..in_parts() };
        pair.copy(policy).await.expect(&[("equal", 14)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn classes_that_are_read_at_once_are_copied_into_their_nearest() {
    for (dialect, scheme, class, amazons) in [
        (Dialect::Oss, "oss", "STANDARD_IA", Some("STANDARD_IA")),
        (Dialect::Cos, "cos", "MAZ_STANDARD", None),
        (Dialect::Kodo, "kodo", "LINE", Some("STANDARD_IA")),
        (Dialect::Gcs, "gs", "NEARLINE", Some("STANDARD_IA")),
        (Dialect::Gcs, "gs", "ARCHIVE", Some("GLACIER_IR")),
    ] {
        let pair = Pair::from(dialect, scheme, true).await;
        let store = pair.source.server.store();
        store.put_in_class(pair.source.bucket, "k", noise(1, 500), class);
        pair.copy(Policy::default()).await.expect(&[("copied", 1)]);
        let object = pair.destination.server.store().get(pair.destination.bucket, "k").unwrap();
        let there = object.properties.storage_class.as_deref();
        assert_eq!(there.filter(|class| *class != "STANDARD"), amazons, "{scheme} {class}");
    }
}
