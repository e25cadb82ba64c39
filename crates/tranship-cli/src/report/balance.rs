//! The account by prefix, and what it says of itself.

use tranship_core::breakdown::{Breakdown, PrefixAccount};

use super::content::Ran;

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
pub(super) struct Whole {
    pub(super) account: PrefixAccount,
    pub(super) is_balanced: bool,
    /// Its accounts still move.
    pub(super) is_open: bool,
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
    pub(super) fn of(breakdown: &'a Breakdown, whole: &Whole) -> Self {
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

/// Whether the run as a whole balances.
pub(super) fn of_whole(ran: &Ran<'_>) -> &'static str {
    match (ran.is_open, ran.is_balanced) {
        (true, _) => "The run goes on; its accounts are balanced when it ends.",
        (false, true) => {
            "The run balances: each listed object has exactly one outcome, in objects and in bytes."
        }
        (false, false) => "The run does not balance: run it again.",
    }
}
