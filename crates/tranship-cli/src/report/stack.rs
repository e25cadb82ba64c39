//! The report of a deployed stack's last run.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tranship_core::breakdown::Breakdown;
use tranship_core::object::Millis;

use super::content::{Content, Failed, Failures, OfStack, Ran, Throughput};
use super::{Balance, Whole, html};
use crate::display::events;
use crate::exit::{Exit, Failure};
use crate::page::Mood;
use crate::stack::answers::{Report, Status};
use crate::timeline::Reading;

/// What a stack tells of a run besides its status.
#[derive(Debug)]
pub(crate) enum Details {
    Known {
        breakdown: Breakdown,
        /// `None`: the stack does not say.
        timeline: Option<Vec<(u64, Reading)>>,
    },
    /// A sentence that says why not.
    Missing(String),
}

/// Writes both forms of an answer to `status` into a folder; tells where it is. `details`: of the run, if
/// there is one.
pub(crate) fn publish(
    folder: &Path,
    answer: &str,
    status: &Status,
    details: Option<&Details>,
) -> Result<PathBuf, Failure> {
    // It was read as JSON before.
    let answer = serde_json::from_str(answer).unwrap_or_default();
    super::publish(folder, &content(answer, status, details))
}

fn content<'a>(answer: Value, status: &'a Status, details: Option<&'a Details>) -> Content<'a> {
    let run = status.run.as_ref();
    let times = run.map_or_else(String::new, |run| {
        let ended = run.ended_ms.map_or_else(|| "not yet".to_owned(), |at| html::time(Millis(at)));
        format!("Begun {}, ended {ended}; ", html::time(Millis(run.started_ms)))
    });
    Content {
        source: &status.transfer.source,
        destination: &status.transfer.destination,
        verdict: run.map_or((Mood::Plain, "No run was begun yet.".to_owned()), verdict),
        about: format!(
            "{times}stack {}; tranship {}; transfer {}.",
            status.stack, status.version, status.transfer.id
        ),
        ran: run.zip(details).map(|(run, details)| ran(status, run, details)),
        failures: failures(status),
        stack: Some(OfStack { status, answer }),
    }
}

fn verdict(run: &Report) -> (Mood, String) {
    let mood = match run.exit() {
        _ if run.is_open() => Mood::Plain,
        Exit::Success => Mood::Good,
        _ => Mood::Bad,
    };
    (mood, format!("Run {} is {}.", run.id, run.state))
}

fn ran<'a>(status: &Status, run: &'a Report, details: &'a Details) -> Ran<'a> {
    let whole = Whole { account: run.account(), is_balanced: run.balanced, is_open: run.is_open() };
    let (by_prefix, points) = match details {
        Details::Known { breakdown, timeline } => {
            (Ok(Balance::of(breakdown, &whole)), timeline.as_deref())
        }
        Details::Missing(why) => (Err(why.as_str()), None),
    };
    Ran {
        started: Millis(run.started_ms),
        ended: run.ended_ms.map(Millis),
        fields: fields(status, run),
        listed: run.listed,
        outcomes: run.outcomes().map(|(name, count)| (name.to_owned(), count)).collect(),
        unsettled: run.unsettled,
        is_balanced: run.balanced,
        is_open: run.is_open(),
        by_prefix,
        throughput: Throughput {
            about: over_time(points.is_some_and(|points| !points.is_empty())).to_owned(),
            failed_deliveries: run.failed_deliveries,
            points,
        },
        losses: run.losses.iter().map(|(what, objects)| (what.clone(), *objects)).collect(),
    }
}

fn over_time(is_known: bool) -> &'static str {
    if !is_known {
        return "The stack tells nothing of how the run went over time.";
    }
    "The stack's sweep looks at a run about every five minutes while tasks wait, and more often near its end. An object counts when it has its outcome, a large one all at once: bytes that are on their way are not seen. Retries within a delivery are in the logs alone."
}

/// The names are those of a run in one process; what a stack does not know is null.
fn fields(status: &Status, run: &Report) -> Value {
    let account = run.account().account;
    let mut outcomes = events::account(&account);
    if let Some(fields) = outcomes.as_object_mut() {
        // A newer stack may have others.
        for (name, count) in run.outcomes() {
            fields.insert(name.to_owned(), json!(count));
        }
    }
    json!({
        "id": run.id,
        "transfer": status.transfer.id,
        "ending": run.state,
        "reason": null,
        "exit_code": (!run.is_open()).then(|| run.exit().code()),
        "dry_run": false,
        "listed": run.listed,
        "outcomes": outcomes,
        "unsettled": run.unsettled,
        "balanced": run.balanced,
        "bytes_moved": null,
        "retries": null,
        "failed_deliveries": run.failed_deliveries,
        "elapsed_ms": run.ended_ms.map(|ended| ended.saturating_sub(run.started_ms)),
        "failures": place_of_failures(run),
        "deletes_held": null,
        "delete_manifest": null,
        "losses": run.losses,
    })
}

/// Where the stack's bucket has all of them, once the run has ended.
fn place_of_failures(run: &Report) -> Option<String> {
    let is_there = !run.is_open() && run.failed() > 0;
    is_there.then(|| format!("reports/run/{:016}/", run.id))
}

fn failures(status: &Status) -> Failures<'_> {
    let first = status.failures.iter().map(|failed| Failed {
        key: &failed.key,
        size: failed.size,
        reason: failed.reason.as_deref(),
    });
    let first: Vec<_> = first.collect();
    let place = status.run.as_ref().and_then(place_of_failures);
    let all = match (place, status.failures_more) {
        (Some(place), _) => format!("All of them: under {place} in the stack's bucket."),
        (None, true) => {
            "There are more; the run's folder in the stack's bucket has all when it has ended."
                .to_owned()
        }
        (None, false) => String::new(),
    };
    let named = u64::try_from(first.len()).unwrap_or(u64::MAX);
    let count = status.run.as_ref().map_or(0, Report::failed).max(named);
    Failures { count, first, all }
}
