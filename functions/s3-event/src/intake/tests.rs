use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;
use tranship_adapters::clock::SimulatedClock;
use tranship_adapters::ledgers::memory::MemoryLedger;
use tranship_adapters::queues::memory::MemoryQueue;
use tranship_adapters::stores::memory::MemoryStore;
use tranship_core::body::full;
use tranship_core::error::LedgerError;
use tranship_core::link::Link;
use tranship_core::location::{Location, Transfer};
use tranship_core::message::{Action, Message, Work};
use tranship_core::object::Millis;
use tranship_core::policy::Policy;
use tranship_core::ports::{Completer, Queue, Received, TaskQueue};
use tranship_core::progress::Progress;
use tranship_core::rows::HeaderId;
use tranship_core::stage::Learned;
use tranship_core::store::{ObjectStore, Put, Write};
use tranship_core::worker::{self, Done};

use super::*;

pub(crate) const ALL: Followed = Followed { writes: true, deletes: true };
const WRITES: Followed = Followed { writes: true, deletes: false };
const NONE: Followed = Followed { writes: false, deletes: false };

/// A queue that can be away.
struct Away {
    inner: MemoryQueue,
    is_away: AtomicBool,
}

#[async_trait]
impl TaskQueue for Away {
    async fn send(&self, queue: Queue, bodies: Vec<String>) -> Result<(), LedgerError> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(LedgerError::Unavailable("the queue is away".to_owned()));
        }
        self.inner.send(queue, bodies).await
    }
    async fn receive(&self, queue: Queue, limit: usize) -> Result<Vec<Received>, LedgerError> {
        self.inner.receive(queue, limit).await
    }
    async fn delay(&self, queue: Queue, receipt: &str, ms: u64) -> Result<(), LedgerError> {
        self.inner.delay(queue, receipt, ms).await
    }
    async fn delete(&self, queue: Queue, receipt: &str) -> Result<(), LedgerError> {
        self.inner.delete(queue, receipt).await
    }
    async fn depth(&self, queue: Queue) -> Result<u64, LedgerError> {
        self.inner.depth(queue).await
    }
}

struct Nobody;

#[async_trait]
impl Completer for Nobody {
    async fn start(&self, _: &HeaderId, _: u64, _: u32) -> Result<(), LedgerError> {
        Ok(())
    }
}

pub(crate) struct World {
    pub(crate) stage: Stage,
    queue: Arc<Away>,
    source: Arc<MemoryStore>,
    destination: Arc<MemoryStore>,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(SimulatedClock::automatic(Millis(1_773_480_413_589), 1));
        let source = Arc::new(MemoryStore::new("example-source", clock.clone()));
        let destination = Arc::new(MemoryStore::new("example-copy", clock.clone()));
        let inner = MemoryQueue::new(clock.clone());
        let queue = Arc::new(Away { inner, is_away: AtomicBool::new(false) });
        let transfer = Transfer {
            source: Location::new(None, "example-source", "photos/"),
            destination: Location::new(None, "example-copy", "copy/"),
        };
        let stage = Stage {
            transfer_id: transfer.id(),
            transfer,
            policy: Policy::default(),
            source: source.clone(),
            destination: destination.clone(),
            ledger: Arc::new(MemoryLedger::new()),
            queue: queue.clone(),
            completer: Arc::new(Nobody),
            clock,
            progress: Arc::new(Progress::default()),
            link: Link::new(4),
            stopping: Arc::default(),
            learned: Learned::default(),
        };
        Self { stage, queue, source, destination }
    }

    pub(crate) async fn take(&self, followed: Followed, event: &Value) -> Intake {
        take(&self.stage, followed, event).await
    }

    /// The entries of all tasks that wait.
    pub(crate) async fn entries(&self) -> Vec<(String, Action, u64)> {
        let mut entries = Vec::new();
        while self.stage.queue.depth(Queue::Transfer).await.unwrap() > 0 {
            for received in self.stage.queue.receive(Queue::Transfer, 10).await.unwrap() {
                let Work::Objects(task) = Message::decode(&received.body).unwrap().work else {
                    panic!("{}", received.body);
                };
                let of = task.objects.into_iter();
                entries.extend(of.map(|e| (e.key.as_str().to_owned(), e.action, e.size)));
                self.stage.queue.delete(Queue::Transfer, &received.receipt).await.unwrap();
            }
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        entries
    }

    /// Runs all tasks that wait.
    async fn work(&self) {
        while self.stage.queue.depth(Queue::Transfer).await.unwrap() > 0 {
            for received in self.stage.queue.receive(Queue::Transfer, 10).await.unwrap() {
                let done = worker::run(&self.stage, &received).await;
                assert_eq!(done, Done::Settled);
                self.stage.queue.delete(Queue::Transfer, &received.receipt).await.unwrap();
            }
        }
    }

    fn there(&self, key: &str) -> Option<Bytes> {
        let object = self.destination.object(&ObjectKey::new(key))?;
        Some(object.bytes())
    }
}

