//! The account of a run, broken down by prefix: the first segment of each key below the source's
//! prefix. Where the policy asks for it, each window and each task records its share in the ledger,
//! under the same rule by which it counts, so that the parts add up to the run's account whoever
//! listed and settled what.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::LedgerError;
use crate::finder::DELETE_SCAN;
use crate::object::ObjectKey;
use crate::outcome::{Account, Count, Outcome};
use crate::policy::Filter;
use crate::ports::Ledger;
use crate::rows::{self, RowKey, Scan, Stored, Task, TaskId};

/// Prefixes that are told apart when a run is summed up; the others are one.
const PREFIXES_MAX: usize = 1_000;
/// Rows of one page: each may name as many prefixes as a window has keys.
const PAGE_ROWS: usize = 16;

/// The first segment of a key below the source's prefix, with its slash; empty if the key has none.
pub fn segment<'a>(prefix: &str, key: &'a ObjectKey) -> &'a str {
    let rest = Filter::relative(prefix, key);
    rest.find('/').and_then(|slash| rest.get(..=slash)).unwrap_or_default()
}

/// Objects by outcome, without the outcomes that no object has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Outcomes(BTreeMap<Outcome, Count>);

impl Outcomes {
    pub fn add(&mut self, outcome: Outcome, bytes: u64) {
        self.0.entry(outcome).or_default().add(Count { objects: 1, bytes });
    }

    fn iter(&self) -> impl Iterator<Item = (Outcome, Count)> + '_ {
        self.0.iter().map(|(outcome, count)| (*outcome, *count))
    }
}

/// What became of the keys of one prefix.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PrefixAccount {
    pub listed: Count,
    pub account: Account,
}

impl PrefixAccount {
    /// Every listed key in exactly one outcome.
    pub fn balances(&self) -> bool {
        self.account.of_source() == self.listed
    }

    pub fn add_all(&mut self, other: &Self) {
        self.listed.add(other.listed);
        self.account.add_all(&other.account);
    }
}

/// What a window found, by prefix. Written before the window is closed, and counted if the attempt
/// that wrote it is the one that closed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowShare {
    pub of: TaskId,
    pub prefixes: BTreeMap<String, Share>,
}

/// A prefix's part of a window: what was listed, and what the listing alone decided.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Share {
    pub listed: Count,
    pub account: Outcomes,
}

impl WindowShare {
    pub fn prefix(generation: u64) -> String {
        format!("share/{generation:016x}/")
    }
}

impl Stored for WindowShare {
    fn key(&self) -> RowKey {
        let TaskId { generation, scan, window, attempt, .. } = &self.of;
        let prefix = Self::prefix(*generation);
        RowKey(format!("{prefix}{scan:016x}/{window:08x}/{attempt:016x}"))
    }
    fn revision(&self) -> u64 {
        1
    }
}

/// A run's account by prefix.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Breakdown {
    pub prefixes: BTreeMap<String, PrefixAccount>,
    /// Prefixes beyond the limit, together.
    pub others: PrefixAccount,
}

impl Breakdown {
    fn of(&mut self, prefix: &str) -> &mut PrefixAccount {
        if self.prefixes.contains_key(prefix) || self.prefixes.len() < PREFIXES_MAX {
            return self.prefixes.entry(prefix.to_owned()).or_default();
        }
        &mut self.others
    }

    /// All of it.
    pub fn sum(&self) -> PrefixAccount {
        let mut sum = self.others.clone();
        for account in self.prefixes.values() {
            sum.add_all(account);
        }
        sum
    }
}

/// Adds up what windows and tasks of a run recorded by prefix.
pub async fn breakdown(
    ledger: &dyn Ledger,
    generation: u64,
    scans: &[Scan],
) -> Result<Breakdown, LedgerError> {
    let counts = |of: &TaskId| {
        let scan = scans.iter().find(|scan| scan.id == of.scan);
        scan.and_then(|scan| scan.attempt_of(of.window)) == Some(of.attempt)
    };
    let mut breakdown = Breakdown::default();
    // The windows first: what is listed decides which prefixes have a row of their own.
    let (prefix, mut after) = (WindowShare::prefix(generation), None);
    loop {
        let page = ledger.page(&prefix, after.as_ref(), PAGE_ROWS).await?;
        for (key, row) in &page {
            let window: WindowShare = rows::parse(key, row)?;
            for (prefix, share) in window.prefixes.iter().filter(|_| counts(&window.of)) {
                let entry = breakdown.of(prefix);
                entry.listed.add(share.listed);
                add(&mut entry.account, &share.account);
            }
        }
        match page.into_iter().last() {
            Some((key, _)) => after = Some(key),
            None => break,
        }
    }
    let (prefix, mut after) = (TaskId::prefix(generation), None);
    loop {
        let page = ledger.page(&prefix, after.as_ref(), PAGE_ROWS).await?;
        for (key, row) in &page {
            let task: Task = rows::parse(key, row)?;
            for (prefix, outcomes) in task.prefixes.iter().filter(|_| counts(&task.id)) {
                let account = &mut breakdown.of(prefix).account;
                add(account, outcomes);
                if task.id.scan == DELETE_SCAN {
                    // It was counted as extra when it was listed.
                    for (_, count) in outcomes.iter() {
                        account.take_count(Outcome::Extra, count);
                    }
                }
            }
        }
        match page.into_iter().last() {
            Some((key, _)) => after = Some(key),
            None => return Ok(breakdown),
        }
    }
}

fn add(account: &mut Account, outcomes: &Outcomes) {
    for (outcome, count) in outcomes.iter() {
        account.add_count(outcome, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_segment_ends_at_the_first_slash_below_the_prefix() {
        for (prefix, key, expected) in [
            ("", "a", ""),
            ("", "a/b/c", "a/"),
            ("", "/a", "/"),
            ("in/", "in/a/b", "a/"),
            ("in", "in/a", "/"),
            ("in/", "in/", ""),
            ("in/", "elsewhere/a", "elsewhere/"),
            ("", "é\n/x", "é\n/"),
        ] {
            assert_eq!(segment(prefix, &ObjectKey::new(key)), expected, "{prefix} {key}");
        }
    }

    #[test]
    fn prefixes_beyond_the_limit_are_one() {
        let mut breakdown = Breakdown::default();
        for n in 0..PREFIXES_MAX + 5 {
            breakdown.of(&n.to_string()).listed.add(Count { objects: 1, bytes: 2 });
        }
        breakdown.of("0").listed.add(Count { objects: 1, bytes: 2 });
        assert_eq!(breakdown.prefixes.len(), PREFIXES_MAX);
        assert_eq!(breakdown.others.listed, Count { objects: 5, bytes: 10 });
        let all = u64::try_from(PREFIXES_MAX).unwrap() + 6;
        assert_eq!(breakdown.sum().listed, Count { objects: all, bytes: 2 * all });
        assert!(!breakdown.sum().balances());
    }
}
