//! What goes over the wire, and what is made of the answers: through the SDK, against a connector
//! that records each request and gives one prepared answer.

use std::sync::{Arc, Mutex};

use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use bytes::Bytes;
use tranship_core::body::full;
use tranship_core::checksum::{Algorithm, Checksum};
use tranship_core::store::{Attributes, Condition};

use super::vendors::Vendor;
use super::*;

const PLACE: &str = "http://store.test:9000";

/// Method and URI, then the headers as `name: value`.
type Sent = Arc<Mutex<Vec<Vec<String>>>>;

#[derive(Debug, Clone)]
struct Canned {
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    sent: Sent,
}

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut lines = vec![format!("{} {}", request.method(), request.uri())];
        lines.extend(request.headers().iter().map(|(name, value)| format!("{name}: {value}")));
        self.sent.lock().unwrap().push(lines);
        let mut answer = ::http::Response::builder().status(self.status);
        for (name, value) in self.headers {
            answer = answer.header(*name, *value);
        }
        let answer = answer.body(SdkBody::from(self.body)).unwrap();
        HttpConnectorFuture::ready(Ok(HttpResponse::try_from(answer).unwrap()))
    }
}

fn settings() -> S3Settings {
    let credentials =
        StaticCredentials { access_key: "AKID".into(), secret_key: "secret".into(), token: None };
    S3Settings {
        bucket: "b".into(),
        endpoint: Some(PLACE.into()),
        path_style: true,
        credentials: Some(credentials),
        ..S3Settings::default()
    }
}

async fn store(
    settings: S3Settings,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
) -> (S3Store, Sent) {
    let sent = Sent::default();
    let canned = Canned { status, headers, body, sent: Arc::clone(&sent) };
    let client = http_client_fn(move |_, _| SharedHttpConnector::new(canned.clone()));
    (S3Store::connect_with(settings, client).await.unwrap(), sent)
}

/// The one request that was sent.
fn only(sent: &Sent) -> Vec<String> {
    let sent = sent.lock().unwrap();
    assert_eq!(sent.len(), 1, "{sent:?}");
    sent[0].clone()
}

fn assert_sent(sent: &Sent, expected: &[&str]) {
    let lines = only(sent);
    for line in expected {
        assert!(lines.iter().any(|sent| sent == line), "{line} is not in {lines:#?}");
    }
    for word in ["aws-chunked", "x-amz-trailer", "x-amz-sdk-checksum", "x-id=", "STREAMING"] {
        assert!(!lines.iter().any(|sent| sent.contains(word)), "{word} is in {lines:#?}");
    }
}

fn key() -> ObjectKey {
    ObjectKey::new("a/é b+c")
}

#[tokio::test]
async fn a_put_streams_unsigned_and_plain_with_everything_it_carries() {
    let mut settings = settings();
    settings.expected_bucket_owner = Some("1234".into());
    let (store, sent) =
        store(settings, 200, &[("etag", "\"e\""), ("x-amz-version-id", "v")], "").await;
    let key = key();
    let attributes = Attributes {
        content_type: Some("text/x-test".into()),
        content_disposition: Some("attachment; filename=é".into()),
        expires: Some("never".into()),
        user: [("note".to_owned(), "naïve".to_owned())].into(),
        ..Attributes::default()
    };
    let put = Put {
        key: &key,
        size: 5,
        write: Write { attributes, tags: vec![("k".into(), "v w".into())] },
        condition: Some(&Condition::Absent),
        checksum: Some(Checksum { algorithm: Algorithm::Crc32, value: 0x3610_a686 }),
        md5: Some([0; 16]),
    };
    let written = store.put(put, full(Bytes::from_static(b"hello"))).await.unwrap();
    assert_eq!(written.etag, ETag::new("e"));
    assert_eq!(written.version, Some(VersionId("v".into())));
    let expected = [
        "PUT http://store.test:9000/b/a/%C3%A9%20b%2Bc",
        "content-length: 5",
        "content-type: text/x-test",
        "content-disposition: attachment; filename=é",
        "expires: never",
        "if-none-match: *",
        "content-md5: AAAAAAAAAAAAAAAAAAAAAA==",
        "x-amz-checksum-crc32: NhCmhg==",
        "x-amz-content-sha256: UNSIGNED-PAYLOAD",
        "x-amz-expected-bucket-owner: 1234",
        "x-amz-meta-note: =?UTF-8?B?bmHDr3Zl?=",
        "x-amz-tagging: k=v%20w",
    ];
    assert_sent(&sent, &expected);
    let authorization =
        only(&sent).into_iter().find(|line| line.starts_with("authorization")).unwrap();
    for signed in ["x-amz-meta-note", "x-amz-tagging", "x-amz-expected-bucket-owner"] {
        assert!(authorization.contains(signed), "{authorization}");
    }
}

