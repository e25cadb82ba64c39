//! Qiniu Kodo.

use super::{BUCKET, Store, UNSIGNED_FRAMES};
use crate::client::ask;
use tranship_server::{Dialect, EtagMode, ServerOptions};

#[tokio::test]
async fn what_is_refused_and_what_is_passed_over() {
    let kodo = Store::start(Dialect::Kodo).await;
    kodo.server.store().put(BUCKET, "there", "bytes");
    kodo.server.store().put_in_class(BUCKET, "glacier", "bytes", "GLACIER");
    kodo.server.store().put_in_class(BUCKET, "instant", "bytes", "GLACIER_IR");
    kodo.server.store().put_in_class(BUCKET, "line", "bytes", "LINE");
    let long = format!("PUT /{}", "k".repeat(751));
    kodo.answers(&[
        ("PUT /k", UNSIGNED_FRAMES, 501, "NotImplemented"),
        (&long, &[], 400, "KeyTooLongError"),
        ("GET /glacier", &[], 403, "InvalidObjectState"),
        ("GET /instant", &[], 200, ""),
        ("GET /line", &[], 200, ""),
        ("GET /there?tagging", &[], 501, "NotImplemented"),
        ("GET /?versioning", &[], 501, "NotImplemented"),
        ("POST /?delete", &[], 400, "InvalidRequest"),
        ("PUT /there", &[("if-none-match", "*")], 200, ""),
        ("PUT /k", &[("x-amz-tagging", "a=1"), ("x-amz-storage-class", "LINE")], 200, ""),
    ])
    .await;
    assert!(kodo.server.store().get(BUCKET, "k").unwrap().tags.is_empty());
    let head = kodo.ask("HEAD /k", &[], "").await;
    assert_eq!(head.is(200).header("x-amz-storage-class"), "LINE");
    assert!(head.headers.keys().all(|name| !name.as_str().contains("crc64")));
}

#[tokio::test]
async fn a_bucket_is_addressed_either_way_and_knows_its_region() {
    let kodo = Store::start(Dialect::Kodo).await;
    kodo.server.store().put(BUCKET, "k", "bytes");
    assert_eq!(kodo.get("/k").await.is(200).text(), "bytes");
    let host = format!("{BUCKET}.localhost:{}", kodo.server.address().port());
    assert_eq!(ask(&kodo.server, "GET /k", &[("host", &host)], "").await.is(200).text(), "bytes");
    kodo.server.store().configure(BUCKET, |it| it.region = Some("cn-north-1".to_owned()));
    assert_eq!(kodo.get("/k").await.is(400).one("Code"), "IncorrectRegion");
}

#[tokio::test]
async fn keys_are_never_encoded() {
    let kodo = Store::start(Dialect::Kodo).await;
    kodo.server.store().put(BUCKET, "a+b%2B c", "x");
    for version in ["", "&list-type=2"] {
        let page = kodo.get(&format!("/?encoding-type=url{version}")).await;
        assert_eq!(page.is(200).all("Key"), ["a+b%2B c"]);
        assert_eq!(page.one("EncodingType"), "");
    }
}

#[tokio::test]
async fn a_multi_object_delete_takes_either_checksum() {
    let kodo = Store::start(Dialect::Kodo).await;
    kodo.server.store().put(BUCKET, "k", "x");
    let body = "<Delete><Object><Key>k</Key></Object></Delete>";
    kodo.ask("POST /?delete", &[("x-amz-checksum-crc32", "AAAAAA==")], body).await.is(200);
    assert!(kodo.server.store().get(BUCKET, "k").is_none());
}

/// Values of the vendor's own: <https://docs.rs/qiniu-etag>.
#[tokio::test]
async fn etags_are_qetags_where_that_is_asked_for() {
    let (dialect, etags) = (Dialect::Kodo, EtagMode::Qetag);
    let kodo = Store::start_with(ServerOptions { dialect, etags, ..Default::default() }).await;
    let put = kodo.ask("PUT /k", &[], "etag").await;
    assert_eq!(put.is(200).header("etag"), "\"FpLiADEaVoALPkdb8tJEJyRTXoe_\"");
    let copy = [("x-amz-copy-source", "bucket-1250000000/k")];
    kodo.ask("PUT /copy", &copy, "").await.is(200);
    assert_eq!(kodo.ask("HEAD /copy", &[], "").await.header("etag"), put.header("etag"));
    let id = kodo.ask("POST /parts?uploads", &[], "").await.is(200).one("UploadId");
    let line = format!("PUT /parts?partNumber=1&uploadId={id}");
    let part = kodo.ask(&line, &[], "etag").await;
    let part = part.is(200).header("etag");
    let list = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part}</ETag></Part></CompleteMultipartUpload>"
    );
    kodo.ask(&format!("POST /parts?uploadId={id}"), &[], &list).await.is(200);
    // One part that is one block.
    assert_eq!(kodo.ask("HEAD /parts", &[], "").await.header("etag"), put.header("etag"));
    assert_eq!(kodo.get("/").await.all("ETag").len(), 3);
}
