//! Messages that nobody of the stack sent, or that nobody can read.

use serde_json::json;
use tranship_tests::cloud::sides::Sides;
use tranship_tests::cloud::stack::Stack;
use tranship_tests::rig::{DESTINATION, MIB, SOURCE, noise};

use crate::look::copied;

fn task(key: &str) -> serde_json::Value {
    let id = json!({ "generation": 1, "scan": 0, "window": 0, "attempt": 0, "index": 0 });
    json!({ "v": 1, "task": "objects", "id": id, "objects": [{ "k": key, "a": "look" }] })
}

#[tokio::test]
async fn forged_foreign_unknown_and_oversized_messages_reach_nothing() {
    let sides = Sides::start().await;
    sides.put("in/mine", "1");
    sides.put("outside", "secret");
    sides.here().put("another-bucket", "in/other", "secret");
    let parameters = [("SourcePrefix", "in/"), ("DestinationPrefix", "out/")];
    let stack = Stack::deploy("forged", sides, &parameters).await;
    let huge = format!("{{\"v\":1,\"x\":\"{}\"}}", "y".repeat(250_000));
    let newer = r#"{"v":99,"task":"objects","id":"another shape"}"#;
    let unreadable = ["no JSON at all", "{}", newer, r#"{"v":1,"task":"explode"}"#, huge.as_str()];
    for queue in ["TransferQueue", "ScanQueue"] {
        for body in unreadable {
            stack.send(queue, body).await;
        }
    }
    // Well-formed, and not of this transfer: keys outside its prefix, an upload that is not its own.
    let parts = json!({ "v": 1, "task": "parts", "header": "00".repeat(32), "epoch": 1, "first": 1, "count": 4 });
    let scan = json!({ "v": 1, "task": "scan", "generation": 7, "scan": 3, "hops": 1 });
    for body in [task("outside"), task("../in/other"), parts] {
        stack.send("TransferQueue", &body.to_string()).await;
    }
    stack.send("ScanQueue", &scan.to_string()).await;
    stack.drained("TransferQueue").await;
    stack.drained("ScanQueue").await;
    for queue in ["TransferDeadLetterQueue", "ScanDeadLetterQueue"] {
        let letters = stack.take(queue).await;
        let mut bodies: Vec<_> =
            letters.iter().map(|letter| letter["Body"].as_str().unwrap()).collect();
        bodies.sort_unstable();
        let mut expected = unreadable;
        expected.sort_unstable();
        assert_eq!(bodies, expected, "{queue}");
        for letter in &letters {
            let reason = letter["MessageAttributes"]["reason"]["StringValue"].as_str();
            assert!(reason.is_some_and(|reason| !reason.is_empty()), "{letter}");
        }
        let newer = letters.iter().find(|letter| letter["Body"] == newer).unwrap();
        let reason = newer["MessageAttributes"]["reason"]["StringValue"].as_str().unwrap();
        assert!(reason.contains("99"), "{reason}");
    }
    assert_eq!(stack.sides.there().keys(DESTINATION), Vec::<String>::new());
    assert_eq!(stack.sides.source.requests().count("GetObject"), 0, "nothing was read");

    // The stack is well.
    let report = stack.run().await;
    assert_eq!(copied(&report), 1, "{report}");
    assert_eq!(stack.sides.there().keys(DESTINATION), ["out/mine"]);
    // The rest is not what functions are invoked with.
    for function in ["finder", "worker", "completer"] {
        let refused = stack.invoke(function, json!({ "tranship": "fly" })).await.unwrap_err();
        assert_eq!(refused.name, "Tranship.BadInput", "{function}: {refused:?}");
    }
}

/// A message whose task fails in every delivery goes to the dead-letter queue; once what was wrong
/// is put right, `retry` brings it back.
#[tokio::test]
async fn a_poisoned_message_is_buried_and_brought_back() {
    let sides = Sides::start().await;
    sides.put("small", noise(1, 100));
    sides.put("large", noise(2, 6 * MIB));
    let stack = Stack::deploy("poison", sides, &[]).await;
    // Settings that no worker can start with: every delivery fails.
    stack.configure("worker", &[("TRANSHIP_STREAMS", "none")]).await;
    // Twenty deliveries with their visibility take too long for a test.
    let dead_letters = json!({
        "deadLetterTargetArn": arn(&stack, "TransferDeadLetterQueue").await,
        "maxReceiveCount": "2",
    });
    let attributes = json!({ "RedrivePolicy": dead_letters.to_string(), "VisibilityTimeout": "1" });
    let asked = json!({ "QueueUrl": stack.resource("TransferQueue"), "Attributes": attributes });
    stack.cloud.sqs("SetQueueAttributes", asked).await;
    stack.ask("run").await;
    let buried = async || (stack.depth("TransferDeadLetterQueue").await.0 > 0).then_some(());
    stack.until("the message is buried", buried).await;
    stack.drained("TransferQueue").await;
    let status = stack.status().await;
    let queues = status["queues"].as_array().unwrap();
    let buried = queues.iter().find(|queue| queue["name"] == "transfer-dead-letter").unwrap();
    let buried = buried["waiting"].as_u64().unwrap();
    assert!(buried > 0, "{status}");

    stack.configure("worker", &[("TRANSHIP_STREAMS", "8")]).await;
    let retried = stack.ask("retry").await;
    assert_eq!(retried["redriven"]["transfer"], buried, "{retried}");
    assert_eq!(retried["left"], false, "{retried}");
    let report = stack.end_of_run().await;
    assert_eq!(copied(&report), 2, "{report}");
    stack.sides.expect_equal();
    assert_eq!(stack.sides.here().keys(SOURCE).len(), 2);
}

async fn arn(stack: &Stack, queue: &str) -> String {
    let asked = json!({ "QueueUrl": stack.resource(queue), "AttributeNames": ["QueueArn"] });
    let answer = stack.cloud.sqs("GetQueueAttributes", asked).await;
    answer["Attributes"]["QueueArn"].as_str().unwrap().to_owned()
}
