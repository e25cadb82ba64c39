//! Copies from and to each vendor's store, over HTTP: the real adapter by the vendor's row of the
//! table, against a server that speaks as the vendor documents.

mod archives;
mod keys;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tranship_adapters::clock::SystemClock;
use tranship_adapters::stores::s3::vendors::{AMAZON, Acls, Vendor, abiding};
use tranship_adapters::stores::s3::{S3Settings, S3Store};
use tranship_cli::engine::Parts;
use tranship_core::location::{Location, Transfer};
use tranship_core::loss::Loss;
use tranship_core::object::{Millis, ObjectKey};
use tranship_core::outcome::Outcome;
use tranship_core::policy::{Compare, DeleteGuard, Filter, Policy};
use tranship_core::room::MetadataRoom;
use tranship_core::verify::tally::{Conclusion, Tally};
use tranship_core::verify::walk::{KEYS_BEFORE_SPLIT, Plan, Verification, Window};
use tranship_server::{Dialect, Fault, Matcher, Object, Properties, Rule, Server, ServerOptions};
use tranship_tests::rig::{self, MIB, Report, credentials, noise, settings_at};
use tranship_tests::store::{self, Ways};

const DIALECTS: [(Dialect, &str); 4] =
    [(Dialect::Oss, "oss"), (Dialect::Cos, "cos"), (Dialect::Kodo, "kodo"), (Dialect::Gcs, "gs")];

/// One of the two sides.
struct Side {
    server: Server,
    dialect: Dialect,
    vendor: &'static Vendor,
    bucket: &'static str,
}

/// A store of a vendor and one of Amazon's.
struct Pair {
    source: Side,
    destination: Side,
    folder: tempfile::TempDir,
}

impl Side {
    async fn amazon() -> Self {
        Self::start(Dialect::Amazon, "s3", false).await
    }

    async fn start(dialect: Dialect, scheme: &'static str, native_headers: bool) -> Self {
        let vendor = if scheme == "s3" { &AMAZON } else { Vendor::of_scheme(scheme).unwrap() };
        // The account belongs to a bucket's name at one of them.
        let bucket = if scheme == "cos" { "bucket-1250000000" } else { "bucket" };
        let options = ServerOptions {
            dialect,
            native_headers,
            credentials: Some(credentials()),
            check_region: false,
            ..ServerOptions::default()
        };
        let server = Server::start(options).await.unwrap();
        server.store().create_bucket(bucket);
        Self { server, dialect, vendor, bucket }
    }

    fn ways(&self) -> Ways<'_> {
        let quirks = &self.vendor.quirks;
        let key_bytes = quirks.objects.key_bytes.min(self.dialect.longest_key());
        let lists_uploads = self.dialect.has("ListMultipartUploads");
        Ways { bucket: self.bucket, quirks, key_bytes, lists_uploads }
    }

    fn settings(&self) -> S3Settings {
        S3Settings {
            vendor: Some(self.vendor),
            path_style: self.vendor.quirks.path_style || self.vendor == &AMAZON,
            ..settings_at(self.server.endpoint(), self.bucket)
        }
    }

    fn put(&self, key: &str, bytes: impl Into<Bytes>) {
        self.server.store().put(self.bucket, key, bytes);
    }

    fn read(&self, key: &str) -> Option<Bytes> {
        self.server.store().read(self.bucket, key)
    }

    fn keys(&self) -> Vec<String> {
        self.server.store().keys(self.bucket)
    }

    fn location(&self) -> Location {
        Location::new(Some(&self.server.endpoint()), self.bucket, "")
            .with_scheme(self.vendor.scheme)
    }
}

impl Pair {
    async fn from(dialect: Dialect, scheme: &'static str, native_headers: bool) -> Self {
        let source = Side::start(dialect, scheme, native_headers).await;
        Self::new(source, Side::amazon().await)
    }

    async fn to(dialect: Dialect, scheme: &'static str, native_headers: bool) -> Self {
        let destination = Side::start(dialect, scheme, native_headers).await;
        Self::new(Side::amazon().await, destination)
    }

    fn new(source: Side, destination: Side) -> Self {
        Self { source, destination, folder: tempfile::tempdir().unwrap() }
    }

    fn parts(&self, policy: Policy) -> Parts {
        Parts {
            transfer: Transfer {
                source: self.source.location(),
                destination: self.destination.location(),
            },
            source: self.source.settings(),
            destination: self.destination.settings(),
            policy: abiding(policy, self.source.vendor, self.destination.vendor),
            bandwidth: None,
            delete_unversioned: true,
            server_side_if_possible: false,
            ledger: Some(self.folder.path().join("ledger.redb")),
            fingerprint: "test".to_owned(),
            lines: None,
        }
    }

