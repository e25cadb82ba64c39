//! How many of the objects that would be copied have ACL grants, by a sample of them.
//!
//! No listing shows grants, and each object costs a request of its own. So a bounded number of keys is
//! drawn while the dry run goes on, any of them with the same chance, and asked for at its end.

use futures_util::future;

use crate::error::{ErrorKind, StoreError};
use crate::object::ObjectKey;
use crate::stage::Stage;

/// Objects that are asked for at a time.
const AT_A_TIME: usize = 8;

/// Keys that are drawn from however many are offered.
#[derive(Debug, Clone, Default)]
pub(super) struct Draw {
    most: usize,
    offered: u64,
    keys: Vec<ObjectKey>,
}

impl Draw {
    pub(super) fn of(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// `chance` is any number; the later a key comes, the fewer of them take it in.
    pub(super) fn offer(&mut self, key: &ObjectKey, chance: u64) {
        self.offered += 1;
        if self.keys.len() < self.most {
            self.keys.push(key.clone());
        } else if let Ok(place) = usize::try_from(chance % self.offered)
            && let Some(drawn) = self.keys.get_mut(place)
        {
            drawn.clone_from(key);
        }
    }
}

/// What was found out about ACL grants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Grants {
    /// Nobody looked.
    #[default]
    Unknown,
    /// The bucket has ACLs switched off.
    Off,
    Sampled(GrantSample),
}

/// What the ACLs of some of the objects that would be copied show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrantSample {
    pub looked_at: u64,
    /// Those that grant something to others than their owner.
    pub granted: u64,
    /// Could not be looked at, and why the first of them could not.
    pub refused: u64,
    pub first_refusal: Option<String>,
}

impl GrantSample {
    fn add(&mut self, answer: Result<usize, StoreError>) {
        match answer {
            Ok(grants) => {
                self.looked_at += 1;
                self.granted += u64::from(grants > 0);
            }
            // It is gone since it was listed, and will not be copied.
            Err(error) if matches!(error.kind, ErrorKind::NoSuchKey | ErrorKind::NotFound) => {}
            Err(error) => {
                self.refused += 1;
                self.first_refusal.get_or_insert_with(|| error.to_string());
            }
        }
    }
}

/// Looks at the ACLs of the objects that were drawn, unless the bucket has them switched off. Only advice
/// depends on it, so whatever keeps it from being known is no error.
pub async fn look_at_grants(stage: &Stage) {
    let drawn = stage.progress.survey(|findings| std::mem::take(&mut findings.drawn.keys));
    let Some(keys) = drawn.filter(|keys| !keys.is_empty()) else { return };
    // Who may not ask for the setting may still ask for each ACL.
    let grants = match stage.retried(|| stage.source.has_acls()).await {
        Ok(false) => Grants::Off,
        Ok(true) | Err(_) => Grants::Sampled(sample(stage, &keys).await),
    };
    stage.progress.survey(|findings| findings.grants = grants);
}

async fn sample(stage: &Stage, keys: &[ObjectKey]) -> GrantSample {
    let mut sample = GrantSample::default();
    for keys in keys.chunks(AT_A_TIME) {
        let ask = |key| stage.retried(move || stage.source.grants(key));
        for answer in future::join_all(keys.iter().map(ask)).await {
            sample.add(answer);
        }
        // Where all of the first are refused, the others would be, too.
        if stage.is_stopping() || sample.looked_at == 0 && sample.refused > 0 {
            break;
        }
    }
    sample
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> ObjectKey {
        ObjectKey::new(format!("{number:06}"))
    }

    #[test]
    fn as_many_are_drawn_as_wanted_and_none_twice() {
        for (most, offered) in [(0, 10), (5, 3), (5, 5), (5, 10_000)] {
            let mut draw = Draw::of(most);
            for number in 0..offered {
                draw.offer(&key(number), number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            }
            let mut keys = draw.keys;
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), most.min(usize::try_from(offered).unwrap()));
        }
    }

    #[test]
    fn the_late_have_the_same_chance_as_the_early() {
        let mut state = 1_u64;
        let mut chance = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 20
        };
        let mut by_quarter = [0_u32; 4];
        for _ in 0..200 {
            let mut draw = Draw::of(20);
            (0..400).for_each(|number| draw.offer(&key(number), chance()));
            for drawn in draw.keys {
                let number: usize = drawn.as_str().parse().unwrap();
                by_quarter[number / 100] += 1;
            }
        }
        // A thousand each, give or take what chance gives and takes.
        assert!(by_quarter.iter().all(|drawn| (850..=1_150).contains(drawn)), "{by_quarter:?}");
    }

    #[test]
    fn what_is_gone_is_no_answer_and_a_refusal_is_named() {
        let failed = |kind| Err(StoreError::new(kind, "GetObjectAcl", "why"));
        let mut sample = GrantSample::default();
        for answer in [Ok(0), Ok(3), failed(ErrorKind::NoSuchKey), failed(ErrorKind::Denied)] {
            sample.add(answer);
        }
        let first_refusal = Some("GetObjectAcl: why".to_owned());
        let wanted = GrantSample { looked_at: 2, granted: 1, refused: 1, first_refusal };
        assert_eq!(sample, wanted);
    }
}
