//! What stops a transfer as a whole: credentials, buckets, settings. The breaker opens, nothing is
//! lost, and the sweep goes on once it can.

use serde_json::{Value, json};
use tranship_server::{Fault, Matcher, Rule};
use tranship_tests::cloud::sides::{Sides, secret_of, secret_text};
use tranship_tests::cloud::stack::Stack;
use tranship_tests::rig::{DESTINATION, SOURCE, credentials, noise};

use crate::look::copied;

fn fill(sides: &Sides) {
    for n in 0..30 {
        sides.put(&format!("{n:03}"), noise(n, 1_000));
    }
}

/// Waits until the breaker is open; gives its reason.
async fn opened(stack: &Stack) -> String {
    let open = async || {
        let status = stack.status().await;
        (status["breaker"]["state"] == "open").then(|| status["breaker"]["reason"].clone())
    };
    let reason: Value = stack.until("the breaker opens", open).await;
    reason.as_str().unwrap().to_owned()
}

/// What waits is delivered in half a minute at the latest; this hides it for less.
async fn ended(stack: &Stack) -> Value {
    let report = stack.end_of_run().await;
    assert_eq!(report["state"], "complete", "{report}");
    stack.sides.expect_equal();
    report
}

async fn enabled(stack: &Stack, mapping: &str) -> bool {
    let path = format!("/2015-03-31/event-source-mappings/{}", stack.resource(mapping));
    let mapping = stack.cloud.rest("lambda", "GET", &path, None).await.unwrap();
    mapping["State"] == "Enabled"
}

