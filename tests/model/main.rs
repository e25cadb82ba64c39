//! The completion protocol of large objects, checked in all its interleavings: a planner, workers,
//! completers and the sweep on one key, with so many faults as are allowed, wherever they may come.
//!
//! What a process decides it asks `tranship-core`: these are the production code's own functions.
//! What is modelled here is what lies around them: stores, ledger, queue, and who does what next.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking, in their helpers too"
)]

use std::collections::BTreeSet;
use std::time::Instant;

use stateright::{Checker, CheckerBuilder, HasDiscoveries, Model};

use crate::checked::{FAILED_NOT_LANDED, NO_WASTE, NOTHING_LEFT, SAFETY, UNCLOBBERED, WHOLE};
use crate::world::{ALL_KINDS, Broken, Kind, Rules};

mod checked;
mod completer;
mod order;
mod parts;
mod planner;
mod state;
mod walks;
mod worker;
mod world;

fn rules(parts: u8, faults: u8) -> Rules {
    let (kinds, broken) = (ALL_KINDS.to_vec(), Vec::new());
    Rules { parts, faults, kinds, broken }
}

fn of_kinds(faults: u8, kinds: &[Kind]) -> Rules {
    Rules { kinds: kinds.to_vec(), ..rules(2, faults) }
}

fn broken(rules: Rules, broken: &[Broken]) -> Rules {
    Rules { broken: broken.to_vec(), ..rules }
}

/// Checks all that can happen, the shortest ways first; what was found, with how it came to that.
fn check(rules: &Rules, finish: HasDiscoveries) -> BTreeSet<&'static str> {
    told(rules, || checker(rules, finish).spawn_bfs().join())
}

fn checker(rules: &Rules, finish: HasDiscoveries) -> CheckerBuilder<Rules> {
    rules.clone().checker().threads(2).finish_when(finish)
}

#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "how large and how long a check is, is told"
)]
fn told<C: Checker<Rules>>(rules: &Rules, search: impl FnOnce() -> C) -> BTreeSet<&'static str> {
    let began = Instant::now();
    let checker = search();
    let Rules { parts, faults, broken, .. } = rules;
    let (states, seconds) = (checker.unique_state_count(), began.elapsed().as_secs_f32());
    println!("{parts} parts, {faults} faults, {broken:?}: {states} states in {seconds:.1} s");
    let found = checker.discoveries();
    for (name, path) in &found {
        println!("{name}: {:#?}\n{:#?}", path.clone().into_actions(), path.last_state());
    }
    found.into_keys().collect()
}

/// Nothing that must never be is ever so. In the depth a search holds hardly more than which states it
/// has seen, some bytes of each; the shortest way to what it finds is looked for after that.
fn expect_nothing(rules: &Rules) {
    let found = told(rules, || checker(rules, HasDiscoveries::Any).spawn_dfs().join());
    let shortest = || check(rules, HasDiscoveries::Any);
    assert!(found.is_empty(), "{rules:?}: {found:?}, {:?}", shortest());
}

/// One of these is so, and nothing worse comes before it.
fn expect_one_of(rules: &Rules, expected: &[&str]) {
    let found = check(rules, HasDiscoveries::Any);
    assert!(found.iter().any(|name| expected.contains(name)), "{rules:?}: {found:?}");
}

/// Everything is safe, whatever it costs.
fn expect_safe(rules: &Rules) -> BTreeSet<&'static str> {
    let found = check(rules, HasDiscoveries::AnyOf(SAFETY.into()));
    let unsafe_ones: Vec<_> = found.iter().filter(|name| SAFETY.contains(*name)).collect();
    assert!(unsafe_ones.is_empty(), "{rules:?}: {unsafe_ones:?}");
    found
}

