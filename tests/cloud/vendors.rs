//! A stack that reads from each vendor's store, whose server speaks as the vendor documents, and one that writes there.

use tranship_server::{Dialect, Seen, Server, ServerOptions};
use tranship_tests::cloud::sides::Sides;
use tranship_tests::cloud::stack::Stack;
use tranship_tests::rig::{DESTINATION, SOURCE, noise};

use crate::look::copied;

const MIB: usize = 1 << 20;

/// A vendor's store on one side of a stack.
struct Its {
    dialect: Dialect,
    kind: &'static str,
    region: &'static str,
    bucket: &'static str,
    /// Whether the endpoint is a domain of the bucket's own.
    is_own_domain: bool,
}

const OSS: Its = Its {
    dialect: Dialect::Oss,
    kind: "alibaba-oss",
    region: "cn-hangzhou",
    bucket: "photos",
    is_own_domain: false,
};
const COS: Its = Its {
    dialect: Dialect::Cos,
    kind: "tencent-cos",
    region: "ap-guangzhou",
    bucket: "photos-1250000000",
    is_own_domain: false,
};
const KODO: Its = Its {
    dialect: Dialect::Kodo,
    kind: "qiniu-kodo",
    region: "cn-east-1",
    bucket: "photos",
    is_own_domain: false,
};
const GCS: Its = Its {
    dialect: Dialect::Gcs,
    kind: "google-gcs",
    region: "",
    bucket: "photos",
    is_own_domain: false,
};

impl Its {
    fn options(&self, native_headers: bool) -> ServerOptions {
        let dialect = self.dialect;
        ServerOptions { dialect, native_headers, check_region: false, ..ServerOptions::default() }
    }

    /// What the stack is told of the store on this side, `Source` or `Destination`. Nothing but the kind says whose it
    /// is: its host is nobody's.
    fn parameters(&self, side: &str, server: &Server) -> Vec<(String, String)> {
        let mut endpoint = server.endpoint();
        if self.is_own_domain {
            endpoint = endpoint.replace("://", &format!("://{}.", self.bucket));
        }
        let is_own_domain = self.is_own_domain.to_string();
        [
            ("Kind", self.kind),
            ("Region", self.region),
            ("Endpoint", &endpoint),
            ("BucketEndpoint", &is_own_domain),
        ]
        .map(|(name, value)| (format!("{side}{name}"), value.to_owned()))
        .to_vec()
    }
}

/// Deploys a stack that takes a part for every 5 MiB of what has more than six.
async fn deploy(name: &str, sides: Sides, more: &[(String, String)]) -> Stack {
    let mut all = vec![("MultipartThresholdMiB", "6"), ("PartSizeMiB", "5")];
    all.extend(more.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    Stack::deploy(name, sides, &all).await
}

fn fill(sides: &Sides) {
    for n in 0..20 {
        sides.put(&format!("small/{n:04}"), noise(n, 500));
    }
    sides.put("hostile/ +%2F é\u{1F980}", "a key that is hard to write");
    sides.put("large", noise(100, 12 * MIB));
}

async fn reads_from(its: Its, name: &str) {
    let (buckets, options) = ((its.bucket, DESTINATION), its.options(true));
    let sides = Sides::of_buckets(buckets, options, ServerOptions::default()).await;
    fill(&sides);
    // No ETag of such an object says what its bytes are.
    sides.here().put_multipart(its.bucket, "in parts", vec![noise(101, 7 * MIB).into()]);
    let more = its.parameters("Source", &sides.source);
    let stack = deploy(name, sides, &more).await;
    let report = stack.run().await;
    assert_eq!(report["state"], "complete", "{name}: {report}");
    assert_eq!(copied(&report), 23, "{name}: {report}");
    stack.sides.expect_equal();
    let report = stack.run().await;
    assert_eq!(report["outcomes"]["equal"]["objects"], 23, "{name}: {report}");
}

#[tokio::test]
async fn a_stack_reads_from_oss() {
    reads_from(OSS, "oss").await;
}

#[tokio::test]
async fn a_stack_reads_from_cos_over_a_domain_of_the_buckets_own() {
    reads_from(Its { is_own_domain: true, ..COS }, "cos").await;
}

#[tokio::test]
async fn a_stack_reads_from_kodo() {
    reads_from(KODO, "kodo").await;
}

#[tokio::test]
async fn a_stack_reads_from_google_cloud_storage() {
    reads_from(GCS, "gcs").await;
}

/// The source is of nobody known, and listed in the way that a fact says.
async fn writes_to(its: Its, name: &str) {
    let (buckets, options) = ((SOURCE, its.bucket), its.options(true));
    let sides = Sides::of_buckets(buckets, ServerOptions::default(), options).await;
    fill(&sides);
    sides.destination.requests().keep_log();
    let mut more = its.parameters("Destination", &sides.destination);
    more.push(("Facts".to_owned(), "source-list-version=1".to_owned()));
    let stack = deploy(name, sides, &more).await;
    let report = stack.run().await;
    assert_eq!(report["state"], "complete", "{name}: {report}");
    assert_eq!(copied(&report), 22, "{name}: {report}");
    stack.sides.expect_equal();
    let writes = stack.sides.destination.requests();
    assert_eq!(writes.count("CreateMultipartUpload"), 1, "{name}");
    // No vendor here documents conditions on writes: what has the right kind is sent none.
    let is_conditional = |seen: &&Seen| {
        let writes = matches!(seen.operation, "PutObject" | "CompleteMultipartUpload");
        writes && (seen.if_match.is_some() || seen.if_none_match.is_some())
    };
    assert_eq!(writes.log().iter().find(is_conditional), None, "{name}");
    let listed = stack.sides.source.requests();
    assert!(listed.count("ListObjects") > 0 && listed.count("ListObjectsV2") == 0, "{name}");
    let report = stack.run().await;
    assert_eq!(report["outcomes"]["equal"]["objects"], 22, "{name}: {report}");
}

#[tokio::test]
async fn a_stack_writes_to_oss_over_a_domain_of_the_buckets_own() {
    writes_to(Its { is_own_domain: true, ..OSS }, "to-oss").await;
}

#[tokio::test]
async fn a_stack_writes_to_cos() {
    writes_to(COS, "to-cos").await;
}

#[tokio::test]
async fn a_stack_writes_to_kodo() {
    writes_to(KODO, "to-kodo").await;
}

#[tokio::test]
async fn a_stack_writes_to_google_cloud_storage() {
    writes_to(GCS, "to-gcs").await;
}