#[tokio::test]
async fn an_empty_object_and_a_part_are_sent_plainly() {
    let (store, sent) = store(settings(), 200, &[("etag", "\"e\"")], "").await;
    let key = key();
    let put = Put {
        key: &key,
        size: 0,
        write: Write::default(),
        condition: None,
        checksum: None,
        md5: None,
    };
    store.put(put, full(Bytes::new())).await.unwrap();
    assert_sent(&sent, &["content-length: 0"]);
    sent.lock().unwrap().clear();
    let upload = UploadId("u".into());
    let body = full(Bytes::from_static(b"hello"));
    store.upload_part(&key, &upload, PartNumber::FIRST, 5, body).await.unwrap();
    assert_sent(&sent, &["content-length: 5", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]);
}

#[tokio::test]
async fn an_upload_is_created_without_a_checksum_algorithm() {
    let body =
        "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
    let (store, sent) = store(settings(), 200, &[], body).await;
    assert_eq!(store.create_upload(&key(), &Write::default()).await.unwrap(), UploadId("u".into()));
    assert!(!only(&sent).iter().any(|line| line.starts_with("x-amz-checksum")), "{sent:?}");
}

#[tokio::test]
async fn a_get_is_pinned_and_its_answer_is_checked() {
    let pin = Pin { etag: ETag::new("e"), version: Some(VersionId("v".into())) };
    let range = ByteRange::new(1, 4);
    let good: &[_] =
        &[("etag", "\"e\""), ("content-length", "3"), ("content-range", "bytes 1-3/9")];
    let (good_store, sent) = store(settings(), 206, good, "ell").await;
    let mut read = good_store.get(&key(), range, Some(&pin)).await.unwrap();
    assert_eq!((read.size, read.head.identity.size), (3, 9));
    let frame = std::future::poll_fn(|cx| read.body.as_mut().poll_frame(cx)).await;
    assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "ell");
    assert_sent(&sent, &["range: bytes=1-3", "if-match: \"e\""]);
    assert!(!only(&sent).iter().any(|line| line.contains("checksum-mode")));

    let (liar, _) =
        store(settings(), 200, &[("etag", "e"), ("content-length", "9")], "123456789").await;
    let error = liar.get(&key(), range, Some(&pin)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Lied);
    assert_eq!(
        error.to_string(),
        "GetObject s3://b/a/é b+c: asked for bytes=1-3, answered with all 9 bytes"
    );
}

#[tokio::test]
async fn a_whole_get_asks_for_the_checksum() {
    let headers: &[_] = &[
        ("etag", "e"),
        ("content-length", "9"),
        ("content-encoding", "gzip"),
        ("expires", "never"),
        ("x-amz-meta-note", "naïve"),
        ("x-amz-checksum-crc32", "y/Q5Jg=="),
    ];
    let (store, sent) = store(settings(), 200, headers, "123456789").await;
    let head = store.get(&key(), None, None).await.unwrap().head;
    assert_eq!(head.checksum.map(|checksum| checksum.value), Some(0xcbf4_3926));
    assert_eq!(head.attributes.content_encoding.as_deref(), Some("gzip"));
    assert_eq!(head.attributes.expires.as_deref(), Some("never"));
    assert_eq!(head.attributes.user.get("note").map(String::as_str), Some("naïve"));
    assert_sent(&sent, &["x-amz-checksum-mode: ENABLED"]);
}

