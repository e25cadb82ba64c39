//! Faults: what goes wrong on purpose, by rule or by seed, and hooks that run just before a request.

mod spoil;

pub(crate) use spoil::{Spoil, spoil};

use crate::content::mix;
use crate::operation::Facts;
use crate::store::Store;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One way for a request to go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 503 `SlowDown`, without effect.
    Throttle,
    /// 500 `InternalError`, without effect.
    Status5xxBefore,
    /// 500 `InternalError`, although the effect was done.
    Status5xxAfter,
    /// This status and error code, without effect; e.g. 403 and `AccessDenied`.
    Refuse { status: u16, code: &'static str },
    /// The connection closes without an answer or effect.
    ResetBefore,
    /// The connection closes without an answer, although the effect was done.
    ResetAfter,
    /// The request waits before it is looked at.
    Stall(Duration),
    /// The connection closes after so many bytes of the answer's body.
    TruncateBody(u64),
    /// A bit of the answer's body is flipped.
    CorruptBody,
    /// The answer's body stops after so many bytes for a while, and then goes on.
    StallBody { after: u64, pause: Duration },
    /// 200 with an `<Error>` in the body, without effect.
    OkWithErrorBody,
    /// 200 with an `<Error>` in the body, although the effect was done.
    OkWithErrorBodyAfter,
    /// A GET's range is ignored: 200 and the whole object.
    IgnoreRange,
    /// Conditions are ignored, on reads and writes.
    IgnoreIfMatch,
    /// The request's upload is aborted just before, as by a lifecycle rule.
    LifecycleAbort,
    /// A listing's page begins again with the key it should begin behind (a first page: names its first key twice).
    ListRepeats,
    /// A listing's page comes in descending order.
    ListGoesBackwards,
    /// A listing says that it is truncated, and its token leads to the same page again.
    ListNeverAdvances,
}

/// Which requests a rule is about; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matcher {
    /// The operation's name in Amazon S3's API, e.g. `UploadPart`.
    pub operation: Option<String>,
    pub bucket: Option<String>,
    /// A part of the key.
    pub key: Option<String>,
    pub part_number: Option<u32>,
}

impl Matcher {
    /// Matches every request.
    pub fn any() -> Self {
        Self::default()
    }

    /// Matches the requests for one operation.
    pub fn on(operation: &str) -> Self {
        Self { operation: Some(operation.to_owned()), ..Self::default() }
    }

    #[must_use]
    pub fn bucket(mut self, bucket: &str) -> Self {
        self.bucket = Some(bucket.to_owned());
        self
    }

    /// Narrows to keys that contain this.
    #[must_use]
    pub fn key(mut self, part_of_key: &str) -> Self {
        self.key = Some(part_of_key.to_owned());
        self
    }

    #[must_use]
    pub fn part(mut self, number: u32) -> Self {
        self.part_number = Some(number);
        self
    }

    fn matches(&self, facts: &Facts) -> bool {
        let operation = self.operation.as_deref();
        operation.is_none_or(|wanted| wanted == facts.operation)
            && self.bucket.as_ref().is_none_or(|wanted| *wanted == facts.bucket)
            && self.key.as_ref().is_none_or(|wanted| facts.key.contains(wanted))
            && self.part_number.is_none_or(|wanted| facts.part_number == Some(wanted))
    }
}

/// A fault for certain requests: after the first `skip` matches, the next `times` ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub matcher: Matcher,
    pub skip: u64,
    pub times: u64,
    pub fault: Fault,
}

impl Rule {
    /// Every match, from the first on.
    pub fn new(matcher: Matcher, fault: Fault) -> Self {
        Self { matcher, skip: 0, times: u64::MAX, fault }
    }

    /// The first match only.
    pub fn once(matcher: Matcher, fault: Fault) -> Self {
        Self::new(matcher, fault).times(1)
    }

    #[must_use]
    pub fn skip(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }
}

type Hook = Box<dyn FnOnce(&Store) + Send>;

/// Faults at random, the same for the same seed whatever the order in which requests come.
struct Chance {
    seed: u64,
    per_mille: u64,
    kinds: Vec<Fault>,
    /// How often each like request came before.
    before: HashMap<(&'static str, String, String, Option<u32>), u64>,
}

#[derive(Default)]
struct State {
    rules: Vec<(Rule, u64)>,
    hooks: Vec<(Matcher, u64, Option<Hook>)>,
    chance: Option<Chance>,
    struck: u64,
}

/// All faults of one server. The first rule that applies wins; chance comes last.
#[derive(Default)]
pub struct Faults {
    state: Mutex<State>,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").finish_non_exhaustive()
    }
}

