//! What a verification adds up to: by verdict and grade, as a whole and by prefix, size and age.
//!
//! Memory is bounded: sizes and ages have fixed classes, and only so many prefixes are counted apart.

use std::collections::BTreeMap;

use super::walk::Window;
use super::{Finding, Grade, Kind};
use crate::object::Millis;
use crate::outcome::Count;
use crate::policy::Filter;

/// Prefixes that are counted apart; what comes under others is counted together.
pub const PREFIXES_MAX: usize = 10_000;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Classes of sizes: each up to this many bytes, and the rest.
const SIZES: [(u64, &str); 8] = [
    (0, "empty"),
    (1 << 10, "up to 1 KiB"),
    (1 << 20, "up to 1 MiB"),
    (64 << 20, "up to 64 MiB"),
    (1 << 30, "up to 1 GiB"),
    (64 << 30, "up to 64 GiB"),
    (1 << 40, "up to 1 TiB"),
    (u64::MAX, "above 1 TiB"),
];

/// Classes of ages, by the time since the object was modified: each up to so many days.
const AGES: [(u64, &str); 7] = [
    (1, "up to a day"),
    (7, "up to a week"),
    (30, "up to 30 days"),
    (365, "up to a year"),
    (3 * 365, "up to 3 years"),
    (10 * 365, "up to 10 years"),
    (u64::MAX, "older"),
];

/// Counts by kind of verdict and by grade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    kinds: [Count; Kind::ALL.len()],
    grades: [Count; Grade::ALL.len()],
}

impl Sums {
    fn add(&mut self, finding: &Finding) {
        let count = Count { objects: 1, bytes: finding.size() };
        let kind = finding.verdict.kind();
        let kinds = Kind::ALL.iter().zip(&mut self.kinds).filter(|(of, _)| **of == kind);
        kinds.for_each(|(_, sum)| sum.add(count));
        let Some(grade) = finding.verdict.grade() else { return };
        let grades = Grade::ALL.iter().zip(&mut self.grades).filter(|(of, _)| **of == grade);
        grades.for_each(|(_, sum)| sum.add(count));
    }

    pub fn kinds(&self) -> impl Iterator<Item = (Kind, Count)> {
        Kind::ALL.into_iter().zip(self.kinds)
    }

    pub fn grades(&self) -> impl Iterator<Item = (Grade, Count)> {
        Grade::ALL.into_iter().zip(self.grades)
    }

    pub fn of(&self, kind: Kind) -> Count {
        self.kinds().find(|(of, _)| *of == kind).map(|(_, count)| count).unwrap_or_default()
    }

    /// Everything that was found.
    pub fn all(&self) -> Count {
        let mut all = Count::default();
        self.kinds.iter().for_each(|count| all.add(*count));
        all
    }
}

/// What a verification comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// Every object of either side has an equal one at the other, by evidence of grade A, B or C.
    Equal,
    /// At least one object is missing, extra or different.
    Different,
    /// None is known to differ, and something is not proven or could not be listed.
    NotProvable,
}

/// Everything that is counted while both sides are walked.
#[derive(Debug, Clone)]
pub struct Tally {
    /// The beginning of every key, which no prefix is told with.
    base: String,
    now: Millis,
    pub listed_source: Count,
    pub listed_destination: Count,
    pub filtered_source: Count,
    pub filtered_destination: Count,
    /// Bytes of the destination's objects that have one at the source.
    paired_destination: Count,
    pub total: Sums,
    sizes: [Sums; SIZES.len()],
    ages: [Sums; AGES.len()],
    prefixes: BTreeMap<String, Sums>,
    /// What lies under prefixes that are not counted apart.
    other_prefixes: Option<Sums>,
    /// Ranges of keys that could not be listed.
    pub unlisted: u64,
}