/// Where a store may refuse them, none of Amazon's headers about checksums are sent, nor those that came with them.
#[tokio::test]
async fn a_store_that_takes_no_headers_about_checksums_is_sent_none() {
    let r2 = "https://account.r2.cloudflarestorage.com";
    let compatible = settings();
    for (settings, sends) in [
        (compatible.clone(), true),
        (S3Settings { checksums: Some(false), ..compatible.clone() }, false),
        // No page of the vendor says that it takes them, though one says that it keeps checksums.
        (S3Settings { endpoint: Some(r2.into()), ..compatible.clone() }, false),
        (S3Settings { endpoint: Some(r2.into()), checksums: Some(true), ..compatible }, true),
    ] {
        let body = "<CompleteMultipartUploadResult><ETag>e</ETag><IsTruncated>false</IsTruncated></CompleteMultipartUploadResult>";
        let headers: &[_] = &[("etag", "e"), ("content-length", "9")];
        let (store, sent) = store(settings, 200, headers, body).await;
        let (key, upload) = (key(), UploadId("u".into()));
        store.head(&key, None, None).await.unwrap();
        drop(store.get(&key, None, None).await);
        let list = ListRequest { limit: 7, ..ListRequest::default() };
        drop(store.list(&list).await);
        let parts = [(PartNumber::FIRST, ETag::new("p"))];
        let completion =
            Completion { key: &key, upload: &upload, parts: &parts, size: 7, condition: None };
        store.complete_upload(completion).await.unwrap();
        let checksum = Some(Checksum { algorithm: Algorithm::Crc32, value: 1 });
        let (write, condition, md5) = (Write::default(), None, None);
        let put = Put { key: &key, size: 5, write, condition, checksum, md5 };
        store.put(put, full(Bytes::from_static(b"hello"))).await.unwrap();
        let sent = sent.lock().unwrap().clone();
        assert_eq!(sent.len(), 5);
        let is_newer = |line: &str| {
            ["x-amz-checksum", "x-amz-optional-object-attributes", "x-amz-mp-object-size"]
                .iter()
                .any(|name| line.starts_with(name))
        };
        for request in sent {
            assert_eq!(request.iter().any(|line| is_newer(line)), sends, "{request:#?}");
        }
    }
}

/// The host, the path and the region of the signature at Amazon's special endpoints, each by the settings that its row
/// of the documentation names.
#[tokio::test]
async fn amazons_special_endpoints_are_addressed_and_signed_as_they_want_it() {
    // As both hosts do where nothing is said of the path.
    let of = |bucket: &str, region: &str, endpoint: Option<&str>| S3Settings {
        bucket: bucket.into(),
        region: Some(region.into()),
        endpoint: endpoint.map(str::to_owned),
        path_style: Vendor::of_endpoint(endpoint).quirks.path_style,
        ..settings()
    };
    let amazon = |bucket: &str, region: &str| of(bucket, region, None);
    let at = |endpoint: &str, region: &str| of("photos", region, Some(endpoint));
    let dual = "https://s3.dualstack.eu-west-1.amazonaws.com";
    let fips = "https://s3-fips.us-gov-west-1.amazonaws.com";
    let alias = "my-point-abcdefgh123-s3alias";
    for (settings, url, region) in [
        (amazon("photos", "eu-west-1"), "https://photos.s3.eu-west-1.amazonaws.com/k", "eu-west-1"),
        (
            amazon("photos", "cn-north-1"),
            "https://photos.s3.cn-north-1.amazonaws.com.cn/k",
            "cn-north-1",
        ),
        (
            amazon("photos", "us-gov-west-1"),
            "https://photos.s3.us-gov-west-1.amazonaws.com/k",
            "us-gov-west-1",
        ),
        (
            amazon(alias, "eu-west-1"),
            "https://my-point-abcdefgh123-s3alias.s3.eu-west-1.amazonaws.com/k",
            "eu-west-1",
        ),
        (
            at(dual, "eu-west-1"),
            "https://photos.s3.dualstack.eu-west-1.amazonaws.com/k",
            "eu-west-1",
        ),
        (
            at(fips, "us-gov-west-1"),
            "https://photos.s3-fips.us-gov-west-1.amazonaws.com/k",
            "us-gov-west-1",
        ),
        // No certificate covers a dot before the host.
        (
            amazon("my.photos", "eu-west-1"),
            "https://s3.eu-west-1.amazonaws.com/my.photos/k",
            "eu-west-1",
        ),
    ] {
        let (store, sent) = store(settings, 404, &[], "").await;
        store.head(&ObjectKey::new("k"), None, None).await.unwrap_err();
        let lines = only(&sent);
        assert_eq!(lines[0], format!("HEAD {url}"));
        let scope = format!("/{region}/s3/aws4_request");
        let is_signed = |line: &String| line.starts_with("authorization") && line.contains(&scope);
        assert!(lines.iter().any(is_signed), "{lines:#?}");
    }
}