async fn put(store: &MemoryStore, key: &str, text: &'static str) {
    let bytes = Bytes::from_static(text.as_bytes());
    let size = u64::try_from(bytes.len()).unwrap();
    let (key, write) = (&ObjectKey::new(key), Write::default());
    let put = Put { key, size, write, condition: None, checksum: None, md5: None };
    store.put(put, full(bytes)).await.unwrap();
}

fn record(name: &str, key: &str) -> Value {
    json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name,
        "s3": {"bucket": {"name": "example-source"}, "object": {"key": key, "size": 5, "versionId": "v"}},
    })
}

fn queue(bodies: &[(&str, Value)]) -> Value {
    let messages = bodies.iter().map(|(id, body)| {
        let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        json!({"eventSource": "aws:sqs", "messageId": id, "body": body})
    });
    json!({ "Records": messages.collect::<Vec<_>>() })
}

#[tokio::test]
async fn a_delete_of_an_old_version_leaves_the_live_copy_and_brings_it_up_to_date() {
    let world = World::new();
    put(&world.source, "photos/live", "new").await;
    put(&world.destination, "copy/live", "old").await;
    let event = json!({"Records": [record("ObjectRemoved:Delete", "photos/live")]});
    assert_eq!(world.take(ALL, &event).await.counts.taken, 1);
    world.work().await;
    assert_eq!(world.there("copy/live").unwrap(), "new");
}

#[tokio::test]
async fn a_delete_of_the_live_object_deletes_its_copy_only_where_deletes_are_followed() {
    for name in ["ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated"] {
        let event = json!({"Records": [record(name, "photos/gone")]});
        let world = World::new();
        put(&world.destination, "copy/gone", "old").await;
        let intake = world.take(WRITES, &event).await;
        assert_eq!((intake.counts.taken, intake.counts.filtered), (0, 1));
        world.work().await;
        assert!(world.there("copy/gone").is_some());
        world.take(ALL, &event).await;
        world.work().await;
        assert_eq!(world.there("copy/gone"), None, "{name}");
    }
}

#[tokio::test]
async fn disorder_and_repetition_end_with_the_source_as_it_is() {
    let names = ["ObjectCreated:Put", "ObjectRemoved:Delete"];
    for order in [[0, 1], [1, 0]] {
        for is_there in [true, false] {
            let world = World::new();
            put(&world.destination, "copy/k", "old").await;
            if is_there {
                put(&world.source, "photos/k", "new").await;
            }
            let both = order.map(|which| record(names[which], "photos/k"));
            let one = json!({"Records": [both[0]]});
            world.take(ALL, &one).await;
            world.take(ALL, &json!({"Records": both})).await;
            world.work().await;
            assert_eq!(world.there("copy/k"), is_there.then_some("new".into()));
        }
    }
}

#[tokio::test]
async fn many_events_of_a_key_are_one_entry() {
    let world = World::new();
    let put = |size: u64| {
        let mut record = record("ObjectCreated:Put", "photos/k");
        record["s3"]["object"]["size"] = json!(size);
        json!({ "Records": [record] })
    };
    let event = queue(&[("1", put(3)), ("2", put(9)), ("3", put(4))]);
    assert_eq!(world.take(ALL, &event).await.counts.taken, 3);
    assert_eq!(world.entries().await, [("photos/k".to_owned(), Action::Look, 9)]);
}

#[tokio::test]
async fn an_outage_fails_the_messages_that_were_not_sent_and_no_other() {
    let world = World::new();
    let created = |key: &str| json!({"Records": [record("ObjectCreated:Put", key)]});
    let mut half = created("photos/b");
    half["Records"].as_array_mut().unwrap().push(json!({}));
    let event = queue(&[
        ("wanted", created("photos/a")),
        ("outside", created("other/a")),
        ("test", json!({"Event": "s3:TestEvent"})),
        ("broken", json!("{")),
        ("half", half),
        ("last", created("photos/c")),
    ]);
    world.queue.is_away.store(true, Ordering::Relaxed);
    let intake = world.take(ALL, &event).await;
    assert_eq!(intake.failed, ["wanted", "half", "last"]);
    // What comes again is not to the dead-letter queue yet.
    let dead: Vec<_> = intake.dead.iter().map(|letter| &*letter.message.id).collect();
    assert_eq!(dead, ["broken"]);
    assert_eq!(intake.counts.taken, 0);
    assert!(intake.error.is_some() && !intake.is_direct);

    world.queue.is_away.store(false, Ordering::Relaxed);
    let intake = world.take(ALL, &event).await;
    assert!(intake.failed.is_empty() && intake.error.is_none());
    let dead: Vec<_> = intake.dead.iter().map(|letter| &*letter.message.id).collect();
    assert_eq!(dead, ["broken", "half"]);
    assert_eq!(intake.dead[0].message.body, "{");
    let counts = Counts { taken: 3, filtered: 2, refused: 0, unreadable: 2 };
    assert_eq!(intake.counts, counts);
    let keys: Vec<_> = world.entries().await.into_iter().map(|entry| entry.0).collect();
    assert_eq!(keys, ["photos/a", "photos/b", "photos/c"]);
}