impl Tally {
    pub fn new(source_prefix: &str, now: Millis) -> Self {
        Self {
            base: source_prefix.to_owned(),
            now,
            listed_source: Count::default(),
            listed_destination: Count::default(),
            filtered_source: Count::default(),
            filtered_destination: Count::default(),
            paired_destination: Count::default(),
            total: Sums::default(),
            sizes: Default::default(),
            ages: Default::default(),
            prefixes: BTreeMap::new(),
            other_prefixes: None,
            unlisted: 0,
        }
    }

    pub fn add(&mut self, window: &Window) {
        self.listed_source.add(window.listed_source);
        self.listed_destination.add(window.listed_destination);
        self.filtered_source.add(window.filtered_source);
        self.filtered_destination.add(window.filtered_destination);
        self.unlisted += u64::from(window.unlisted.is_some());
        for finding in &window.findings {
            self.add_finding(finding);
        }
    }

    fn add_finding(&mut self, finding: &Finding) {
        self.total.add(finding);
        if let (Some(_), Some(there)) = (&finding.source, &finding.destination) {
            self.paired_destination.add(Count { objects: 1, bytes: there.size });
        }
        let size = finding.size();
        let at = SIZES.iter().position(|(max, _)| size <= *max);
        if let Some(sums) = at.and_then(|at| self.sizes.get_mut(at)) {
            sums.add(finding);
        }
        let modified = finding.listed().map(|listed| listed.modified).unwrap_or_default();
        let age = self.now.since(modified);
        let at = AGES.iter().position(|(days, _)| age <= days.saturating_mul(DAY_MS));
        if let Some(sums) = at.and_then(|at| self.ages.get_mut(at)) {
            sums.add(finding);
        }
        let relative = Filter::relative(&self.base, &finding.key);
        let prefix = relative.find('/').and_then(|at| relative.get(..=at)).unwrap_or_default();
        if let Some(sums) = self.prefixes.get_mut(prefix) {
            return sums.add(finding);
        }
        if self.prefixes.len() < PREFIXES_MAX {
            return self.prefixes.entry(prefix.to_owned()).or_default().add(finding);
        }
        self.other_prefixes.get_or_insert_default().add(finding);
    }

    /// By what follows the source's prefix up to and including the next slash; the empty one has the
    /// keys without a slash. The second is what lies under none of them, if anything does.
    pub fn prefixes(&self) -> (impl Iterator<Item = (&str, &Sums)>, Option<&Sums>) {
        let apart = self.prefixes.iter().map(|(prefix, sums)| (prefix.as_str(), sums));
        (apart, self.other_prefixes.as_ref())
    }

    pub fn sizes(&self) -> impl Iterator<Item = (&'static str, &Sums)> {
        SIZES.iter().map(|(_, name)| *name).zip(&self.sizes)
    }

    pub fn ages(&self) -> impl Iterator<Item = (&'static str, &Sums)> {
        AGES.iter().map(|(_, name)| *name).zip(&self.ages)
    }

    /// Whether every listed object of both sides was filtered or has one verdict, in objects and
    /// bytes.
    pub fn is_balanced(&self) -> bool {
        let mut source = self.filtered_source;
        for (kind, count) in self.total.kinds() {
            if kind != Kind::Extra {
                source.add(count);
            }
        }
        let mut destination = self.filtered_destination;
        destination.add(self.paired_destination);
        destination.add(self.total.of(Kind::Extra));
        source == self.listed_source && destination == self.listed_destination
    }

    /// `ignore_extra`: what only the destination has is counted, and decides nothing.
    pub fn conclusion(&self, ignore_extra: bool) -> Conclusion {
        let has = |kind| self.total.of(kind).objects > 0;
        if has(Kind::Missing) || has(Kind::Different) || (has(Kind::Extra) && !ignore_extra) {
            return Conclusion::Different;
        }
        let unproven = has(Kind::NotProvable) || has(Kind::Changed) || self.unlisted > 0;
        if unproven || !self.is_balanced() { Conclusion::NotProvable } else { Conclusion::Equal }
    }
}
