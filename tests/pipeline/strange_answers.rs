//! Answers that no store gives: of portals, proxies and liars. None of them is taken for an object, for
//! an empty listing or for a success.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use tranship_cli::engine::EngineError;
use tranship_core::location::Location;
use tranship_core::outcome::Outcome;
use tranship_core::policy::Policy;
use tranship_core::rows::RunState;
use tranship_server::{Server, ServerOptions};
use tranship_tests::between::Between;
use tranship_tests::rig::{DESTINATION, How, MIB, Report, Rig, SOURCE, noise, run};

const PORTAL: &str =
    "<!DOCTYPE html><html><body>Please log in to the airport's network</body></html>";
/// Two to the thirtieth laughs, for whoever expands them.
const LAUGHS: &str = concat!(
    "<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY a \"haha\">",
    "<!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;\">",
    "<!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;\"><!ENTITY e \"&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;\">",
    "<!ENTITY f \"&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;\"><!ENTITY g \"&f;&f;&f;&f;&f;&f;&f;&f;&f;&f;\">",
    "<!ENTITY h \"&g;&g;&g;&g;&g;&g;&g;&g;&g;&g;\"><!ENTITY i \"&h;&h;&h;&h;&h;&h;&h;&h;&h;&h;\">]>",
    "<ListBucketResult><Name>&i;</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>"
);

