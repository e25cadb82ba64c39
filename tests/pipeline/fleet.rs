//! The largest objects: where their tasks go, who takes them, and over how many connections and how
//! fast their bytes come. Memory lies behind every port, and time is simulated.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use proptest::prelude::*;
use tranship_adapters::clock::SimulatedClock;
use tranship_adapters::ledgers::memory::MemoryLedger;
use tranship_core::error::ErrorKind;
use tranship_core::fleet::{self, Presence};
use tranship_core::link::{Bandwidth, Link};
use tranship_core::message::{Message, PartsTask, Work};
use tranship_core::object::{Millis, ObjectKey};
use tranship_core::policy::Policy;
use tranship_core::ports::{Clock as _, Queue, Received};
use tranship_core::rows::{self, HeaderId};
use tranship_core::worker::Done;
use tranship_tests::faulty::{Faults, FaultyLedger, FaultyStore, Life, Wrong};
use tranship_tests::rig;

use crate::visits::Visits;

const MIB: u64 = 1 << 20;
const MINUTE_MS: u64 = 60_000;
const BEGAN: Millis = Millis(1_000_000_000);

fn large_from(bytes: u64) -> Policy {
    Policy {
        large_object_bytes: Some(bytes),
        multipart_threshold_bytes: 5 * MIB,
        part_size_bytes: Some(5 * MIB),
        ..Policy::default()
    }
}

fn noise(bytes: u64) -> Vec<u8> {
    rig::noise(bytes, usize::try_from(bytes).unwrap())
}

async fn depth(world: &Visits, queue: Queue) -> u64 {
    world.stage.queue.depth(queue).await.unwrap()
}

/// Lists, and plans what there is to copy.
async fn plan(world: &mut Visits) {
    world.begin().await;
    assert!(world.visit_scan(false).await);
    for _ in 0..depth(world, Queue::Transfer).await {
        assert_eq!(world.visit(Queue::Transfer).await, Some(Done::Settled));
    }
}

#[tokio::test]
async fn tasks_of_the_largest_objects_have_a_queue_of_their_own() {
    let mut world = Visits::new(large_from(20 * MIB));
    world.put("below", noise(20 * MIB - 1)).await;
    world.put("at", noise(20 * MIB)).await;
    plan(&mut world).await;
    let (transfer, large) =
        (depth(&world, Queue::Transfer).await, depth(&world, Queue::Large).await);
    assert!(transfer > 0 && large > 0);
    assert_eq!(fleet::waiting(&world.stage).await.unwrap(), transfer + large);
    for (queue, key) in [(Queue::Transfer, "below"), (Queue::Large, "at")] {
        while depth(&world, queue).await > 0 {
            assert_eq!(world.visit(queue).await, Some(Done::Settled));
        }
        assert!(world.destination.object(&ObjectKey::new(key)).is_some(), "{key}");
    }
    world.expect_equal();
}

#[tokio::test]
async fn without_a_fleet_there_is_one_queue_of_tasks() {
    let policy = Policy { large_object_bytes: None, ..large_from(0) };
    let mut world = Visits::new(policy);
    world.put("large", noise(30 * MIB)).await;
    plan(&mut world).await;
    assert_eq!(depth(&world, Queue::Large).await, 0);
    assert_eq!(fleet::waiting(&world.stage).await.unwrap(), depth(&world, Queue::Transfer).await);
}

fn parts_task() -> String {
    let header = HeaderId::of(&ObjectKey::new("large"));
    let first = tranship_core::object::PartNumber::FIRST;
    Message::new(Work::Parts(PartsTask { header, epoch: 1, first, count: 1 })).encode().unwrap()
}

fn received(body: &str, receives: u32) -> Received {
    Received { receipt: "r".to_owned(), body: body.to_owned(), receives }
}

#[tokio::test]
async fn a_task_that_keeps_being_cut_off_goes_where_nothing_cuts_it_off() {
    let world = Visits::new(large_from(20 * MIB));
    let body = parts_task();
    let pass_on = async |body: &str, receives| {
        fleet::pass_on(&world.stage, &received(body, receives)).await.unwrap()
    };
    assert!(!pass_on(&body, 1).await, "once is no habit");
    assert!(pass_on(&body, 2).await);
    assert_eq!(depth(&world, Queue::Large).await, 1);
    assert!(!pass_on("{}", 7).await, "what cannot be read is for others to judge");
    let there = world.stage.queue.receive(Queue::Large, 10).await.unwrap();
    assert_eq!(there.len(), 1);
    assert_eq!(there[0].body, body, "the same task");
}

