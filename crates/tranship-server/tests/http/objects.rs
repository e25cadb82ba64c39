//! Objects: written, read, conditioned, copied, tagged, versioned and removed.

use crate::client::{ask, get, start, start_with};
use tranship_server::{EtagMode, Properties, ServerOptions, Versioning};

#[tokio::test]
async fn what_is_put_comes_back() {
    let server = start().await;
    let put = ask(
        &server,
        "PUT /bucket/a%20b/%C3%A9",
        &[
            ("content-type", "text/plain"),
            ("content-encoding", "gzip"),
            ("cache-control", "no-cache"),
            ("expires", "Wed, 21 Oct 2037 07:28:00 GMT"),
            ("x-amz-meta-color", "=?UTF-8?B?w6k=?="),
            ("x-amz-tagging", "a=1&b=c%20d+e"),
        ],
        "hello world",
    )
    .await;
    put.is(200);
    assert_eq!(put.header("etag"), "\"5eb63bbbe01eeed093cb22bb8f5acdc3\"");
    assert_eq!(put.header("x-amz-checksum-crc64nvme"), "jSnVw/bqjr4=");
    for method in ["GET", "HEAD"] {
        let checked = [("x-amz-checksum-mode", "ENABLED")];
        let found = ask(&server, &format!("{method} /bucket/a%20b/%C3%A9"), &checked, "").await;
        found.is(200);
        assert_eq!(found.header("content-type"), "text/plain");
        assert_eq!(found.header("content-encoding"), "gzip");
        assert_eq!(found.header("expires"), "Wed, 21 Oct 2037 07:28:00 GMT");
        assert_eq!(found.header("x-amz-meta-color"), "=?UTF-8?B?w6k=?=");
        assert_eq!(found.header("x-amz-tagging-count"), "2");
        assert_eq!(found.header("content-length"), "11");
        assert_eq!(found.header("x-amz-checksum-crc64nvme"), "jSnVw/bqjr4=");
        assert_eq!(found.header("x-amz-checksum-type"), "FULL_OBJECT");
    }
    let object = server.store().get("bucket", "a b/é").unwrap();
    assert_eq!(object.properties.metadata["color"], "é");
    assert_eq!(object.tags[1], ("b".to_owned(), "c d e".to_owned()));
}

#[tokio::test]
async fn ranges_and_their_ends() {
    let server = start().await;
    server.store().put("bucket", "k", "0123456789");
    server.store().put("bucket", "empty", "");
    let range = |range: &'static str| {
        let server = &server;
        async move { ask(server, "GET /bucket/k", &[("range", range)], "").await }
    };
    let part = range("bytes=2-4").await;
    part.is(206);
    assert_eq!(part.header("content-range"), "bytes 2-4/10");
    assert_eq!(part.text(), "234");
    assert_eq!(range("bytes=-3").await.text(), "789");
    assert_eq!(range("bytes=8-99").await.header("content-range"), "bytes 8-9/10");
    assert_eq!(range("bytes=10-").await.is(416).one("Code"), "InvalidRange");
    // What makes no sense as a range is as good as none.
    for senseless in ["bytes=5-4", "bytes=0-1,4-5", "bytes=x", "lines=1-2"] {
        assert_eq!(range(senseless).await.is(200).text(), "0123456789", "{senseless}");
    }
    ask(&server, "GET /bucket/empty", &[("range", "bytes=0-0")], "").await.is(416);
    let head = ask(&server, "HEAD /bucket/k", &[("range", "bytes=0-0")], "").await;
    head.is(206);
    assert_eq!(head.header("content-length"), "1");
}

#[tokio::test]
async fn missing_things() {
    let server = start().await;
    assert_eq!(get(&server, "/bucket/k").await.is(404).one("Code"), "NoSuchKey");
    assert_eq!(get(&server, "/none/k").await.is(404).one("Code"), "NoSuchBucket");
    let head = ask(&server, "HEAD /bucket/k", &[], "").await;
    assert!(head.is(404).body.is_empty());
    let bucket = ask(&server, "HEAD /bucket", &[], "").await;
    assert_eq!(bucket.is(200).header("x-amz-bucket-region"), "us-east-1");
    let long = format!("PUT /bucket/{}", "k".repeat(1025));
    assert_eq!(ask(&server, &long, &[], "x").await.is(400).one("Code"), "KeyTooLongError");
}

