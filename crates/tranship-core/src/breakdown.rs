//! The account of a run, broken down by prefix: the first segment of each key below the source's
//! prefix. Where the policy asks for it, each window and each task records its share in the ledger,
//! under the same rule by which it counts, so that the parts add up to the run's account whoever
//! listed and settled what.
//!
//! A run may have millions of such rows, and whoever adds them up may have seconds: a [`Stretch`] is
//! the sum of so many of them, and says where the next one begins.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::LedgerError;
use crate::finder::DELETE_SCAN;
use crate::object::ObjectKey;
use crate::outcome::{Account, Count, Outcome};
use crate::policy::Filter;
use crate::ports::{Ledger, Row};
use crate::rows::{self, RowKey, Scan, Stored, Task, TaskId};

/// Prefixes that are told apart when a run is summed up; the others are one.
const PREFIXES_MAX: usize = 1_000;
/// Prefixes of a stretch, one row's more or less: an answer of a function has some megabytes.
const STRETCH_PREFIXES: usize = 1_000;
/// Rows of one page.
const PAGE_ROWS: usize = 200;
/// Pages of a stretch: some seconds.
const STRETCH_PAGES: usize = 50;
/// Bytes of a segment. A row holds one for each object of a task, escaped perhaps six times as long, and
/// `DynamoDB` takes rows of 400 KB.
const SEGMENT_BYTES_MAX: usize = 200;
/// Bytes of the prefixes of one row of a window, for the same reason.
const SHARE_BYTES_MAX: usize = 30_000;
/// What a share has besides its prefix, at least.
const SHARE_BYTES: usize = 100;

/// The first segment of a key below the source's prefix, with its slash; empty if the key has none. A
/// longer one than a row can hold is its beginning, and ends without a slash.
pub fn segment<'a>(prefix: &str, key: &'a ObjectKey) -> &'a str {
    let rest = Filter::relative(prefix, key);
    let Some(slash) = rest.find('/') else { return "" };
    let mut end = slash + 1;
    if end > SEGMENT_BYTES_MAX {
        end = SEGMENT_BYTES_MAX;
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
    }
    rest.get(..end).unwrap_or_default()
}

/// Objects by outcome, without the outcomes that no object has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Outcomes(BTreeMap<Outcome, Count>);

impl Outcomes {
    pub fn add(&mut self, outcome: Outcome, bytes: u64) {
        self.0.entry(outcome).or_default().add(Count { objects: 1, bytes });
    }

    fn add_all(&mut self, other: &Self) {
        for (outcome, count) in other.iter() {
            self.0.entry(outcome).or_default().add(count);
        }
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

/// What a window found, by prefix, in as many rows as it takes. Written before the window is closed, and
/// counted if the attempt that wrote it is the one that closed it.
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

    /// The rows of a window.
    pub(crate) fn rows(of: &TaskId, prefixes: BTreeMap<String, Share>) -> Vec<Self> {
        let mut rows: Vec<Self> = Vec::new();
        let mut bytes = 0;
        for (prefix, share) in prefixes {
            let adds = prefix.len() + SHARE_BYTES;
            if rows.is_empty() || bytes + adds > SHARE_BYTES_MAX {
                let index = u32::try_from(rows.len()).unwrap_or(u32::MAX);
                let of = TaskId { index, ..of.clone() };
                rows.push(Self { of, prefixes: BTreeMap::new() });
                bytes = 0;
            }
            bytes += adds;
            if let Some(row) = rows.last_mut() {
                row.prefixes.insert(prefix, share);
            }
        }
        rows
    }
}

impl Stored for WindowShare {
    fn key(&self) -> RowKey {
        let TaskId { generation, scan, window, attempt, index } = &self.of;
        let prefix = Self::prefix(*generation);
        RowKey(format!("{prefix}{scan:016x}/{window:08x}/{attempt:016x}/{index:08x}"))
    }
    fn revision(&self) -> u64 {
        1
    }
}

/// What some rows say of a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sum {
    #[serde(default)]
    pub listed: Count,
    #[serde(default)]
    pub outcomes: Outcomes,
    /// What the deletes phase settled: it was counted as extra when it was listed.
    #[serde(default)]
    pub deletes: Count,
}

/// The sum of some rows of a run, in the order of their keys: first windows, then tasks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stretch {
    pub prefixes: BTreeMap<String, Sum>,
    /// The last row; `None` if there are no more behind it.
    pub through: Option<String>,
}

