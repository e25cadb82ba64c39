//! What a dry run learns on its way, besides its accounts: the work that a copy would be, and what
//! would be lost on the way. In bounded memory, whatever is listed.

mod grants;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::forecast::Work;
use crate::loss::LossCounts;
use crate::object::ObjectKey;
use crate::outcome::Count;

use self::grants::Draw;
pub use self::grants::{GrantSample, Grants, look_at_grants};

/// Objects that are named as the largest.
const LARGEST_MAX: usize = 10;
/// The first so many objects are all looked at; after them ever fewer, so that a sample of any number
/// of objects has a size of its own, and reaches its end.
const SAMPLED_AT_FIRST: u64 = 32;
const SAMPLES_MAX: u64 = 256;

/// What was found so far. Shared by the stages of one dry run.
#[derive(Debug, Default)]
pub struct Survey(Mutex<Findings>);

impl Survey {
    /// `grants_max`: objects that are asked for their ACLs.
    pub(crate) fn new(grants_max: usize) -> Self {
        let drawn = Draw::of(grants_max);
        Self(Mutex::new(Findings { drawn, ..Findings::default() }))
    }

    pub(crate) fn findings(&self) -> MutexGuard<'_, Findings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that was found.
    pub fn read(&self) -> Findings {
        self.findings().clone()
    }
}

/// What a dry run found.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    pub work: Work,
    largest: BinaryHeap<Reverse<(u64, Reverse<ObjectKey>)>>,
    /// The same size on both sides, and nothing that says whether the bytes are: copied again.
    pub unproven: Count,
    /// Uploaded in parts that no upload to S3 may have: another `ETag` at the destination.
    pub layouts_lost: Count,
    /// What HEADs of some of them show.
    pub sample: Sample,
    pub grants: Grants,
    drawn: Draw,
    copies: u64,
    next_sample: u64,
}

/// What HEADs of some of the objects that would be copied show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    pub looked_at: u64,
    /// Could not be looked at, and why the first of them could not.
    pub refused: u64,
    pub first_refusal: Option<String>,
    pub losses: LossCounts,
    pub tagged: u64,
    /// User metadata that the destination does not take, or would not if it were Amazon S3.
    pub metadata_unfit: u64,
    /// Uploaded in parts; and of these, how many can keep their parts, and with them their `ETag`.
    pub multipart: u64,
    pub layouts_kept: u64,
}

impl Findings {
    /// Counts an object that would be copied; says whether it is one of those to look at.
    pub(crate) fn takes_sample(&mut self) -> bool {
        let number = self.copies;
        self.copies += 1;
        let taken = number < SAMPLED_AT_FIRST || number >= self.next_sample;
        if taken {
            // An eighth further each time.
            self.next_sample = number + 1 + number / 8;
        }
        taken && self.sample.looked_at + self.sample.refused < SAMPLES_MAX
    }

    /// Offers an object that would be copied to the draw of those that are asked for their ACLs.
    pub(crate) fn offer(&mut self, key: &ObjectKey, chance: u64) {
        self.drawn.offer(key, chance);
    }

    pub(crate) fn name_if_large(&mut self, key: &ObjectKey, size: u64) {
        let is_larger = |last: &Reverse<(u64, Reverse<ObjectKey>)>| {
            (size, Reverse(key)) > (last.0.0, Reverse(&last.0.1.0))
        };
        if self.largest.len() < LARGEST_MAX || self.largest.peek().is_some_and(is_larger) {
            self.largest.push(Reverse((size, Reverse(key.clone()))));
        }
        if self.largest.len() > LARGEST_MAX {
            self.largest.pop();
        }
    }

    /// The largest objects that would be copied, the largest first; of equals, in the order of keys.
    pub fn largest(&self) -> Vec<(ObjectKey, u64)> {
        let mut all: Vec<_> = self.largest.iter().map(|Reverse(one)| one.clone()).collect();
        all.sort_by(|a, b| b.cmp(a));
        all.into_iter().map(|(size, Reverse(key))| (key, size)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_named_whatever_the_order() {
        let mut findings = Findings::default();
        for n in (0..50).chain(100..150).chain(50..100) {
            findings.name_if_large(&ObjectKey::new(format!("{n:03}")), n / 2);
        }
        let largest = findings.largest();
        let wanted: Vec<_> = [148, 149, 146, 147, 144, 145, 142, 143, 140, 141]
            .map(|n: u64| (ObjectKey::new(format!("{n:03}")), n / 2))
            .to_vec();
        assert_eq!(largest, wanted);
    }

    #[test]
    fn a_sample_is_bounded_and_reaches_far() {
        let mut findings = Findings::default();
        let mut taken = Vec::new();
        for number in 0..10_000_000_u64 {
            if findings.takes_sample() {
                findings.sample.looked_at += 1;
                taken.push(number);
            }
        }
        assert!(taken.starts_with(&[0, 1, 2, 3]) && taken.contains(&31), "{taken:?}");
        assert!((100..=256).contains(&taken.len()), "{}", taken.len());
        assert!(taken.last().is_some_and(|last| *last > 8_000_000), "{taken:?}");
    }
}