/// With which faults each rule shows that it is needed, and by which invariant.
fn safety_rules() -> Vec<(&'static str, Rules, &'static [Broken], &'static [&'static str])> {
    vec![
        ("the source pin", of_kinds(2, &[Kind::Source]), &[Broken::NoPin], &[WHOLE]),
        (
            "the destination fence",
            of_kinds(1, &[Kind::Foreign]),
            &[Broken::NoFence],
            &[UNCLOBBERED],
        ),
        (
            "believing no ambiguous answer",
            of_kinds(1, &[Kind::Answer]),
            &[Broken::BelievesAnswers],
            &[FAILED_NOT_LANDED],
        ),
        ("no counters", of_kinds(1, &[Kind::Work]), &[Broken::Counts], &[WHOLE]),
        (
            "no abort on any error",
            of_kinds(1, &[Kind::Answer]),
            &[Broken::AbortsOnErrors],
            &[FAILED_NOT_LANDED],
        ),
        ("the sweep", of_kinds(1, &[Kind::Crash]), &[Broken::NoSweep], &[NOTHING_LEFT]),
        (
            "level-triggering",
            of_kinds(1, &[Kind::Work]),
            &[Broken::NoSweep, Broken::EdgeTriggered],
            &[NOTHING_LEFT],
        ),
        (
            "acknowledge last",
            of_kinds(1, &[Kind::Work]),
            &[Broken::NoSweep, Broken::AcknowledgesFirst],
            &[NOTHING_LEFT],
        ),
        (
            "part ETags from ListParts",
            of_kinds(1, &[Kind::Answer]),
            &[Broken::RecordedETags],
            &[NO_WASTE],
        ),
    ]
}

#[test]
fn every_two_faults_break_no_promise() {
    expect_nothing(&rules(2, 2));
}

#[test]
fn every_broken_safety_rule_breaks_a_promise() {
    for (name, rules, without, expected) in safety_rules() {
        println!("without {name}:");
        expect_one_of(&broken(rules, without), expected);
    }
}

/// The sweep mends much: these two rules are shown without it, so that without it they must hold.
#[test]
fn a_worker_that_dies_needs_no_sweep() {
    expect_nothing(&broken(of_kinds(2, &[Kind::Work]), &[Broken::NoSweep]));
}

#[test]
fn an_economy_costs_copies_and_no_promise() {
    for economy in [Broken::NoAbortBeforeHead, Broken::NoRebase] {
        expect_safe(&broken(rules(2, 1), &[economy]));
    }
    // What the rebase saves: parts that are all there, and another copy of ours came first.
    let kinds = [Kind::Source];
    expect_nothing(&of_kinds(1, &kinds));
    let found = expect_safe(&broken(of_kinds(1, &kinds), &[Broken::NoRebase]));
    assert_eq!(found, BTreeSet::from([NO_WASTE]));
}

#[test]
#[ignore = "a minute: `make model`"]
fn every_two_faults_with_three_parts_break_no_promise() {
    expect_nothing(&rules(3, 2));
}

/// Three faults are of three kinds at most: so many smaller searches fit into memory, and one of all
/// kinds does not. `TRANSHIP_KINDS` names kinds that must be among the three, so that a part of the
/// searches can be made: `work,foreign` leaves 6 of 56.
#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "it is asked from outside")]
fn expect_nothing_of_three_kinds(parts: u8) {
    let asked = std::env::var("TRANSHIP_KINDS").unwrap_or_default();
    let asked: Vec<&str> = asked.split(',').filter(|name| !name.is_empty()).collect();
    let name = |kind: &Kind| format!("{kind:?}").to_lowercase();
    let is_known = |asked: &&str| ALL_KINDS.iter().any(|kind| name(kind) == *asked);
    assert!(asked.len() <= 3 && asked.iter().all(is_known), "TRANSHIP_KINDS: {asked:?}");
    for kinds in threes() {
        let has = |asked: &&str| kinds.iter().any(|kind| name(kind) == *asked);
        if asked.iter().all(has) {
            println!("{kinds:?}:");
            expect_nothing(&Rules { parts, ..of_kinds(3, &kinds) });
        }
    }
}

fn threes() -> Vec<[Kind; 3]> {
    let mut threes = Vec::new();
    for (a, first) in ALL_KINDS.iter().enumerate() {
        for (b, second) in ALL_KINDS.iter().enumerate().skip(a + 1) {
            threes.extend(ALL_KINDS.iter().skip(b + 1).map(|third| [*first, *second, *third]));
        }
    }
    threes
}

#[test]
#[ignore = "hours: `make model`"]
fn every_three_faults_break_no_promise() {
    expect_nothing_of_three_kinds(2);
}

#[test]
#[ignore = "hours: `make model`"]
fn every_three_faults_with_three_parts_break_no_promise() {
    expect_nothing_of_three_kinds(3);
}

#[test]
#[ignore = "minutes: `make model`"]
fn an_economy_is_safe_with_every_two_faults() {
    for economy in [Broken::NoAbortBeforeHead, Broken::NoRebase] {
        expect_safe(&broken(rules(2, 2), &[economy]));
    }
}
