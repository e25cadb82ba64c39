//! How long the deliveries of one message last: a queue gives a message away only so often before it is a dead
//! letter, and an outage must not use that up.

use std::sync::Arc;

use tranship_adapters::ledgers::memory::MemoryLedger;
use tranship_core::error::ErrorKind;
use tranship_core::outcome::Outcome;
use tranship_core::policy::Policy;
use tranship_core::ports::{Queue, Received};
use tranship_core::worker::{self, Done};
use tranship_tests::faulty::{Faults, FaultyLedger, FaultyStore, Life, Wrong};

use crate::visits::Visits;

/// What the template lets a message have.
const RECEIVES_MAX: u32 = 20;
const HOUR_MS: u64 = 60 * 60 * 1_000;
const PART: usize = 5 << 20;

fn policy() -> Policy {
    let size = u64::try_from(PART).unwrap();
    Policy { multipart_threshold_bytes: size, part_size_bytes: Some(size), ..Policy::default() }
}

fn always(call: &'static str, kind: ErrorKind) -> Arc<Life> {
    let always = Some((call, Wrong::Before(kind)));
    Life::undisturbed(Faults { always, ..Faults::default() }, 1)
}

/// From now on every read asks to slow down.
fn slow_down(visits: &mut Visits, of: &'static str) {
    let life = always(of, ErrorKind::Throttled);
    let (inner, name) = (visits.source.clone(), "source");
    visits.stage.source = Arc::new(FaultyStore { inner, life, name });
}

async fn received(visits: &Visits, queue: Queue) -> Received {
    visits.stage.queue.receive(queue, 1).await.unwrap().remove(0)
}

/// Runs a task as often as a queue gives its message away, and expects that to outlast an outage of an hour, and
/// nothing to be given up meanwhile.
async fn expect_to_last(visits: &Visits, received: Received) {
    let mut lasted_ms = 0;
    for receives in 1..=RECEIVES_MAX {
        let received = Received { receives, ..received.clone() };
        match worker::run(&visits.stage, &received).await {
            Done::Again { after_ms, .. } => lasted_ms += after_ms,
            done => panic!("delivery {receives}: {done:?}"),
        }
    }
    assert!(lasted_ms > HOUR_MS, "{lasted_ms} ms");
}

/// A run over one object, of which this many bytes are to be copied.
async fn of_size(bytes: usize) -> Visits {
    let mut visits = Visits::new(policy());
    visits.put("key", vec![7; bytes]).await;
    visits.begin().await;
    assert!(visits.visit_scan(false).await);
    visits
}

#[tokio::test]
async fn objects_of_a_source_that_asks_to_slow_down_wait_for_hours() {
    let mut visits = of_size(100).await;
    slow_down(&mut visits, "source get");
    let received = received(&visits, Queue::Transfer).await;
    expect_to_last(&visits, received).await;
}

#[tokio::test]
async fn parts_of_a_source_that_asks_to_slow_down_wait_for_hours() {
    let mut visits = of_size(2 * PART).await;
    visits.visit(Queue::Transfer).await.unwrap();
    slow_down(&mut visits, "source get");
    let received = received(&visits, Queue::Transfer).await;
    expect_to_last(&visits, received).await;
}

#[tokio::test]
async fn tasks_wait_for_hours_while_the_ledger_is_away() {
    for bytes in [100, 2 * PART] {
        let mut visits = of_size(bytes).await;
        if bytes > PART {
            visits.visit(Queue::Transfer).await.unwrap();
        }
        let received = received(&visits, Queue::Transfer).await;
        let (inner, life) =
            (Arc::<MemoryLedger>::default(), always("ledger", ErrorKind::Unavailable));
        visits.stage.ledger = Arc::new(FaultyLedger { inner, life });
        expect_to_last(&visits, received).await;
    }
}

/// Of two objects of one task the one fails each time, and the other is only asked for too often.
#[tokio::test]
async fn an_object_that_is_throttled_is_not_given_up_with_one_that_fails() {
    let mut visits = Visits::new(policy());
    for key in ["bad", "slow"] {
        visits.put(key, "bytes").await;
    }
    visits.begin().await;
    assert!(visits.visit_scan(false).await);
    let received = received(&visits, Queue::Transfer).await;
    let (inner, name) = (visits.source.clone(), "source");
    let life = always("source get bad", ErrorKind::Lied);
    let inner = Arc::new(FaultyStore { inner, life, name });
    let life = always("source get slow", ErrorKind::Throttled);
    visits.stage.source = Arc::new(FaultyStore { inner, life, name });
    for receives in 1..=10 {
        let received = Received { receives, ..received.clone() };
        let done = worker::run(&visits.stage, &received).await;
        assert!(matches!(done, Done::Again { .. }), "delivery {receives}: {done:?}");
    }
    let progress = visits.stage.progress.read();
    assert_eq!(progress.of(Outcome::Failed).0, 1, "{progress:?}");
    visits.stage.source = visits.source.clone();
    let received = Received { receives: 11, ..received };
    assert_eq!(worker::run(&visits.stage, &received).await, Done::Settled);
    assert_eq!(visits.stage.progress.read().of(Outcome::Copied).0, 1);
}
