//! The whole system in one process, in virtual time, from a seed: every call of every port may
//! fail before its effect or after it, messages come twice and in any order, others write
//! meanwhile, and the process may die between any two calls.
//!
//! A witness sees every change at the destination. What it complains of is a broken promise, and
//! the seed repeats it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tranship_adapters::clock::Chance;
use tranship_tests::faulty::{Faults, Life, pick};
use tranship_tests::world::{Host, How, Nature, World};

/// Worlds that are simulated, unless the environment asks for more.
const SEEDS: u64 = 20_000;
/// Processes with faults before the first one without.
const FAULTY_LIVES_MAX: u64 = 4;
/// Processes without faults within which a run must close.
const GOOD_LIVES_MAX: u32 = 3;

/// A number from the environment: `TRANSHIP_SEEDS` says how many worlds to simulate, from the number
/// `TRANSHIP_FIRST` on; `TRANSHIP_SEED` names one to repeat with a trace.
#[expect(clippy::disallowed_methods, reason = "a longer search is asked for from outside")]
fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The one clock here that nobody holds.
#[expect(clippy::disallowed_methods, reason = "simulated time is compared with real time")]
fn real_time() -> std::time::Instant {
    std::time::Instant::now()
}

/// Runs a simulation in a runtime of its own, whose time passes only while everybody sleeps.
pub(crate) fn in_virtual_time<T>(simulation: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(simulation)
}

fn drawn_faults(chance: &mut Chance) -> Faults {
    let fails_one_in = pick(&[0, 60, 25, 10], chance.next());
    let latency_ms = pick(&[0, 3, 40, 400], chance.next());
    let dies_at = (chance.below(3) > 0).then(|| 1 + chance.below(500));
    let stale_one_in = pick(&[0, 2, 5], chance.next());
    Faults { fails_one_in, latency_ms, stale_one_in, dies_at, ..Faults::default() }
}

/// Runs processes without faults until a run closes, which must then be complete.
async fn close(world: &mut World, lives: &mut Vec<Arc<Life>>) {
    let mut why = Vec::new();
    for _ in 0..GOOD_LIVES_MAX {
        let (life, how) = world.live(Faults { latency_ms: 5, ..Faults::default() }, None).await;
        lives.push(life);
        match how {
            // Of a run whose tasks were lost with the queue, not every object has an outcome.
            How::Closed(..) if world.was_wiped() => return,
            How::Closed(run, notes) => {
                world.expect_broken_down(&run).await;
                return world.expect_complete(&run, &notes);
            }
            how => why.push(how),
        }
    }
    world.complain(format!("no run closes: {why:?}"));
}

/// Simulates a world; what there is to complain of, and how it came to that.
async fn simulate(nature: Nature) -> (Vec<String>, Vec<Arc<Life>>) {
    let mut chance = Chance::new(nature.seed);
    let mut world = World::new(nature).await;
    let mut lives = Vec::new();
    for _ in 0..chance.below(FAULTY_LIVES_MAX) {
        let faults = drawn_faults(&mut chance);
        if chance.below(5) == 0 {
            let together = world.live_together([faults, drawn_faults(&mut chance)]).await;
            lives.extend(together.map(|(life, _)| life));
            continue;
        }
        let stop_after_ms = (chance.below(4) == 0).then(|| chance.below(5_000));
        // Nobody asks a stack to stop; but its events come whenever they like.
        let stays = world.nature.host == Host::Process;
        if !stays {
            world.tell();
        }
        let stop_after_ms = stop_after_ms.filter(|_| stays);
        let (life, _) = world.live(faults, stop_after_ms).await;
        lives.push(life);
    }
    close(&mut world, &mut lives).await;
    world.calm_down();
    // The first brings the destination up to date; the second has nothing to do but to clean up.
    close(&mut world, &mut lives).await;
    close(&mut world, &mut lives).await;
    world.expect_settled().await;
    (world.witness.complaints(), lives)
}

/// Simulates a world in time of its own; what there is to complain of, and how much time passed.
fn simulated(seed: u64) -> (Vec<String>, Duration) {
    in_virtual_time(async {
        let began = tokio::time::Instant::now();
        let (complaints, _) = simulate(Nature::drawn(seed)).await;
        (complaints, began.elapsed())
    })
}

/// Simulates worlds on two threads; fails with the numbers of those that broke a promise.
fn simulate_all(numbers: std::ops::Range<u64>, simulation: impl Fn(u64) -> Vec<String> + Sync) {
    let next = AtomicU64::new(numbers.start);
    let work = || {
        let mut broken = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= numbers.end {
                return broken;
            }
            let complaints = simulation(number);
            broken.extend((!complaints.is_empty()).then_some((number, complaints)));
        }
    };
    let broken: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    // The rest of very many would say nothing new.
    let first = broken.iter().take(20);
    let text: Vec<String> = first
        .map(|(number, what)| format!("number {number} (TRANSHIP_SEED={number}): {what:#?}"))
        .collect();
    assert!(broken.is_empty(), "{} worlds\n{}", broken.len(), text.join("\n"));
}

