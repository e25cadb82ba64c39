//! Metrics in the embedded metric format: a line of the log that CloudWatch reads as numbers.
//!
//! No call is made and nothing is waited for. There is one dimension, the stack: keys never become
//! dimensions, since each would be a metric of its own, and they would leak.

use std::io::Write as _;

use serde_json::{Map, Value, json};
use tranship_core::object::Millis;

pub const NAMESPACE: &str = "tranship";

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Count,
    Bytes,
    BytesPerSecond,
    Milliseconds,
    Seconds,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Bytes => "Bytes",
            Self::BytesPerSecond => "Bytes/Second",
            Self::Milliseconds => "Milliseconds",
            Self::Seconds => "Seconds",
        }
    }
}

/// Numbers of one moment.
#[derive(Debug)]
pub struct Metrics {
    stack: String,
    at: Millis,
    numbers: Vec<(&'static str, Unit, u64)>,
}

impl Metrics {
    pub fn new(stack: &str, at: Millis) -> Self {
        Self { stack: stack.to_owned(), at, numbers: Vec::new() }
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, unit: Unit, number: u64) -> Self {
        self.numbers.push((name, unit, number));
        self
    }

    /// As a line of the log.
    pub fn line(&self) -> String {
        let definitions: Vec<Value> = self
            .numbers
            .iter()
            .map(|(name, unit, _)| json!({ "Name": name, "Unit": unit.name() }))
            .collect();
        let mut line = Map::new();
        let directive = json!({
            "Namespace": NAMESPACE, "Dimensions": [["Stack"]], "Metrics": definitions,
        });
        line.insert(
            "_aws".to_owned(),
            json!({ "Timestamp": self.at.0, "CloudWatchMetrics": [directive] }),
        );
        line.insert("Stack".to_owned(), Value::String(self.stack.clone()));
        for (name, _, number) in &self.numbers {
            line.insert((*name).to_owned(), json!(number));
        }
        Value::Object(line).to_string()
    }

    /// Writes the line. A log that cannot be written to is no reason to fail.
    pub fn emit(&self) {
        if !self.numbers.is_empty() {
            writeln!(std::io::stdout().lock(), "{}", self.line()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_the_format_asks_for() {
        let metrics = Metrics::new("photos", Millis(1_700_000_000_000))
            .with("ObjectsCopied", Unit::Count, 3)
            .with("BytesCopied", Unit::Bytes, 1 << 40);
        let line: Value = serde_json::from_str(&metrics.line()).unwrap();
        assert_eq!(
            line,
            json!({
                "_aws": { "Timestamp": 1_700_000_000_000_u64, "CloudWatchMetrics": [{
                    "Namespace": "tranship", "Dimensions": [["Stack"]],
                    "Metrics": [
                        { "Name": "ObjectsCopied", "Unit": "Count" },
                        { "Name": "BytesCopied", "Unit": "Bytes" },
                    ],
                }] },
                "Stack": "photos", "ObjectsCopied": 3, "BytesCopied": 1_u64 << 40,
            })
        );
        assert!(!metrics.line().contains('\n'));
    }
}
