//! Google Cloud Storage.

use super::{BUCKET, Store, UNSIGNED_FRAMES};
use crate::client::{Answer, ask};
use tranship_server::{Dialect, Fault, Matcher, Properties, Rule, Versioning};

#[tokio::test]
async fn what_is_refused() {
    let gcs = Store::start(Dialect::Gcs).await;
    gcs.server.store().put(BUCKET, "there", "bytes");
    gcs.server.store().put_in_class(BUCKET, "cold", "bytes", "ARCHIVE");
    let source = format!("/{BUCKET}/there");
    let signed = [(
        "authorization",
        "AWS4-HMAC-SHA256 Credential=A/20260101/auto/s3/aws4_request, SignedHeaders=accept-encoding;host, Signature=0",
    )];
    gcs.answers(&[
        ("PUT /k", UNSIGNED_FRAMES, 403, "SignatureDoesNotMatch"),
        ("PUT /k?x-id=PutObject", &[], 403, "SignatureDoesNotMatch"),
        ("GET /there", &signed, 403, "SignatureDoesNotMatch"),
        ("PUT /k%0A", &[], 400, "InvalidArgument"),
        ("PUT /k", &[("x-amz-storage-class", "GLACIER")], 400, "InvalidStorageClass"),
        ("PUT /k", &[("x-amz-storage-class", "COLDLINE")], 200, ""),
        // An archive is read at once.
        ("GET /cold", &[], 200, ""),
        (
            "PUT /k?partNumber=1&uploadId=u",
            &[("x-amz-copy-source", &source)],
            501,
            "NotImplemented",
        ),
        ("GET /there?tagging", &[], 501, "NotImplemented"),
        ("POST /there?restore", &[], 501, "NotImplemented"),
        ("PUT /there", &[("x-goog-if-generation-match", "0")], 412, "PreconditionFailed"),
        ("PUT /new", &[("x-goog-if-generation-match", "0")], 200, ""),
        ("PUT /there", &[("x-goog-if-generation-match", "7")], 412, "PreconditionFailed"),
        // Documented for reading alone.
        ("PUT /there", &[("if-none-match", "*")], 200, ""),
        ("GET /there", &[("if-match", "\"0\"")], 412, "PreconditionFailed"),
    ])
    .await;
    gcs.server.faults().add(Rule::new(Matcher::any(), Fault::Throttle));
    gcs.get("/there").await.is(429);
}

#[tokio::test]
async fn hashes_come_in_two_lines() {
    let gcs = Store::start(Dialect::Gcs).await;
    // The check value of CRC-32C.
    gcs.ask("PUT /k", &[("x-amz-meta-color", "red")], "123456789").await.is(200);
    gcs.server.store().put_multipart(BUCKET, "m", vec!["12345".into(), "6789".into()]);
    let hashes = |answer: &Answer| {
        let lines = answer.headers.get_all("x-goog-hash").iter();
        lines.map(|line| line.to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let head = gcs.ask("HEAD /k", &[], "").await;
    assert_eq!(hashes(&head), ["crc32c=4waSgw==", "md5=JfnnlDI7RTiF9RgfG2JNCw=="]);
    assert_eq!(head.header("x-amz-meta-color"), "red");
    assert_eq!(head.header("x-goog-storage-class"), "STANDARD");
    assert_eq!(head.header("x-goog-stored-content-length"), "9");
    let part = gcs.ask("GET /m", &[("range", "bytes=0-1")], "").await;
    assert_eq!(hashes(part.is(206)), ["crc32c=4waSgw=="]);
    assert!(!part.header("etag").contains("-2"));
}

#[tokio::test]
async fn every_object_has_a_generation() {
    let gcs = Store::start(Dialect::Gcs).await;
    gcs.server.store().configure(BUCKET, |it| it.versioning = Versioning::Enabled);
    gcs.server.store().put(BUCKET, "k", "first");
    let first = gcs.ask("HEAD /k", &[], "").await;
    let generation = first.header("x-goog-generation").to_owned();
    assert_eq!(first.header("x-amz-version-id"), generation);
    let here = [("x-goog-if-generation-match", generation.as_str())];
    gcs.ask("PUT /k", &here, "second").await.is(200);
    gcs.ask("PUT /k", &here, "third").await.is(412);
    for name in ["generation", "versionId"] {
        let old = gcs.get(&format!("/k?{name}={generation}")).await;
        assert_eq!(old.is(200).text(), "first");
        assert_eq!(old.header("x-goog-generation"), generation);
    }
    assert_eq!(gcs.get("/k").await.text(), "second");
    gcs.get("/k?generation=7").await.is(404);
}

/// `gzip` of "123456789", not compressed any further.
const ZIPPED: &[u8] = &[
    0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1, 9, 0, 246, 255, 49, 50, 51, 52, 53, 54, 55, 56, 57,
    0x26, 0x39, 0xf4, 0xcb, 9, 0, 0, 0,
];

#[tokio::test]
async fn what_is_zipped_is_unzipped_for_who_does_not_take_it() {
    let gcs = Store::start(Dialect::Gcs).await;
    let zipped =
        || Properties { content_encoding: Some("gzip".to_owned()), ..Properties::default() };
    let kept = || Properties { cache_control: Some("no-transform".to_owned()), ..zipped() };
    gcs.server.store().put_with(BUCKET, "k", ZIPPED, zipped(), Vec::new());
    gcs.server.store().put_with(BUCKET, "kept", ZIPPED, kept(), Vec::new());
    let range = ("range", "bytes=0-1");
    let plain = gcs.ask("GET /k", &[range], "").await;
    assert_eq!(plain.is(200).text(), "123456789");
    assert_eq!(plain.header("content-length"), "");
    assert_eq!(plain.header("content-encoding"), "");
    assert_eq!(plain.header("x-goog-stored-content-encoding"), "gzip");
    assert_eq!(plain.header("x-goog-stored-content-length"), "32");
    let taken = gcs.ask("GET /k", &[range, ("accept-encoding", "gzip")], "").await;
    assert_eq!(taken.is(206).body[..], ZIPPED[..2]);
    assert_eq!(gcs.get("/kept").await.is(200).body[..], *ZIPPED);
}

#[tokio::test]
async fn a_bucket_without_rules_has_an_empty_lifecycle() {
    let gcs = Store::start(Dialect::Gcs).await;
    assert!(gcs.get("/?lifecycle").await.is(200).text().contains("<LifecycleConfiguration/>"));
    let host = gcs.server.address().to_string();
    let none = ask(&gcs.server, "GET /none?lifecycle", &[("host", &host)], "").await;
    assert_eq!(none.is(404).one("Code"), "NoSuchBucket");
}
