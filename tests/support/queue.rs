//! What every queue must do, whatever lies behind it; and what ours do beyond that.
//!
//! The suite wants queues that are empty and that nobody else receives from.

use std::collections::BTreeSet;

use tranship_core::ports::{Queue, Received, TaskQueue};

/// How often to look again: delivery and depth may be a moment late.
const LOOKS: u32 = 20;

/// Runs the whole suite.
pub async fn conforms(queue: &dyn TaskQueue) {
    an_empty_queue_answers_with_nothing(queue).await;
    what_is_sent_is_received_until_deleted(queue).await;
    any_text_is_kept(queue).await;
    the_limit_holds_and_nothing_is_lost_beyond_it(queue).await;
    a_delayed_message_comes_again(queue).await;
    the_two_queues_are_apart(queue).await;
    strange_receipts_are_harmless(queue).await;
    depth_counts_what_waits_and_what_is_in_flight(queue).await;
}

/// What holds for queues that keep the order in which messages were sent.
pub async fn keeps_order(queue: &dyn TaskQueue) {
    let bodies: Vec<String> = (0..30).map(|n| format!("in order {n}")).collect();
    for batch in bodies.chunks(7) {
        queue.send(Queue::Transfer, batch.to_vec()).await.unwrap();
    }
    let mut seen = Vec::new();
    for limit in [1, 2, 3, 10, 100] {
        let received = queue.receive(Queue::Transfer, limit).await.unwrap();
        seen.extend(received.iter().map(|received| received.body.clone()));
        delete_all(queue, Queue::Transfer, &received).await;
    }
    assert_eq!(seen, bodies);
}

/// What holds for queues whose older receipts lapse with a newer one.
pub async fn keeps_newer_receipts(queue: &dyn TaskQueue) {
    queue.send(Queue::Scan, vec!["twice".to_owned()]).await.unwrap();
    let old = one(queue, Queue::Scan).await;
    queue.delay(Queue::Scan, &old.receipt, 0).await.unwrap();
    let new = one(queue, Queue::Scan).await;
    queue.delay(Queue::Scan, &old.receipt, 0).await.unwrap();
    assert!(queue.receive(Queue::Scan, 10).await.unwrap().is_empty(), "the newer receipt hides it");
    queue.delete(Queue::Scan, &old.receipt).await.unwrap();
    assert_eq!(queue.depth(Queue::Scan).await.unwrap(), 1, "the newer receipt holds it");
    queue.delete(Queue::Scan, &new.receipt).await.unwrap();
    assert_eq!(queue.depth(Queue::Scan).await.unwrap(), 0);
}

async fn delete_all(queue: &dyn TaskQueue, which: Queue, received: &[Received]) {
    for received in received {
        queue.delete(which, &received.receipt).await.unwrap();
    }
}

/// Receives until there is a message.
async fn one(queue: &dyn TaskQueue, which: Queue) -> Received {
    for _ in 0..LOOKS {
        if let Some(received) = queue.receive(which, 1).await.unwrap().pop() {
            return received;
        }
    }
    panic!("no message came")
}

/// Receives and deletes until every one of these bodies has come.
async fn drain(queue: &dyn TaskQueue, which: Queue, bodies: &[String], limit: usize) {
    let mut missing: BTreeSet<&str> = bodies.iter().map(String::as_str).collect();
    let mut empty_looks = 0;
    while !missing.is_empty() && empty_looks < LOOKS {
        let received = queue.receive(which, limit).await.unwrap();
        assert!(received.len() <= limit);
        empty_looks = if received.is_empty() { empty_looks + 1 } else { 0 };
        for received in &received {
            missing.remove(received.body.as_str());
        }
        delete_all(queue, which, &received).await;
    }
    assert!(missing.is_empty(), "never came: {missing:?}");
}