fn of(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

fn listing(inside: &str) -> Response<Bytes> {
    let xml = format!(
        "<ListBucketResult><Name>source-bucket</Name><Prefix></Prefix><MaxKeys>1000</MaxKeys>{inside}</ListBucketResult>"
    );
    of(200, &[("content-type", "application/xml")], xml)
}

/// A listing that is over after one entry, which is written so.
fn entry(inside: &str) -> Response<Bytes> {
    listing(&format!(
        "<KeyCount>1</KeyCount><IsTruncated>false</IsTruncated><Contents>{inside}</Contents>"
    ))
}

fn is_listing(asked: &Parts) -> bool {
    asked.uri.query().is_some_and(|query| query.contains("list-type=2"))
}

fn is_of_object(asked: &Parts, method: &str) -> bool {
    asked.method == method && asked.uri.path().trim_matches('/').contains('/')
}

/// Small and large, with somebody before one of the sides.
struct Meddled {
    rig: Rig,
    between: Between,
    at_source: bool,
}

impl Meddled {
    async fn new(
        at_source: bool,
        answer: impl Fn(&Parts) -> Option<Response<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        let rig = Rig::new().await;
        rig.put("small", "some bytes of a small object");
        rig.put("large", noise(1, 11 * MIB));
        let behind: &Server = if at_source { &rig.source } else { &rig.destination };
        let between = Between::start(behind.address().port(), answer).await;
        Self { rig, between, at_source }
    }

    async fn copy(&self) -> Result<Report, EngineError> {
        let mut parts = self.rig.parts(Policy {
            multipart_threshold_bytes: 6 << 20,
            part_size_bytes: Some(5 << 20),
            failures_max: 2,
            ..Policy::default()
        });
        let endpoint = self.between.endpoint();
        let (location, settings, bucket) = if self.at_source {
            (&mut parts.transfer.source, &mut parts.source, SOURCE)
        } else {
            (&mut parts.transfer.destination, &mut parts.destination, DESTINATION)
        };
        *location = Location::new(Some(&endpoint), bucket, "");
        settings.endpoint = Some(endpoint);
        let copied = run(parts, None);
        tokio::time::timeout(Duration::from_mins(1), copied).await.unwrap()
    }

    /// Copies with the strange answer, and then without it.
    async fn expect_harmless(&self, what: &str) -> String {
        let first = self.copy().await;
        assert!(self.between.answered() > 0, "{what}: nobody asked");
        for key in self.rig.there().keys(DESTINATION) {
            let (here, there) = (self.rig.here(), self.rig.there());
            assert!(
                here.read(SOURCE, &key) == there.read(DESTINATION, &key),
                "{what}: {key} is visible and is not the source's"
            );
        }
        let said = match &first {
            Err(error) => error.to_string(),
            Ok(report) => {
                let whole = report.how == How::Closed
                    && report.run.state == RunState::Complete
                    && report.objects(Outcome::Failed) == 0;
                assert!(!whole, "{what}: called done: {report:?}");
                format!("{:?} {:?}", report.how, report.failures)
            }
        };
        self.between.stand_aside();
        let report = self.copy().await.unwrap();
        assert_eq!(report.run.state, RunState::Complete, "{what}: {report:?}");
        self.rig.expect_equal();
        said
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_listing_is_never_empty() {
    let date = "<LastModified>2026-01-01T00:00:00.000Z</LastModified>";
    let etag = "<ETag>&quot;00000000000000000000000000000000&quot;</ETag>";
    for (what, answer) in [
        ("a portal's page", of(200, &[("content-type", "text/html")], PORTAL)),
        ("nothing", of(200, &[], "")),
        ("JSON", of(200, &[("content-type", "application/json")], "{\"error\":\"no\"}")),
        ("a billion laughs", of(200, &[("content-type", "application/xml")], LAUGHS)),
        (
            "another document",
            of(200, &[], "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>"),
        ),
        ("half a document", of(200, &[], "<ListBucketResult><Name>source-bucket</Name>")),
        ("no word of the end", listing("<KeyCount>0</KeyCount>")),
        (
            "an end without a way on",
            listing("<KeyCount>0</KeyCount><IsTruncated>true</IsTruncated>"),
        ),
        ("an entry without a key", entry(&format!("<Size>1</Size>{date}{etag}"))),
        ("an entry without a size", entry(&format!("<Key>small</Key>{date}{etag}"))),
        ("a size below nothing", entry(&format!("<Key>small</Key><Size>-1</Size>{date}{etag}"))),
        ("a size in words", entry(&format!("<Key>small</Key><Size>one</Size>{date}{etag}"))),
    ] {
        let sent = answer.clone();
        let meddled =
            Meddled::new(true, move |asked| is_listing(asked).then(|| sent.clone())).await;
        let said = meddled.expect_harmless(what).await;
        assert!(said.contains("ListObjectsV2") && said.contains(SOURCE), "{what}: {said}");
    }
}

/// Signed requests are for the store that they were signed for: nobody follows a redirect.
#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_another_host_is_not_followed() {
    let elsewhere = Server::start(ServerOptions::default()).await.unwrap();
    elsewhere.store().create_bucket(SOURCE);
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/{SOURCE}?list-type=2", elsewhere.endpoint());
        let meddled = Meddled::new(true, move |asked| {
            is_listing(asked).then(|| of(status, &[("location", &location)], ""))
        })
        .await;
        let said = meddled.expect_harmless(&status.to_string()).await;
        assert!(said.contains(SOURCE), "{status}: {said}");
    }
    assert_eq!(elsewhere.requests().total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_object_is_never_copied() {
    let page = [("content-type", "text/html"), ("etag", "\"a\"")];
    // As a proxy does that compresses what passes, whatever was asked for.
    let compressed = [("content-encoding", "gzip"), ("etag", "\"a\"")];
    for (what, answer) in [
        ("a portal's page", of(200, &page, PORTAL)),
        ("a page without an ETag", of(200, &[("content-type", "text/html")], PORTAL)),
        ("nothing", of(200, &[], "")),
        (
            "compressed unasked",
            of(200, &compressed, &b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0"[..]),
        ),
        ("no content", of(204, &[], "")),
        ("not modified", of(304, &[("etag", "\"a\"")], "")),
        ("a redirect", of(307, &[("location", "http://127.0.0.1:9/")], "")),
    ] {
        let sent = answer.clone();
        let answers = move |asked: &Parts| is_of_object(asked, "GET").then(|| sent.clone());
        let said = Meddled::new(true, answers).await.expect_harmless(what).await;
        assert!(said.contains("GetObject"), "{what}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_success_is_never_believed() {
    for method in ["PUT", "POST"] {
        for (what, answer) in [
            ("a portal's page", of(200, &[("content-type", "text/html")], PORTAL)),
            ("no content", of(204, &[], "")),
            ("half an answer", of(200, &[], "<CompleteMultipartUploadResult>")),
            ("a redirect", of(307, &[("location", "http://127.0.0.1:9/")], "")),
            ("a client's fault", of(418, &[], "I'm a teapot")),
        ] {
            let sent = answer.clone();
            let answers = move |asked: &Parts| is_of_object(asked, method).then(|| sent.clone());
            let meddled = Meddled::new(false, answers).await;
            let said = meddled.expect_harmless(&format!("{method}: {what}")).await;
            assert!(said.contains(DESTINATION), "{method}: {what}: {said}");
        }
    }
}
