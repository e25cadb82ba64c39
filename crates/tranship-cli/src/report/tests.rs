//! What a report says of its own balance.

use super::*;
use tranship_core::outcome::{Account, Count, Outcome};

fn account(listed: u64, copied: u64) -> PrefixAccount {
    let mut account = Account::default();
    account.add_count(Outcome::Copied, Count { objects: copied, bytes: 10 * copied });
    PrefixAccount { listed: Count { objects: listed, bytes: 10 * listed }, account }
}

fn summary(of: &PrefixAccount) -> Summary {
    Summary { listed: of.listed, account: of.account.clone(), ..Summary::default() }
}

fn rows(breakdown: &Breakdown, summary: &Summary) -> (Vec<(String, u64)>, String, bool) {
    let (started, failed_deliveries) = (Millis(0), 0);
    let end = RunEnd { summary, breakdown, started, ended: None, failed_deliveries };
    let balance = Balance::of(end.breakdown, &end.whole());
    let rows = balance.rows.iter().map(|row| (row.name.text(), row.account.listed.objects));
    (rows.collect(), balance.statement, balance.is_good)
}

#[test]
fn a_balance_names_what_does_not_balance() {
    let mut breakdown = Breakdown::default();
    breakdown.prefixes.insert("a/".to_owned(), account(2, 2));
    breakdown.prefixes.insert("b/".to_owned(), account(5, 5));
    breakdown.prefixes.insert(String::new(), account(1, 1));
    let (named, statement, is_good) = rows(&breakdown, &summary(&account(8, 8)));
    let wanted = [("b/", 5), ("a/", 2), ("(keys without a slash)", 1)];
    assert_eq!(named, wanted.map(|(name, objects)| (name.to_owned(), objects)));
    assert!(is_good && statement.starts_with("Every prefix balances: "), "{statement}");
    // A run that does not balance as a whole shows in what no prefix has.
    let (named, statement, is_good) = rows(&breakdown, &summary(&account(9, 8)));
    assert_eq!(named.last().unwrap(), &("(recorded without a prefix)".to_owned(), 1));
    assert!(
        !is_good
            && statement.contains("(recorded without a prefix): listed 1 objects and 10 bytes, with an outcome 0 and 0"),
        "{statement}"
    );
    breakdown.prefixes.insert("a/".to_owned(), account(2, 1));
    let (_, statement, is_good) = rows(&breakdown, &summary(&account(8, 7)));
    assert!(
        !is_good
            && statement.contains("a/: listed 2 objects and 20 bytes, with an outcome 1 and 10"),
        "{statement}"
    );
    assert!(!statement.contains("b/"), "{statement}");
}

#[test]
fn many_prefixes_that_do_not_balance_are_counted() {
    let mut breakdown = Breakdown::default();
    for n in 0..13 {
        breakdown.prefixes.insert(format!("{n}/"), account(2, 1));
    }
    let (_, statement, _) = rows(&breakdown, &summary(&account(26, 13)));
    assert!(statement.contains("; and 3 more."), "{statement}");
}

#[test]
fn nothing_has_to_balance_while_a_run_goes_on() {
    let mut breakdown = Breakdown::default();
    breakdown.prefixes.insert("a/".to_owned(), account(2, 1));
    let whole = Whole { account: account(2, 1), is_balanced: false, is_open: true };
    let balance = Balance::of(&breakdown, &whole);
    assert!(balance.is_open && balance.statement.starts_with("The run goes on"), "{balance:?}");
    let balance = Balance::of(&breakdown, &Whole { is_open: false, ..whole });
    assert!(balance.statement.starts_with("Not every prefix balances: a/"), "{balance:?}");
}
