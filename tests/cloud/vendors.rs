//! A stack that reads from each vendor's store, whose server speaks as the vendor documents, and one that writes there.

use tranship_server::{Dialect, ServerOptions};
use tranship_tests::cloud::sides::Sides;
use tranship_tests::cloud::stack::Stack;
use tranship_tests::rig::noise;

use crate::look::copied;

const MIB: usize = 1 << 20;

async fn reads_from(dialect: Dialect, name: &str, kind: &str, region: &str, bucket: &'static str) {
    let options = ServerOptions {
        dialect,
        native_headers: true,
        check_region: false,
        ..ServerOptions::default()
    };
    let sides = Sides::of_bucket(bucket, options, ServerOptions::default()).await;
    for n in 0..20 {
        sides.put(&format!("small/{n:04}"), noise(n, 500));
    }
    sides.put("hostile/ +%2F é\u{1F980}", "a key that is hard to write");
    sides.put("large", noise(100, 12 * MIB));
    // No ETag of such an object says what its bytes are.
    sides.here().put_multipart(bucket, "in parts", vec![noise(101, 7 * MIB).into()]);
    let more = [
        ("SourceKind", kind),
        ("SourceRegion", region),
        ("MultipartThresholdMiB", "6"),
        ("PartSizeMiB", "5"),
    ];
    let stack = Stack::deploy(name, sides, &more).await;
    let report = stack.run().await;
    assert_eq!(report["state"], "complete", "{kind}: {report}");
    assert_eq!(copied(&report), 23, "{kind}: {report}");
    stack.sides.expect_equal();
    let report = stack.run().await;
    assert_eq!(report["outcomes"]["equal"]["objects"], 23, "{kind}: {report}");
}

#[tokio::test]
async fn a_stack_reads_from_oss() {
    reads_from(Dialect::Oss, "oss", "alibaba-oss", "cn-hangzhou", "photos").await;
}

#[tokio::test]
async fn a_stack_reads_from_cos() {
    reads_from(Dialect::Cos, "cos", "tencent-cos", "ap-guangzhou", "photos-1250000000").await;
}

#[tokio::test]
async fn a_stack_reads_from_kodo() {
    reads_from(Dialect::Kodo, "kodo", "qiniu-kodo", "cn-east-1", "photos").await;
}

#[tokio::test]
async fn a_stack_reads_from_google_cloud_storage() {
    reads_from(Dialect::Gcs, "gcs", "google-gcs", "", "photos").await;
}

/// Nothing but the kind says whose store the destination is: its host is nobody's.
#[tokio::test]
async fn a_stack_writes_to_a_store_that_is_known_by_its_kind() {
    let options =
        ServerOptions { dialect: Dialect::Gcs, check_region: false, ..ServerOptions::default() };
    let sides = Sides::with(ServerOptions::default(), options).await;
    for n in 0..20 {
        sides.put(&format!("small/{n:04}"), noise(n, 500));
    }
    sides.put("large", noise(100, 12 * MIB));
    let more = [
        ("DestinationKind", "google-gcs"),
        ("Facts", "source-list-version=1"),
        ("MultipartThresholdMiB", "6"),
        ("PartSizeMiB", "5"),
    ];
    let stack = Stack::deploy("to-gcs", sides, &more).await;
    let report = stack.run().await;
    assert_eq!(report["state"], "complete", "{report}");
    assert_eq!(copied(&report), 21, "{report}");
    stack.sides.expect_equal();
    let writes = stack.sides.destination.requests();
    assert_eq!(writes.count("CreateMultipartUpload"), 1);
    let listed = stack.sides.source.requests();
    assert!(listed.count("ListObjects") > 0 && listed.count("ListObjectsV2") == 0);
}
