//! The run report as JSON: ASCII, one object.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tranship_core::breakdown::PrefixAccount;
use tranship_core::object::Millis;

use super::{Balance, Report, Row, RowName, RunEnd};
use crate::display::events;

/// Of the report's own form.
const VERSION: u32 = 1;

pub(super) fn text(report: &Report, end: &RunEnd<'_>, balance: &Balance<'_>) -> String {
    let failures =
        report.failures.first.iter().map(
            |note| json!({ "key": note.key.as_str(), "size": note.size, "reason": note.reason }),
        );
    let points = report.timeline.points().iter().map(|point| {
        json!({
            "at_ms": point.at_ms,
            "bytes_moved": point.bytes_moved,
            "settled_objects": point.settled_objects,
            "retries": point.retries,
        })
    });
    let mut value = json!({
        "report": "run",
        "version": VERSION,
        "tranship": env!("CARGO_PKG_VERSION"),
        "started": moment(end.started),
        "ended": end.ended.map(moment),
        "run": events::run(end.summary),
        "balance": { "balanced": balance.is_good && end.summary.is_balanced(), "statement": balance.statement },
        "failures": { "count": report.failures.count, "first": failures.collect::<Vec<_>>() },
        "throughput": points.collect::<Vec<_>>(),
    });
    put_prefixes(&mut value, balance);
    format!("{}\n", events::line(&value))
}

/// The fields of the account by prefix.
pub(super) fn put_prefixes(report: &mut Value, balance: &Balance<'_>) {
    let account = |account: &PrefixAccount| {
        json!({
            "listed": account.listed,
            "outcomes": events::account(&account.account),
            "balanced": account.balances(),
        })
    };
    let of = |name: RowName<'_>| {
        balance.rows.iter().find(|row| row.name == name).map(|row| account(&row.account))
    };
    let prefixes = balance.rows.iter().filter_map(|Row { name, account: of }| {
        let RowName::Prefix(prefix) = name else { return None };
        let mut row = account(of);
        if let Some(fields) = row.as_object_mut() {
            fields.insert("prefix".to_owned(), json!(prefix));
        }
        Some(row)
    });
    let Some(fields) = report.as_object_mut() else { return };
    fields.insert("prefixes".to_owned(), prefixes.collect());
    fields.insert("other_prefixes".to_owned(), json!(of(RowName::Others)));
    fields.insert("without_prefix".to_owned(), json!(of(RowName::Unrecorded)));
}

/// As RFC 3339 writes it.
pub(super) fn moment(at: Millis) -> Value {
    let nanos = i128::from(at.0) * 1_000_000;
    let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok();
    at.and_then(|at| at.format(&Rfc3339).ok()).map_or(Value::Null, Value::String)
}
