//! The run report as a page.

use tranship_core::outcome::{Account, Count, Outcome};

use super::json::moment;
use super::{Balance, FAILURES_MAX, Report, RunEnd};
use crate::display::{count_text, duration_text, size_text};
use crate::page::{Cell, Mood, Page};

/// Rows of the table by prefix, the heaviest first; what follows is one row.
const PREFIXES_SHOWN: usize = 50;
/// Bars of the plot.
const BARS: usize = 20;
const FAILURES_SHOWN: usize = 500;

pub(super) fn text(report: &Report, end: &RunEnd<'_>, balance: &Balance<'_>) -> String {
    let summary = end.summary;
    let mut page = Page::new(&format!("tranship: {} → {}", summary.source, summary.destination));
    let is_good = summary.is_clean();
    page.text(
        if is_good { Mood::Good } else { Mood::Bad },
        &format!("The run is {}.", summary.verdict()),
    );
    let text = |value: serde_json::Value| value.as_str().unwrap_or("not yet").to_owned();
    page.text(
        Mood::Plain,
        &format!(
            "Begun {}, ended {}; {} of this process; tranship {}; transfer {}.",
            text(moment(end.started)),
            end.ended.map_or_else(|| "not yet".to_owned(), |at| text(moment(at))),
            duration_text(summary.elapsed_ms),
            env!("CARGO_PKG_VERSION"),
            summary.transfer_id,
        ),
    );
    outcomes(&mut page, summary.listed, &summary.account);
    prefixes(&mut page, balance);
    throughput(&mut page, report, end);
    lost(&mut page, end);
    failures(&mut page, report, end);
    page.finish()
}

fn number(count: u64) -> Cell {
    Cell::Number(count_text(count))
}

fn outcomes(page: &mut Page, listed: Count, account: &Account) {
    page.heading("By outcome");
    let row = |name: &str, count: Count| {
        let bytes = Cell::Number(size_text(count.bytes));
        vec![Cell::Text(name.to_owned()), number(count.objects), bytes]
    };
    let there = || account.iter().filter(|(_, count)| count.objects > 0);
    let mut rows = vec![row("listed", listed)];
    rows.extend(there().map(|(outcome, count)| row(outcome.name(), count)));
    page.table(&["outcome", "objects", "bytes"], &rows);
    let bar = |value: fn(Count) -> u64, text: fn(u64) -> String| {
        let bar = |(outcome, count): (Outcome, Count)| {
            (outcome.name().to_owned(), value(count), text(value(count)))
        };
        there().map(bar).collect::<Vec<_>>()
    };
    page.bars("objects by outcome", &bar(|count| count.objects, count_text));
    page.bars("bytes by outcome", &bar(|count| count.bytes, size_text));
}

pub(super) fn prefixes(page: &mut Page, balance: &Balance<'_>) {
    page.heading("By prefix");
    let mood = match (balance.is_open, balance.is_good) {
        (true, _) => Mood::Plain,
        (false, true) => Mood::Good,
        (false, false) => Mood::Bad,
    };
    page.text(mood, &balance.statement);
    let bars: Vec<_> = balance
        .rows
        .iter()
        .take(BARS)
        .map(|row| {
            let bytes = row.account.listed.bytes;
            (row.name.text(), bytes, size_text(bytes))
        })
        .collect();
    page.bars("bytes listed by prefix", &bars);
    // A column of nothing but noughts says nothing.
    let has_some = |outcome: &Outcome| {
        balance.rows.iter().any(|row| row.account.account.get(*outcome).objects > 0)
    };
    let outcomes: Vec<_> = Outcome::ALL.into_iter().filter(has_some).collect();
    let mut head = vec!["prefix", "listed", "bytes"];
    head.extend(outcomes.iter().map(|outcome| outcome.name()));
    head.push("balance");
    let row = |name: String, of: &tranship_core::breakdown::PrefixAccount| {
        let bytes = Cell::Number(size_text(of.listed.bytes));
        let mut cells = vec![Cell::Text(name), number(of.listed.objects), bytes];
        cells.extend(outcomes.iter().map(|it| number(of.account.get(*it).objects)));
        let balances = match of.balances() {
            true => "balances",
            false if balance.is_open => "not yet",
            false => "does not balance",
        };
        cells.push(Cell::Text(balances.to_owned()));
        cells
    };
    let mut rows: Vec<_> = balance
        .rows
        .iter()
        .take(PREFIXES_SHOWN)
        .map(|it| row(it.name.text(), &it.account))
        .collect();
    let mut rest = tranship_core::breakdown::PrefixAccount::default();
    for it in balance.rows.iter().skip(PREFIXES_SHOWN) {
        rest.add_all(&it.account);
    }
    let more = balance.rows.len().saturating_sub(PREFIXES_SHOWN);
    if more > 0 {
        rows.push(row(format!("({more} more)"), &rest));
    }
    page.table(&head, &rows);
}