    async fn copy(&self, policy: Policy) -> Report {
        rig::run(self.parts(policy), None).await.unwrap()
    }

    /// Compares both sides, as `verify` does.
    async fn verify(&self, deep: bool) -> Tally {
        let plan = Plan {
            transfer: self.parts(Policy::default()).transfer,
            filter: Filter::default(),
            deep,
            source_lists_links: self.source.vendor.quirks.lists_links,
            workers: 1,
            streams: 4,
            keys_before_split: KEYS_BEFORE_SPLIT,
        };
        let here = Arc::new(S3Store::connect(self.source.settings()).await.unwrap());
        let there = Arc::new(S3Store::connect(self.destination.settings()).await.unwrap());
        let clock = Arc::new(SystemClock::new());
        let verification = Verification::new(plan, here, there, clock, Arc::default());
        let tally = Arc::new(Mutex::new(Tally::new("", Millis(0))));
        let told = tally.clone();
        let tell = move |window: Window| {
            told.lock().unwrap().add(&window);
            Ok(())
        };
        verification.work(&tell).await.unwrap();
        drop(tell);
        Arc::into_inner(tally).unwrap().into_inner().unwrap()
    }

    #[track_caller]
    fn expect_equal(&self, what: &str) {
        assert_eq!(self.source.keys(), self.destination.keys(), "{what}");
        for key in self.source.keys() {
            let (here, there) = (self.source.read(&key), self.destination.read(&key));
            assert!(here == there, "{what}: the bytes of {key:?} differ");
        }
        let open = self.destination.server.store().open_uploads(self.destination.bucket);
        assert_eq!(open, [], "{what}");
    }

    /// Fills the source with objects of every size and making, and says how many there are.
    fn fill(&self) -> u64 {
        self.source.put("empty", "");
        self.source.put("small", noise(1, 1_000));
        self.source.put("whole", noise(2, 3 * MIB));
        self.source.put("large", noise(3, 13 * MIB));
        let parts = [5 * MIB, 5 * MIB, MIB].iter().zip(4..);
        let parts = parts.map(|(size, seed)| noise(seed, *size).into()).collect();
        let store = self.source.server.store();
        store.put_multipart(self.source.bucket, "in parts", parts);
        let parts = vec![noise(9, 2_000).into()];
        store.put_multipart(self.source.bucket, "small in one part", parts);
        6
    }
}

fn in_parts() -> Policy {
    Policy {
        multipart_threshold_bytes: 6 << 20,
        part_size_bytes: Some(5 << 20),
        ..Policy::default()
    }
}

