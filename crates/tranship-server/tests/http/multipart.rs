//! Multipart uploads: created, filled, listed, completed once, replayed, aborted.

use crate::client::{Answer, ask, get, start, start_with};
use bytes::Bytes;
use std::fmt::Write;
use tranship_server::{Backend, CompleteReplay, Server, ServerOptions};

const PART: usize = 5 << 20;

async fn create(server: &Server, headers: &[(&str, &str)]) -> String {
    let created = ask(server, "POST /bucket/k?uploads", headers, "").await;
    created.is(200).one("UploadId")
}

async fn upload(server: &Server, id: &str, number: u32, body: Bytes) -> Answer {
    let line = format!("PUT /bucket/k?partNumber={number}&uploadId={id}");
    ask(server, &line, &[], body).await
}

#[expect(clippy::unwrap_used, reason = "writing to a String cannot fail")]
fn list(parts: &[(u32, &str)]) -> String {
    let mut body = "<CompleteMultipartUpload>".to_owned();
    for (number, etag) in parts {
        write!(body, "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>").unwrap();
    }
    body + "</CompleteMultipartUpload>"
}

fn bytes(length: usize, seed: u8) -> Bytes {
    vec![seed; length].into()
}

#[tokio::test]
async fn parts_become_an_object() {
    let server = start().await;
    let id = create(&server, &[("x-amz-meta-token", "t"), ("x-amz-tagging", "a=1")]).await;
    upload(&server, &id, 3, bytes(7, 9)).await.is(200);
    let one = upload(&server, &id, 1, bytes(PART, 1)).await;
    let three = upload(&server, &id, 3, bytes(5, 3)).await;
    let (one, three) = (one.header("etag"), three.header("etag"));
    let complete = format!("POST /bucket/k?uploadId={id}");
    let code = |answer: &Answer| answer.one("Code");
    let wrong = ask(&server, &complete, &[], list(&[(1, three), (3, three)])).await;
    assert_eq!(code(wrong.is(400)), "InvalidPart");
    let order = ask(&server, &complete, &[], list(&[(3, three), (1, one)])).await;
    assert_eq!(code(order.is(400)), "InvalidPartOrder");
    let size = [("x-amz-mp-object-size", "1")];
    let size = ask(&server, &complete, &size, list(&[(1, one), (3, three)])).await;
    assert_eq!(code(size.is(400)), "InvalidRequest");
    let sum = [("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=")];
    let sum = ask(&server, &complete, &sum, list(&[(1, one), (3, three)])).await;
    assert_eq!(code(sum.is(400)), "BadDigest");
    let listed = get(&server, &format!("/bucket/k?uploadId={id}&max-parts=1")).await;
    assert_eq!(listed.is(200).one("IsTruncated"), "true");
    assert_eq!(listed.one("NextPartNumberMarker"), "1");
    assert_eq!(listed.all("ChecksumCRC64NVME").len(), 1);
    let done =
        ask(&server, &complete, &[("if-none-match", "*")], list(&[(1, one), (3, three)])).await;
    assert!(done.is(200).one("ETag").contains("-2"), "{}", done.text());
    let object = server.store().get("bucket", "k").unwrap();
    assert_eq!(object.size(), u64::try_from(PART + 5).unwrap());
    assert_eq!(object.properties.metadata["token"], "t");
    assert_eq!(object.tags.len(), 1);
    // What S3 computed by combining is what hashing the whole would give.
    let whole = server.store().read("bucket", "k").unwrap();
    server.store().put("bucket", "whole", whole);
    assert_eq!(server.store().get("bucket", "whole").unwrap().sums, object.sums);

    let part = ask(&server, "HEAD /bucket/k?partNumber=2", &[], "").await;
    assert_eq!(part.is(206).header("x-amz-mp-parts-count"), "2");
    assert_eq!(part.header("content-range"), format!("bytes {PART}-{}/{}", PART + 4, PART + 5));
    assert_eq!(get(&server, "/bucket/k?partNumber=2").await.is(206).body, bytes(5, 3));
    get(&server, "/bucket/k?partNumber=3").await.is(416);

    let replay = ask(&server, &complete, &[], list(&[(1, one), (3, three)])).await;
    assert_eq!(replay.is(200).one("ETag"), done.one("ETag"));
    assert_eq!(server.store().count_writes("bucket", "k"), 1);
}

#[tokio::test]
async fn small_parts_and_bad_numbers() {
    let server = start().await;
    let id = create(&server, &[]).await;
    let one = upload(&server, &id, 1, bytes(1, 1)).await;
    let two = upload(&server, &id, 2, bytes(1, 1)).await;
    let complete = format!("POST /bucket/k?uploadId={id}");
    let small =
        ask(&server, &complete, &[], list(&[(1, one.header("etag")), (2, two.header("etag"))]))
            .await;
    assert_eq!(small.is(400).one("Code"), "EntityTooSmall");
    assert_eq!(
        upload(&server, &id, 10_001, bytes(1, 1)).await.is(400).one("Code"),
        "InvalidArgument"
    );
    assert_eq!(
        upload(&server, "none", 1, bytes(9 << 20, 1)).await.is(404).one("Code"),
        "NoSuchUpload"
    );
    let abort = format!("DELETE /bucket/k?uploadId={id}");
    ask(&server, &abort, &[], "").await.is(204);
    ask(&server, &abort, &[], "").await.is(404);
    assert!(server.store().open_uploads("bucket").is_empty());
}