#[tokio::test]
async fn without_a_fleet_a_task_stays_where_it_is() {
    let world = Visits::new(Policy { large_object_bytes: None, ..Policy::default() });
    assert!(!fleet::pass_on(&world.stage, &received(&parts_task(), 9)).await.unwrap());
}

#[tokio::test]
async fn functions_help_only_where_tasks_wait_and_nobody_shows_himself() {
    let world = Visits::new(large_from(20 * MIB));
    let needs_help = async || {
        let waiting = depth(&world, Queue::Large).await;
        fleet::needs_help(&world.stage, waiting).await.unwrap()
    };
    assert!(!needs_help().await, "nothing waits");
    world.stage.queue.send(Queue::Large, vec![parts_task()]).await.unwrap();
    assert!(!needs_help().await, "an instance may be starting");
    world.clock.advance(14 * MINUTE_MS);
    assert!(!needs_help().await);
    world.clock.advance(2 * MINUTE_MS);
    assert!(needs_help().await, "none has come");
    fleet::show(&world.stage, "i-1").await.unwrap();
    assert!(!needs_help().await, "now there is one");
    world.clock.advance(14 * MINUTE_MS);
    assert!(!needs_help().await, "it has gone, and another one may be starting");
    world.clock.advance(2 * MINUTE_MS);
    assert!(needs_help().await, "none has come in its place");
    let taken = world.stage.queue.receive(Queue::Large, 1).await.unwrap().remove(0);
    assert!(needs_help().await, "what is in flight is not done");
    world.stage.queue.delete(Queue::Large, &taken.receipt).await.unwrap();
    assert!(!needs_help().await, "all is done");
    world.clock.advance(60 * MINUTE_MS);
    world.stage.queue.send(Queue::Large, vec![parts_task()]).await.unwrap();
    assert!(!needs_help().await, "what waits now has a time of its own");
}

#[tokio::test]
async fn of_two_that_show_themselves_at_once_one_is_enough() {
    let world = Visits::new(large_from(20 * MIB));
    for name in ["i-1", "i-2"] {
        fleet::show(&world.stage, name).await.unwrap();
    }
    let key = Presence::row_key();
    let seen: Presence = rows::load(&*world.stage.ledger, &key).await.unwrap().unwrap();
    assert_eq!((seen.by.as_str(), seen.seen), ("i-2", world.clock.now()));
}

/// A world in which a part over one connection is slow, so that parts are read in pieces.
fn slow() -> Visits {
    let mut world = Visits::new(large_from(5 * MIB));
    world.stage.link = Link::new(32).spreading();
    for _ in 0..64 {
        for connections in [1, 2, 4, 8] {
            let rate = 100_000 * u64::try_from(connections).unwrap();
            world.stage.link.took(connections, rate, 1_000);
        }
    }
    world
}

#[tokio::test]
async fn a_part_in_pieces_has_the_same_bytes_in_the_same_order() {
    for size in [5 * MIB, 5 * MIB + 1, 13 * MIB, 31 * MIB - 7] {
        let mut world = slow();
        world.put("large", noise(size)).await;
        plan(&mut world).await;
        while depth(&world, Queue::Large).await > 0 {
            assert_eq!(world.visit(Queue::Large).await, Some(Done::Settled));
        }
        world.expect_equal();
        assert_eq!(world.stage.progress.read().bytes_moved, size, "nothing was read twice");
    }
}

#[tokio::test]
async fn pieces_are_pinned_too() {
    let mut world = slow();
    world.put("large", noise(13 * MIB)).await;
    plan(&mut world).await;
    world.put("large", noise(13 * MIB + 1)).await;
    while depth(&world, Queue::Large).await + depth(&world, Queue::Transfer).await > 0 {
        for queue in [Queue::Large, Queue::Transfer] {
            if depth(&world, queue).await > 0 {
                world.visit(queue).await;
            }
        }
    }
    world.expect_equal();
}

