//! The queues in SQS.

use serde_json::{Value, json};
use tranship_adapters::queues::sqs::{SqsQueue, SqsSettings};
use tranship_core::error::LedgerError;
use tranship_core::ports::{Queue, TaskQueue as _};
use tranship_tests::queue;

use super::{Cloud, clock, cloud};

async fn queues(name: &str) -> (Cloud, SqsQueue) {
    queues_with(name, |_| {}).await
}

async fn queues_with(name: &str, change: impl FnOnce(&mut SqsSettings)) -> (Cloud, SqsQueue) {
    let cloud = cloud().await;
    let client = aws_sdk_sqs::Client::new(&cloud.config);
    let mut urls = Vec::new();
    for kind in ["scan", "transfer"] {
        let made = client.create_queue().queue_name(format!("{name}-{kind}")).send().await.unwrap();
        urls.push(made.queue_url.unwrap());
    }
    let mut settings = SqsSettings { wait_seconds: 1, ..SqsSettings::new(&urls[0], &urls[1]) };
    change(&mut settings);
    let queue = SqsQueue::new(&cloud.config, settings, clock());
    cloud.wire.take();
    (cloud, queue)
}

fn bodies(asked: &Value) -> Vec<&str> {
    let entries = asked["Entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["MessageBody"].as_str().unwrap()).collect()
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("body {n}")).collect()
}

#[tokio::test]
async fn the_sqs_queue_conforms() {
    let (_cloud, queues) = queues("suite").await;
    queue::conforms(&queues).await;
}

#[tokio::test]
async fn batches_are_as_large_as_they_may_be() {
    let (cloud, queues) =
        queues_with("batches", |settings| settings.message_bytes_max = 256 << 10).await;
    queues.send(Queue::Scan, numbered(25)).await.unwrap();
    let sizes = |cloud: &Cloud| -> Vec<usize> {
        cloud.wire.take().iter().map(|exchange| bodies(&exchange.asked).len()).collect()
    };
    assert_eq!(sizes(&cloud), [10, 10, 5]);
    // Two of these are just as many bytes as a batch may have, and a third is too much.
    queues.send(Queue::Scan, vec!["x".repeat(128 << 10); 5]).await.unwrap();
    assert_eq!(sizes(&cloud), [2, 2, 1]);
    let mut uneven = vec!["x".repeat(200 << 10), "x".repeat(100 << 10)];
    uneven.extend(numbered(3));
    queues.send(Queue::Scan, uneven).await.unwrap();
    assert_eq!(sizes(&cloud), [1, 4]);
    assert_eq!(queues.depth(Queue::Scan).await.unwrap(), 25 + 5 + 5);
}

fn entry(id: &str) -> Value {
    json!({ "Id": id, "MessageId": "m", "MD5OfMessageBody": "0" })
}

fn failure(id: &str, sender: bool) -> Value {
    json!({ "Id": id, "SenderFault": sender, "Code": "InternalError", "Message": "not now" })
}

#[tokio::test]
async fn entries_that_were_not_taken_are_sent_again_and_no_others() {
    let (cloud, queues) = queues("partial").await;
    cloud.wire.answer("SendMessageBatch", |_| {
        let failed = [failure("1", false), failure("3", false)];
        (200, json!({ "Successful": [entry("0"), entry("2")], "Failed": failed }))
    });
    cloud.wire.answer("SendMessageBatch", |_| {
        (200, json!({ "Successful": [entry("0")], "Failed": [failure("1", false)] }))
    });
    queues.send(Queue::Transfer, numbered(4)).await.unwrap();
    let exchanges = cloud.wire.take();
    let sent: Vec<_> = exchanges.iter().map(|exchange| bodies(&exchange.asked)).collect();
    assert_eq!(
        sent,
        [vec!["body 0", "body 1", "body 2", "body 3"], vec!["body 1", "body 3"], vec!["body 3"]]
    );
    assert_eq!(
        queues.depth(Queue::Transfer).await.unwrap(),
        1,
        "the server saw the last one alone"
    );
}

#[tokio::test]
async fn what_is_never_taken_is_an_error() {
    let (cloud, queues) = queues("never").await;
    for sender in [false, true] {
        let attempts = if sender { 1 } else { 6 };
        for _ in 0..attempts {
            cloud.wire.answer("SendMessageBatch", move |_| {
                (200, json!({ "Successful": [], "Failed": [failure("0", sender)] }))
            });
        }
        let sent = queues.send(Queue::Transfer, numbered(1)).await;
        let Err(LedgerError::Unavailable(text)) = sent else { panic!("it was taken") };
        assert!(text.contains("1 messages") && text.contains("not now"), "{text}");
        assert_eq!(cloud.wire.take().len(), attempts);
    }
}

#[tokio::test]
async fn a_throttled_queue_is_waited_for() {
    let (cloud, queues) = queues("throttled").await;
    for code in ["RequestThrottled", "KMS.ThrottlingException", "ServiceUnavailable"] {
        let status = if code == "ServiceUnavailable" { 503 } else { 400 };
        cloud.wire.fail("SendMessageBatch", status, code);
    }
    queues.send(Queue::Transfer, numbered(1)).await.unwrap();
    cloud.wire.fail("ReceiveMessage", 400, "KMS.ThrottlingException");
    let received = queues.receive(Queue::Transfer, 10).await.unwrap();
    assert_eq!(received.len(), 1);
    assert_eq!(cloud.wire.take().len(), 4 + 2);
}

/// A message that is too long is nobody's fault but the sender's: no use in sending it again.
#[tokio::test]
async fn a_message_that_is_too_long_is_refused_once() {
    let (cloud, queues) = queues("long").await;
    let sent = queues.send(Queue::Transfer, vec!["x".repeat((1 << 20) + 1)]).await;
    let Err(LedgerError::Unavailable(text)) = sent else { panic!("it was taken") };
    assert!(
        text.contains("BatchRequestTooLong") || text.contains("InvalidParameterValue"),
        "{text}"
    );
    assert_eq!(cloud.wire.take().len(), 1);
    assert_eq!(queues.depth(Queue::Transfer).await.unwrap(), 0);
}

/// Back-offs are whole seconds, and never nothing where something was asked for.
#[tokio::test]
async fn delays_are_rounded_up_and_bounded() {
    let (cloud, queues) = queues("delays").await;
    queues.send(Queue::Transfer, numbered(1)).await.unwrap();
    let received = queues.receive(Queue::Transfer, 1).await.unwrap().remove(0);
    for (ms, seconds) in [(1, 1), (1_000, 1), (1_001, 2), (u64::MAX, 43_200)] {
        cloud.wire.take();
        cloud.wire.answer("ChangeMessageVisibility", |_| (200, json!({})));
        queues.delay(Queue::Transfer, &received.receipt, ms).await.unwrap();
        assert_eq!(cloud.wire.take()[0].asked["VisibilityTimeout"], seconds, "{ms} ms");
    }
}
