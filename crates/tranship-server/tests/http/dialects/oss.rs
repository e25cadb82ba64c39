//! Alibaba Cloud OSS.

use super::{BUCKET, Store, UNSIGNED_FRAMES};
use crate::client::ask;
use std::collections::BTreeMap;
use tranship_server::{Dialect, Fault, Matcher, Properties, Rule, ServerOptions, Versioning};

const MD5: &str = "\"4B3A6218BB3E3A7303E8A171A60FCF92\"";

#[tokio::test]
async fn a_bucket_is_addressed_by_the_host_alone() {
    let oss = Store::start(Dialect::Oss).await;
    assert!(oss.server.endpoint().starts_with("http://localhost:"));
    oss.server.store().put(BUCKET, "a/b c", "bytes");
    assert_eq!(oss.get("/a/b%20c").await.is(200).text(), "bytes");
    let by_path = ask(&oss.server, &format!("GET /{BUCKET}/a"), &[], "").await;
    assert_eq!(by_path.is(403).one("Code"), "SecondLevelDomainForbidden");
    assert_eq!(by_path.header("x-oss-ec"), "0003-00001401");
    assert!(by_path.one("Message").contains("third level domain"));
    // The record and the faults know the bucket that the host names.
    oss.server.faults().add(Rule::new(Matcher::any().bucket(BUCKET).key("a"), Fault::Throttle));
    let throttled = oss.get("/a/b%20c").await;
    assert_eq!(throttled.is(503).one("Code"), "TotalQpsLimitExceeded");
    assert_eq!(oss.server.requests().count("GetObject"), 3);
}