/// A slow world in which one call at the source goes wrong, and the process that makes the calls.
fn disturbed(wrong: Option<(u64, Wrong)>) -> (Visits, Arc<Life>) {
    let mut world = slow();
    let life = Life::undisturbed(Faults { wrong, ..Faults::default() }, 1);
    let (inner, name) = (world.source.clone(), "source");
    world.stage.source = Arc::new(FaultyStore { inner, life: life.clone(), name });
    (world, life)
}

#[tokio::test]
async fn a_piece_whose_source_asks_to_slow_down_is_heard_as_that() {
    let copy = async |world: &mut Visits| {
        world.put("large", noise(13 * MIB)).await;
        plan(world).await;
        while depth(world, Queue::Large).await > 0 {
            assert_eq!(world.visit(Queue::Large).await, Some(Done::Settled));
        }
        world.expect_equal();
        world.stage.progress.read().throttles
    };
    let (mut world, life) = disturbed(None);
    assert_eq!(copy(&mut world).await, 0);
    // The second piece of the first part.
    let is_piece = |call: &String| call.contains(&format!("start: {}", 4 * MIB));
    let piece = life.begun().iter().position(is_piece).unwrap();
    let number = u64::try_from(piece).unwrap() + 1;
    let (mut world, _) = disturbed(Some((number, Wrong::Before(ErrorKind::Throttled))));
    assert_eq!(copy(&mut world).await, 1);
}

/// Bytes that pass in so many milliseconds, taken by so many at once, and the share that each of them got.
async fn passed(limit: u64, takers: u64, bite: u64, ms: u64) -> (u64, Vec<Option<u64>>) {
    let clock = Arc::new(SimulatedClock::manual(BEGAN, 7));
    let ledger = Arc::new(MemoryLedger::new());
    let passed = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let all: Vec<_> = (0..takers)
        .map(|_| Arc::new(Bandwidth::new(limit, ledger.clone(), clock.clone())))
        .collect();
    assert!(all.iter().all(|bandwidth| bandwidth.share().is_none()), "nobody has moved anything");
    let works = all.iter().map(|bandwidth| {
        let (passed, bandwidth) = (passed.clone(), bandwidth.clone());
        tokio::spawn(async move {
            loop {
                bandwidth.take(bite).await.unwrap();
                passed.fetch_add(bite, Ordering::Relaxed);
            }
        })
    });
    let works: Vec<_> = works.collect();
    for _ in 0..ms {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        clock.advance(1);
    }
    works.iter().for_each(tokio::task::JoinHandle::abort);
    let shares = all.iter().map(|bandwidth| bandwidth.share()).collect();
    (passed.load(Ordering::Relaxed), shares)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_limit_is_kept_however_many_share_it(
        limit in 100_000_u64..100_000_000,
        takers in 1_u64..24,
        bite in 1_000_u64..70_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let ms = 8_000;
        let (passed, shares) = runtime.block_on(passed(limit, takers, bite, ms));
        let allowed = limit * ms / 1_000;
        prop_assert!(passed <= allowed + allowed / 10 + bite, "{passed} of {allowed}");
        // What is in the hands of each taker is granted, and has not passed.
        let held = takers * (limit / 8 + bite);
        prop_assert!(passed + held + allowed / 10 >= allowed, "{passed} of {allowed}");
        // Each can tell from its own waits how many share it. The first leases of all come at once.
        for share in shares {
            let (share, fair) = (share.unwrap(), limit / takers);
            prop_assert!(share >= fair / 2 && share <= fair * 3, "{share} of {fair}");
        }
    }
}

#[tokio::test]
async fn a_ledger_that_cannot_be_asked_lets_nothing_pass() {
    let wrong = Some((1, Wrong::Before(ErrorKind::Unavailable)));
    let life = Life::undisturbed(Faults { wrong, ..Faults::default() }, 1);
    let ledger = Arc::new(FaultyLedger { inner: Arc::new(MemoryLedger::new()), life });
    let clock = Arc::new(SimulatedClock::automatic(BEGAN, 7));
    let bandwidth = Bandwidth::new(1 << 20, ledger, clock);
    assert!(bandwidth.take(1).await.is_err());
    bandwidth.take(1).await.unwrap();
}
