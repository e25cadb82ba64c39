//! The whole system in one process, in virtual time, from a seed: every call of every port may
//! fail before its effect or after it, messages come twice and in any order, others write
//! meanwhile, and the process may die between any two calls.
//!
//! A witness sees every change at the destination. What it complains of is a broken promise, and
//! the seed repeats it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tranship_adapters::clock::Chance;
use tranship_tests::faulty::{Faults, Life};
use tranship_tests::world::{How, Nature, World};

/// Worlds that are simulated, unless the environment asks for more.
const SEEDS: u64 = 300;
/// Processes with faults before the first one without.
const FAULTY_LIVES_MAX: u64 = 4;
/// Processes without faults within which a run must close.
const GOOD_LIVES_MAX: u32 = 3;

/// A number from the environment: `TRANSHIP_SEEDS` says how many worlds to simulate,
/// `TRANSHIP_SEED` names one to repeat with a trace.
#[expect(clippy::disallowed_methods, reason = "a longer search is asked for from outside")]
fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs a simulation in a runtime of its own, whose time passes only while everybody sleeps.
fn in_virtual_time<T>(simulation: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(simulation)
}

fn drawn_faults(chance: &mut Chance) -> Faults {
    let fails_one_in = [0, 60, 25, 10][usize::try_from(chance.below(4)).unwrap()];
    let latency_ms = [0, 3, 40, 400][usize::try_from(chance.below(4)).unwrap()];
    let dies_at = (chance.below(3) > 0).then(|| 1 + chance.below(500));
    Faults { fails_one_in, latency_ms, dies_at }
}

/// Runs processes without faults until a run closes, which must then be complete.
async fn close(world: &mut World, lives: &mut Vec<Arc<Life>>) {
    let mut why = Vec::new();
    for _ in 0..GOOD_LIVES_MAX {
        let (life, how) = world.live(Faults { latency_ms: 5, ..Faults::default() }, None).await;
        lives.push(life);
        match how {
            How::Closed(run, notes) => return world.expect_complete(&run, &notes),
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
        let stop_after_ms = (chance.below(4) == 0).then(|| chance.below(5_000));
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

/// Simulates worlds on all processors; fails with the seeds that broke a promise.
fn simulate_all(seeds: std::ops::Range<u64>, nature: impl Fn(u64) -> Nature + Sync) {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let mut broken = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return broken;
            }
            let (complaints, _) = in_virtual_time(simulate(nature(seed)));
            broken.extend((!complaints.is_empty()).then_some((seed, complaints)));
        }
    };
    let broken: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let text: Vec<String> =
        broken.iter().map(|(seed, complaints)| format!("seed {seed}: {complaints:#?}")).collect();
    assert!(broken.is_empty(), "{} seeds\n{}", broken.len(), text.join("\n"));
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
    simulate_all(0..asked("TRANSHIP_SEEDS").unwrap_or(SEEDS), Nature::drawn);
}