#[tokio::test]
async fn composite_checksums_must_be_told_at_the_end() {
    let server = start().await;
    let id = create(&server, &[("x-amz-checksum-algorithm", "SHA256")]).await;
    let line = format!("PUT /bucket/k?partNumber=1&uploadId={id}");
    assert_eq!(ask(&server, &line, &[], "abc").await.is(400).one("Code"), "InvalidRequest");
    let sum = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
    let part = ask(&server, &line, &[("x-amz-checksum-sha256", sum)], "abc").await;
    let etag = part.is(200).header("etag");
    let complete = format!("POST /bucket/k?uploadId={id}");
    let untold = ask(&server, &complete, &[], list(&[(1, etag)])).await;
    assert_eq!(untold.is(400).one("Code"), "InvalidRequest");
    let told = list(&[(1, etag)])
        .replace("</Part>", &format!("<ChecksumSHA256>{sum}</ChecksumSHA256></Part>"));
    let done = ask(&server, &complete, &[], told).await;
    assert!(done.is(200).one("ChecksumSHA256").ends_with("-1"));
    assert_eq!(done.one("ChecksumType"), "COMPOSITE");
}

#[tokio::test]
async fn replays_as_the_option_says() {
    for (replay, status) in
        [(CompleteReplay::NoSuchUpload404, 404), (CompleteReplay::Precondition412, 412)]
    {
        let server = start_with(ServerOptions { replay, ..ServerOptions::default() }).await;
        let id = create(&server, &[]).await;
        let part = upload(&server, &id, 1, bytes(1, 1)).await;
        let complete = format!("POST /bucket/k?uploadId={id}");
        let body = list(&[(1, part.header("etag"))]);
        let absent = [("if-none-match", "*")];
        ask(&server, &complete, &absent, body.clone()).await.is(200);
        ask(&server, &complete, &absent, body).await.is(status);
    }
}

#[tokio::test]
async fn uploads_are_listed_by_key_and_time() {
    let server = start().await;
    let first = create(&server, &[]).await;
    let second = create(&server, &[]).await;
    ask(&server, "POST /bucket/j%01?uploads", &[], "").await.is(200);
    let page = get(&server, "/bucket?uploads&max-uploads=2&encoding-type=url").await;
    assert_eq!(page.is(200).all("Key"), ["j%01", "k"]);
    assert_eq!(page.one("NextUploadIdMarker"), first);
    let next =
        get(&server, &format!("/bucket?uploads&key-marker=k&upload-id-marker={first}")).await;
    assert_eq!(next.all("UploadId"), [second.as_str()]);
    assert_eq!(get(&server, "/bucket?uploads&prefix=j").await.all("Initiated").len(), 1);
}

#[tokio::test]
async fn parts_are_copied_by_range() {
    let server = start().await;
    server.store().put("bucket", "source", "0123456789");
    let id = create(&server, &[]).await;
    let line = format!("PUT /bucket/k?partNumber=1&uploadId={id}");
    let source = ("x-amz-copy-source", "bucket/source");
    let range = |range: &'static str| [source, ("x-amz-copy-source-range", range)];
    ask(&server, &line, &range("bytes=5-10"), "").await.is(400);
    let moved = [source, ("x-amz-copy-source-if-match", "\"0\"")];
    ask(&server, &line, &moved, "").await.is(412);
    let part = ask(&server, &line, &range("bytes=5-9"), "").await;
    let etag = part.is(200).one("ETag");
    ask(&server, &format!("POST /bucket/k?uploadId={id}"), &[], list(&[(1, &etag)])).await.is(200);
    assert_eq!(server.store().read("bucket", "k").unwrap(), "56789");
}

#[tokio::test]
async fn discarded_writes_keep_their_row() {
    let backend = Backend::Synthetic { hash_writes: true };
    let server = start_with(ServerOptions { backend, ..ServerOptions::default() }).await;
    let id = create(&server, &[]).await;
    let part = upload(&server, &id, 1, bytes(PART, 7)).await;
    let body = list(&[(1, part.header("etag"))]);
    let done = ask(&server, &format!("POST /bucket/k?uploadId={id}"), &[], body).await;
    let head = ask(&server, "HEAD /bucket/k", &[], "").await;
    assert_eq!(head.is(200).header("content-length"), PART.to_string());
    assert_eq!(done.one("ETag").replace("&quot;", "\""), head.header("etag"));
    get(&server, "/bucket/k").await.is(501);
    assert_eq!(server.store().bytes_received(), u64::try_from(PART).unwrap());
}

#[tokio::test]
async fn uploads_are_grouped_under_common_prefixes() {
    let server = start().await;
    for key in ["a", "b/1", "b/2", "c", "d/1"] {
        ask(&server, &format!("POST /bucket/{key}?uploads"), &[], "").await.is(200);
    }
    let all = get(&server, "/bucket?uploads&delimiter=/").await;
    assert_eq!(all.is(200).one("Delimiter"), "/");
    assert_eq!(all.all("Key"), ["a", "c"]);
    let groups = ["<Prefix>b/</Prefix>", "<Prefix>d/</Prefix>"];
    assert_eq!(all.all("CommonPrefixes"), groups);
    let two = get(&server, "/bucket?uploads&delimiter=/&max-uploads=2").await;
    assert_eq!(two.one("NextKeyMarker"), "b/");
    assert_eq!(two.all("CommonPrefixes"), groups[..1]);
    let rest = get(&server, "/bucket?uploads&delimiter=/&key-marker=b/").await;
    assert_eq!(rest.all("Key"), ["c"]);
    assert_eq!(rest.all("CommonPrefixes"), groups[1..]);
}
