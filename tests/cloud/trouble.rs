//! What queues, ledger and state machine do to those who use them.

use std::time::Duration;

use tranship_tests::cloud::proxy::Fault;
use tranship_tests::cloud::sides::Sides;
use tranship_tests::cloud::stack::Stack;
use tranship_tests::rig::{DESTINATION, MIB, noise};

use crate::look::copied;

const PARTS: [(&str, &str); 2] = [("MultipartThresholdMiB", "5"), ("PartSizeMiB", "5")];

/// Sixty small objects and two large ones.
async fn some() -> Sides {
    let sides = Sides::start().await;
    for n in 0..60 {
        sides.put(&format!("small/{n:03}"), noise(n, 1_000));
    }
    sides.put("large/1", noise(101, 11 * MIB));
    sides.put("large/2", noise(102, 12 * MIB));
    sides
}

#[tokio::test]
async fn every_message_comes_twice_and_every_object_is_written_once() {
    let stack = Stack::deploy("twice", some().await, &PARTS).await;
    for action in ["SendMessageBatch", "SendMessage"] {
        stack.trouble("", action, u64::MAX, Fault::Double);
    }
    let report = stack.run().await;
    assert_eq!(copied(&report), 62, "{report}");
    assert_eq!(report["balanced"], true, "{report}");
    stack.sides.expect_equal();
    let there = stack.sides.there();
    for key in there.keys(DESTINATION) {
        assert_eq!(there.count_writes(DESTINATION, &key), 1, "{key}");
    }
}

/// Each service refuses some requests, takes some batches in part, and loses some answers.
#[tokio::test]
async fn throttles_partial_batches_and_lost_answers_cost_nothing_but_time() {
    let stack = Stack::deploy("throttled", some().await, &PARTS).await;
    let refuse = |code| Fault::Refuse { status: 400, code };
    let ledger = "ProvisionedThroughputExceededException";
    for action in ["GetItem", "PutItem", "UpdateItem", "Query", "TransactWriteItems"] {
        stack.trouble("", action, 3, refuse(ledger));
        stack.trouble("", action, 1, Fault::Lose);
    }
    for action in ["SendMessageBatch", "GetQueueAttributes"] {
        stack.trouble("", action, 2, refuse("ThrottlingException"));
    }
    stack.trouble("", "SendMessageBatch", 2, Fault::Leave(1));
    stack.trouble("", "SendMessageBatch", 1, Fault::Lose);
    stack.trouble("", "StartExecution", 3, refuse("ThrottlingException"));
    stack.trouble("", "StartExecution", 1, Fault::Lose);
    stack.trouble("", "PutEvents", 1, Fault::Leave(1));
    // A command or a sweep may fail then; the next one goes on.
    let begun =
        async || stack.invoke("finder", serde_json::json!({ "tranship": "run" })).await.ok();
    stack.until("a run begins", begun).await;
    let ended = async || {
        let swept =
            stack.invoke("finder", serde_json::json!({ "tranship": "sweep" })).await.ok()?;
        swept["run"]["ended_ms"].is_u64().then(|| swept["run"].clone())
    };
    let report = stack.until("the run ends", ended).await;
    assert_eq!(copied(&report), 62, "{report}");
    stack.sides.expect_equal();
    println!("throttled: {} faults were not played", stack.cloud.proxy.calm("throttled"));
}

/// All that the stack knows is lost while it works, and so is what waits in its queues.
#[tokio::test]
async fn a_wiped_table_and_a_purged_queue_lose_no_object() {
    let stack = Stack::deploy("wiped", some().await, &PARTS).await;
    stack.switch("WorkerTasks", false).await;
    stack.ask("run").await;
    let waits = async || (stack.depth("TransferQueue").await.0 > 0).then_some(());
    stack.until("tasks wait", waits).await;
    stack.drained("ScanQueue").await;
    for queue in ["TransferQueue", "ScanQueue"] {
        let asked = serde_json::json!({ "QueueUrl": stack.resource(queue) });
        stack.cloud.sqs("PurgeQueue", asked).await;
    }
    stack.wipe().await;
    stack.switch("WorkerTasks", true).await;
    let report = stack.run().await;
    assert_eq!(report["state"], "complete", "{report}");
    stack.sides.expect_equal();
}

/// The queue alone is lost: what the ledger says is open is sent again.
#[tokio::test]
async fn a_purged_queue_alone_is_filled_again() {
    let stack = Stack::deploy("purged", some().await, &PARTS).await;
    stack.switch("WorkerTasks", false).await;
    stack.ask("run").await;
    let waits = async || (stack.depth("TransferQueue").await.0 > 0).then_some(());
    stack.until("tasks wait", waits).await;
    stack.drained("ScanQueue").await;
    let asked = serde_json::json!({ "QueueUrl": stack.resource("TransferQueue") });
    stack.cloud.sqs("PurgeQueue", asked).await;
    stack.switch("WorkerTasks", true).await;
    stack.ask("sweep").await;
    stack.age(Duration::from_mins(3)).await;
    for _ in 0..3 {
        stack.ask("sweep").await;
    }
    // Tasks have no messages any more: the run is given up in time, and the next one copies.
    stack.age(Duration::from_mins(50)).await;
    let report = stack.end_of_run().await;
    if report["state"] != "complete" {
        let report = stack.run().await;
        assert_eq!(report["state"], "complete", "{report}");
    }
    stack.sides.expect_equal();
}