#[tokio::test]
async fn what_is_refused() {
    let oss = Store::start(Dialect::Oss).await;
    oss.server.store().put(BUCKET, "there", "bytes");
    let long = format!("PUT /{}", "k".repeat(1024));
    let framed =
        [("content-encoding", "aws-chunked"), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")];
    oss.answers(&[
        ("PUT /k", UNSIGNED_FRAMES, 400, "NotImplemented"),
        ("PUT /k", &framed, 400, "InvalidArgument"),
        ("PUT /k", &[("if-none-match", "*")], 501, "NotImplemented"),
        ("PUT /k", &[("if-match", MD5)], 501, "NotImplemented"),
        ("PUT /k", &[("x-amz-storage-class", "NEARLINE")], 400, "InvalidStorageClass"),
        (&long, &[], 400, "InvalidObjectName"),
        ("PUT //k", &[], 400, "InvalidObjectName"),
        ("PUT /%5Ck", &[], 400, "InvalidObjectName"),
        ("PUT /there", &[("x-oss-forbid-overwrite", "true")], 409, "FileAlreadyExists"),
        ("POST /there?uploads", &[("x-oss-forbid-overwrite", "true")], 409, "FileAlreadyExists"),
        ("PUT /new", &[("x-oss-forbid-overwrite", "true")], 200, ""),
        ("PUT /there", &[("x-oss-forbid-overwrite", "false")], 200, ""),
        ("POST /?delete", &[], 400, "InvalidRequest"),
        ("GET /there?tagging", &[], 501, "NotImplemented"),
        ("POST /there?restore", &[], 501, "NotImplemented"),
        ("GET /?versioning", &[], 501, "NotImplemented"),
        ("GET /?uploads", &[], 501, "NotImplemented"),
        ("GET /none", &[], 404, "NoSuchKey"),
        ("GET /there", &[("if-match", "\"0\"")], 412, "PreconditionFailed"),
        ("GET /there", &[("if-match", MD5)], 200, ""),
        ("GET /there", &[("if-none-match", MD5)], 304, ""),
    ])
    .await;
    let framed = oss.ask("PUT /k", &framed, "bytes").await;
    assert_eq!(framed.header("x-oss-ec"), "0017-00000804");
    assert_eq!(framed.one("ArgumentName"), "Content-Encoding");
    assert_eq!(framed.one("HostId"), oss.host());
    assert!(!framed.one("RequestId").is_empty());
}

#[tokio::test]
async fn overwriting_is_not_forbidden_where_versions_are_kept() {
    let oss = Store::start(Dialect::Oss).await;
    oss.server.store().put(BUCKET, "there", "bytes");
    oss.server.store().configure(BUCKET, |it| it.versioning = Versioning::Suspended);
    let forbid = [("x-oss-forbid-overwrite", "true")];
    oss.ask("PUT /there", &forbid, "new").await.is(200);
    assert_eq!(oss.server.store().read(BUCKET, "there").unwrap(), "new");
}

#[tokio::test]
async fn unknown_checksums_are_passed_over() {
    let oss = Store::start(Dialect::Oss).await;
    let wrong = [
        ("x-amz-checksum-crc32", "AAAAAA=="),
        ("x-amz-sdk-checksum-algorithm", "CRC32"),
        ("x-amz-meta-color", "red"),
        ("x-amz-tagging", "a=1"),
    ];
    let put = oss.ask("PUT /k", &wrong, "bytes").await;
    assert_eq!(put.is(200).header("etag"), MD5);
    assert_eq!(put.header("x-amz-checksum-crc32"), "");
    let head = oss.ask("HEAD /k", &[("x-amz-checksum-mode", "ENABLED")], "").await;
    assert_eq!(head.is(200).header("x-amz-meta-color"), "red");
    assert_eq!(head.header("x-amz-checksum-crc64nvme"), "");
    assert_eq!(head.header("x-amz-tagging-count"), "");
    assert_eq!(head.header("x-amz-server-side-encryption"), "");
    // An MD5 is looked at.
    let wrong = [("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")];
    assert_eq!(oss.ask("PUT /k", &wrong, "bytes").await.is(400).one("Code"), "BadDigest");
}

#[tokio::test]
async fn the_whole_has_a_checksum_whatever_part_is_read() {
    let oss = Store::start(Dialect::Oss).await;
    // The check value of CRC-64/XZ.
    oss.server.store().put(BUCKET, "k", "123456789");
    oss.server.store().put_multipart(BUCKET, "m", vec!["12345".into(), "6789".into()]);
    oss.server.store().put(BUCKET, "old", "123456789");
    oss.server.store().change(BUCKET, "old", |object| object.has_vendor_checksum = false);
    for key in ["k", "m"] {
        for (method, range) in [("HEAD", "bytes=0-"), ("GET", "bytes=0-"), ("GET", "bytes=2-4")] {
            let answer = oss.ask(&format!("{method} /{key}"), &[("range", range)], "").await;
            assert!(answer.status.is_success(), "{answer:?}");
            assert_eq!(answer.header("x-oss-hash-crc64ecma"), "11051210869376104954");
        }
    }
    let single = oss.ask("HEAD /k", &[], "").await;
    assert_eq!(single.header("x-oss-object-type"), "Normal");
    assert_eq!(single.header("content-md5"), "JfnnlDI7RTiF9RgfG2JNCw==");
    let multipart = oss.ask("HEAD /m", &[], "").await;
    assert_eq!(multipart.header("x-oss-object-type"), "Multipart");
    assert_eq!(multipart.header("content-md5"), "");
    assert!(multipart.header("etag").ends_with("-2\""));
    assert_eq!(multipart.header("etag"), multipart.header("etag").to_uppercase());
    assert_eq!(oss.ask("HEAD /old", &[], "").await.header("x-oss-hash-crc64ecma"), "");
}

#[tokio::test]
async fn a_range_that_is_not_wholly_inside_is_no_range() {
    let oss = Store::start(Dialect::Oss).await;
    oss.server.store().put(BUCKET, "k", "0123456789");
    for (range, status, text) in [
        ("bytes=2-4", 206, "234"),
        ("bytes=8-", 206, "89"),
        ("bytes=8-10", 200, "0123456789"),
        ("bytes=10-", 200, "0123456789"),
        ("bytes=-11", 200, "0123456789"),
        ("bytes=4-2", 200, "0123456789"),
    ] {
        let answer = oss.ask("GET /k", &[("range", range)], "").await;
        assert_eq!(answer.is(status).text(), text, "{range}");
    }
    let standard = |range| [("range", range), ("x-oss-range-behavior", "standard")];
    assert_eq!(oss.ask("GET /k", &standard("bytes=8-10"), "").await.is(206).text(), "89");
    let beyond = oss.ask("GET /k", &standard("bytes=10-"), "").await;
    assert_eq!(beyond.is(416).one("Code"), "InvalidRange");
}

#[tokio::test]
async fn answers_have_the_vendors_own_headers_on_request() {
    let options =
        ServerOptions { dialect: Dialect::Oss, native_headers: true, ..ServerOptions::default() };
    let oss = Store::start_with(options).await;
    let put = [("x-oss-meta-color", "red"), ("x-oss-storage-class", "IA")];
    oss.ask("PUT /k", &put, "bytes").await.is(200);
    let head = oss.ask("HEAD /k", &[], "").await;
    assert_eq!(head.is(200).header("x-oss-meta-color"), "red");
    assert_eq!(head.header("x-amz-meta-color"), "");
    assert_eq!(head.header("x-oss-storage-class"), "IA");
    assert!(!head.header("x-oss-request-id").is_empty());
    oss.server.store().put(BUCKET, "plain", "bytes");
    let plain = oss.ask("HEAD /plain", &[], "").await;
    assert_eq!(plain.header("x-oss-storage-class"), "Standard");
    let page = oss.get("/?list-type=2").await;
    assert_eq!(page.is(200).all("StorageClass"), ["IA", "Standard"]);
}

#[tokio::test]
async fn archived_objects_are_read_once_restored() {
    let oss = Store::start(Dialect::Oss).await;
    let store = oss.server.store();
    store.put_in_class(BUCKET, "a", "bytes", "Archive");
    store.put_in_class(BUCKET, "c", "bytes", "ColdArchive");
    store.put_in_class(BUCKET, "i", "bytes", "IA");
    oss.answers(&[
        ("GET /a", &[], 403, "InvalidObjectState"),
        ("GET /c", &[], 403, "InvalidObjectState"),
        ("GET /i", &[], 200, ""),
    ])
    .await;
    assert_eq!(oss.ask("HEAD /a", &[], "").await.is(200).header("x-amz-storage-class"), "GLACIER");
    let page = oss.get("/").await;
    assert_eq!(page.is(200).all("StorageClass"), ["GLACIER", "DEEP_ARCHIVE", "STANDARD_IA"]);
    assert!(store.restore(BUCKET, "a", 4_000_000_000));
    let restored = oss.get("/a").await;
    assert_eq!(restored.is(200).text(), "bytes");
    assert!(
        restored.header("x-amz-restore").starts_with("ongoing-request=\"false\", expiry-date=")
    );
}

#[tokio::test]
async fn links_and_grown_objects_are_told_apart() {
    let oss = Store::start(Dialect::Oss).await;
    let store = oss.server.store();
    store.put(BUCKET, "a/goal", "123456789");
    let properties = Properties {
        content_type: Some("text/html".to_owned()),
        metadata: BTreeMap::from([("color".to_owned(), "red".to_owned())]),
        ..Properties::default()
    };
    store.put_symlink(BUCKET, "link", "a/goal", properties);
    store.put_symlink(BUCKET, "links", "link", Properties::default());
    store.put_symlink(BUCKET, "nowhere", "none", Properties::default());
    store.put_appendable(BUCKET, "log", "123456789");
    store.put(BUCKET, "marker/", "");
    let link = oss.get("/link").await;
    assert_eq!(link.is(200).text(), "123456789");
    assert_eq!(link.header("x-oss-object-type"), "Symlink");
    assert_eq!(link.header("x-amz-meta-color"), "red");
    assert_eq!(link.header("content-type"), "text/html");
    assert_eq!(link.header("x-oss-hash-crc64ecma"), "11051210869376104954");
    assert_eq!(link.header("etag"), format!("\"{}\"", store.get(BUCKET, "a/goal").unwrap().etag));
    let part = oss.ask("GET /link", &[("range", "bytes=0-2")], "").await;
    assert_eq!(part.is(206).text(), "123");
    let log = oss.ask("HEAD /log", &[], "").await;
    assert_eq!(log.is(200).header("x-oss-object-type"), "Appendable");
    assert_eq!(log.header("x-oss-next-append-position"), "9");
    oss.answers(&[
        ("GET /nowhere", &[], 404, "SymlinkTargetNotExist"),
        ("GET /links", &[], 400, "InvalidTargetType"),
    ])
    .await;
    let page = oss.get("/?encoding-type=url").await;
    let types = ["Normal", "Symlink", "Symlink", "Appendable", "Normal", "Symlink"];
    assert_eq!(page.is(200).all("Type"), types);
    assert_eq!(page.all("Size"), ["9", "0", "0", "9", "0", "0"]);
}

#[tokio::test]
async fn a_page_has_a_hundred_keys_unless_asked() {
    let oss = Store::start(Dialect::Oss).await;
    for number in 0..101 {
        oss.server.store().put(BUCKET, &format!("{number:03} é"), "x");
    }
    let first = oss.get("/?list-type=2&encoding-type=url").await;
    assert_eq!(first.is(200).all("Key").len(), 100);
    assert_eq!(first.one("MaxKeys"), "100");
    let next = first.one("NextContinuationToken");
    let second = oss.get(&format!("/?list-type=2&continuation-token={next}")).await;
    assert_eq!(second.is(200).all("Key"), ["100 é"]);
    assert_eq!(oss.get("/?max-keys=1000").await.all("Key").len(), 101);
    let marked = oss.get("/?max-keys=2&encoding-type=url").await;
    assert_eq!(marked.one("NextMarker"), "001+%C3%A9");
}

#[tokio::test]
async fn parts_are_a_hundred_kilobytes_and_may_be_copied() {
    let oss = Store::start(Dialect::Oss).await;
    let size = 100 << 10;
    oss.server.store().put(BUCKET, "source", "s".repeat(size));
    let created = oss.ask("POST /m?uploads", &[], "").await;
    let id = created.is(200).one("UploadId");
    let source = format!("/{BUCKET}/source");
    let copy = [("x-amz-copy-source", source.as_str())];
    let first = oss.ask(&format!("PUT /m?partNumber=1&uploadId={id}"), &copy, "").await;
    let second = oss.ask(&format!("PUT /m?partNumber=2&uploadId={id}"), &[], "end").await;
    let (first, second) = (first.is(200).one("ETag"), second.is(200).header("etag").to_owned());
    assert_eq!(second, second.to_uppercase());
    let parts = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{first}</ETag></Part>\
         <Part><PartNumber>2</PartNumber><ETag>{second}</ETag></Part></CompleteMultipartUpload>"
    );
    let path = format!("POST /m?uploadId={id}");
    let conditional = [("if-none-match", "*")];
    assert_eq!(oss.ask(&path, &conditional, &parts).await.is(501).one("Code"), "NotImplemented");
    oss.server.store().put(BUCKET, "m", "there");
    let forbid = [("x-oss-forbid-overwrite", "true")];
    assert_eq!(oss.ask(&path, &forbid, &parts).await.is(409).one("Code"), "FileAlreadyExists");
    oss.ask(&path, &[], &parts).await.is(200);
    assert_eq!(oss.server.store().get(BUCKET, "m").unwrap().size(), 102_403);
}