impl Faults {
    /// What a correct client survives, given enough attempts.
    pub const SURVIVABLE: &'static [Fault] = &[
        Fault::Throttle,
        Fault::Status5xxBefore,
        Fault::Status5xxAfter,
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::Stall(Duration::from_millis(50)),
        Fault::TruncateBody(100),
    ];

    pub fn add(&self, rule: Rule) {
        self.lock().rules.push((rule, 0));
    }

    /// Strikes this share of requests with one of these kinds.
    pub fn random(&self, seed: u64, per_mille: u64, kinds: &[Fault]) {
        self.lock().chance =
            Some(Chance { seed, per_mille, kinds: kinds.to_vec(), before: HashMap::new() });
    }

    /// Runs something just before the next matching request but `skip`; e.g. overwrites its source.
    pub fn before(&self, matcher: Matcher, skip: u64, hook: impl FnOnce(&Store) + Send + 'static) {
        self.lock().hooks.push((matcher, skip, Some(Box::new(hook))));
    }

    /// Forgets all rules, hooks and chance.
    pub fn clear(&self) {
        *self.lock() = State::default();
    }

    /// How many requests were struck so far.
    pub fn struck(&self) -> u64 {
        self.lock().struck
    }

    /// The hooks that are due, and the fault that strikes.
    pub(crate) fn choose(&self, facts: &Facts) -> (Vec<Hook>, Option<Fault>) {
        let mut state = self.lock();
        let mut due = Vec::new();
        for (matcher, skip, hook) in &mut state.hooks {
            if hook.is_none() || !matcher.matches(facts) {
                continue;
            }
            match skip.checked_sub(1) {
                Some(left) => *skip = left,
                None => due.extend(hook.take()),
            }
        }
        let mut fault = None;
        for (rule, seen) in &mut state.rules {
            if !rule.matcher.matches(facts) {
                continue;
            }
            let index = *seen;
            *seen += 1;
            let applies = index >= rule.skip && index - rule.skip < rule.times;
            if applies && fault.is_none() {
                fault = Some(rule.fault.clone());
            }
        }
        if fault.is_none()
            && let Some(chance) = &mut state.chance
        {
            fault = chance.draw(facts);
        }
        state.struck += u64::from(fault.is_some());
        (due, fault)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chance {
    fn draw(&mut self, facts: &Facts) -> Option<Fault> {
        let row = (facts.operation, facts.bucket.clone(), facts.key.clone(), facts.part_number);
        let before = self.before.entry(row).or_default();
        let mut state = self.seed ^ before.rotate_left(48);
        *before += 1;
        let range = facts.range.as_deref().unwrap_or_default();
        let part = u64::from(facts.part_number.unwrap_or_default());
        for text in [facts.operation, &facts.bucket, &facts.key, range] {
            for byte in text.bytes() {
                state = mix(&mut state) ^ u64::from(byte);
            }
        }
        state ^= part.rotate_left(32);
        if mix(&mut state) % 1000 >= self.per_mille {
            return None;
        }
        let kinds = u64::try_from(self.kinds.len()).ok()?;
        let index = mix(&mut state).checked_rem(kinds)?;
        self.kinds.get(usize::try_from(index).ok()?).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(operation: &'static str, part_number: u32) -> Facts {
        Facts { operation, part_number: Some(part_number), ..Facts::default() }
    }

    #[test]
    fn a_rule_skips_and_ends() {
        let faults = Faults::default();
        faults.add(Rule::new(Matcher::on("UploadPart").part(2), Fault::Throttle).skip(1).times(1));
        let mut struck = Vec::new();
        for _ in 0..3 {
            assert_eq!(faults.choose(&facts("UploadPart", 1)).1, None);
            struck.push(faults.choose(&facts("UploadPart", 2)).1.is_some());
        }
        assert_eq!(struck, [false, true, false]);
        assert_eq!(faults.struck(), 1);
    }

    #[test]
    fn chance_depends_on_the_seed_alone() {
        let draw = |seed, order: &[u32]| {
            let faults = Faults::default();
            faults.random(seed, 500, Faults::SURVIVABLE);
            let mut drawn: Vec<_> = order
                .iter()
                .map(|part| (*part, format!("{:?}", faults.choose(&facts("GetObject", *part)).1)))
                .collect();
            drawn.sort();
            drawn
        };
        assert_eq!(draw(1, &[1, 2, 3, 4, 5]), draw(1, &[5, 4, 3, 2, 1]));
        assert_ne!(draw(1, &[1, 2, 3, 4, 5]), draw(2, &[1, 2, 3, 4, 5]));
    }
}
