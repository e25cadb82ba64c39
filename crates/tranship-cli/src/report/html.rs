//! The run report as a page.

use tranship_core::outcome::{Count, Outcome};

use super::content::{Content, Failed, Failures, Ran, Throughput};
use super::json::moment;
use super::{Balance, of_whole};
use crate::display::{count_text, duration_text, size_text};
use crate::page::{Bar, Cell, Mood, Page};
use crate::stack::answers::Status;
use crate::timeline::{Reading, rates};

/// Rows of the table by prefix, the heaviest first; what follows is one row.
const PREFIXES_SHOWN: usize = 50;
/// Bars of the plot.
const BARS: usize = 20;
const FAILURES_SHOWN: usize = 500;

pub(super) fn text(content: &Content<'_>) -> String {
    let (from, to) = (content.source, content.destination);
    let mut page = Page::new(&format!("tranship: {from} → {to}"));
    let (mood, verdict) = &content.verdict;
    page.text(*mood, verdict);
    page.text(Mood::Plain, &content.about);
    if let Some(breaker) = content.stack.as_ref().and_then(|stack| stack.status.breaker.as_ref()) {
        let since = time(tranship_core::object::Millis(breaker.since_ms));
        let text = format!("The stack stands still since {since}: {}", breaker.reason);
        page.text(Mood::Bad, &text);
    }
    if let Some(ran) = &content.ran {
        outcomes(&mut page, ran);
        prefixes(&mut page, &ran.by_prefix);
        throughput(&mut page, &ran.throughput);
        lost(&mut page, &ran.losses);
    }
    if let Some(stack) = &content.stack {
        queues(&mut page, stack.status);
    }
    failures(&mut page, &content.failures);
    page.finish()
}

pub(super) fn time(at: tranship_core::object::Millis) -> String {
    moment(at).as_str().unwrap_or("an unknown time").to_owned()
}

fn number(count: u64) -> Cell {
    Cell::Number(count_text(count))
}

fn outcomes(page: &mut Page, ran: &Ran<'_>) {
    page.heading("By outcome");
    let row = |name: &str, count: Count| {
        let bytes = Cell::Number(size_text(count.bytes));
        vec![Cell::Text(name.to_owned()), number(count.objects), bytes]
    };
    let mut rows = vec![row("listed", ran.listed)];
    rows.extend(ran.outcomes.iter().map(|(name, count)| row(name, *count)));
    if ran.unsettled.objects > 0 {
        rows.push(row("without an outcome", ran.unsettled));
    }
    page.table(&["outcome", "objects", "bytes"], &rows);
    let bars = |value: fn(Count) -> u64, text: fn(u64) -> String| {
        let bar =
            |(name, count): &(String, Count)| Bar::plain(name, value(*count), text(value(*count)));
        ran.outcomes.iter().map(bar).collect::<Vec<_>>()
    };
    page.bars("objects by outcome", &bars(|count| count.objects, count_text));
    page.bars("bytes by outcome", &bars(|count| count.bytes, size_text));
    let mood = match (ran.is_open, ran.is_balanced) {
        (true, _) => Mood::Plain,
        (false, true) => Mood::Good,
        (false, false) => Mood::Bad,
    };
    page.text(mood, of_whole(ran));
}

fn prefixes(page: &mut Page, by_prefix: &Result<Balance<'_>, &str>) {
    page.heading("By prefix");
    let balance = match by_prefix {
        Ok(balance) => balance,
        Err(why) => return page.text(Mood::Plain, why),
    };
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
            Bar::plain(row.name.text(), bytes, size_text(bytes))
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

fn throughput(page: &mut Page, throughput: &Throughput<'_>) {
    page.heading("Over time");
    page.text(Mood::Plain, &throughput.about);
    if let Some(count) = throughput.failed_deliveries {
        let text = "Deliveries of tasks in which something really failed, so that it was tried again or given up";
        page.text(Mood::Plain, &format!("{text}: {}.", count_text(count)));
    }
    let points = throughput.points.unwrap_or_default();
    let Some((last_ms, _)) = points.last() else { return };
    let end = duration_text(*last_ms);
    let rates = rates(points);
    let most = rates.iter().map(|(_, rate)| *rate).max().unwrap_or(0);
    page.line("bytes a second", &rates, &format!("{}/s", size_text(most)), &end);
    let settled = of(points, |it| Some(it.settled_objects));
    let most = settled.iter().map(|(_, objects)| *objects).max().unwrap_or(0);
    let most = format!("{} objects with an outcome", count_text(most));
    page.line("objects with an outcome", &settled, &most, &end);
    trouble(page, points, "retries", |it| it.retries);
    trouble(page, points, "deliveries that failed", |it| it.failed_deliveries);
}

/// A counter of what should not be: where there was nothing of it, there is nothing to see.
fn trouble(
    page: &mut Page,
    points: &[(u64, Reading)],
    name: &str,
    value: fn(&Reading) -> Option<u64>,
) {
    let Some((last_ms, last)) = points.last() else { return };
    if let Some(count) = value(last).filter(|count| *count > 0) {
        let most = format!("{} {name}", count_text(count));
        page.line(name, &of(points, value), &most, &duration_text(*last_ms));
    }
}

/// One of the counters over time.
fn of(points: &[(u64, Reading)], value: fn(&Reading) -> Option<u64>) -> Vec<(u64, u64)> {
    points.iter().filter_map(|(at_ms, reading)| Some((*at_ms, value(reading)?))).collect()
}

fn lost(page: &mut Page, losses: &[(String, u64)]) {
    page.heading("Not carried over");
    if losses.is_empty() {
        page.text(Mood::Good, "Nothing that the copies were found to lack.");
    } else {
        let row =
            |(name, objects): &(String, u64)| vec![Cell::Text(name.clone()), number(*objects)];
        let rows: Vec<_> = losses.iter().map(row).collect();
        page.table(&["what", "objects"], &rows);
    }
    page.text(
        Mood::Plain,
        "Version history and ACL grants are never carried over, and not counted here; a plan counts the grants.",
    );
}

fn queues(page: &mut Page, status: &Status) {
    page.heading("Queues");
    let row = |queue: &crate::stack::answers::QueueDepth| {
        vec![Cell::Text(queue.name.clone()), number(queue.waiting), number(queue.in_flight)]
    };
    let rows: Vec<_> = status.queues.iter().map(row).collect();
    page.table(&["queue", "waiting", "in flight"], &rows);
}

fn failures(page: &mut Page, failures: &Failures<'_>) {
    page.heading("Failures");
    if failures.count == 0 && failures.first.is_empty() {
        page.text(Mood::Good, "None.");
        return;
    }
    let shown = failures.first.len().min(FAILURES_SHOWN);
    let count = count_text(failures.count);
    page.text(Mood::Bad, &format!("{count} failed; {shown} are shown. {}", failures.all));
    let row = |failed: &Failed<'_>| {
        let reason = failed.reason.unwrap_or("no reason is known").to_owned();
        let (key, size) = (failed.key.to_owned(), size_text(failed.size));
        vec![Cell::Text(key), Cell::Number(size), Cell::Text(reason)]
    };
    let rows: Vec<_> = failures.first.iter().take(FAILURES_SHOWN).map(row).collect();
    page.table(&["key", "size", "reason"], &rows);
}
