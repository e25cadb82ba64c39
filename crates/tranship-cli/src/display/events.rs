//! The events of `--json`: one object a line, ASCII only, its kind under `event`.
//!
//! Keys are exact: JSON's own escapes stand for everything that a terminal could take for a command,
//! so that a program reads the key as it is and a person reads no disguise.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use tranship_core::object::ObjectKey;
use tranship_core::outcome::{Account, Count};
use tranship_core::progress::ProgressReading;

use super::{RunStart, Summary, View};
use crate::exit::Failure;

pub(super) fn run_started(start: &RunStart) -> Value {
    json!({
        "event": "run-started",
        "transfer": start.transfer_id,
        "source": start.source,
        "destination": start.destination,
        "ledger": start.ledger,
        "dry_run": start.dry_run,
        "resumed": start.resumed,
    })
}

pub(super) fn progress(reading: &ProgressReading, view: &View) -> Value {
    let settled = reading.settled.iter().map(|(outcome, objects, bytes)| {
        (outcome.name(), Count { objects: *objects, bytes: *bytes })
    });
    json!({
        "event": "progress",
        "elapsed_ms": view.elapsed_ms,
        "listed": count(view.listed),
        "listing_done": view.listing_done,
        "outcomes": outcomes(settled),
        "done_bytes": view.done_bytes,
        "bytes_moved": reading.bytes_moved,
        "bytes_per_second": view.bytes_per_second,
        "eta_ms": view.eta_ms,
        "retries": view.retries,
        "failed": view.failed,
    })
}

pub(super) fn object_failed(key: &ObjectKey, reason: &str) -> Value {
    json!({ "event": "object-failed", "key": key.as_str(), "reason": reason })
}

pub(super) fn text(event: &str, text: &str) -> Value {
    json!({ "event": event, "text": text })
}

pub(super) fn interrupted(resume: &str) -> Value {
    json!({ "event": "interrupted", "resume": resume })
}

pub(super) fn run_failed(failure: &Failure) -> Value {
    json!({
        "event": "run-failed",
        "what": failure.what,
        "remedy": failure.remedy,
        "exit_code": failure.exit.code(),
    })
}

pub(super) fn run_ended(summary: &Summary, resume: &str) -> Value {
    let losses: Map<String, Value> =
        summary.losses.iter().map(|(name, objects)| (name.clone(), json!(objects))).collect();
    let mut event = json!({
        "event": "run-ended",
        "transfer": summary.transfer_id,
        "ending": summary.ending.name(),
        "reason": summary.ending.reason(),
        "exit_code": summary.exit().code(),
        "dry_run": summary.dry_run,
        "listed": count(summary.listed),
        "outcomes": account(&summary.account),
        "balanced": summary.is_balanced(),
        "bytes_moved": summary.bytes_moved,
        "retries": summary.retries,
        "elapsed_ms": summary.elapsed_ms,
        "failures": summary.failures.as_ref().map(|path| path.to_string_lossy()),
        "deletes_held": summary.deletes_held,
        "delete_manifest": summary.delete_manifest.as_ref().map(|path| path.to_string_lossy()),
        "losses": losses,
        "resume": summary.may_resume().then_some(resume),
    });
    if let (Some(report), Some(fields)) = (&summary.report, event.as_object_mut()) {
        fields.insert("report".to_owned(), json!(report.to_string_lossy()));
    }
    if let (Some(plan), Some(fields)) = (&summary.plan, event.as_object_mut()) {
        fields.insert("plan".to_owned(), super::plan::json(plan));
    }
    event
}

/// A run as its report has it: what its last event says, without what belongs to the event.
pub(crate) fn run(summary: &Summary) -> Value {
    let mut run = run_ended(summary, "");
    if let Some(fields) = run.as_object_mut() {
        for name in ["event", "resume", "report"] {
            fields.remove(name);
        }
    }
    run
}

/// Objects and bytes of every outcome.
pub(crate) fn account(account: &Account) -> Value {
    outcomes(account.iter().map(|(outcome, count)| (outcome.name(), count)))
}

/// An event as it is written: every character beyond ASCII, and DEL, as JSON's `\uXXXX`.
pub(crate) fn line(event: &Value) -> String {
    ascii(&event.to_string())
}

/// Valid JSON, in one line of ASCII that means the same.
pub(super) fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.trim().chars() {
        match c {
            ' '..='~' => out.push(c),
            // Strings hold no such character as it is: it stands between them.
            '\0'..='\u{1f}' => out.push(' '),
            // Beyond ASCII there are only characters of strings, where the escape means the same.
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string cannot fail.
                    write!(out, "\\u{unit:04x}").unwrap_or_default();
                }
            }
        }
    }
    out
}

pub(super) fn count(count: Count) -> Value {
    json!({ "objects": count.objects, "bytes": count.bytes })
}

fn outcomes(counts: impl Iterator<Item = (&'static str, Count)>) -> Value {
    Value::Object(counts.map(|(name, of)| (name.to_owned(), count(of))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_ascii_and_means_the_same() {
        let key = ObjectKey::new("é😀\u{202e}\u{1b}[31m\u{7f}\n\"\\");
        let event = object_failed(&key, "no");
        let line = line(&event);
        assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), event);
    }

    #[test]
    fn foreign_json_becomes_one_line() {
        assert_eq!(ascii("{\r\n\t\"a\": \"é\u{9b}\"\n}\n"), "{   \"a\": \"\\u00e9\\u009b\" }");
    }
}
