//! Time and chance: the system's, and simulated ones that repeat themselves.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use tokio::sync::Notify;
use tranship_core::object::Millis;
use tranship_core::ports::Clock;

/// The system's clock, and chance under keys that the operating system gave.
#[derive(Debug, Default)]
pub struct SystemClock {
    keys: RandomState,
    drawn: AtomicU64,
}

impl SystemClock {
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one clock that reads the system's")]
    fn now(&self) -> Millis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    async fn sleep(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    fn random(&self) -> u64 {
        // A keyed hash of a counter: unpredictable enough for jitter and for names, and no secret
        // depends on it. The time keeps forked processes apart.
        self.keys.hash_one((self.drawn.fetch_add(1, Ordering::Relaxed), self.now().0))
    }
}

/// Numbers that follow from a seed (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    #[expect(clippy::should_implement_trait, reason = "a sequence without end is no iterator here")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

/// Turns that a sleeper lets the others have before it takes them all to be asleep.
const IDLE_TURNS: u32 = 64;

/// A clock that moves only as it is told, or only while everybody sleeps.
#[derive(Debug)]
pub struct SimulatedClock {
    state: Mutex<Simulated>,
    moved: Notify,
    advances_by_itself: bool,
}

#[derive(Debug)]
struct Simulated {
    now: Millis,
    chance: Chance,
    /// When each sleeper wakes, told apart by a number.
    sleepers: BTreeSet<(Millis, u64)>,
    newest_sleeper: u64,
}

impl SimulatedClock {
    /// Stands still but for [`advance`](Self::advance).
    pub fn manual(now: Millis, seed: u64) -> Self {
        Self::with(now, seed, false)
    }

    /// Moves to the next wake-up when all that runs on the runtime has nothing to do but sleep.
    /// On a runtime with one thread, and with nothing that waits outside of it, runs repeat.
    pub fn automatic(now: Millis, seed: u64) -> Self {
        Self::with(now, seed, true)
    }

    fn with(now: Millis, seed: u64, advances_by_itself: bool) -> Self {
        let chance = Chance::new(seed);
        let state = Simulated { now, chance, sleepers: BTreeSet::new(), newest_sleeper: 0 };
        Self { state: Mutex::new(state), moved: Notify::new(), advances_by_itself }
    }

    pub fn advance(&self, ms: u64) {
        {
            let mut state = self.state();
            state.now = state.now.plus(ms);
        }
        self.moved.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, Simulated> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait_until(&self, wake: (Millis, u64)) {
        let mut idle_turns = 0;
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            if self.now() >= wake.0 {
                return;
            }
            if !self.advances_by_itself {
                moved.await;
                continue;
            }
            tokio::task::yield_now().await;
            idle_turns += 1;
            let mut state = self.state();
            if idle_turns >= IDLE_TURNS && state.sleepers.first() == Some(&wake) {
                state.now = state.now.max(wake.0);
                return;
            }
        }
    }
}

/// Takes a sleeper off the list, also when its sleep is cut short.
struct Asleep<'c> {
    clock: &'c SimulatedClock,
    wake: (Millis, u64),
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        self.clock.state().sleepers.remove(&self.wake);
    }
}

#[async_trait]
impl Clock for SimulatedClock {
    fn now(&self) -> Millis {
        self.state().now
    }

    async fn sleep(&self, ms: u64) {
        let wake = {
            let mut state = self.state();
            state.newest_sleeper += 1;
            let wake = (state.now.plus(ms), state.newest_sleeper);
            state.sleepers.insert(wake);
            wake
        };
        let asleep = Asleep { clock: self, wake };
        self.wait_until(wake).await;
        drop(asleep);
    }

    fn random(&self) -> u64 {
        self.state().chance.next()
    }
}