#[tokio::test]
async fn a_bucket_of_another_region_is_not_there() {
    let oss = Store::start(Dialect::Oss).await;
    oss.server.store().configure(BUCKET, |it| it.region = Some("cn-beijing".to_owned()));
    assert_eq!(oss.get("/?list-type=2").await.is(404).one("Code"), "NoSuchBucket");
    let options =
        ServerOptions { dialect: Dialect::Oss, native_headers: true, ..ServerOptions::default() };
    let native = Store::start_with(options).await;
    native.server.store().configure(BUCKET, |it| it.region = Some("cn-beijing".to_owned()));
    let answer = native.get("/?list-type=2").await;
    assert_eq!(answer.is(403).one("Code"), "AccessDenied");
    assert_eq!(answer.one("Endpoint"), "oss-cn-beijing.aliyuncs.com");
}

#[tokio::test]
async fn errors_of_every_origin_have_the_vendors_form() {
    let oss = Store::start(Dialect::Oss).await;
    let fault = Fault::Refuse { status: 503, code: "DownloadTrafficRateLimitExceeded" };
    oss.server.faults().add(Rule::new(Matcher::on("GetObject").key("busy"), fault));
    for (path, status, code) in
        [("/busy", 503, "DownloadTrafficRateLimitExceeded"), ("/none", 404, "NoSuchKey")]
    {
        let answer = oss.get(path).await;
        assert_eq!(answer.is(status).one("Code"), code);
        assert_eq!(answer.one("RequestId"), answer.header("x-amz-request-id"));
        assert_eq!(answer.one("EC"), answer.header("x-oss-ec"));
        assert_eq!(answer.one("HostId"), oss.host());
    }
    let head = oss.ask("HEAD /none", &[], "").await;
    assert!(head.is(404).body.is_empty());
    assert_eq!(head.header("x-oss-ec"), "0026-00000001");
}
