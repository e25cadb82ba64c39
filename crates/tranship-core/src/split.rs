//! Where to split a range of keys, so that its halves can be listed in parallel.
//!
//! Nothing is known of the keys ahead but the one the listing has reached. A probe (a listing of
//! one key) answers "which key comes after this?". Remaining keys either share the cursor's first
//! characters or differ in one of them; a binary search finds the earliest position in which they
//! do, and a gallop over the characters there finds how far they reach. The split is a key that a
//! probe returned, so it is proven to lie inside the range.

use crate::object::ObjectKey;

/// The last character there is: no key goes on with more.
const LAST: char = '\u{10ffff}';
/// Listings that one split may cost.
pub const PROBES_MAX: u32 = 24;

/// A search for a split: asks for probes, is told their answers, and ends with a key or without.
#[derive(Debug, Clone)]
pub struct Search {
    cursor: Vec<char>,
    /// Characters of the prefix that all keys share; never worth probing.
    floor: usize,
    probes: u32,
    best: Option<ObjectKey>,
    /// The key before the best. The gallop doubles its steps, so this one is nearer to the middle.
    nearer: Option<ObjectKey>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    /// The earliest differing position is in `low..=high`, as a length of shared characters.
    Position {
        low: usize,
        high: usize,
    },
    /// Keys go on after `low` at this position; nothing is known beyond `high`.
    Gallop {
        at: usize,
        reached: u32,
        step: u32,
    },
    Done,
}

impl Search {
    /// `cursor`: the last key that was listed. `prefix`: what all keys begin with.
    pub fn new(prefix: &str, cursor: &ObjectKey) -> Self {
        let cursor: Vec<char> = cursor.as_str().chars().collect();
        let floor = prefix.chars().count();
        let stage = if cursor.len() > floor {
            Stage::Position { low: floor + 1, high: cursor.len() }
        } else {
            Stage::Done
        };
        Self { cursor, floor, probes: 0, best: None, nearer: None, stage }
    }

    /// The key after which to list next; `None` when the search is over.
    pub fn probe(&self) -> Option<ObjectKey> {
        if self.probes >= PROBES_MAX {
            return None;
        }
        match self.stage {
            Stage::Position { low, high } => Some(self.beyond(usize::midpoint(low, high), LAST)),
            Stage::Gallop { at, reached, step } => {
                let next = char::from_u32(reached.saturating_add(step)).unwrap_or(LAST);
                let mut key: String = self.cursor.iter().take(at).collect();
                key.push(next);
                Some(ObjectKey::new(key))
            }
            Stage::Done => None,
        }
    }

    /// Tells which key came after the last probe, if one did within the range.
    pub fn answer(&mut self, found: Option<&ObjectKey>) {
        self.probes += 1;
        match self.stage {
            Stage::Position { low, high } => self.narrow(low, high, found),
            Stage::Gallop { at, reached, step } => match found {
                Some(key) => {
                    self.nearer = self.best.replace(key.clone());
                    let there = key.as_str().chars().nth(at).map_or(reached, u32::from);
                    self.stage = Stage::Gallop {
                        at,
                        reached: there.max(reached),
                        step: step.saturating_mul(2),
                    };
                }
                None => self.stage = Stage::Done,
            },
            Stage::Done => {}
        }
    }

    /// The key to split at, once there are no more probes: the first half ends with it.
    pub fn split(&self) -> Option<&ObjectKey> {
        self.nearer.as_ref().or(self.best.as_ref())
    }

    fn narrow(&mut self, low: usize, high: usize, found: Option<&ObjectKey>) {
        let middle = usize::midpoint(low, high);
        match found {
            Some(key) => {
                self.best = Some(key.clone());
                if middle == low {
                    self.gallop(middle);
                } else {
                    self.stage = Stage::Position { low, high: middle };
                }
            }
            None if middle == high => {
                // Everything that remains goes on from the cursor itself.
                self.stage = Stage::Done;
            }
            None => self.stage = Stage::Position { low: middle + 1, high },
        }
    }

    /// All remaining keys share `shared - 1` characters and go on beyond the cursor's next one.
    fn gallop(&mut self, shared: usize) {
        let at = shared.saturating_sub(1).max(self.floor);
        let reached = self.best.as_ref().and_then(|key| key.as_str().chars().nth(at));
        self.stage = match reached {
            Some(c) => Stage::Gallop { at, reached: u32::from(c), step: 1 },
            None => Stage::Done,
        };
    }

    /// A key after all those that share this many characters with the cursor.
    fn beyond(&self, shared: usize, last: char) -> ObjectKey {
        let mut key: String = self.cursor.iter().take(shared).collect();
        key.push(last);
        ObjectKey::new(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Runs a search over sorted keys; gives the split and the number of probes.
    fn split(prefix: &str, keys: &[String], cursor: usize) -> (Option<String>, u32) {
        let mut search = Search::new(prefix, &ObjectKey::new(keys[cursor].clone()));
        while let Some(after) = search.probe() {
            let found = keys.iter().find(|key| key.as_str() > after.as_str());
            search.answer(found.map(|key| ObjectKey::new(key.clone())).as_ref());
        }
        (search.split().map(|key| key.as_str().to_owned()), search.probes)
    }

    #[test]
    fn a_flat_numbered_prefix_splits_near_the_middle() {
        let keys: Vec<String> = (0..100_000).map(|n| format!("flat/{n:09}")).collect();
        let (at, probes) = split("flat/", &keys, 1_000);
        let at = keys.iter().position(|key| Some(key) == at.as_ref()).unwrap();
        assert!((10_000..90_000).contains(&at), "{at} after {probes} probes");
    }

    proptest! {
        #[test]
        fn a_split_is_always_a_key_that_is_still_to_come(
            keys in proptest::collection::btree_set("[a-c\u{e9}\u{1f600}/0-9]{1,6}", 2..60),
            cursor in any::<proptest::sample::Index>(),
        ) {
            let keys: Vec<String> = keys.into_iter().collect();
            let cursor = cursor.index(keys.len());
            let (at, probes) = split("", &keys, cursor);
            prop_assert!(probes <= PROBES_MAX);
            if let Some(at) = at {
                prop_assert!(keys.contains(&at));
                prop_assert!(at > keys[cursor]);
            }
        }
    }
}