#[tokio::test]
async fn failures_are_named_and_not_retried() {
    let (head, sent) = store(settings(), 404, &[], "").await;
    assert_eq!(head.head(&key(), None, None).await.unwrap_err().kind, ErrorKind::NotFound);
    only(&sent);

    let slow = "<Error><Code>SlowDown</Code><Message>Reduce.</Message></Error>";
    let (slow, sent) = store(settings(), 503, &[], slow).await;
    let error = slow.get(&key(), None, None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Throttled);
    assert_eq!(error.message, "SlowDown: Reduce. (HTTP 503)");
    only(&sent);

    let gone = "<Error><Code>NoSuchKey</Code><Message>Gone.</Message></Error>";
    let (gone, _) = store(settings(), 404, &[], gone).await;
    assert_eq!(gone.get(&key(), None, None).await.unwrap_err().kind, ErrorKind::NoSuchKey);
    gone.delete(&key(), None).await.unwrap();

    let moved = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>Wrong.</Message>\
        <Region>eu-west-1</Region></Error>";
    let (moved, _) = store(settings(), 400, &[], moved).await;
    let error = moved.get(&key(), None, None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::WrongRegion);
    assert!(error.message.ends_with("; the bucket is in region eu-west-1"), "{error}");

    let (proxy, _) = store(settings(), 502, &[], "<html>bad gateway").await;
    assert_eq!(proxy.get(&key(), None, None).await.unwrap_err().kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn an_error_behind_a_200_is_a_lie() {
    let parts = [(PartNumber::FIRST, ETag::new("p"))];
    let upload = UploadId("u".into());
    let key = key();
    for body in [
        "<Error><Code>InternalError</Code><Message>Oops.</Message></Error>",
        "not xml",
        "<CompleteMultipartUploadResult/>",
    ] {
        let (store, sent) = store(settings(), 200, &[], body).await;
        let is = Condition::Is(ETag::new("old"));
        let completion =
            Completion { key: &key, upload: &upload, parts: &parts, size: 7, condition: Some(&is) };
        let error = store.complete_upload(completion).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Lied, "{body}: {error}");
        assert_sent(&sent, &["if-match: \"old\"", "x-amz-mp-object-size: 7"]);
    }
}

#[tokio::test]
async fn listings_are_decoded_and_checked() {
    let body = "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>\
        <NextContinuationToken>t</NextContinuationToken><Contents><Key>a%2Bb+c%0A</Key><Size>7</Size>\
        <ETag>&quot;e&quot;</ETag><StorageClass>STANDARD</StorageClass>\
        <LastModified>1970-01-01T00:00:01.000Z</LastModified></Contents></ListBucketResult>";
    let (good, sent) = store(settings(), 200, &[], body).await;
    let request = ListRequest { prefix: "a".into(), limit: 7, ..ListRequest::default() };
    let page = good.list(&request).await.unwrap();
    assert_eq!(page.continuation.as_deref(), Some("t"));
    assert_eq!(page.objects[0].key.as_str(), "a+b c\n");
    assert_eq!((page.objects[0].size, page.objects[0].modified.0), (7, 1_000));
    assert_eq!(page.objects[0].storage_class, None);
    let lines = only(&sent);
    for query in ["encoding-type=url", "max-keys=7", "prefix=a", "list-type=2"] {
        assert!(lines[0].contains(query), "{}", lines[0]);
    }
    for body in [
        "<ListBucketResult><Contents><Key>k</Key><ETag>e</ETag></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>k</Key><ETag>e</ETag><Size>-1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<ListBucketResult><Contents>",
        "",
    ] {
        let (liar, _) = store(settings(), 200, &[], body).await;
        let error = liar.list(&request).await.expect_err(body);
        assert_eq!(error.kind, ErrorKind::Lied, "{body}: {error}");
    }
}

#[tokio::test]
async fn a_refused_connection_names_the_endpoint() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let settings = S3Settings { endpoint: Some(endpoint.clone()), ..settings() };
    let error = S3Store::connect(settings).await.unwrap().bucket().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.starts_with(&endpoint), "{error}");
    assert!(error.message.contains("refused"), "{error}");
}