#[tokio::test]
async fn a_source_that_denies_opens_the_breaker_and_the_sweep_closes_it() {
    let sides = Sides::start().await;
    fill(&sides);
    sides.here().configure(SOURCE, |bucket| bucket.deny_read = true);
    let stack = Stack::deploy("denied", sides, &[]).await;
    stack.ask("run").await;
    let reason = opened(&stack).await;
    assert!(reason.contains("AccessDenied"), "{reason}");
    for mapping in ["WorkerTasks", "FinderScans"] {
        assert!(!enabled(&stack, mapping).await, "{mapping} takes messages");
    }
    // It stays open while it is denied, and no run is begun meanwhile.
    let swept = stack.ask("sweep").await;
    assert_eq!(swept["breaker"], "open", "{swept}");
    let refused = stack.ask("run").await;
    assert_eq!(refused["begun"], false, "{refused}");
    let log = stack.log("finder").await.join("\n");
    assert!(log.contains(r#""BreakerOpen":1"#), "the metric of the alarm: {log}");

    stack.sides.here().configure(SOURCE, |bucket| bucket.deny_read = false);
    assert_eq!(copied(&ended(&stack).await), 30);
    for mapping in ["WorkerTasks", "FinderScans"] {
        assert!(enabled(&stack, mapping).await, "{mapping} takes no messages");
    }
}

/// What was good when the functions began is no longer.
#[tokio::test]
async fn expired_credentials_open_the_breaker_and_lose_nothing() {
    let sides = Sides::start().await;
    fill(&sides);
    let expired = Fault::Refuse { status: 400, code: "ExpiredToken" };
    for operation in ["GetObject", "HeadObject"] {
        sides.source.faults().add(Rule::new(Matcher::on(operation), expired.clone()));
    }
    let stack = Stack::deploy("expired", sides, &[]).await;
    stack.ask("run").await;
    let reason = opened(&stack).await;
    assert!(reason.contains("ExpiredToken"), "{reason}");
    stack.sides.source.faults().clear();
    assert_eq!(copied(&ended(&stack).await), 30);
}

/// The destination's policy begins to deny after some objects.
#[tokio::test]
async fn a_policy_that_starts_to_deny_in_mid_run_loses_nothing() {
    let sides = Sides::start().await;
    fill(&sides);
    let deny = |store: &tranship_server::Store| {
        store.configure(DESTINATION, |bucket| bucket.deny_write = true);
    };
    sides.destination.faults().before(Matcher::on("PutObject"), 10, deny);
    let stack = Stack::deploy("policy", sides, &[("Streams", "1")]).await;
    stack.ask("run").await;
    let reason = opened(&stack).await;
    assert!(reason.contains("AccessDenied"), "{reason}");
    assert_eq!(stack.sides.there().keys(DESTINATION).len(), 10, "what went before it");
    // Both sides can be listed, and that is not enough.
    let swept = stack.ask("sweep").await;
    assert_eq!(swept["breaker"], "open", "{swept}");
    let log = stack.log("finder").await.join("\n");
    assert!(log.contains(r#""BreakerOpen":1"#), "the metric of the alarm: {log}");
    stack.sides.there().configure(DESTINATION, |bucket| bucket.deny_write = false);
    assert_eq!(copied(&ended(&stack).await), 30);
    let there = stack.sides.there();
    assert!(there.keys(DESTINATION).iter().all(|key| there.count_writes(DESTINATION, key) == 1));
}

/// A person stops the stack, and goes on.
#[tokio::test]
async fn a_paused_stack_does_nothing_until_a_person_resumes_it() {
    let sides = Sides::start().await;
    fill(&sides);
    let stack = Stack::deploy("paused", sides, &[]).await;
    let paused = stack.ask("pause").await;
    assert_eq!(paused["breaker"]["state"], "paused", "{paused}");
    assert_eq!(stack.ask("run").await["begun"], false);
    assert_eq!(stack.ask("sweep").await["breaker"], "paused");
    assert!(!enabled(&stack, "WorkerTasks").await);
    assert_eq!(stack.ask("resume").await["breaker"], Value::Null);
    let report = stack.run().await;
    assert_eq!(copied(&report), 30, "{report}");
}

/// The secret and the source change together, and the functions keep running.
#[tokio::test]
async fn rotated_credentials_are_read_without_a_deployment() {
    let sides = Sides::start().await;
    fill(&sides);
    let stack = Stack::deploy("rotated", sides, &[]).await;
    assert_eq!(copied(&stack.run().await), 30);
    let rotated = ("AKIDROTATED".to_owned(), "another-canary-that-no-log-may-show".to_owned());
    stack.sides.source.exchange_keys(rotated.clone());
    stack.cloud.put_secret(&secret_of("rotated", "Source"), &secret_text(&rotated)).await;
    stack.sides.put("new", "1");
    stack.ask("run").await;
    assert_eq!(copied(&ended(&stack).await), 1);
    for function in ["finder", "worker"] {
        let log = stack.log(function).await.join("\n");
        for secret in [&rotated.1, &credentials().1] {
            assert!(!log.contains(secret.as_str()), "{function} logs a secret");
        }
    }
}

/// Each kind of bad secret opens the breaker, which names the secret, and none of its content.
#[tokio::test]
async fn a_bad_secret_is_named_and_a_good_one_goes_on() {
    let sides = Sides::start().await;
    fill(&sides);
    let stack = Stack::deploy("secret", sides, &[]).await;
    let name = secret_of("secret", "Source");
    let good = secret_text(&credentials());
    for bad in ["canary, not JSON", r#"{"access_key_id":"canary"}"#, r#"["canary"]"#] {
        stack.cloud.put_secret(&name, bad).await;
        halted_by_its_secret(&stack, &name).await;
        good_again(&stack, &name, &good).await;
    }
    // Binary.
    let asked = json!({ "SecretId": name, "SecretBinary": "Y2FuYXJ5AAH/" });
    stack.cloud.secrets("PutSecretValue", asked).await;
    halted_by_its_secret(&stack, &name).await;
    // With white space around everything, as a person pastes it.
    let (access, secret) = credentials();
    let padded = (format!(" {access}\n"), format!("\t{secret} \r\n"));
    good_again(&stack, &name, &format!("\n {} \n", secret_text(&padded))).await;
    // Missing.
    let asked = json!({ "SecretId": name, "ForceDeleteWithoutRecovery": true });
    stack.cloud.secrets("DeleteSecret", asked).await;
    halted_by_its_secret(&stack, &name).await;
    good_again(&stack, &name, &good).await;
    stack.sides.expect_equal();
}

async fn halted_by_its_secret(stack: &Stack, name: &str) {
    // A person goes on: this halt has nothing to do with the one before it.
    stack.ask("resume").await;
    // New processes, as a deployment or an idle hour makes them: what is known is forgotten.
    for function in ["finder", "worker"] {
        stack.kill(function);
    }
    stack.invoke("finder", json!({ "tranship": "run" })).await.ok();
    let reason = opened(stack).await;
    assert!(reason.contains(name) && !reason.contains("canary"), "{reason}");
}

async fn good_again(stack: &Stack, name: &str, text: &str) {
    stack.cloud.put_secret(name, text).await;
    stack.end_of_run().await;
}

/// Settings that contradict each other: one message names them all.
#[tokio::test]
async fn bad_settings_are_named_at_the_start() {
    let sides = Sides::start().await;
    let stack = Stack::deploy("settings", sides, &[]).await;
    let bad = [
        ("TRANSHIP_STREAMS", "many"),
        ("TRANSHIP_COMPARE", "by feel"),
        ("TRANSHIP_SOURCE_BUCKET", ""),
        ("TRANSHIP_SOURCE_IN_CURRENT_ACCOUNT", "true"),
    ];
    for function in ["finder", "worker", "completer", "s3-event"] {
        stack.configure(function, &bad).await;
        let failed = stack.invoke(function, json!({ "tranship": "status" })).await.unwrap_err();
        assert_eq!(failed.name, "Tranship.BadSettings", "{function}: {failed:?}");
        for name in [
            "TRANSHIP_STREAMS",
            "TRANSHIP_COMPARE",
            "TRANSHIP_SOURCE_BUCKET",
            "TRANSHIP_SOURCE_CREDENTIALS",
        ] {
            assert!(failed.message.contains(name), "{function}: {failed:?}");
        }
    }
}
