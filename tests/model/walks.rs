//! Random walks: what is left out of a state, renamed in it or put into order makes no difference to
//! what may come of it. Beside each walk goes one in which nothing is left out.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use stateright::Model;

use crate::checked::{Action, happen};
use crate::parts::orders;
use crate::world::{ALL_KINDS, Broken, Kind, Rules, World};

/// Walks of each kind, and the steps of the longest.
const WALKS: u64 = 40;
const STEPS: u64 = 160;
const FAULTS: u8 = 4;
/// Of so many steps one may be a fault, so that not all of them come at the beginning.
const FAULT_ONE_IN: u64 = 6;

/// Nothing broken, and each way to be.
fn all_rules() -> Vec<Rules> {
    let broken = [
        vec![],
        vec![Broken::NoPin],
        vec![Broken::NoFence],
        vec![Broken::BelievesAnswers],
        vec![Broken::Counts],
        vec![Broken::AbortsOnErrors],
        vec![Broken::NoSweep],
        vec![Broken::NoSweep, Broken::EdgeTriggered],
        vec![Broken::NoSweep, Broken::AcknowledgesFirst],
        vec![Broken::RecordedETags],
        vec![Broken::NoAbortBeforeHead],
        vec![Broken::NoRebase],
    ];
    let of_parts = |parts| {
        broken.clone().map(|broken| {
            let mut kinds = ALL_KINDS.to_vec();
            // One of the clock's faults is a sweep.
            kinds.retain(|kind| *kind != Kind::Clock || !broken.contains(&Broken::NoSweep));
            Rules { parts, faults: FAULTS, kinds, broken }
        })
    };
    [2, 3].into_iter().flat_map(of_parts).collect()
}

/// A number below `below`, drawn from a seed.
fn drawn(seed: (usize, u64, u64), what: &str, below: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, what).hash(&mut hasher);
    hasher.finish() % below
}

fn actions(rules: &Rules, world: &World) -> Vec<Action> {
    let mut actions = Vec::new();
    rules.actions(world, &mut actions);
    actions
}

/// What may come next, but for what differs in a fault that is spent alone.
fn after(rules: &Rules, world: &World) -> BTreeSet<World> {
    let here = world.clone().in_order(rules);
    let all = actions(rules, world).into_iter().filter_map(|action| happen(rules, world, action));
    let ordered = all.map(|next| next.in_order(rules));
    let is_new = |next: &World| World { faults_left: here.faults_left, ..next.clone() } != here;
    ordered.filter(is_new).collect()
}

fn broken_promises(rules: &Rules, world: &World) -> Vec<&'static str> {
    let broken = rules.properties().into_iter().filter(|it| !(it.condition)(rules, world));
    broken.map(|property| property.name).collect()
}

/// Walks, and shows each world on the way as `kept` leaves it.
fn walk(kept: fn(World, &Rules) -> World, see: impl Fn(&Rules, &World)) {
    for (number, rules) in all_rules().iter().enumerate() {
        for seed in 0..WALKS {
            let mut world = World::begin(rules.faults);
            for step in 0..STEPS {
                see(rules, &world);
                let seed = (number, seed, step);
                let all = actions(rules, &world);
                let may_fail = drawn(seed, "fault", FAULT_ONE_IN) == 0;
                let is_fault = |action: &Action| matches!(action, Action::Fault(_));
                let some = all.into_iter().filter(|action| may_fail || !is_fault(action));
                let mut next: Vec<_> = some.filter_map(|it| happen(rules, &world, it)).collect();
                if !next.is_empty() {
                    let at = drawn(seed, "action", next.len().try_into().unwrap());
                    world = kept(next.swap_remove(at.try_into().unwrap()), rules);
                }
            }
        }
    }
}

fn only_sorted(mut world: World, _: &Rules) -> World {
    world.sort();
    world
}

fn without_what_is_over(mut world: World, rules: &Rules) -> World {
    world.drop_what_is_over(rules);
    world.sort();
    world
}

#[test]
fn parts_that_change_places_change_nothing() {
    walk(without_what_is_over, |rules, world| {
        let ordered = world.clone().in_order(rules);
        let next = after(rules, world);
        for to in orders(rules.parts) {
            let other = world.with_parts_at(to);
            assert_eq!(other.clone().in_order(rules), ordered, "{to:?}: {world:#?}");
            assert_eq!(after(rules, &other), next, "{to:?}: {world:#?}");
        }
    });
}

#[test]
fn what_a_state_forgets_makes_no_difference() {
    walk(without_what_is_over, |rules, world| {
        let ordered = world.clone().in_order(rules);
        assert_eq!(ordered.clone().in_order(rules), ordered);
        assert_eq!(broken_promises(rules, &ordered), broken_promises(rules, world), "{world:#?}");
        assert_eq!(after(rules, &ordered), after(rules, world), "{world:#?}");
    });
}

/// Without what is over there is room for others, and they may come earlier: but all that may come
/// with it may come without, and with no more faults.
#[test]
fn what_is_over_does_nothing() {
    walk(only_sorted, |rules, world| {
        let ordered = world.clone().in_order(rules);
        let broken = broken_promises(rules, &ordered);
        assert!(broken_promises(rules, world).iter().all(|name| broken.contains(name)));
        let may_come = after(rules, &ordered);
        for next in after(rules, world) {
            let comes = (next.faults_left..=rules.faults)
                .any(|faults_left| may_come.contains(&World { faults_left, ..next.clone() }));
            assert!(comes, "{world:#?}\n{next:#?}");
        }
    });
}