#[tokio::test]
async fn an_anonymous_request_is_not_signed() {
    let settings =
        S3Settings { anonymous: true, credentials: None, requester_pays: true, ..settings() };
    let (store, sent) = store(settings, 404, &[], "").await;
    store.head(&key(), None, None).await.unwrap_err();
    assert!(!only(&sent).iter().any(|line| line.starts_with("authorization")));
    assert_sent(&sent, &["x-amz-request-payer: requester"]);
}

/// Accepts one request; gives what arrived, until the sender stopped or sent `size` bytes of body.
fn serve_once(size: usize) -> (String, std::thread::JoinHandle<Vec<u8>>) {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut received, mut buffer) = (Vec::new(), [0; 4_096]);
        loop {
            let read = stream.read(&mut buffer).unwrap_or(0);
            received.extend_from_slice(&buffer[..read]);
            let head = received.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
            if read == 0 || head.is_some_and(|head| received.len() >= head + size) {
                break;
            }
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\netag: \"e\"\r\ncontent-length: 0\r\n\r\n").ok();
        received
    });
    (endpoint, thread)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_measured_body_passes_a_real_connection_and_a_damaged_one_does_not() {
    use tranship_core::body::{Expectation, measure};
    let good = Some(Checksum { algorithm: Algorithm::Crc32, value: 0xcbf4_3926 });
    let bad = Some(Checksum { algorithm: Algorithm::Crc32, value: 1 });
    for (checksum, arrives) in [(good, true), (bad, false)] {
        let (endpoint, server) = serve_once(9);
        let settings = S3Settings { endpoint: Some(endpoint), ..settings() };
        let store = S3Store::connect(settings).await.unwrap();
        let expectation = Expectation { size: 9, checksum, qetag: None, algorithms: Vec::new() };
        let source = full(Bytes::from_static(b"123456789"));
        let (body, meter) = measure(source, expectation, Arc::default());
        let upload = UploadId("u".into());
        let sent = store.upload_part(&key(), &upload, PartNumber::FIRST, 9, body).await;
        assert_eq!(sent.as_ref().map_err(|error| error.kind).is_ok(), arrives, "{sent:?}");
        assert_eq!(meter.read().fault.is_none(), arrives);
        if let Err(error) = sent {
            assert_eq!(error.kind, ErrorKind::Unavailable);
            assert!(error.message.contains("do not match"), "{error}");
        }
        drop(store);
        let received = server.join().unwrap();
        assert_eq!(received.ends_with(b"\r\n\r\n123456789"), arrives);
    }
}