#[tokio::test]
async fn conditions_of_reads_and_writes() {
    let server = start().await;
    let any = [("if-none-match", "*")];
    ask(&server, "PUT /bucket/k", &any, "one").await.is(200);
    assert_eq!(
        ask(&server, "PUT /bucket/k", &any, "two").await.is(412).one("Code"),
        "PreconditionFailed"
    );
    let etag = format!("\"{}\"", server.store().get("bucket", "k").unwrap().etag);
    let same = [("if-match", etag.as_str())];
    let other = [("if-match", "\"0\"")];
    assert_eq!(ask(&server, "PUT /bucket/none", &same, "x").await.is(404).one("Code"), "NoSuchKey");
    ask(&server, "PUT /bucket/k", &other, "x").await.is(412);
    ask(&server, "GET /bucket/k", &other, "").await.is(412);
    ask(&server, "GET /bucket/k", &same, "").await.is(200);
    let unchanged = ask(&server, "GET /bucket/k", &[("if-none-match", &etag)], "").await;
    assert!(unchanged.is(304).body.is_empty());
    assert!(unchanged.header("last-modified").ends_with(" GMT"));
    let since = [("if-modified-since", "Wed, 21 Oct 2037 07:28:00 GMT")];
    ask(&server, "HEAD /bucket/k", &since, "").await.is(304);
    ask(&server, "DELETE /bucket/k", &other, "").await.is(412);
    ask(&server, "PUT /bucket/k", &same, "two").await.is(200);
    ask(&server, "DELETE /bucket/k", &same, "").await.is(412);
    ask(&server, "DELETE /bucket/k", &[], "").await.is(204);
    ask(&server, "DELETE /bucket/k", &[], "").await.is(204);
    assert_eq!(server.store().count_writes("bucket", "k"), 2);
}

#[tokio::test]
async fn checksums_are_verified() {
    let server = start().await;
    let put = |headers: &'static [(&'static str, &'static str)]| {
        let server = &server;
        async move { ask(server, "PUT /bucket/k", headers, "123456789").await }
    };
    put(&[("content-md5", "JfnnlDI7RTiF9RgfG2JNCw==")]).await.is(200);
    assert_eq!(
        put(&[("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")]).await.is(400).one("Code"),
        "BadDigest"
    );
    assert_eq!(put(&[("content-md5", "no")]).await.is(400).one("Code"), "InvalidDigest");
    let good = put(&[("x-amz-checksum-crc32c", "4waSgw==")]).await;
    assert_eq!(good.is(200).header("x-amz-checksum-crc32c"), "4waSgw==");
    assert_eq!(put(&[("x-amz-checksum-crc32", "AAAAAA==")]).await.is(400).one("Code"), "BadDigest");
    put(&[("x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE=")]).await.is(200);
    let framed = [
        ("content-encoding", "aws-chunked"),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-decoded-content-length", "9"),
        ("x-amz-trailer", "x-amz-checksum-crc64nvme"),
    ];
    let body = |sum: &str| format!("9\r\n123456789\r\n0\r\nx-amz-checksum-crc64nvme:{sum}\r\n\r\n");
    ask(&server, "PUT /bucket/t", &framed, body("rosUhgp5mIg=")).await.is(200);
    assert_eq!(server.store().read("bucket", "t").unwrap(), "123456789");
    assert_eq!(server.store().get("bucket", "t").unwrap().properties.content_encoding, None);
    let bad = ask(&server, "PUT /bucket/t", &framed, body("AAAAAAAAAAA=")).await;
    assert_eq!(bad.is(400).one("Code"), "BadDigest");
}

