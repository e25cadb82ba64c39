//! Faults: each kind as a client meets it.

use crate::client::{ask, get, start, start_with, try_ask};
use std::time::Duration;
use tranship_server::{Fault, Matcher, Rule, ServerOptions};

#[tokio::test]
async fn answers_go_wrong_before_and_after_their_effect() {
    let server = start().await;
    let faults = server.faults();
    faults.add(Rule::once(Matcher::on("PutObject").key("a"), Fault::Throttle));
    faults.add(Rule::once(Matcher::on("PutObject").key("b"), Fault::Status5xxAfter));
    faults.add(Rule::once(Matcher::on("PutObject").key("c"), Fault::ResetBefore));
    faults.add(Rule::once(Matcher::on("PutObject").key("d"), Fault::ResetAfter));
    assert_eq!(ask(&server, "PUT /bucket/a", &[], "x").await.is(503).one("Code"), "SlowDown");
    ask(&server, "PUT /bucket/b", &[], "x").await.is(500);
    try_ask(&server, "PUT /bucket/c", &[], "x").await.unwrap_err();
    try_ask(&server, "PUT /bucket/d", &[], "x").await.unwrap_err();
    assert_eq!(server.store().keys("bucket"), ["b", "d"]);
    ask(&server, "PUT /bucket/a", &[], "x").await.is(200);
    assert_eq!(server.faults().struck(), 4);
    assert_eq!(server.requests().count("PutObject"), 5);
}

#[tokio::test]
async fn bodies_are_cut_off_altered_and_unranged() {
    let server = start().await;
    server.store().put("bucket", "k", vec![0_u8; 100_000]);
    let on = || Matcher::on("GetObject");
    server.faults().add(Rule::once(on(), Fault::TruncateBody(1000)));
    server.faults().add(Rule::new(on(), Fault::CorruptBody).skip(1).times(1));
    server.faults().add(Rule::new(on(), Fault::IgnoreRange).skip(2).times(1));
    server.faults().add(Rule::new(on(), Fault::IgnoreIfMatch).skip(3).times(1));
    try_ask(&server, "GET /bucket/k", &[], "").await.unwrap_err();
    let altered = get(&server, "/bucket/k").await;
    assert_eq!(altered.is(200).body.len(), 100_000);
    assert_eq!(altered.body.iter().filter(|byte| **byte != 0).count(), 1);
    let whole = ask(&server, "GET /bucket/k", &[("range", "bytes=0-9")], "").await;
    assert_eq!(whole.is(200).body.len(), 100_000);
    ask(&server, "GET /bucket/k", &[("if-match", "\"0\"")], "").await.is(200);
    ask(&server, "GET /bucket/k", &[("if-match", "\"0\"")], "").await.is(412);
    let pause = Duration::from_millis(50);
    server.faults().add(Rule::once(on(), Fault::StallBody { after: 0, pause }));
    assert_eq!(get(&server, "/bucket/k").await.body.len(), 100_000);
    // The store gives the body in one frame, which is held up in its middle all the same.
    let pause = Duration::from_mins(10);
    server.faults().add(Rule::once(on(), Fault::StallBody { after: 1000, pause }));
    let held = tokio::time::timeout(Duration::from_millis(200), get(&server, "/bucket/k"));
    assert!(held.await.is_err(), "the whole body came");
}

#[tokio::test]
async fn listings_misbehave() {
    let server = start().await;
    for key in ["a", "b", "c", "d"] {
        server.store().put("bucket", key, "x");
    }
    let on = || Matcher::on("ListObjectsV2");
    server.faults().add(Rule::once(on(), Fault::ListGoesBackwards));
    server.faults().add(Rule::new(on(), Fault::ListNeverAdvances).skip(1).times(1));
    let page = get(&server, "/bucket?list-type=2&max-keys=2").await;
    assert_eq!(page.all("Key"), ["b", "a"]);
    let token = page.one("NextContinuationToken");
    let next = format!("/bucket?list-type=2&max-keys=2&continuation-token={token}");
    let stuck = get(&server, &next).await;
    assert_eq!(stuck.all("Key"), ["c", "d"]);
    assert_eq!(stuck.one("NextContinuationToken"), token);
    server.faults().add(Rule::once(on(), Fault::ListRepeats));
    assert_eq!(get(&server, &next).await.all("Key"), ["b", "c"]);
    server.faults().add(Rule::once(on(), Fault::OkWithErrorBody));
    assert_eq!(get(&server, &next).await.is(200).one("Code"), "InternalError");
}

#[tokio::test]
async fn hooks_and_lifecycle_rules_come_just_before() {
    let server = start().await;
    server.store().put("bucket", "k", "old");
    server.faults().before(Matcher::on("GetObject"), 1, |store| {
        store.put("bucket", "k", "new");
    });
    assert_eq!(get(&server, "/bucket/k").await.text(), "old");
    assert_eq!(get(&server, "/bucket/k").await.text(), "new");
    let id = ask(&server, "POST /bucket/k?uploads", &[], "").await.one("UploadId");
    server.faults().add(Rule::once(Matcher::on("UploadPart"), Fault::LifecycleAbort));
    ask(&server, &format!("PUT /bucket/k?partNumber=1&uploadId={id}"), &[], "x").await.is(404);
}

#[tokio::test]
async fn unsigned_and_misdirected_requests() {
    let server = start_with(ServerOptions {
        credentials: Some(("key".to_owned(), "secret".to_owned())),
        ..ServerOptions::default()
    })
    .await;
    get(&server, "/bucket/k").await.is(403);
    let scope = "AWS4-HMAC-SHA256 Credential=key/20260101/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    let wrong = ask(&server, "GET /bucket/k", &[("authorization", scope)], "").await;
    assert_eq!(wrong.is(400).one("Code"), "AuthorizationHeaderMalformed");
    assert_eq!(wrong.header("x-amz-bucket-region"), "us-east-1");
    let server = start().await;
    server.store().configure("bucket", |it| it.region = Some("eu-west-1".to_owned()));
    let moved = get(&server, "/bucket/k").await;
    assert_eq!(moved.is(301).header("x-amz-bucket-region"), "eu-west-1");
}

#[tokio::test]
async fn the_log_tells_what_was_asked() {
    let server = start().await;
    server.requests().keep_log();
    ask(&server, "GET /bucket/k", &[("range", "bytes=0-1"), ("if-match", "\"e\"")], "")
        .await
        .is(404);
    let log = server.requests().log();
    assert_eq!(log[0].operation, "GetObject");
    assert_eq!(log[0].range.as_deref(), Some("bytes=0-1"));
    assert_eq!(log[0].if_match.as_deref(), Some("\"e\""));
    assert_eq!(log[0].status, Some(404));
}

#[tokio::test]
async fn tls_shows_a_ca() {
    let server = start_with(ServerOptions { tls: true, ..ServerOptions::default() }).await;
    assert!(server.endpoint().starts_with("https://127.0.0.1:"));
    assert!(server.ca_pem().unwrap().contains("BEGIN CERTIFICATE"));
}