#[test]
fn every_promise_holds_in_every_world() {
    if let Some(seed) = asked("TRANSHIP_SEED") {
        let nature = Nature::drawn(seed);
        println!("{nature:#?}");
        let (complaints, lives) = in_virtual_time(simulate(nature));
        for life in &lives {
            println!("{life:?}\n{}", life.trace().join("\n"));
        }
        assert!(complaints.is_empty(), "{complaints:#?}");
        return;
    }
    let first = asked("TRANSHIP_FIRST").unwrap_or(0);
    let seeds = first..first + asked("TRANSHIP_SEEDS").unwrap_or(SEEDS);
    let (began, passed_ms) = (real_time(), AtomicU64::new(0));
    simulate_all(seeds.clone(), |seed| {
        let (complaints, passed) = simulated(seed);
        let ms = u64::try_from(passed.as_millis()).unwrap();
        passed_ms.fetch_add(ms, Ordering::Relaxed);
        complaints
    });
    let (simulated, took) = (
        Duration::from_millis(passed_ms.into_inner()),
        began.elapsed().max(Duration::from_millis(1)),
    );
    println!(
        "worlds {seeds:?}: {} h simulated in {} s, {} x real time",
        simulated.as_secs() / 3_600,
        took.as_secs(),
        simulated.as_millis() / took.as_millis(),
    );
}

/// Worlds in which only death goes wrong.
fn mortal_worlds() -> [Nature; 4] {
    [
        Nature::plain(1),
        Nature { deletes: true, ..Nature::plain(2) },
        Nature { orderly: false, opaque: true, ..Nature::plain(3) },
        Nature { orderly: false, server_side: true, ..Nature::plain(4) },
    ]
}

/// Lets the process die at its `n`th call, and the next one go on with what is left.
async fn die_and_go_on(nature: Nature, n: u64) -> Vec<String> {
    let mut world = World::new(nature).await;
    let faults = Faults { latency_ms: 3, dies_at: Some(n), ..Faults::default() };
    let (life, _) = world.live(faults, None).await;
    let mut lives = vec![life];
    let recorded = world.recorded(&lives).await;
    close(&mut world, &mut lives).await;
    for life in lives.iter().skip(1) {
        world.expect_not_fetched(&recorded, &life.fetched());
    }
    close(&mut world, &mut lives).await;
    world.expect_settled().await;
    world.witness.complaints()
}

#[test]
fn a_process_may_die_at_any_of_its_calls() {
    for nature in mortal_worlds() {
        let calls = in_virtual_time(async {
            let mut world = World::new(nature.clone()).await;
            let faults = Faults { latency_ms: 3, ..Faults::default() };
            let (life, how) = world.live(faults, None).await;
            assert!(matches!(how, How::Closed(..)), "{how:?}");
            life.calls()
        });
        assert!(calls > 200, "{calls} calls are too few to be all of a run");
        simulate_all(1..calls + 1, |n| in_virtual_time(die_and_go_on(nature.clone(), n)));
    }
}

#[test]
fn a_run_without_faults_reads_every_byte_once() {
    for latency_ms in [0, 5, 100] {
        let (read, held, complaints) = in_virtual_time(async {
            let mut world = World::new(Nature::plain(5)).await;
            let held: u64 = world
                .source
                .keys()
                .iter()
                .map(|key| world.source.object(key).unwrap().size())
                .sum();
            let (life, _) = world.live(Faults { latency_ms, ..Faults::default() }, None).await;
            world.expect_settled().await;
            let read: u64 = life.fetched().iter().map(|fetched| fetched.bytes).sum();
            (read, held, world.witness.complaints())
        });
        assert_eq!((read, complaints), (held, Vec::new()));
    }
}

/// Worlds in which nobody else writes and nothing is lost: only duplicates, deaths and, in half of
/// them, failing calls make a key be read again.
async fn read_by_deliveries(seed: u64) -> Vec<String> {
    let mut chance = Chance::new(seed);
    // Of a destination whose ETags say nothing the first objects tell: those are written twice.
    let (foreign, opaque, wiped) = (false, false, None);
    let undisturbed = Nature { disturbances: 0, foreign, opaque, wiped, ..Nature::drawn(seed) };
    let mut world = World::new(undisturbed).await;
    let fails_one_in = pick(&[0, 15], seed);
    let mut lives = Vec::new();
    for _ in 0..=chance.below(3) {
        let faults = Faults { fails_one_in, ..drawn_faults(&mut chance) };
        lives.push(world.live(faults, None).await.0);
    }
    close(&mut world, &mut lives).await;
    let failed = lives.iter().flat_map(|life| life.trace()).filter(|call| call.contains(" (fails"));
    let failed = u64::try_from(failed.count()).unwrap();
    world.expect_frugal(&lives, failed).await;
    world.witness.complaints()
}

#[test]
fn a_part_is_read_once_for_each_delivery() {
    simulate_all(0..500, |seed| in_virtual_time(read_by_deliveries(seed)));
}

#[test]
fn a_seed_repeats_itself() {
    for seed in [3, 14, 15] {
        let traces = || {
            let (_, lives) = in_virtual_time(simulate(Nature::drawn(seed)));
            lives.iter().map(|life| life.trace()).collect::<Vec<_>>()
        };
        assert_eq!(traces(), traces(), "seed {seed}");
    }
}
