//! The report of a deployed stack's last run, as JSON for programs and as a page for people.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tranship_core::breakdown::Breakdown;
use tranship_core::object::Millis;
use tranship_core::outcome::Count;

use super::json::{moment, put_prefixes};
use super::{Balance, HTML, JSON, Whole, html, put, unwritable};
use crate::display::{count_text, json_line, size_text};
use crate::exit::Failure;
use crate::page::{Cell, Mood, Page};
use crate::stack::answers::{Report, Status};

/// What a stack tells of a run's accounts by prefix.
#[derive(Debug)]
pub(crate) enum ByPrefix {
    Known(Breakdown),
    /// A sentence that says why not.
    Missing(String),
}

/// Writes both forms of an answer to `status` into a folder. The JSON has the answer, and the
/// accounts by prefix beside it. `by_prefix`: of the run, if there is one.
pub(crate) fn publish(
    folder: &Path,
    answer: &str,
    status: &Status,
    by_prefix: Option<&ByPrefix>,
) -> Result<PathBuf, Failure> {
    let parts = status.run.as_ref().zip(by_prefix).map(|(run, of)| Parts::of(run, of));
    let write = || -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        put(&folder.join(JSON), &json(answer, parts.as_ref())?)?;
        put(&folder.join(HTML), &text(status, parts.as_ref()))
    };
    write().map_err(|error| unwritable(folder, &error))?;
    Ok(folder.to_owned())
}

