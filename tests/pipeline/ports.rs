//! The conformance suites, on every adapter that needs no service.

use std::collections::BTreeMap;
use std::sync::Arc;

use tranship_adapters::clock::{SimulatedClock, SystemClock};
use tranship_adapters::embedded::EmbeddedFile;
use tranship_adapters::ledgers::memory::MemoryLedger;
use tranship_adapters::queues::memory::MemoryQueue;
use tranship_adapters::stores::memory::MemoryStore;
use tranship_adapters::stores::s3::S3Store;
use tranship_core::error::ErrorKind;
use tranship_core::object::{Millis, ObjectKey};
use tranship_core::ports::{Clock, Ledger, Queue, Row, TaskQueue};
use tranship_core::rows::RowKey;
use tranship_core::store::ObjectStore as _;
use tranship_tests::rig::{DESTINATION, Rig, settings};
use tranship_tests::{ledger, queue, store};

fn embedded() -> (tempfile::TempDir, EmbeddedFile) {
    let folder = tempfile::tempdir().unwrap();
    let file = EmbeddedFile::open(folder.path().join("ledger"), "suite").unwrap();
    (folder, file)
}

fn system() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

fn manual() -> Arc<SimulatedClock> {
    Arc::new(SimulatedClock::manual(Millis(1_000_000), 1))
}

#[tokio::test]
async fn the_memory_ledger_conforms() {
    ledger::conforms(&MemoryLedger::new()).await;
}

#[tokio::test]
async fn the_embedded_ledger_conforms() {
    let (_folder, file) = embedded();
    ledger::conforms(&file.ledger()).await;
}

#[tokio::test]
async fn the_memory_queue_conforms() {
    let memory = MemoryQueue::new(system());
    queue::conforms(&memory).await;
    queue::keeps_order(&memory).await;
    queue::keeps_newer_receipts(&memory).await;
}

#[tokio::test]
async fn the_embedded_queue_conforms() {
    let (_folder, file) = embedded();
    let embedded = file.queue(system());
    queue::conforms(&embedded).await;
    queue::keeps_order(&embedded).await;
    queue::keeps_newer_receipts(&embedded).await;
}