impl Stretch {
    fn add_window(&mut self, window: &WindowShare) {
        for (prefix, share) in &window.prefixes {
            let sum = self.prefixes.entry(prefix.clone()).or_default();
            sum.listed.add(share.listed);
            sum.outcomes.add_all(&share.account);
        }
    }

    fn add_task(&mut self, task: &Task) {
        for (prefix, outcomes) in &task.prefixes {
            let sum = self.prefixes.entry(prefix.clone()).or_default();
            sum.outcomes.add_all(outcomes);
            if task.id.scan == DELETE_SCAN {
                for (_, count) in outcomes.iter() {
                    sum.deletes.add(count);
                }
            }
        }
    }
}

/// Adds up the rows of a run behind `after`: so many that they have as many prefixes as an answer
/// should, or until `is_enough`.
pub async fn stretch(
    ledger: &dyn Ledger,
    generation: u64,
    scans: &[Scan],
    after: Option<&str>,
    is_enough: impl Fn() -> bool,
) -> Result<Stretch, LedgerError> {
    let (windows, tasks) = (WindowShare::prefix(generation), TaskId::prefix(generation));
    let mut after = after.map_or_else(|| windows.clone(), str::to_owned);
    let mut stretch = Stretch::default();
    for _ in 0..STRETCH_PAGES {
        let of_windows = after.starts_with(&windows);
        let prefix = if of_windows { &windows } else { &tasks };
        if !after.starts_with(prefix) {
            let text = format!("no row of run {generation}: {}", crate::object::escape(&after));
            return Err(LedgerError::Unreadable(text));
        }
        let page = ledger.page(prefix, Some(&RowKey(after.clone())), PAGE_ROWS).await?;
        if page.is_empty() && !of_windows {
            return Ok(stretch);
        }
        if page.is_empty() {
            after.clone_from(&tasks);
        }
        for (key, row) in page {
            add_row(&mut stretch, scans, of_windows, &key, &row)?;
            after = key.0;
            if stretch.prefixes.len() >= STRETCH_PREFIXES {
                break;
            }
        }
        if stretch.prefixes.len() >= STRETCH_PREFIXES || is_enough() {
            break;
        }
    }
    Ok(Stretch { through: Some(after), ..stretch })
}

/// A window that was listed twice: what its first attempt recorded counts for nothing.
fn add_row(
    stretch: &mut Stretch,
    scans: &[Scan],
    of_windows: bool,
    key: &RowKey,
    row: &Row,
) -> Result<(), LedgerError> {
    let counts = |of: &TaskId| {
        let scan = scans.iter().find(|scan| scan.id == of.scan);
        scan.and_then(|scan| scan.attempt_of(of.window)) == Some(of.attempt)
    };
    if of_windows {
        let window: WindowShare = rows::parse(key, row)?;
        if counts(&window.of) {
            stretch.add_window(&window);
        }
    } else {
        let task: Task = rows::parse(key, row)?;
        if counts(&task.id) {
            stretch.add_task(&task);
        }
    }
    Ok(())
}

/// A run's account by prefix.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Breakdown {
    pub prefixes: BTreeMap<String, PrefixAccount>,
    /// Prefixes beyond the limit, together.
    pub others: PrefixAccount,
}

