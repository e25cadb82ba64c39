//! The run report of a copy: what became of everything, by outcome and by prefix, as JSON for
//! programs and as a page that opens offline for people.

mod html;
mod json;
pub(crate) mod stack;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tranship_core::breakdown::{Breakdown, PrefixAccount};
use tranship_core::object::Millis;
use tranship_core::rows::Note;

use crate::display::Summary;
use crate::exit::{Exit, Failure};
use crate::failure_list::{beside, check_place};
use crate::timeline::Timeline;

const JSON: &str = "report.json";
const HTML: &str = "report.html";
/// Failures that the report names; the failure list has all of them.
const FAILURES_MAX: usize = 1_000;

/// What is gathered for the report while the run goes on.
#[derive(Debug)]
pub(crate) struct Report {
    folder: PathBuf,
    pub(crate) failures: Failures,
    pub(crate) timeline: Timeline,
}

/// The first failures of a run, and how many there were.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    first: Vec<Note>,
    count: u64,
}

impl Failures {
    pub(crate) fn add(&mut self, note: &Note) {
        self.count += 1;
        if self.first.len() < FAILURES_MAX {
            self.first.push(note.clone());
        }
    }
}

/// What only its end shows.
#[derive(Debug)]
pub(crate) struct RunEnd<'a> {
    pub(crate) summary: &'a Summary,
    pub(crate) breakdown: &'a Breakdown,
    pub(crate) started: Millis,
    pub(crate) ended: Option<Millis>,
}

impl RunEnd<'_> {
    fn whole(&self) -> Whole {
        let (listed, account) = (self.summary.listed, self.summary.account.clone());
        Whole {
            account: PrefixAccount { listed, account },
            is_balanced: self.summary.is_balanced(),
            is_open: false,
        }
    }
}

impl Report {
    /// Begins a report, and names a folder that cannot be written before anything is copied.
    pub(crate) fn begin(folder: &Path) -> Result<Self, Failure> {
        for name in [JSON, HTML] {
            check_place(&folder.join(name)).map_err(|error| unwritable(folder, &error))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            failures: Failures::default(),
            timeline: Timeline::default(),
        })
    }

    /// Writes both forms; tells where the folder is.
    pub(crate) fn publish(&self, end: &RunEnd<'_>) -> Result<PathBuf, Failure> {
        let balance = Balance::of(end.breakdown, &end.whole());
        let write = || -> io::Result<()> {
            put(&self.folder.join(JSON), &json::text(self, end, &balance))?;
            put(&self.folder.join(HTML), &html::text(self, end, &balance))
        };
        write().map_err(|error| unwritable(&self.folder, &error))?;
        Ok(self.folder.clone())
    }
}

/// A file takes its place when it is whole.
fn put(path: &Path, text: &str) -> io::Result<()> {
    let new = beside(path);
    let mut file = std::fs::File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(new, path)
}

fn unwritable(folder: &Path, error: &io::Error) -> Failure {
    let what = format!("the run report in {} cannot be written: {error}", folder.display());
    Failure::new(Exit::Usage, what, "name a writable folder with --report")
}

/// A row of the account by prefix.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) name: RowName<'a>,
    pub(crate) account: PrefixAccount,
}

/// Whose account a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowName<'a> {
    /// Empty: the keys without a slash.
    Prefix(&'a str),
    /// Prefixes beyond the limit.
    Others,
    /// Recorded by a version that knew no prefixes.
    Unrecorded,
}

/// The run that its prefixes are the parts of.
#[derive(Debug)]
struct Whole {
    account: PrefixAccount,
    is_balanced: bool,
    /// Its accounts still move.
    is_open: bool,
}

/// The account by prefix, and what it says of itself.
#[derive(Debug)]
pub(crate) struct Balance<'a> {
    /// The heaviest first, and at last what is no prefix.
    pub(crate) rows: Vec<Row<'a>>,
    pub(crate) statement: String,
    pub(crate) is_good: bool,
    /// The run goes on, so that nothing has to balance yet.
    pub(crate) is_open: bool,
}

impl<'a> Balance<'a> {
    fn of(breakdown: &'a Breakdown, whole: &Whole) -> Self {
        let prefixes = breakdown.prefixes.iter();
        let mut rows: Vec<_> = prefixes
            .map(|(name, account)| Row { name: RowName::Prefix(name), account: account.clone() })
            .collect();
        // Stable: prefixes of one weight stay in the order of keys.
        rows.sort_by_key(|row| {
            let listed = row.account.listed;
            std::cmp::Reverse((listed.bytes, listed.objects))
        });
        let others = breakdown.others.clone();
        let unrecorded = unrecorded(breakdown, &whole.account);
        for (name, account) in [(RowName::Others, others), (RowName::Unrecorded, unrecorded)] {
            if account != PrefixAccount::default() {
                rows.push(Row { name, account });
            }
        }
        let is_good = rows.iter().all(|row| row.account.balances());
        let statement = statement(&rows, whole);
        Self { rows, statement, is_good, is_open: whole.is_open }
    }
}

/// What the run has and no prefix does.
fn unrecorded(breakdown: &Breakdown, whole: &PrefixAccount) -> PrefixAccount {
    let sum = breakdown.sum();
    let mut rest = whole.clone();
    rest.listed.objects = rest.listed.objects.saturating_sub(sum.listed.objects);
    rest.listed.bytes = rest.listed.bytes.saturating_sub(sum.listed.bytes);
    for (outcome, count) in sum.account.iter() {
        rest.account.take_count(outcome, count);
    }
    rest
}

/// Whether every prefix balances; if not, which do not.
fn statement(rows: &[Row<'_>], whole: &Whole) -> String {
    const NAMED_MAX: usize = 10;
    if whole.is_open {
        return "The run goes on; its prefixes are balanced when it ends.".to_owned();
    }
    let odd: Vec<_> = rows.iter().filter(|row| !row.account.balances()).collect();
    if odd.is_empty() && whole.is_balanced {
        return "Every prefix balances: each listed object has exactly one outcome, in objects and in bytes."
            .to_owned();
    }
    if odd.is_empty() {
        return "Every prefix balances, and the run as a whole does not: run it again.".to_owned();
    }
    let named = odd.iter().take(NAMED_MAX).map(|row| {
        let (listed, sum) = (row.account.listed, row.account.account.of_source());
        let name = row.name.text();
        format!(
            "{name}: listed {} objects and {} bytes, with an outcome {} and {}",
            listed.objects, listed.bytes, sum.objects, sum.bytes
        )
    });
    let named = named.collect::<Vec<_>>().join("; ");
    let more = match odd.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!("Not every prefix balances: {named}{more}.")
}

impl RowName<'_> {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Prefix("") => "(keys without a slash)".to_owned(),
            Self::Prefix(prefix) => (*prefix).to_owned(),
            Self::Others => "(other prefixes)".to_owned(),
            Self::Unrecorded => "(recorded without a prefix)".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