fn throughput(page: &mut Page, report: &Report, end: &RunEnd<'_>) {
    let summary = end.summary;
    page.heading("Over time");
    page.text(
        Mood::Plain,
        &format!(
            "{} read from the source, repetitions included; {} retries. The plots speak of this process: a run that was interrupted before has an earlier part.",
            size_text(summary.bytes_moved),
            count_text(summary.retries),
        ),
    );
    let end = duration_text(summary.elapsed_ms);
    let rates = report.timeline.rates();
    let most = rates.iter().map(|(_, rate)| *rate).max().unwrap_or(0);
    page.line("bytes a second", &rates, &format!("{}/s", size_text(most)), &end);
    let points = report.timeline.points();
    let settled: Vec<_> = points.iter().map(|it| (it.at_ms, it.settled_objects)).collect();
    let most = settled.iter().map(|(_, objects)| *objects).max().unwrap_or(0);
    let most = format!("{} objects with an outcome", count_text(most));
    page.line("objects with an outcome", &settled, &most, &end);
    let retries: Vec<_> = points.iter().map(|it| (it.at_ms, it.retries)).collect();
    if summary.retries > 0 {
        page.line("retries", &retries, &format!("{} retries", count_text(summary.retries)), &end);
    }
}

fn lost(page: &mut Page, end: &RunEnd<'_>) {
    page.heading("Not carried over");
    if end.summary.losses.is_empty() {
        page.text(Mood::Good, "Nothing that the copies were found to lack.");
    } else {
        let row =
            |(name, objects): &(String, u64)| vec![Cell::Text(name.clone()), number(*objects)];
        let rows: Vec<_> = end.summary.losses.iter().map(row).collect();
        page.table(&["what", "objects"], &rows);
    }
    page.text(
        Mood::Plain,
        "Version history and ACL grants are never carried over, and not counted.",
    );
}

fn failures(page: &mut Page, report: &Report, end: &RunEnd<'_>) {
    page.heading("Failures");
    if report.failures.count == 0 {
        page.text(Mood::Good, "None.");
        return;
    }
    let list = end.summary.failures.as_ref();
    let list = list.map_or_else(String::new, |path| format!(" All of them: {}", path.display()));
    let shown = report.failures.first.len().min(FAILURES_SHOWN);
    let count = count_text(report.failures.count);
    page.text(
        Mood::Bad,
        &format!(
            "{count} failed; {shown} are shown, up to {FAILURES_MAX} stand in report.json.{list}"
        ),
    );
    let row = |note: &tranship_core::rows::Note| {
        let reason = note.reason.clone().unwrap_or_else(|| "no reason is known".to_owned());
        vec![
            Cell::Text(note.key.as_str().to_owned()),
            Cell::Number(size_text(note.size)),
            Cell::Text(reason),
        ]
    };
    let rows: Vec<_> = report.failures.first.iter().take(FAILURES_SHOWN).map(row).collect();
    page.table(&["key", "size", "reason"], &rows);
}