/// Runs the suite that Amazon's passes: what differs is the row's.
async fn expect_to_conform((dialect, scheme): (Dialect, &'static str)) {
    for native_headers in [false, true] {
        let side = Side::start(dialect, scheme, native_headers).await;
        let adapter = S3Store::connect(side.settings()).await.unwrap();
        store::conforms(&adapter, side.ways()).await;
        let acls = side.vendor.quirks.acls;
        let grant = |key: &ObjectKey, grants| {
            let readers = (0..grants).map(|n| format!("account-{n}")).collect();
            let give = |object: &mut Object| object.readers = readers;
            assert!(side.server.store().change(side.bucket, key.as_str(), give));
        };
        if acls == Acls::Shown {
            store::counts_grants(&adapter, &grant).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_adapter_conforms_with_oss() {
    expect_to_conform(DIALECTS[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_adapter_conforms_with_cos() {
    expect_to_conform(DIALECTS[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_adapter_conforms_with_kodo() {
    expect_to_conform(DIALECTS[2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_adapter_conforms_with_google_cloud_storage() {
    expect_to_conform(DIALECTS[3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_every_making_arrive_and_are_equal_from_then_on() {
    for (dialect, scheme) in DIALECTS {
        for native_headers in [false, true] {
            let what = format!("{scheme}, native headers: {native_headers}");
            let pair = Pair::from(dialect, scheme, native_headers).await;
            let objects = pair.fill();
            pair.copy(in_parts()).await.expect(&[("copied", objects)]);
            pair.expect_equal(&what);
            let read = pair.source.server.requests().count("GetObject");
            pair.copy(in_parts()).await.expect(&[("equal", objects)]);
            assert_eq!(pair.source.server.requests().count("GetObject"), read, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendors_store_is_a_destination_too() {
    for (dialect, scheme) in DIALECTS {
        let pair = Pair::to(dialect, scheme, true).await;
        let objects = pair.fill();
        pair.copy(in_parts()).await.expect(&[("copied", objects)]);
        pair.expect_equal(scheme);
        pair.copy(in_parts()).await.expect(&[("equal", objects)]);
        pair.source.put("small", noise(77, 1_000));
        pair.copy(in_parts()).await.expect(&[("equal", objects - 1), ("copied", 1)]);
        pair.expect_equal(scheme);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_metadata_and_classes_arrive_under_amazons_names() {
    let text = |text: &str| Some(text.to_owned());
    for (dialect, scheme) in DIALECTS {
        for native_headers in [false, true] {
            let pair = Pair::from(dialect, scheme, native_headers).await;
            let properties = Properties {
                content_type: text("text/html; charset=utf-8"),
                content_language: text("de"),
                cache_control: text("max-age=60"),
                metadata: BTreeMap::from([("owner".to_owned(), "me".to_owned())]),
                ..Properties::default()
            };
            for (key, size) in [("small", 100), ("large", 8 * MIB)] {
                let store = pair.source.server.store();
                let bytes = noise(1, size);
                store.put_with(pair.source.bucket, key, bytes, properties.clone(), Vec::new());
            }
            pair.copy(in_parts()).await.expect(&[("copied", 2)]);
            for key in ["small", "large"] {
                let store = pair.destination.server.store();
                let object = store.get(pair.destination.bucket, key).unwrap();
                let mut there = object.properties.clone();
                there.metadata.retain(|name, _| !name.starts_with("tranship-"));
                assert_eq!(there, properties, "{scheme} {native_headers} {key}");
            }
        }
    }
}

/// Bytes that are damaged on their way, and that no ETag could tell: the objects came in parts.
#[tokio::test(flavor = "multi_thread")]
async fn the_sources_own_checksum_finds_damage_that_no_etag_would() {
    for (dialect, scheme) in [DIALECTS[0], DIALECTS[1], DIALECTS[3]] {
        for native_headers in [false, true] {
            for (key, size) in [("small", 2_000), ("large", 8 * MIB)] {
                let pair = Pair::from(dialect, scheme, native_headers).await;
                let store = pair.source.server.store();
                store.put_multipart(pair.source.bucket, key, vec![noise(1, size).into()]);
                let damage = Rule::new(Matcher::on("GetObject"), Fault::CorruptBody);
                pair.source.server.faults().add(damage);
                let policy = Policy { failures_max: 2, ..in_parts() };
                let report = pair.copy(policy).await;
                let what = format!("{scheme} {native_headers} {key}: {report:?}");
                assert_eq!(report.outcomes(), [("failed", 1)], "{what}");
                assert!(
                    report.failures[0]
                        .reason
                        .as_ref()
                        .is_some_and(|why| why.contains("checksum") || why.contains("compose")),
                    "{what}"
                );
                assert_eq!(pair.destination.read(key), None, "{what}");
            }
        }
    }
}

/// An `ETag` of an MD5's form that is none, as of what a store encrypts: the destination refuses the bytes for it,
/// and they are sent once more, since they come to the checksum that the source keeps.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_come_to_the_sources_own_checksum_arrive_whatever_the_etag_is() {
    for (dialect, scheme) in [DIALECTS[0], DIALECTS[1], DIALECTS[3]] {
        for size in [2_000, 3 * MIB] {
            let pair = Pair::from(dialect, scheme, true).await;
            pair.source.put("k", noise(1, size));
            let drawn = "7d0c1f4b29e86a53d17f02c4be95a360";
            let draw = |object: &mut Object| drawn.clone_into(&mut object.etag);
            assert!(pair.source.server.store().change(pair.source.bucket, "k", draw));
            let readings = || pair.source.server.requests().count("GetObject");
            let report = pair.copy(Policy::default()).await;
            report.expect(&[("copied", 1)]);
            let losses = report.run.totals.unwrap().losses;
            assert!(losses.iter().all(|(loss, _)| loss != Loss::Proof), "{scheme} {size}");
            pair.expect_equal(scheme);
            pair.copy(Policy::default()).await.expect(&[("equal", 1)]);
            assert_eq!(readings(), 2, "{scheme} {size}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_and_appendable_objects_arrive_as_plain_ones_and_are_counted() {
    let pair = Pair::from(Dialect::Oss, "oss", true).await;
    let (store, bucket) = (pair.source.server.store(), pair.source.bucket);
    pair.source.put("goal", noise(1, 700));
    store.put_symlink(bucket, "link", "goal", Properties::default());
    store.put_appendable(bucket, "log", noise(2, 900));
    let report = pair.copy(Policy::default()).await;
    report.expect(&[("copied", 3)]);
    assert_eq!(pair.destination.read("link"), pair.source.read("goal"));
    assert_eq!(pair.destination.read("log"), pair.source.read("log"));
    let losses = report.run.totals.unwrap().losses;
    let lost: Vec<_> = losses.iter().collect();
    assert_eq!(lost, [(Loss::Appendable, 1), (Loss::Link, 1)]);
}

/// The second run finds the copies of links equal, though a listing says that a link has no bytes; so does a
/// verification, of which a link that leads elsewhere since is a difference.
#[tokio::test(flavor = "multi_thread")]
async fn links_are_equal_to_their_copies_from_then_on() {
    for native_headers in [false, true] {
        let pair = Pair::from(Dialect::Oss, "oss", native_headers).await;
        let (store, bucket) = (pair.source.server.store(), pair.source.bucket);
        pair.source.put("empty", "");
        pair.source.put("goal", noise(1, 700));
        pair.source.put("large goal", noise(2, 8 * MIB));
        for (link, goal) in [("a", "goal"), ("b", "large goal"), ("c", "empty")] {
            store.put_symlink(bucket, &format!("link/{link}"), goal, Properties::default());
        }
        pair.copy(in_parts()).await.expect(&[("copied", 6)]);
        let written = pair.destination.server.requests().count("PutObject");
        pair.copy(in_parts()).await.expect(&[("equal", 6)]);
        assert_eq!(pair.destination.server.requests().count("PutObject"), written);
        for deep in [false, true] {
            let tally = pair.verify(deep).await;
            assert_eq!(tally.conclusion(false), Conclusion::Equal, "{deep}: {tally:?}");
        }
        store.put_symlink(bucket, "link/c", "goal", Properties::default());
        for deep in [false, true] {
            let tally = pair.verify(deep).await;
            assert_eq!(tally.conclusion(false), Conclusion::Different, "{deep}: {tally:?}");
        }
    }
}

/// A link that leads nowhere, or to another link, fails with its reason, at once and alone.
#[tokio::test(flavor = "multi_thread")]
async fn links_that_lead_nowhere_fail_with_their_reason() {
    let pair = Pair::from(Dialect::Oss, "oss", true).await;
    let (store, bucket) = (pair.source.server.store(), pair.source.bucket);
    pair.source.put("goal", noise(1, 700));
    for (link, goal) in [("a", "nowhere"), ("b", "c"), ("c", "goal"), ("d", "nowhere")] {
        store.put_symlink(bucket, link, goal, Properties::default());
    }
    // Here a copy is asked for evidence first, and a HEAD has no body that would say why.
    pair.destination.put("d", "");
    let nowhere = "what it points to is not there";
    let says = BTreeMap::from([("a", nowhere), ("b", "another link"), ("d", nowhere)]);
    for compare in [Compare::ETag, Compare::Metadata] {
        let before = pair.source.server.requests().count("GetObject");
        let report = pair.copy(Policy { compare, ..Policy::default() }).await;
        assert_eq!(report.objects(Outcome::Failed), 3, "{report:?}");
        assert_eq!(report.failures.len(), 3);
        for note in &report.failures {
            let (key, reason) = (note.key.as_str(), note.reason.as_deref().unwrap());
            assert!(reason.contains(says[key]), "{key}: {reason}");
            assert!(reason.contains("at the source"), "{key}: {reason}");
        }
        let asked = pair.source.server.requests().count("GetObject") - before;
        assert!(asked <= 6, "nothing was tried again: {asked}");
    }
    assert_eq!(pair.destination.read("c"), pair.source.read("goal"));
}

/// What the store gives out over a domain of the bucket's own alone is named, and halts nothing however much
/// of it there is.
#[tokio::test(flavor = "multi_thread")]
async fn objects_that_the_default_domain_does_not_give_out_fail_alone() {
    let pair = Pair::from(Dialect::Cos, "cos", true).await;
    for n in 0..20 {
        pair.source.put(&format!("a/{n}.apk"), noise(n, 300));
        pair.source.put(&format!("b/{n}"), noise(n, 300));
    }
    pair.source.put("c/large.ipa", noise(1, 8 * MIB));
    let report = pair.copy(Policy { failures_max: 2, ..in_parts() }).await;
    report.expect(&[("copied", 20), ("failed", 21)]);
    for note in &report.failures {
        let reason = note.reason.as_deref().unwrap();
        let says = reason.contains("DownloadForbidden") && reason.contains("a domain of their own");
        assert!(says, "{}: {reason}", note.key);
    }
    let open = pair.destination.server.store().open_uploads(pair.destination.bucket);
    assert_eq!(open, []);
}

/// The store lays a disposition of its own over the object's, which is then not known.
#[tokio::test(flavor = "multi_thread")]
async fn a_disposition_that_the_store_hides_is_counted_as_lost() {
    for native_headers in [false, true] {
        let pair = Pair::from(Dialect::Cos, "cos", native_headers).await;
        let content_disposition = Some("inline; filename=a".to_owned());
        let properties = Properties { content_disposition, ..Properties::default() };
        let store = pair.source.server.store();
        store.put_with(pair.source.bucket, "small", noise(1, 700), properties.clone(), vec![]);
        store.put_with(pair.source.bucket, "large", noise(2, 8 * MIB), properties, vec![]);
        let report = pair.copy(in_parts()).await;
        report.expect(&[("copied", 2)]);
        let losses = report.run.totals.unwrap().losses;
        assert!(losses.iter().any(|lost| lost == (Loss::Disposition, 2)), "{losses:?}");
        for key in ["small", "large"] {
            let store = pair.destination.server.store();
            let there = store.get(pair.destination.bucket, key).unwrap();
            assert_eq!(there.properties.content_disposition, None, "{key}");
        }
    }
}

/// In both directions: a store without calls for tags gives none away and takes none.
#[tokio::test(flavor = "multi_thread")]
async fn tags_arrive_where_both_stores_have_them_and_are_counted_as_lost_elsewhere() {
    for (dialect, scheme) in DIALECTS {
        let pairs = [
            Pair::to(dialect, scheme, false).await,
            Pair::from(dialect, scheme, false).await,
            Pair::from(dialect, scheme, true).await,
        ];
        for pair in pairs {
            let tags = vec![("team".to_owned(), "maps".to_owned())];
            let store = pair.source.server.store();
            for (key, size) in [("small", 700), ("large", 7 * MIB)] {
                let bytes = noise(1, size);
                store.put_with(pair.source.bucket, key, bytes, Properties::default(), tags.clone());
            }
            let report = pair.copy(in_parts()).await;
            report.expect(&[("copied", 2)]);
            let losses = report.run.totals.unwrap().losses;
            let lost = losses.iter().find(|(loss, _)| *loss == Loss::Tags);
            let arrive = dialect == Dialect::Cos;
            assert_eq!(lost.map(|(_, objects)| objects), (!arrive).then_some(2), "{scheme}");
            for key in ["small", "large"] {
                let there = pair.destination.server.store();
                let object = there.get(pair.destination.bucket, key).unwrap();
                let expected = if arrive { tags.clone() } else { vec![] };
                assert_eq!(object.tags, expected, "{scheme} {key}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_source_lost_is_deleted_and_a_late_listing_proves_nothing() {
    for (dialect, scheme) in DIALECTS {
        let pair = Pair::from(dialect, scheme, true).await;
        pair.source.put("kept", noise(1, 100));
        pair.destination.put("extra", "only here");
        let guard = DeleteGuard { objects_max: 10, percent_max: 100 };
        let policy = Policy { delete: Some(guard), ..Policy::default() };
        let report = pair.copy(policy).await;
        report.expect(&[("copied", 1), ("deleted", 1)]);
        assert_eq!(report.objects(Outcome::Deleted), 1, "{scheme}");
        let asked = pair.source.server.requests().count("GetObject");
        // One copies; where the listing may be late, one before the delete and one behind it prove.
        assert_eq!(asked, if scheme == "cos" { 3 } else { 1 }, "{scheme}");
    }
}

/// An endpoint that is a domain of the bucket's own.
#[tokio::test(flavor = "multi_thread")]
async fn a_domain_of_the_buckets_own_is_an_endpoint() {
    let pair = Pair::from(Dialect::Oss, "oss", true).await;
    pair.source.put("a b+c/é", noise(1, 100));
    let endpoint = pair.source.server.endpoint().replace("localhost", "bucket.localhost");
    let of_bucket =
        S3Settings { endpoint: Some(endpoint), bucket_endpoint: true, ..pair.source.settings() };
    let parts = Parts { source: of_bucket, ..pair.parts(Policy::default()) };
    rig::run(parts, None).await.unwrap().expect(&[("copied", 1)]);
    pair.expect_equal("a domain of the bucket's own");
}

/// Metadata by name and length of value: what the vendor takes to the last byte, what it does not, and what is
/// said of that.
type Rich = &'static [(&'static str, usize)];
type Limit = (Dialect, &'static str, Rich, &'static [(Rich, &'static str)]);
const METADATA: [Limit; 5] = [
    (
        Dialect::Amazon,
        "s3",
        &[("a", 1_000), ("my_key", 1_041)],
        &[(&[("a", 1_000), ("my_key", 1_042)], "takes 2048")],
    ),
    (
        Dialect::Oss,
        "oss",
        &[("a", 4_084), ("b-2", 4_081)],
        &[(&[("a", 4_084), ("b-2", 4_082)], "takes 8191"), (&[("my_key", 1)], "one is my_key")],
    ),
    (
        Dialect::Cos,
        "cos",
        &[("a", 2_036), ("b", 2_036)],
        &[
            (&[("a", 2_037)], "takes 2048"),
            (&[("a", 2_036), ("b", 2_036), ("c", 1)], "takes 4096"),
            (&[("my_key", 1)], "one is my_key"),
        ],
    ),
    (
        Dialect::Kodo,
        "kodo",
        &[("a", 1_000), ("my_key", 17)],
        &[(&[("a", 1_000), ("my_key", 18)], "takes 1024")],
    ),
    (
        Dialect::Gcs,
        "gs",
        &[("a", 4_096), ("my_key", 4_089)],
        &[(&[("a", 4_096), ("my_key", 4_090)], "takes 8192"), (&[("a", 4_097)], "takes 4096")],
    ),
];

/// What does not fit fails its object with a reason, small or large, and nothing of it is left away. So it is
/// where the row says too much: then the store refuses it.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_a_vendor_does_not_take_fails_its_object_with_a_reason() {
    for (dialect, scheme, fits, refused) in METADATA {
        let pair = Pair::to(dialect, scheme, false).await;
        let put = |key: &str, size: usize, rich: Rich| {
            let metadata = rich.iter().map(|(name, len)| ((*name).to_owned(), "x".repeat(*len)));
            let properties = Properties { metadata: metadata.collect(), ..Properties::default() };
            let store = pair.source.server.store();
            store.put_with(pair.source.bucket, key, noise(1, size), properties, vec![]);
        };
        put("fits", 500, fits);
        for (n, (rich, _)) in refused.iter().enumerate() {
            put(&format!("refused/{n}"), 500, rich);
            put(&format!("refused/{n}/large"), 7 * MIB, rich);
        }
        let failed = u64::try_from(refused.len() * 2).unwrap();
        let report = pair.copy(in_parts()).await;
        report.expect(&[("copied", 1), ("failed", failed)]);
        for note in &report.failures {
            let reason = note.reason.as_deref().unwrap();
            let n: usize = note.key.as_str().split('/').nth(1).unwrap().parse().unwrap();
            assert!(reason.contains(refused[n].1), "{scheme} {}: {reason}", note.key);
            assert!(reason.contains("at the source"), "what to do: {reason}");
        }
        let there = pair.destination.server.store();
        assert_eq!(pair.destination.keys(), ["fits"], "{scheme}");
        assert_eq!(there.open_uploads(pair.destination.bucket), [], "{scheme}");
        let object = there.get(pair.destination.bucket, "fits").unwrap();
        let kept = |name: &str, len: usize| {
            object.properties.metadata.get(name).is_some_and(|value| value.len() == len)
        };
        assert!(fits.iter().all(|(name, len)| kept(name, *len)), "{scheme}");
        // A row that admits everything: the store itself refuses, and the outcome is the same.
        let mut parts = pair.parts(in_parts());
        parts.policy.room = MetadataRoom::ASSUMED;
        let report = rig::run(parts, None).await.unwrap();
        report.expect(&[("equal", 1), ("failed", failed)]);
        let codes = ["MetadataTooLarge", "InvalidArgument"];
        let says = |note: &str| codes.iter().any(|code| note.contains(code));
        assert!(report.failures.iter().all(|note| says(note.reason.as_deref().unwrap())));
        assert_eq!(pair.destination.keys(), ["fits"], "{scheme}");
    }
}
