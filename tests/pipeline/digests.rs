//! ETags that look like an MD5 and are none: what good bytes are told apart from damaged ones by.

use tranship_adapters::stores::s3::S3Settings;
use tranship_adapters::stores::s3::vendors::{AMAZON, COMPATIBLE, Vendor, abiding};
use tranship_core::loss::Loss;
use tranship_core::policy::Policy;
use tranship_server::{Fault, Matcher, Rule, Sums};
use tranship_tests::rig::{DESTINATION, MIB, Report, Rig, SOURCE, noise};

const SIZES: [usize; 2] = [2_000, 3 * MIB];
/// 32 digits that nobody has computed.
const DRAWN: &str = "7d0c1f4b29e86a53d17f02c4be95a360";

/// A source that keeps nothing of an object but its `ETag`: the MD5, or digits that were drawn.
async fn of(size: usize, is_drawn: bool) -> Rig {
    let rig = Rig::new().await;
    rig.put("k", noise(1, size));
    let bare = rig.here().change(SOURCE, "k", |object| {
        object.sums = Sums::default();
        if is_drawn {
            DRAWN.clone_into(&mut object.etag);
        }
    });
    assert!(bare);
    rig
}

async fn copy(rig: &Rig, vendor: &'static Vendor) -> Report {
    let policy = Policy { failures_max: 2, ..Policy::default() };
    let mut parts = rig.parts(abiding(policy, vendor, &AMAZON));
    parts.source = S3Settings { vendor: Some(vendor), ..parts.source };
    parts.transfer.source = parts.transfer.source.with_scheme(vendor.scheme);
    rig.run(parts, None).await.unwrap()
}

fn readings(rig: &Rig) -> u64 {
    rig.source.requests().count("GetObject")
}

fn damage(rig: &Rig) {
    rig.source.faults().add(Rule::once(Matcher::on("GetObject"), Fault::CorruptBody));
}

/// Objects whose copies nothing but two readings that agree speaks for.
fn unproven(report: &Report) -> u64 {
    let losses = report.run.totals.clone().unwrap().losses;
    losses.iter().find(|(loss, _)| *loss == Loss::Proof).map_or(0, |(_, objects)| objects)
}

/// A store of which nobody knows what its `ETag`s are.
#[tokio::test(flavor = "multi_thread")]
async fn two_readings_that_agree_are_taken_and_counted() {
    for size in SIZES {
        let rig = of(size, true).await;
        let report = copy(&rig, &COMPATIBLE).await;
        report.expect(&[("copied", 1)]);
        assert_eq!((readings(&rig), unproven(&report)), (3, 1), "{size}");
        rig.expect_equal();
        copy(&rig, &COMPATIBLE).await.expect(&[("equal", 1)]);
        assert_eq!(readings(&rig), 3, "{size}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_on_the_way_is_told_apart_from_an_etag_that_is_no_md5() {
    for size in SIZES {
        // The ETag is the MD5: the destination finds the damage, and takes the next reading for what it is.
        let rig = of(size, false).await;
        damage(&rig);
        let report = copy(&rig, &COMPATIBLE).await;
        report.expect(&[("copied", 1)]);
        assert_eq!((readings(&rig), unproven(&report)), (2, 0), "{size}");
        rig.expect_equal();
        // It is not, and one of the readings is damaged, whichever it is: none that stands alone is taken.
        for damaged in 0..3 {
            let rig = of(size, true).await;
            let rule = Rule::once(Matcher::on("GetObject"), Fault::CorruptBody);
            rig.source.faults().add(rule.skip(damaged));
            copy(&rig, &COMPATIBLE).await.expect(&[("copied", 1)]);
            assert_eq!(rig.source.faults().struck(), 1);
            assert_eq!(rig.there().count_writes(DESTINATION, "k"), 1, "{size} {damaged}");
            rig.expect_equal();
        }
    }
}

/// Where the vendor promises that they are MD5s, bytes that come to another one are not the object's, however
/// often they are read.
#[tokio::test(flavor = "multi_thread")]
async fn a_promised_md5_is_never_doubted() {
    let rig = of(SIZES[0], true).await;
    let report = copy(&rig, &AMAZON).await;
    assert_eq!(report.outcomes(), [("failed", 1)], "{report:?}");
    assert_eq!(rig.there().keys(DESTINATION), [""; 0]);
}