/// The same, made ready for both forms.
enum Parts<'a> {
    Known { balance: Balance<'a>, is_balanced: bool, failed_deliveries: u64 },
    Missing(&'a str),
}

impl<'a> Parts<'a> {
    fn of(run: &Report, by_prefix: &'a ByPrefix) -> Self {
        let breakdown = match by_prefix {
            ByPrefix::Known(breakdown) => breakdown,
            ByPrefix::Missing(why) => return Self::Missing(why),
        };
        let whole =
            Whole { account: run.account(), is_balanced: run.balanced, is_open: run.is_open() };
        let balance = Balance::of(breakdown, &whole);
        let is_balanced = balance.is_good && run.balanced && !run.is_open();
        let failed_deliveries = breakdown.failed_deliveries;
        Self::Known { balance, is_balanced, failed_deliveries }
    }
}

fn json(answer: &str, parts: Option<&Parts<'_>>) -> io::Result<String> {
    let mut report: Value = serde_json::from_str(answer)?;
    match parts {
        None => {}
        Some(Parts::Known { balance, is_balanced, failed_deliveries }) => {
            put_prefixes(&mut report, balance);
            if let Some(fields) = report.as_object_mut() {
                let said = json!({ "balanced": is_balanced, "statement": balance.statement });
                fields.insert("balance".to_owned(), said);
                fields.insert("failed_deliveries".to_owned(), json!(failed_deliveries));
            }
        }
        Some(Parts::Missing(why)) => {
            if let Some(fields) = report.as_object_mut() {
                fields.insert("prefixes".to_owned(), Value::Null);
                fields.insert("prefixes_missing".to_owned(), json!(why));
            }
        }
    }
    Ok(format!("{}\n", json_line(&report)))
}

fn prefixes(page: &mut Page, parts: &Parts<'_>) {
    match parts {
        Parts::Known { balance, failed_deliveries, .. } => {
            html::prefixes(page, balance);
            let count = count_text(*failed_deliveries);
            page.text(Mood::Plain, &format!("Deliveries that failed and came again: {count}."));
        }
        Parts::Missing(why) => {
            page.heading("By prefix");
            page.text(Mood::Plain, why);
        }
    }
}

fn text(status: &Status, parts: Option<&Parts<'_>>) -> String {
    let (from, to) = (&status.transfer.source, &status.transfer.destination);
    let mut page = Page::new(&format!("tranship: {from} → {to}"));
    let about = format!(
        "Stack {}; tranship {}; transfer {}.",
        status.stack, status.version, status.transfer.id
    );
    page.text(Mood::Plain, &about);
    if let Some(breaker) = &status.breaker {
        let since = time(breaker.since_ms);
        let text = format!("The stack stands still since {since}: {}", breaker.reason);
        page.text(Mood::Bad, &text);
    }
    match &status.run {
        None => page.text(Mood::Plain, "No run was begun yet."),
        Some(run) => of_run(&mut page, run, parts),
    }
    queues(&mut page, status);
    failures(&mut page, status);
    page.finish()
}

fn time(ms: u64) -> String {
    moment(Millis(ms)).as_str().unwrap_or("an unknown time").to_owned()
}

fn of_run(page: &mut Page, run: &Report, parts: Option<&Parts<'_>>) {
    let is_good = run.state == "complete" && run.balanced && run.failed() == 0;
    let mood = if is_good { Mood::Good } else { Mood::Bad };
    let mood = if run.is_open() { Mood::Plain } else { mood };
    page.text(mood, &format!("Run {} is {}.", run.id, run.state));
    let ended = run.ended_ms.map_or_else(|| "not yet".to_owned(), time);
    page.text(Mood::Plain, &format!("Begun {}, ended {ended}.", time(run.started_ms)));
    page.heading("By outcome");
    let row = |name: &str, count: Count| {
        let (objects, bytes) = (count_text(count.objects), size_text(count.bytes));
        vec![Cell::Text(name.to_owned()), Cell::Number(objects), Cell::Number(bytes)]
    };
    let mut rows = vec![row("listed", run.listed)];
    rows.extend(run.outcomes().map(|(name, count)| row(name, count)));
    if run.unsettled.objects > 0 {
        rows.push(row("without an outcome", run.unsettled));
    }
    page.table(&["outcome", "objects", "bytes"], &rows);
    let bars = |value: fn(Count) -> u64, text: fn(u64) -> String| {
        let bar =
            |(name, count): (&str, Count)| (name.to_owned(), value(count), text(value(count)));
        run.outcomes().map(bar).collect::<Vec<_>>()
    };
    page.bars("objects by outcome", &bars(|count| count.objects, count_text));
    page.bars("bytes by outcome", &bars(|count| count.bytes, size_text));
    let (mood, statement) = balance(run);
    page.text(mood, statement);
    if let Some(parts) = parts {
        prefixes(page, parts);
    }
    lost(page, run);
}

fn balance(run: &Report) -> (Mood, &'static str) {
    if run.is_open() {
        return (Mood::Plain, "The run goes on; its accounts are balanced when it ends.");
    }
    if run.balanced {
        let text = "The run balances: each listed object has exactly one outcome, in objects and in bytes.";
        return (Mood::Good, text);
    }
    (Mood::Bad, "The run does not balance: begin another one, which goes over everything again.")
}

fn lost(page: &mut Page, run: &Report) {
    page.heading("Not carried over");
    if run.losses.is_empty() {
        page.text(Mood::Plain, "Nothing that the objects said of themselves was lost.");
        return;
    }
    let row = |(what, objects): (&String, &u64)| {
        vec![Cell::Text(what.clone()), Cell::Number(count_text(*objects))]
    };
    let rows: Vec<_> = run.losses.iter().map(row).collect();
    page.table(&["what", "objects"], &rows);
}

fn queues(page: &mut Page, status: &Status) {
    page.heading("Queues");
    let rows: Vec<_> = status
        .queues
        .iter()
        .map(|queue| {
            vec![
                Cell::Text(queue.name.clone()),
                Cell::Number(count_text(queue.waiting)),
                Cell::Number(count_text(queue.in_flight)),
            ]
        })
        .collect();
    page.table(&["queue", "waiting", "in flight"], &rows);
}

fn failures(page: &mut Page, status: &Status) {
    page.heading("Failures");
    if status.failures.is_empty() {
        page.text(Mood::Plain, "None.");
        return;
    }
    let rows: Vec<_> = status
        .failures
        .iter()
        .map(|failed| {
            let reason = failed.reason.clone().unwrap_or_default();
            let size = Cell::Number(size_text(failed.size));
            vec![Cell::Text(failed.key.clone()), size, Cell::Text(reason)]
        })
        .collect();
    page.table(&["key", "size", "reason"], &rows);
    if status.failures_more {
        page.text(Mood::Plain, "There are more; the run's folder in the stack's bucket has all.");
    }
}
