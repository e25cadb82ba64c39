//! The report of a deployed stack's last run, as JSON for programs and as a page for people.

use std::io;
use std::path::{Path, PathBuf};

use tranship_core::object::Millis;
use tranship_core::outcome::Count;

use super::json::moment;
use super::{HTML, JSON, put, unwritable};
use crate::display::{count_text, size_text};
use crate::exit::Failure;
use crate::page::{Cell, Mood, Page};
use crate::stack::answers::{Report, Status};

/// Writes both forms of an answer to `status` into a folder. The JSON is the answer as it came.
pub(crate) fn publish(folder: &Path, answer: &str, status: &Status) -> Result<PathBuf, Failure> {
    let write = || -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        put(&folder.join(JSON), &format!("{}\n", answer.trim_end()))?;
        put(&folder.join(HTML), &text(status))
    };
    write().map_err(|error| unwritable(folder, &error))?;
    Ok(folder.to_owned())
}

fn text(status: &Status) -> String {
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
        Some(run) => of_run(&mut page, run),
    }
    queues(&mut page, status);
    failures(&mut page, status);
    page.finish()
}

fn time(ms: u64) -> String {
    moment(Millis(ms)).as_str().unwrap_or("an unknown time").to_owned()
}

fn of_run(page: &mut Page, run: &Report) {
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
