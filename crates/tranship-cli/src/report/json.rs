//! The run report as JSON: ASCII, one object.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tranship_core::breakdown::PrefixAccount;
use tranship_core::object::Millis;

use super::content::{Content, Failures, Ran};
use super::{Balance, Row, RowName};
use crate::display::events;
use crate::timeline::Reading;

/// Of the report's own form.
const VERSION: u32 = 1;

pub(super) fn text(content: &Content<'_>) -> String {
    let mut value = json!({
        "report": "run",
        "version": VERSION,
        "tranship": env!("CARGO_PKG_VERSION"),
        "run": null,
        "failures": failures(&content.failures),
    });
    if let Some(ran) = &content.ran {
        put(&mut value, "started", moment(ran.started));
        put(&mut value, "ended", json!(ran.ended.map(moment)));
        put(&mut value, "run", ran.fields.clone());
        put(&mut value, "throughput", json!(ran.throughput.points.map(points)));
        put_prefixes(&mut value, ran);
    }
    if let Some(stack) = &content.stack {
        put(&mut value, "stack", stack.answer.clone());
    }
    format!("{}\n", events::line(&value))
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

fn failures(failures: &Failures<'_>) -> Value {
    let first = failures
        .first
        .iter()
        .map(|it| json!({ "key": it.key, "size": it.size, "reason": it.reason }));
    json!({ "count": failures.count, "first": first.collect::<Vec<_>>() })
}

fn points(points: &[(u64, Reading)]) -> Vec<Value> {
    let point = |(at_ms, it): &(u64, Reading)| {
        json!({
            "at_ms": at_ms,
            "bytes_moved": it.bytes_moved,
            "bytes_copied": it.bytes_copied,
            "settled_objects": it.settled_objects,
            "retries": it.retries,
            "failed_deliveries": it.failed_deliveries,
        })
    };
    points.iter().map(point).collect()
}

/// The account by prefix, and whether it balances.
fn put_prefixes(report: &mut Value, ran: &Ran<'_>) {
    let balance = match &ran.by_prefix {
        Ok(balance) => balance,
        Err(why) => {
            let is_balanced = ran.is_balanced && !ran.is_open;
            let said = json!({ "balanced": is_balanced, "statement": super::of_whole(ran) });
            put(report, "balance", said);
            for name in ["prefixes", "other_prefixes", "without_prefix"] {
                put(report, name, Value::Null);
            }
            return put(report, "prefixes_missing", json!(why));
        }
    };
    let is_balanced = balance.is_good && ran.is_balanced && !ran.is_open;
    let said = json!({ "balanced": is_balanced, "statement": balance.statement });
    put(report, "balance", said);
    put(report, "prefixes", prefixes(balance));
    for (field, name) in
        [("other_prefixes", RowName::Others), ("without_prefix", RowName::Unrecorded)]
    {
        let row = balance.rows.iter().find(|row| row.name == name);
        put(report, field, json!(row.map(|row| account(&row.account))));
    }
}

fn prefixes(balance: &Balance<'_>) -> Value {
    let row = |Row { name, account: of }: &Row<'_>| {
        let RowName::Prefix(prefix) = name else { return None };
        let mut row = account(of);
        put(&mut row, "prefix", json!(prefix));
        Some(row)
    };
    balance.rows.iter().filter_map(row).collect()
}

fn account(account: &PrefixAccount) -> Value {
    json!({
        "listed": account.listed,
        "outcomes": events::account(&account.account),
        "balanced": account.balances(),
    })
}

/// As RFC 3339 writes it.
pub(super) fn moment(at: Millis) -> Value {
    let nanos = i128::from(at.0) * 1_000_000;
    let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok();
    at.and_then(|at| at.format(&Rfc3339).ok()).map_or(Value::Null, Value::String)
}
