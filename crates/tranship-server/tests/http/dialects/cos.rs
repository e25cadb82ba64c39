//! Tencent Cloud COS.

use super::{BUCKET, Store, UNSIGNED_FRAMES};
use crate::client::ask;
use tranship_server::{Dialect, Fault, Matcher, Rule, ServerOptions};

#[tokio::test]
async fn what_is_refused() {
    let cos = Store::start(Dialect::Cos).await;
    cos.server.store().put(BUCKET, "there", "bytes");
    cos.server.store().put(BUCKET, "app.APK", "bytes");
    cos.server.store().put_in_class(BUCKET, "archived", "bytes", "ARCHIVE");
    let long = format!("PUT /{}", "k".repeat(851));
    cos.answers(&[
        ("PUT /k", UNSIGNED_FRAMES, 411, "MissingContentLength"),
        (&long, &[], 400, "KeyTooLong"),
        ("PUT /%1Bk", &[], 400, "InvalidObjectName"),
        ("PUT //k", &[], 400, "InvalidObjectName"),
        ("GET /app.APK", &[], 403, "DownloadForbidden"),
        ("GET /archived", &[], 403, "InvalidObjectState"),
        ("PUT /there", &[("x-cos-forbid-overwrite", "true")], 409, "FileAlreadyExists"),
        ("PUT /new", &[("x-cos-forbid-overwrite", "true")], 200, ""),
        ("POST /?delete", &[("x-amz-checksum-crc32", "AAAAAA==")], 400, "InvalidRequest"),
        ("GET /there?attributes", &[("x-amz-object-attributes", "ETag")], 501, "NotImplemented"),
        ("PUT /k", &[("x-amz-storage-class", "GLACIER")], 400, "InvalidStorageClass"),
        // Conditions on writes are not documented: they are passed over.
        ("PUT /there", &[("if-none-match", "*")], 200, ""),
        ("GET /there", &[("if-match", "\"0\"")], 412, "PreconditionFailed"),
    ])
    .await;
}

#[tokio::test]
async fn a_bucket_is_addressed_by_the_host_and_named_with_its_owner() {
    let cos = Store::start(Dialect::Cos).await;
    let by_path = ask(&cos.server, &format!("GET /{BUCKET}/k"), &[], "").await;
    assert_eq!(by_path.is(403).one("Code"), "PathStyleDomainForbidden");
    assert!(!by_path.one("TraceId").is_empty());
    cos.server.store().create_bucket("plain");
    let host = format!("plain.localhost:{}", cos.server.address().port());
    let unnamed = ask(&cos.server, "GET /", &[("host", &host)], "").await;
    assert_eq!(unnamed.is(400).one("Code"), "InvalidBucketName");
    cos.server.faults().add(Rule::new(Matcher::any(), Fault::Throttle));
    assert_eq!(cos.get("/k").await.is(503).one("Code"), "SlowDown");
}

#[tokio::test]
async fn there_is_one_kind_of_listing() {
    let cos = Store::start(Dialect::Cos).await;
    for key in ["a b", "a/1", "a/2", "b"] {
        cos.server.store().put(BUCKET, key, "x");
    }
    // Parameters of the second version are passed over.
    let page = cos.get("/?list-type=2&start-after=a%2F2&max-keys=2&encoding-type=url").await;
    assert_eq!(page.is(200).all("Key"), ["a+b", "a/1"]);
    assert_eq!(page.one("KeyCount"), "");
    assert_eq!(page.one("NextContinuationToken"), "");
    assert_eq!(page.one("NextMarker"), "a/1");
    let next = cos.get("/?marker=a/1&max-keys=2").await;
    assert_eq!(next.is(200).all("Key"), ["a/2", "b"]);
    assert_eq!(next.one("NextMarker"), "");
}

#[tokio::test]
async fn answers_tell_the_checksum_of_the_whole() {
    for (native_headers, prefix) in [(false, "x-amz-"), (true, "x-cos-")] {
        let options =
            ServerOptions { dialect: Dialect::Cos, native_headers, ..ServerOptions::default() };
        let cos = Store::start_with(options).await;
        let put = [
            ("x-cos-meta-color", "red"),
            ("content-disposition", "inline"),
            ("x-amz-tagging", "a=1"),
            ("x-amz-storage-class", "COLD"),
        ];
        let put = cos.ask("PUT /k", &put, "123456789").await;
        assert_eq!(put.is(200).header("etag"), "\"25f9e794323b453885f5181f1b624d0b\"");
        cos.server.store().put_multipart(BUCKET, "m", vec!["12345".into(), "6789".into()]);
        cos.server.store().put_appendable(BUCKET, "log", "123456789");
        for key in ["k", "m", "log"] {
            let part = cos.ask(&format!("GET /{key}"), &[("range", "bytes=0-1")], "").await;
            let sum = part.is(206).header(&format!("{prefix}hash-crc64ecma"));
            assert_eq!(sum, "11051210869376104954", "{key}");
        }
        let head = cos.ask("HEAD /k", &[], "").await;
        for (name, value) in [
            ("meta-color", "red"),
            ("storage-class", "COLD"),
            ("force-download", "true"),
            ("tagging-count", "1"),
        ] {
            assert_eq!(head.is(200).header(&format!("{prefix}{name}")), value, "{name}");
        }
        // What was stored is hidden by what the default domain says.
        assert_eq!(head.header("content-disposition"), "attachment");
        let log = cos.ask("HEAD /log", &[], "").await;
        assert_eq!(log.header(&format!("{prefix}object-type")), "appendable");
        let multipart = cos.ask("HEAD /m", &[], "").await;
        assert!(multipart.header("etag").ends_with("-2\""));
        // Not the MD5 of MD5s.
        assert_ne!(multipart.header("etag"), "\"3dc3e66c6a1c4ad2d3ef5cfbc0ce3b12-2\"");
    }
}

#[tokio::test]
async fn a_listing_may_lag_behind() {
    let cos = Store::start(Dialect::Cos).await;
    cos.server.store().put(BUCKET, "new", "bytes");
    cos.server.store().put(BUCKET, "old", "bytes");
    cos.server.store().change(BUCKET, "new", |object| object.is_unlisted = true);
    assert_eq!(cos.get("/").await.is(200).all("Key"), ["old"]);
    cos.get("/new").await.is(200);
}