#[tokio::test]
async fn the_memory_store_conforms() {
    let ways = store::Ways::amazons("here");
    store::conforms(&MemoryStore::new("here", system()), ways).await;
    store::conforms(&MemoryStore::new("here", system()).with_pages_of(2), ways).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_s3_store_conforms() {
    let rig = Rig::new().await;
    let adapter = S3Store::connect(settings(&rig.destination, DESTINATION)).await.unwrap();
    store::conforms(&adapter, store::Ways::amazons(DESTINATION)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_are_counted_where_they_count() {
    let memory = MemoryStore::new("here", system());
    let grant = |key: &ObjectKey, grants| memory.grant(key, grants);
    store::shows_grants(&memory, grant, || memory.switch_acls_off()).await;
    let rig = Rig::new().await;
    let adapter = S3Store::connect(settings(&rig.destination, DESTINATION)).await.unwrap();
    let there = rig.destination.store();
    let everybody = "http://acs.amazonaws.com/groups/global/AllUsers";
    let readers = ["0123456789abcdef", everybody].map(str::to_owned);
    let grant = |key: &ObjectKey, grants| {
        let readers = readers.iter().take(grants).cloned().collect();
        assert!(there.change(DESTINATION, key.as_str(), |object| object.readers = readers));
    };
    let switch_off = || there.configure(DESTINATION, |bucket| bucket.owner_enforced = true);
    store::shows_grants(&adapter, grant, switch_off).await;
    there.configure(DESTINATION, |bucket| bucket.deny_acl = true);
    let denied = adapter.grants(&ObjectKey::new("suite/acl/plain")).await.unwrap_err();
    assert_eq!(denied.kind, ErrorKind::Denied);
    assert_eq!(adapter.has_acls().await.unwrap_err().kind, ErrorKind::Denied);
}

#[tokio::test]
async fn queues_conform_in_simulated_time() {
    let clock = Arc::new(SimulatedClock::automatic(Millis(5), 7));
    queue::conforms(&MemoryQueue::new(clock.clone())).await;
    assert!(clock.now() > Millis(2_000), "time went by");
}

/// A message that was neither deleted nor delayed shows again when its time has run out, and not before.
async fn hides_for_its_visibility(queue: &dyn TaskQueue, clock: &SimulatedClock) {
    queue.send(Queue::Scan, vec!["slow".to_owned()]).await.unwrap();
    let first = queue.receive(Queue::Scan, 1).await.unwrap().remove(0);
    clock.advance(59_999);
    let (early, ()) = tokio::join!(queue.receive(Queue::Scan, 1), async {
        tokio::task::yield_now().await;
        clock.advance(1);
    });
    let second = early.unwrap().remove(0);
    assert_eq!(second.receives, 2);
    clock.advance(60_000);
    queue.delete(Queue::Scan, &first.receipt).await.unwrap();
    assert_eq!(queue.depth(Queue::Scan).await.unwrap(), 1);
    queue.delete(Queue::Scan, &second.receipt).await.unwrap();
    assert_eq!(queue.depth(Queue::Scan).await.unwrap(), 0, "late, but nobody else has it");
}

#[tokio::test]
async fn a_message_in_flight_shows_again_when_its_time_has_run_out() {
    let clock = manual();
    let memory = MemoryQueue::new(clock.clone()).with_visibility(60_000);
    hides_for_its_visibility(&memory, &clock).await;
    let (_folder, file) = embedded();
    hides_for_its_visibility(&file.queue(clock.clone()).with_visibility(60_000), &clock).await;
}

#[tokio::test]
async fn a_waiting_receiver_gets_what_is_sent_meanwhile() {
    let (_folder, file) = embedded();
    let embedded = file.queue(manual());
    let memory = MemoryQueue::new(manual());
    let queues: [&dyn TaskQueue; 2] = [&embedded, &memory];
    for queue in queues {
        let (received, sent) = tokio::join!(queue.receive(Queue::Scan, 1), async {
            tokio::task::yield_now().await;
            queue.send(Queue::Scan, vec!["now".to_owned()]).await
        });
        sent.unwrap();
        assert_eq!(received.unwrap()[0].body, "now");
    }
}

#[tokio::test]
async fn a_chaotic_queue_loses_nothing_runs_empty_and_repeats_itself() {
    let mut runs = Vec::new();
    for seed in [1, 2, 1] {
        let clock = Arc::new(SimulatedClock::automatic(Millis(0), seed));
        let queue = MemoryQueue::chaotic(clock, seed);
        let bodies: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        queue.send(Queue::Transfer, bodies.clone()).await.unwrap();
        let mut order = Vec::new();
        while queue.depth(Queue::Transfer).await.unwrap() > 0 {
            for received in queue.receive(Queue::Transfer, 7).await.unwrap() {
                order.push(received.body.clone());
                queue.delete(Queue::Transfer, &received.receipt).await.unwrap();
            }
        }
        let mut times: BTreeMap<&str, u32> = BTreeMap::new();
        for body in &order {
            *times.entry(body).or_default() += 1;
        }
        assert_eq!(times.len(), 100);
        assert!(times.values().any(|times| *times > 1), "some came twice");
        assert_ne!(order[..10], bodies[..10]);
        runs.push(order);
    }
    assert_eq!(runs[0], runs[2]);
    assert_ne!(runs[0], runs[1]);
}

async fn one_winner_per_revision(ledger: Arc<dyn Ledger>) {
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let ledger = Arc::clone(&ledger);
            tokio::spawn(async move {
                let key = RowKey("contended".to_owned());
                let mut won = Vec::new();
                loop {
                    let stored = ledger.get(&key).await.unwrap();
                    let revision = stored.map_or(0, |row| row.revision) + 1;
                    if revision > 200 {
                        return won;
                    }
                    let row = Row { revision, due: Some(Millis(revision)), value: Vec::new() };
                    if ledger.put(&key, row, None).await.unwrap() {
                        won.push(revision);
                    }
                }
            })
        })
        .collect();
    let mut won = Vec::new();
    for task in tasks {
        won.extend(task.await.unwrap());
    }
    won.sort_unstable();
    assert_eq!(won, (1..=200).collect::<Vec<u64>>());
    assert_eq!(ledger.due(Millis(1_000), 10).await.unwrap().len(), 1, "one index entry");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_revision_has_exactly_one_winner() {
    one_winner_per_revision(Arc::new(MemoryLedger::new())).await;
    let (_folder, file) = embedded();
    one_winner_per_revision(Arc::new(file.ledger())).await;
}

#[tokio::test]
async fn a_ledger_file_survives_the_loss_of_its_waiting_callers() {
    let (folder, file) = embedded();
    let queue = file.queue(system());
    queue.send(Queue::Scan, vec!["kept".to_owned()]).await.unwrap();
    let received = queue.receive(Queue::Scan, 1).await.unwrap().remove(0);
    let delete = queue.delete(Queue::Scan, &received.receipt);
    assert!(futures_util::FutureExt::now_or_never(delete).is_none(), "dropped while it waits");
    drop((queue, file));
    let file = EmbeddedFile::open(folder.path().join("ledger"), "suite").unwrap();
    let depth = file.queue(system()).depth(Queue::Scan).await.unwrap();
    assert_eq!(depth, 0, "what was handed over is done");
}
