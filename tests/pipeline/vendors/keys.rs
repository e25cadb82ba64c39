//! Keys that a vendor's store gives, takes and refuses.

use std::collections::BTreeMap;

use bytes::Bytes;
use tranship_adapters::stores::s3::vendors::Vendor;
use tranship_core::object::{KEY_LENGTH_MAX_BYTES, ObjectKey};
use tranship_core::policy::Policy;
use tranship_core::room::ObjectRoom;
use tranship_server::Dialect;
use tranship_tests::keys::{HOSTILE, is_lost_in_xml, of_length};
use tranship_tests::rig::{self, MIB, noise};

use super::{DIALECTS, Pair, in_parts};

/// The hostile keys, one of the most bytes that a key can have, and one of so many.
fn hostile_and_long(bytes: usize) -> Vec<String> {
    let long = [KEY_LENGTH_MAX_BYTES, bytes].map(of_length);
    let mut keys: Vec<String> = HOSTILE.map(str::to_owned).into_iter().chain(long).collect();
    keys.dedup();
    keys
}

/// Every key that the vendor's store can have and list goes to Amazon's and back.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_keys_arrive_from_every_kind_of_listing_and_come_back() {
    for (dialect, scheme) in DIALECTS {
        let pair = Pair::from(dialect, scheme, true).await;
        let ways = pair.source.ways();
        let mut keys = hostile_and_long(ways.key_bytes);
        keys.retain(|key| ways.holds(&ObjectKey::new(key)));
        assert!(keys.iter().any(|key| key.len() == ways.key_bytes), "{scheme}");
        for key in &keys {
            pair.source.put(key, Bytes::copy_from_slice(key.as_bytes()));
        }
        let objects = u64::try_from(keys.len()).unwrap();
        pair.copy(Policy::default()).await.expect(&[("copied", objects)]);
        pair.expect_equal(scheme);
        pair.copy(Policy::default()).await.expect(&[("equal", objects)]);
        for key in &keys {
            pair.source.server.store().delete(pair.source.bucket, key);
        }
        let back = Pair::new(pair.destination, pair.source);
        back.copy(Policy::default()).await.expect(&[("copied", objects)]);
        back.expect_equal(scheme);
        back.copy(Policy::default()).await.expect(&[("equal", objects)]);
        for key in &keys {
            assert!(back.destination.read(key).is_some_and(|it| it == key.as_bytes()), "{key:?}");
        }
    }
}

/// What the vendor's store cannot have fails alone, and is told as that.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_keys_arrive_at_every_vendors_store_or_are_told_not_to_fit() {
    for (dialect, scheme) in DIALECTS {
        let pair = Pair::to(dialect, scheme, false).await;
        let ways = pair.destination.ways();
        let keys = hostile_and_long(ways.key_bytes);
        for key in &keys {
            pair.source.put(key, Bytes::copy_from_slice(key.as_bytes()));
        }
        let (mut held, refused): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|key| ways.holds(&ObjectKey::new(key)));
        let count = |keys: &[String]| u64::try_from(keys.len()).unwrap();
        for fits in ["copied", "equal"] {
            let report = pair.copy(Policy::default()).await;
            let outcomes = [(fits, count(&held)), ("failed", count(&refused))];
            let some: Vec<_> = outcomes.into_iter().filter(|(_, objects)| *objects > 0).collect();
            report.expect(&some);
            for note in &report.failures {
                let reason = note.reason.as_deref().unwrap();
                let said = ways.quirks.objects.refuses_key(&note.key);
                // Where no document tells how long a key may be, the store does.
                let said = said.unwrap_or_else(|| "KeyTooLong".to_owned());
                assert!(reason.contains(&said), "{scheme} {}: {reason}", note.key);
            }
        }
        held.sort();
        assert_eq!(pair.destination.keys(), held, "{scheme}");
        for key in &held {
            let there = pair.destination.read(key);
            assert!(there.is_some_and(|it| it == key.as_bytes()), "{scheme} {key:?}");
        }
    }
}

/// One such key would make every later listing of the destination unreadable.
#[test]
fn no_store_is_given_a_key_that_its_listing_would_lose() {
    let bare = Vendor::all().filter(|vendor| !vendor.quirks.encodes_listings);
    let rooms: Vec<_> = bare.map(|vendor| vendor.quirks.objects).collect();
    assert!(!rooms.is_empty());
    for c in '\0'..=char::MAX {
        let key = ObjectKey::new(format!("a{c}b"));
        let is_refused = |room: &ObjectRoom| room.refuses_key(&key).is_some();
        assert!(rooms.iter().all(|room| is_refused(room) == is_lost_in_xml(c)), "{c:?}");
    }
}

/// A destination, a key that it takes to the last byte, and those that it does not, each with what is said of it.
type Keys = (Dialect, &'static str, usize, &'static [(&'static str, &'static str)]);
const KEYS: [Keys; 3] = [
    (Dialect::Oss, "oss", 1_023, &[("/a", "begins with /"), ("\\a", "begins with \\")]),
    (Dialect::Cos, "cos", 850, &[("/a", "begins with /"), ("a\u{18}b", "has the character")]),
    (
        Dialect::Gcs,
        "gs",
        1_024,
        &[
            ("..", "may be .."),
            (".well-known/acme-challenge/a", "begins with .well-known"),
            ("a\nb", "has the character"),
        ],
    ),
];

/// What a vendor documents of keys and sizes fails its object with a reason before anything is sent, and a plan says
/// the same. Where the row says too much, the store refuses, and the outcome is the same.
#[tokio::test(flavor = "multi_thread")]
async fn keys_and_sizes_that_a_vendor_does_not_take_fail_with_a_reason() {
    for (dialect, scheme, longest, refused) in KEYS {
        let pair = Pair::to(dialect, scheme, false).await;
        let fits = "k".repeat(longest);
        pair.source.put(&fits, "bytes");
        let mut says: BTreeMap<String, &str> =
            refused.iter().map(|(key, says)| ((*key).to_owned(), *says)).collect();
        if longest < 1_024 {
            says.insert("l".repeat(longest + 1), "choose a shorter destination prefix");
        }
        for key in says.keys() {
            pair.source.put(key, noise(1, 50));
        }
        pair.source.put("too large", noise(2, 9 * MIB));
        says.insert("too large".to_owned(), "and the destination takes 8388608");
        let failed = u64::try_from(says.len()).unwrap();
        let limited = |dry_run: bool| {
            let mut parts = pair.parts(Policy { dry_run, ..in_parts() });
            parts.policy.objects.size_bytes = 8 << 20;
            parts
        };
        for dry_run in [true, false] {
            let report = rig::run(limited(dry_run), None).await.unwrap();
            report.expect(&[("copied", 1), ("failed", failed)]);
            for note in &report.failures {
                let (reason, says) = (note.reason.as_deref().unwrap(), says[note.key.as_str()]);
                assert!(reason.contains(says), "{scheme} {}: {reason}", note.key);
            }
            let asked = pair.destination.server.requests();
            let written = asked.count("PutObject") + asked.count("CreateMultipartUpload");
            assert_eq!(written, u64::from(!dry_run), "{scheme}");
        }
        assert_eq!(pair.destination.keys(), [fits.as_str()], "{scheme}");
        let mut parts = pair.parts(in_parts());
        parts.policy.objects = ObjectRoom::WHOLE;
        let report = rig::run(parts, None).await.unwrap();
        report.expect(&[("equal", 1), ("copied", 1), ("failed", failed - 1)]);
        assert_eq!(pair.destination.keys(), [fits.as_str(), "too large"], "{scheme}");
    }
}