#[tokio::test]
async fn limits_on_metadata_and_tags() {
    let server = start().await;
    let value = "v".repeat(2047);
    ask(&server, "PUT /bucket/k", &[("x-amz-meta-a", &value)], "").await.is(200);
    let more = ask(&server, "PUT /bucket/k", &[("x-amz-meta-ab", &value)], "").await;
    assert_eq!(more.is(400).one("Code"), "MetadataTooLarge");
    let tags = ask(&server, "PUT /bucket/k", &[("x-amz-tagging", "a=1&a=2")], "").await;
    assert_eq!(tags.is(400).one("Code"), "InvalidTag");
}

#[tokio::test]
async fn copies_take_or_replace_what_goes_along() {
    let server = start().await;
    let properties =
        Properties { content_type: Some("text/plain".to_owned()), ..Properties::default() };
    let tags = vec![("a".to_owned(), "1".to_owned())];
    let etag = server.store().put_with("bucket", "k", "bytes", properties, tags);
    server.store().create_bucket("other");
    let source = ("x-amz-copy-source", "/bucket/k");
    let copy = ask(&server, "PUT /other/c", &[source], "").await;
    assert!(copy.is(200).text().contains(&etag));
    let copied = server.store().get("other", "c").unwrap();
    assert_eq!(copied.properties.content_type.as_deref(), Some("text/plain"));
    assert_eq!(copied.tags.len(), 1);
    let absent = [source, ("if-none-match", "*")];
    ask(&server, "PUT /other/c", &absent, "").await.is(412);
    let moved = [source, ("x-amz-copy-source-if-match", "\"0\"")];
    ask(&server, "PUT /other/c", &moved, "").await.is(412);
    let replaced = [
        source,
        ("x-amz-metadata-directive", "REPLACE"),
        ("content-type", "text/html"),
        ("x-amz-tagging-directive", "REPLACE"),
    ];
    ask(&server, "PUT /other/c", &replaced, "").await.is(200);
    let copied = server.store().get("other", "c").unwrap();
    assert_eq!(copied.properties.content_type.as_deref(), Some("text/html"));
    assert!(copied.tags.is_empty());
    let itself = ask(&server, "PUT /bucket/k", &[source], "").await;
    assert_eq!(itself.is(400).one("Code"), "InvalidRequest");
}

#[tokio::test]
async fn tags_are_read_replaced_and_removed() {
    let server = start().await;
    server.store().put("bucket", "k", "x");
    let body = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>";
    ask(&server, "PUT /bucket/k?tagging", &[], body).await.is(200);
    assert_eq!(get(&server, "/bucket/k?tagging").await.is(200).all("Key"), ["a"]);
    ask(&server, "DELETE /bucket/k?tagging", &[], "").await.is(204);
    assert!(server.store().get("bucket", "k").unwrap().tags.is_empty());
}

#[tokio::test]
async fn versions_are_kept_and_deleted_one_by_one() {
    let server = start().await;
    server.store().put("bucket", "k", "null");
    server.store().configure("bucket", |it| it.versioning = Versioning::Enabled);
    let first = ask(&server, "PUT /bucket/k", &[], "first").await;
    let first = first.header("x-amz-version-id").to_owned();
    assert_eq!(get(&server, "/bucket/k?versionId=null").await.is(200).text(), "null");
    let gone = ask(&server, "DELETE /bucket/k", &[], "").await;
    assert_eq!(gone.is(204).header("x-amz-delete-marker"), "true");
    let missing = get(&server, "/bucket/k").await;
    assert_eq!(missing.is(404).header("x-amz-delete-marker"), "true");
    assert_eq!(get(&server, &format!("/bucket/k?versionId={first}")).await.is(200).text(), "first");
    let marker = format!("/bucket/k?versionId={}", gone.header("x-amz-version-id"));
    let not_read = get(&server, &marker).await;
    assert!(not_read.is(405).header("last-modified").ends_with(" GMT"));
    let all = get(&server, "/bucket?versions").await;
    assert_eq!(all.is(200).all("IsLatest"), ["true", "false", "false"]);
    let page = get(&server, "/bucket?versions&max-keys=1").await;
    assert_eq!(page.one("IsTruncated"), "true");
    let (key, id) = (page.one("NextKeyMarker"), page.one("NextVersionIdMarker"));
    let next = get(
        &server,
        &format!("/bucket?versions&max-keys=1&key-marker={key}&version-id-marker={id}"),
    )
    .await;
    assert_eq!(next.all("VersionId"), [first.as_str()]);
    let marker = gone.header("x-amz-version-id");
    ask(&server, &format!("DELETE /bucket/k?versionId={marker}"), &[], "").await.is(204);
    assert_eq!(get(&server, "/bucket/k").await.is(200).text(), "first");
    assert_eq!(get(&server, "/bucket/k?versionId=none").await.is(404).one("Code"), "NoSuchVersion");
    server.store().configure("bucket", |it| it.versioning = Versioning::Suspended);
    ask(&server, "PUT /bucket/k", &[], "second").await.is(200);
    assert_eq!(server.store().count_versions("bucket", "k"), 2);
}

