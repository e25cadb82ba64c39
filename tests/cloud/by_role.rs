//! With nothing but the functions' roles: both buckets in the same account, and everything that AWS
//! itself sets in motion: schedules, notifications, the event bus.
//!
//! Tests begin in the order of their names, and the one that waits for schedules takes longest of all: so
//! its name is among the first.

use std::time::Duration;

use tranship_tests::cloud::elements;
use tranship_tests::cloud::sides::Sides;
use tranship_tests::cloud::stack::Stack;

/// Both sides by role, in the local cloud's own S3. On AWS there is no endpoint to give.
fn by_role<'a>(
    cloud: &'a str,
    source: &'static str,
    destination: &'static str,
) -> Vec<(&'static str, &'a str)> {
    let mut parameters = vec![
        ("SourceBucket", source),
        ("DestinationBucket", destination),
        ("DestinationPrefix", "copy/"),
        ("MultipartThresholdMiB", "5"),
        ("PartSizeMiB", "5"),
    ];
    parameters.extend([("SourceEndpoint", cloud), ("DestinationEndpoint", cloud)]);
    parameters.extend([("SourceCredentials", ""), ("DestinationCredentials", "")]);
    parameters
        .extend([("SourceInCurrentAccount", "true"), ("DestinationInCurrentAccount", "true")]);
    parameters
}

async fn copied(stack: &Stack, bucket: &str, key: &str, text: &str) {
    let path = format!("{bucket}/copy/{key}");
    let there = async || {
        let bytes = stack.cloud.s3("GET", &path, "").await.ok()?;
        (bytes == text).then_some(())
    };
    stack.until(&format!("{key} is copied"), there).await;
}

/// Schedules that really fire begin the run and sweep it; S3 tells the queue of a new object.
#[tokio::test]
async fn a_schedule_begins_the_run_and_a_notification_brings_the_rest() {
    let sides = Sides::start().await;
    let cloud = tranship_tests::cloud::Cloud::get().await;
    for bucket in ["roles-source", "roles-destination"] {
        cloud.s3("PUT", bucket, "").await.unwrap();
    }
    cloud.s3("PUT", "roles-source/a%20key", "by schedule").await.unwrap();
    let large = "parts ".repeat(1 << 20);
    cloud.s3("PUT", "roles-source/large", &large).await.unwrap();
    // What others have set stays.
    let theirs =
        "<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>";
    cloud.s3("PUT", "roles-source?notification", theirs).await.unwrap();
    let endpoint = cloud.proxy.endpoint();
    let mut parameters = by_role(&endpoint, "roles-source", "roles-destination");
    parameters.extend([
        ("SourceEvents", "create"),
        ("AttachNotification", "true"),
        ("Schedule", "rate(1 minute)"),
        ("SweepSchedule", "rate(1 minute)"),
    ]);
    let stack = Stack::deploy_built("roles", sides, &parameters).await;
    let set = cloud.s3("GET", "roles-source?notification", "").await.unwrap();
    let set = String::from_utf8_lossy(&set).into_owned();
    assert_eq!(elements(&set, "Queue").len(), 1, "{set}");
    assert!(set.contains("EventBridgeConfiguration"), "{set}");

    cloud.s3("PUT", "roles-source/told", "by notification").await.unwrap();
    copied(&stack, "roles-destination", "told", "by notification").await;
    copied(&stack, "roles-destination", "a%20key", "by schedule").await;
    copied(&stack, "roles-destination", "large", &large).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let status = stack.status().await;
    assert_eq!(status["breaker"], serde_json::Value::Null, "{status}");

    stack.delete().await;
    let set = cloud.s3("GET", "roles-source?notification", "").await.unwrap();
    let set = String::from_utf8_lossy(&set).into_owned();
    assert_eq!(elements(&set, "Queue").len(), 0, "{set}");
    assert!(set.contains("EventBridgeConfiguration"), "what others have set stays: {set}");
}

/// The event bus brings what the bucket sends there; deletes are allowed by the role.
#[tokio::test]
async fn the_event_bus_brings_creations_and_deletes() {
    let sides = Sides::start().await;
    let cloud = tranship_tests::cloud::Cloud::get().await;
    for bucket in ["bus-source", "bus-destination"] {
        cloud.s3("PUT", bucket, "").await.unwrap();
    }
    let to_bus =
        "<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>";
    cloud.s3("PUT", "bus-source?notification", to_bus).await.unwrap();
    let endpoint = cloud.proxy.endpoint();
    let mut parameters = by_role(&endpoint, "bus-source", "bus-destination");
    parameters.extend([("SourceEvents", "create-and-delete"), ("DeleteUnversioned", "true")]);
    let stack = Stack::deploy("bus", sides, &parameters).await;
    cloud.s3("PUT", "bus-source/x%2By%25", "by bus").await.unwrap();
    copied(&stack, "bus-destination", "x%2By%25", "by bus").await;
    cloud.s3("DELETE", "bus-source/x%2By%25", "").await.unwrap();
    let gone = async || {
        stack.cloud.s3("GET", "bus-destination/copy/x%2By%25", "").await.is_err().then_some(())
    };
    stack.until("the copy is deleted", gone).await;
    let report = stack.run().await;
    assert_eq!(report["state"], "complete", "{report}");
}
