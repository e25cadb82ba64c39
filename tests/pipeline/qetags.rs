//! Objects of a store whose ETags are qetags: what these find, and what they cost.

use tranship_adapters::stores::s3::S3Settings;
use tranship_adapters::stores::s3::vendors::{AMAZON, Vendor, abiding};
use tranship_cli::engine::Parts;
use tranship_core::policy::Policy;
use tranship_server::{Content, Dialect, EtagMode, Fault, Matcher, Rule, ServerOptions};
use tranship_tests::rig::{DESTINATION, MIB, Report, Rig, SOURCE, noise};

const ONE_BLOCK: usize = 2_000;
const SEVERAL: usize = 9 * MIB;

async fn from_kodo(etags: EtagMode) -> Rig {
    let dialect = Dialect::Kodo;
    let options = ServerOptions { dialect, etags, check_region: false, ..ServerOptions::default() };
    Rig::with(options, ServerOptions::default()).await
}

async fn copy(rig: &Rig, policy: Policy) -> Report {
    let kodo = Vendor::of_scheme("kodo").unwrap();
    let mut parts: Parts = rig.parts(abiding(policy, kodo, &AMAZON));
    parts.source = S3Settings { vendor: Some(kodo), ..parts.source };
    parts.transfer.source = parts.transfer.source.with_scheme(kodo.scheme);
    rig.run(parts, None).await.unwrap()
}

/// Readings of the source's objects.
fn readings(rig: &Rig) -> u64 {
    rig.source.requests().count("GetObject")
}

fn etag(rig: &Rig, key: &str) -> String {
    rig.here().get(SOURCE, key).unwrap().etag.clone()
}

#[track_caller]
fn expect_failed_for_its_qetag(rig: &Rig, report: &Report) {
    assert_eq!(report.outcomes(), [("failed", 1)], "{report:?}");
    let reason = report.failures.first().unwrap().reason.as_deref().unwrap();
    assert!(reason.contains("the source's own qetag"), "{reason}");
    assert_eq!(rig.there().keys(DESTINATION), [""; 0], "nothing of it is visible");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_every_making_arrive_by_one_reading() {
    let rig = from_kodo(EtagMode::Qetag).await;
    let store = rig.here();
    let sizes = [0, 1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, SEVERAL];
    for (n, size) in (1..).zip(sizes) {
        store.put(SOURCE, &format!("whole/{n}"), noise(n, size));
    }
    let parts = |sizes: &[usize]| {
        let parts = (7..).zip(sizes).map(|(n, size)| noise(n, *size).into());
        parts.collect::<Vec<bytes::Bytes>>()
    };
    store.put_multipart(SOURCE, "parts/blocks", parts(&[4 * MIB, 4 * MIB, 5]));
    store.put_multipart(SOURCE, "parts/others", parts(&[5 * MIB, 5 * MIB]));
    // First letters of the three marks.
    let marks = [("whole/4", 'F'), ("whole/5", 'l'), ("parts/blocks", 'l'), ("parts/others", 'n')];
    for (key, mark) in marks {
        assert!(etag(&rig, key).starts_with(mark), "{key}: {}", etag(&rig, key));
    }
    copy(&rig, Policy::default()).await.expect(&[("copied", 8)]);
    rig.expect_equal();
    assert_eq!(readings(&rig), 8);
    copy(&rig, Policy::default()).await.expect(&[("equal", 8)]);
    assert_eq!(readings(&rig), 8);
}

/// No other evidence tells: the store keeps no checksum, and its ETags are no MD5.
#[tokio::test(flavor = "multi_thread")]
async fn damage_on_the_way_is_found_and_read_again() {
    for size in [ONE_BLOCK, SEVERAL] {
        let rig = from_kodo(EtagMode::Qetag).await;
        rig.put("k", noise(1, size));
        rig.source.faults().add(Rule::once(Matcher::on("GetObject"), Fault::CorruptBody));
        copy(&rig, Policy::default()).await.expect(&[("copied", 1)]);
        assert_eq!((rig.source.faults().struck(), readings(&rig)), (1, 2), "{size}");
        rig.expect_equal();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_on_every_way_is_never_visible() {
    let rig = from_kodo(EtagMode::Qetag).await;
    rig.put("k", noise(1, ONE_BLOCK));
    rig.source.faults().add(Rule::new(Matcher::on("GetObject"), Fault::CorruptBody));
    let report = copy(&rig, Policy { failures_max: 2, ..Policy::default() }).await;
    expect_failed_for_its_qetag(&rig, &report);
}

/// Other bytes than those that the ETag was made of: of one block they cannot be the object's, of several
/// it may have been made of other blocks, and two readings that agree are all that there is to know.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_itself_gives_differently_fails_only_where_that_is_a_proof() {
    for (size, is_proof) in [(ONE_BLOCK, true), (SEVERAL, false)] {
        let rig = from_kodo(EtagMode::Qetag).await;
        rig.put("k", noise(1, size));
        let other = Content::from(bytes::Bytes::from(noise(2, size)));
        assert!(rig.here().change(SOURCE, "k", |object| object.content = other));
        let report = copy(&rig, Policy { failures_max: 2, ..Policy::default() }).await;
        if is_proof {
            expect_failed_for_its_qetag(&rig, &report);
        } else {
            report.expect(&[("copied", 1)]);
            assert_eq!(readings(&rig), 2);
            rig.expect_equal();
        }
    }
}

/// An MD5 for an ETag is no qetag, and nothing is compared with it.
#[tokio::test(flavor = "multi_thread")]
async fn other_etags_of_the_same_store_are_as_good_as_none() {
    let rig = from_kodo(EtagMode::Md5OfOnePiece).await;
    rig.put("k", noise(1, ONE_BLOCK));
    let other = Content::from(bytes::Bytes::from(noise(2, ONE_BLOCK)));
    assert!(rig.here().change(SOURCE, "k", |object| object.content = other));
    copy(&rig, Policy::default()).await.expect(&[("copied", 1)]);
    assert_eq!(readings(&rig), 1);
}