#[tokio::test]
async fn a_dead_letter_that_cannot_be_sent_stays_in_its_queue() {
    let world = World::new();
    let created = json!({"Records": [record("ObjectCreated:Put", "photos/k")]});
    let event = queue(&[("a", json!("{")), ("b", json!("[")), ("good", created)]);
    let mut intake = world.take(ALL, &event).await;
    let send = |letter: DeadLetter| async move {
        assert!(!letter.reason.is_empty());
        if letter.message.body == "[" { Err("it is away".to_owned()) } else { Ok(()) }
    };
    intake.bury(send).await;
    assert_eq!(intake.failed, ["b"]);
    assert!(intake.dead.is_empty());
}

#[tokio::test]
async fn a_record_of_another_bucket_is_refused_whatever_it_says() {
    let world = World::new();
    for name in ["example-sourc", "example-source2", "EXAMPLE-SOURCE", "", "example-copy"] {
        let mut record = record("ObjectCreated:Put", "photos/k");
        record["s3"]["bucket"]["name"] = json!(name);
        let plain = json!({"bucket": name, "key": "photos/k"});
        let event = queue(&[("1", json!({ "Records": [record] })), ("2", plain)]);
        let intake = world.take(ALL, &event).await;
        assert_eq!(intake.counts, Counts { refused: 2, ..Counts::default() }, "{name}");
        assert!(intake.failed.is_empty() && intake.dead.is_empty());
    }
    assert!(world.entries().await.is_empty());
}

#[tokio::test]
async fn nothing_is_followed_where_nothing_is_asked_for() {
    let world = World::new();
    let event = json!({"Records": [record("ObjectCreated:Put", "photos/k")]});
    assert_eq!(world.take(NONE, &event).await.counts.filtered, 1);
    assert!(world.entries().await.is_empty());
}

#[tokio::test]
async fn what_came_from_no_queue_fails_as_a_whole() {
    let world = World::new();
    let intake = world.take(ALL, &json!({"key": 5})).await;
    assert!(intake.is_direct && intake.bad_input.is_some() && intake.dead.is_empty());
    world.queue.is_away.store(true, Ordering::Relaxed);
    let intake = world.take(ALL, &json!({"key": "photos/k"})).await;
    assert!(intake.is_direct && intake.error.is_some() && intake.failed.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_message_is_sent_or_said_to_be_left(
        bodies in prop::collection::vec(prop_oneof![
            "[a-z]{1,3}".prop_map(|key| json!({"key": format!("photos/{key}")})),
            "[a-z]{1,3}".prop_map(|key| json!({"key": format!("else/{key}")})),
            ".{0,20}".prop_map(Value::from),
            Just(json!({"Event": "s3:TestEvent"})),
        ], 1..20),
        is_away: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            world.queue.is_away.store(is_away, Ordering::Relaxed);
            let ids: Vec<String> = (0..bodies.len()).map(|id| id.to_string()).collect();
            let of: Vec<(&str, Value)> =
                ids.iter().map(String::as_str).zip(bodies.iter().cloned()).collect();
            let intake = world.take(ALL, &queue(&of)).await;
            let failed: BTreeSet<_> = intake.failed.iter().cloned().collect();
            let dead: BTreeSet<_> = intake.dead.iter().map(|l| l.message.id.clone()).collect();
            let sent: BTreeSet<_> = world.entries().await.into_iter().map(|e| e.0).collect();
            for (id, body) in of {
                match body["key"].as_str() {
                    Some(key) if key.starts_with("photos/") => {
                        assert!(sent.contains(key) != failed.contains(id));
                    }
                    Some(_) => assert!(!failed.contains(id) && !dead.contains(id)),
                    None if body.is_object() => assert!(!dead.contains(id)),
                    None => assert!(dead.contains(id) && !failed.contains(id)),
                }
            }
        });
    }
}