impl Breakdown {
    /// Adds the next stretch. They come in order, so that what is listed decides which prefixes have a
    /// row of their own.
    pub fn add(&mut self, stretch: &Stretch) {
        for (prefix, sum) in &stretch.prefixes {
            let of = self.of(prefix);
            of.listed.add(sum.listed);
            for (outcome, count) in sum.outcomes.iter() {
                of.account.add_count(outcome, count);
            }
            of.account.take_count(Outcome::Extra, sum.deletes);
        }
    }

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
    let mut breakdown = Breakdown::default();
    let mut after = None;
    loop {
        let next = stretch(ledger, generation, scans, after.as_deref(), || false).await?;
        breakdown.add(&next);
        match next.through {
            Some(through) => after = Some(through),
            None => return Ok(breakdown),
        }
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
    fn a_segment_is_no_longer_than_a_row_can_hold() {
        let long = format!("{}é/x", "a".repeat(SEGMENT_BYTES_MAX - 1));
        let key = ObjectKey::new(long.clone());
        assert_eq!(segment("", &key), &long[..SEGMENT_BYTES_MAX - 1]);
        let fits = format!("{}/", "a".repeat(SEGMENT_BYTES_MAX - 1));
        assert_eq!(segment("", &ObjectKey::new(format!("{fits}x"))), fits);
    }

    #[test]
    fn a_window_of_many_prefixes_takes_several_rows() {
        let of = TaskId { generation: 1, scan: 2, window: 3, attempt: 4, index: 0 };
        let prefixes: BTreeMap<_, _> =
            (0..4_000).map(|n| (format!("{n:0>200}"), Share::default())).collect();
        let rows = WindowShare::rows(&of, prefixes.clone());
        let longest = rows.iter().map(|row| serde_json::to_vec(row).unwrap().len()).max();
        assert!(longest < Some(60_000), "{longest:?}");
        let keys: std::collections::BTreeSet<_> = rows.iter().map(Stored::key).collect();
        assert_eq!(keys.len(), rows.len(), "each has a key of its own");
        let all: BTreeMap<_, _> = rows.into_iter().flat_map(|row| row.prefixes).collect();
        assert_eq!(all, prefixes);
        assert_eq!(WindowShare::rows(&of, BTreeMap::new()), []);
    }

    fn sum(objects: u64, outcome: Outcome) -> Sum {
        let count = Count { objects, bytes: 10 * objects };
        let outcomes = Outcomes(BTreeMap::from([(outcome, count)]));
        Sum { listed: count, outcomes, deletes: Count::default() }
    }

    #[test]
    fn stretches_add_up_and_survive_their_way_as_json() {
        let whole = Stretch {
            prefixes: BTreeMap::from([
                ("a/".to_owned(), sum(5, Outcome::Copied)),
                (String::new(), sum(2, Outcome::Failed)),
            ]),
            through: None,
        };
        // The same in two parts: a prefix may stand in both, listed in one and settled in the other.
        let mut listed = sum(5, Outcome::Copied);
        let settled = Sum { outcomes: std::mem::take(&mut listed.outcomes), ..Sum::default() };
        let one = Stretch {
            prefixes: BTreeMap::from([("a/".to_owned(), listed)]),
            through: Some("share/1".to_owned()),
        };
        let two = Stretch {
            prefixes: BTreeMap::from([
                ("a/".to_owned(), settled),
                (String::new(), sum(2, Outcome::Failed)),
            ]),
            through: None,
        };
        let added = |stretches: &[&Stretch]| {
            let mut all = Breakdown::default();
            for stretch in stretches {
                let text = serde_json::to_string(stretch).unwrap();
                all.add(&serde_json::from_str(&text).unwrap());
            }
            all
        };
        let all = added(&[&whole]);
        assert_eq!(added(&[&one, &two]), all);
        assert_eq!(all.sum().listed.objects, 7);
        assert!(all.prefixes.values().all(PrefixAccount::balances));
        assert!(!added(&[&one]).sum().balances(), "its tasks are in the second part");
    }

    #[test]
    fn what_was_deleted_is_no_longer_extra() {
        let mut phase = sum(3, Outcome::Deleted);
        phase.listed = Count::default();
        phase.deletes = Count { objects: 3, bytes: 30 };
        let listing = Sum { listed: Count::default(), ..sum(4, Outcome::Extra) };
        let mut all = Breakdown::default();
        for sum in [listing, phase] {
            let prefixes = BTreeMap::from([("a/".to_owned(), sum)]);
            all.add(&Stretch { prefixes, ..Stretch::default() });
        }
        let account = &all.sum().account;
        let objects = |outcome| account.get(outcome).objects;
        assert_eq!((objects(Outcome::Extra), objects(Outcome::Deleted)), (1, 3));
    }

    #[test]
    fn prefixes_beyond_the_limit_stay_one_from_stretch_to_stretch() {
        let mut all = Breakdown::default();
        let name = |n: usize| format!("{n:06}/");
        for first in (0..3 * PREFIXES_MAX).step_by(500) {
            let prefixes =
                (first..first + 500).map(|n| (name(n), sum(1, Outcome::Equal))).collect();
            all.add(&Stretch { prefixes, ..Stretch::default() });
        }
        let beyond = BTreeMap::from([
            (name(0), sum(1, Outcome::Equal)),
            (name(PREFIXES_MAX), sum(1, Outcome::Equal)),
        ]);
        all.add(&Stretch { prefixes: beyond, ..Stretch::default() });
        assert_eq!(all.prefixes.len(), PREFIXES_MAX);
        assert_eq!(all.prefixes.get(&name(0)).unwrap().listed.objects, 2);
        assert_eq!(all.others.listed.objects, u64::try_from(2 * PREFIXES_MAX).unwrap() + 1);
        assert!(all.others.balances());
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