async fn depth_is(queue: &dyn TaskQueue, which: Queue, expected: u64) {
    let mut depth = 0;
    for _ in 0..LOOKS {
        depth = queue.depth(which).await.unwrap();
        if depth == expected {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    assert_eq!(depth, expected);
}

async fn an_empty_queue_answers_with_nothing(queue: &dyn TaskQueue) {
    for which in [Queue::Scan, Queue::Transfer] {
        assert!(queue.receive(which, 10).await.unwrap().is_empty());
        assert_eq!(queue.depth(which).await.unwrap(), 0);
        queue.send(which, Vec::new()).await.unwrap();
        assert_eq!(queue.depth(which).await.unwrap(), 0);
    }
}

async fn what_is_sent_is_received_until_deleted(queue: &dyn TaskQueue) {
    queue.send(Queue::Transfer, vec!["hello".to_owned()]).await.unwrap();
    let received = one(queue, Queue::Transfer).await;
    assert_eq!((received.body.as_str(), received.receives), ("hello", 1));
    assert!(queue.receive(Queue::Transfer, 10).await.unwrap().is_empty(), "it is in flight");
    queue.delete(Queue::Transfer, &received.receipt).await.unwrap();
    assert!(queue.receive(Queue::Transfer, 10).await.unwrap().is_empty(), "it is deleted");
    depth_is(queue, Queue::Transfer, 0).await;
}

async fn any_text_is_kept(queue: &dyn TaskQueue) {
    let bodies = vec!["{\"k\":\"\\u0000 é😀\"}".to_owned(), "x".repeat(200_000)];
    for body in &bodies {
        queue.send(Queue::Transfer, vec![body.clone()]).await.unwrap();
    }
    drain(queue, Queue::Transfer, &bodies, 10).await;
}

async fn the_limit_holds_and_nothing_is_lost_beyond_it(queue: &dyn TaskQueue) {
    let bodies: Vec<String> = (0..25).map(|n| format!("one of many {n}")).collect();
    queue.send(Queue::Transfer, bodies.clone()).await.unwrap();
    drain(queue, Queue::Transfer, &bodies, 4).await;
    depth_is(queue, Queue::Transfer, 0).await;
}

async fn a_delayed_message_comes_again(queue: &dyn TaskQueue) {
    queue.send(Queue::Transfer, vec!["later".to_owned()]).await.unwrap();
    let first = one(queue, Queue::Transfer).await;
    queue.delay(Queue::Transfer, &first.receipt, 2_000).await.unwrap();
    assert!(queue.receive(Queue::Transfer, 10).await.unwrap().is_empty(), "it is not time yet");
    let second = one(queue, Queue::Transfer).await;
    assert_eq!((second.body.as_str(), second.receives), ("later", 2));
    assert_ne!(first.receipt, second.receipt);
    queue.delay(Queue::Transfer, &second.receipt, 0).await.unwrap();
    let third = one(queue, Queue::Transfer).await;
    assert_eq!(third.receives, 3);
    queue.delete(Queue::Transfer, &third.receipt).await.unwrap();
    depth_is(queue, Queue::Transfer, 0).await;
}

async fn the_two_queues_are_apart(queue: &dyn TaskQueue) {
    queue.send(Queue::Scan, vec!["a scan".to_owned()]).await.unwrap();
    assert!(queue.receive(Queue::Transfer, 10).await.unwrap().is_empty());
    depth_is(queue, Queue::Transfer, 0).await;
    let received = one(queue, Queue::Scan).await;
    assert_eq!(received.body, "a scan");
    queue.delete(Queue::Scan, &received.receipt).await.unwrap();
}

async fn strange_receipts_are_harmless(queue: &dyn TaskQueue) {
    queue.send(Queue::Scan, vec!["stays".to_owned()]).await.unwrap();
    let received = one(queue, Queue::Scan).await;
    for receipt in ["", "-", "no receipt", "1-", "99999999999999999999-1"] {
        // A service may refuse what is no receipt of its own; it must not act on it.
        drop(queue.delete(Queue::Scan, receipt).await);
        drop(queue.delay(Queue::Scan, receipt, 0).await);
    }
    depth_is(queue, Queue::Scan, 1).await;
    queue.delete(Queue::Scan, &received.receipt).await.unwrap();
    queue.delete(Queue::Scan, &received.receipt).await.unwrap();
    depth_is(queue, Queue::Scan, 0).await;
}

async fn depth_counts_what_waits_and_what_is_in_flight(queue: &dyn TaskQueue) {
    let bodies: Vec<String> = (0..3).map(|n| format!("deep {n}")).collect();
    queue.send(Queue::Transfer, bodies.clone()).await.unwrap();
    depth_is(queue, Queue::Transfer, 3).await;
    let received = one(queue, Queue::Transfer).await;
    depth_is(queue, Queue::Transfer, 3).await;
    queue.delete(Queue::Transfer, &received.receipt).await.unwrap();
    depth_is(queue, Queue::Transfer, 2).await;
    let left: Vec<String> = bodies.into_iter().filter(|body| *body != received.body).collect();
    drain(queue, Queue::Transfer, &left, 10).await;
}