#[tokio::test]
async fn permissions_owners_and_payers() {
    let server = start().await;
    server.store().put("bucket", "k", "x");
    server.store().configure("bucket", |it| {
        it.owner = Some("111122223333".to_owned());
        it.requester_pays = true;
    });
    get(&server, "/bucket/k").await.is(403);
    let pays = ("x-amz-request-payer", "requester");
    ask(&server, "GET /bucket/k", &[pays], "").await.is(200);
    let foreign = ("x-amz-expected-bucket-owner", "444455556666");
    ask(&server, "GET /bucket/k", &[pays, foreign], "").await.is(403);
    server.store().configure("bucket", |it| {
        it.requester_pays = false;
        it.deny_list = true;
    });
    get(&server, "/bucket/k").await.is(200);
    assert_eq!(get(&server, "/bucket?list-type=2").await.is(403).one("Code"), "AccessDenied");
    get(&server, "/bucket/none").await.is(403);
}

#[tokio::test]
async fn random_etags_look_like_kms() {
    let server =
        start_with(ServerOptions { etags: EtagMode::Random, ..ServerOptions::default() }).await;
    let one = ask(&server, "PUT /bucket/a", &[], "x").await;
    let two = ask(&server, "PUT /bucket/b", &[], "x").await;
    assert_ne!(one.header("etag"), two.header("etag"));
    assert_eq!(one.header("etag").len(), 34);
    let head = ask(&server, "HEAD /bucket/a", &[], "").await;
    assert_eq!(head.header("x-amz-server-side-encryption"), "aws:kms");
}

#[tokio::test]
async fn archived_objects_are_not_read() {
    let server = start().await;
    let class = ("x-amz-storage-class", "GLACIER");
    ask(&server, "PUT /bucket/k", &[class], "cold").await.is(200);
    assert_eq!(get(&server, "/bucket/k").await.is(403).one("Code"), "InvalidObjectState");
    let optional = [("x-amz-optional-object-attributes", "RestoreStatus")];
    let listed = ask(&server, "GET /bucket?list-type=2", &optional, "").await;
    assert_eq!(listed.one("IsRestoreInProgress"), "false");
    assert_eq!(listed.one("StorageClass"), "GLACIER");
    let restore = "<RestoreRequest><Days>2</Days></RestoreRequest>";
    ask(&server, "POST /bucket/k?restore", &[], restore).await;
    let thawed = get(&server, "/bucket/k").await;
    assert!(thawed.is(200).header("x-amz-restore").contains("ongoing-request=\"false\""));
}

#[tokio::test]
async fn bytes_beyond_ascii_in_a_header_are_latin1() {
    let server = start().await;
    ask(&server, "PUT /bucket/k", &[("x-amz-meta-name", "\u{e9}")], "").await.is(200);
    assert_eq!(server.store().get("bucket", "k").unwrap().properties.metadata["name"], "Ã©");
    let head = ask(&server, "HEAD /bucket/k", &[], "").await;
    assert_eq!(head.header("x-amz-meta-name"), "=?UTF-8?B?w4PCqQ==?=");
}

#[tokio::test]
async fn attributes_show_the_etag_bare() {
    let server = start().await;
    let etag = server.store().put("bucket", "k", "x");
    let wanted = [("x-amz-object-attributes", "ETag")];
    let attributes = ask(&server, "GET /bucket/k?attributes", &wanted, "").await;
    assert_eq!(attributes.is(200).one("ETag"), etag);
}
