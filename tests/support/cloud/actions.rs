//! What the functions' roles have to allow: what the whole suite saw them do.
//!
//! It is written as it grows, since no test is the last one; `tests/template/seen.py` compares it with
//! what the template's tests take for used.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::call::Call;
use super::sam::root;

const FUNCTIONS: [&str; 5] = ["finder", "worker", "completer", "s3-event", "notification"];

/// Actions of IAM by function.
#[derive(Debug, Default)]
pub(super) struct Actions(BTreeMap<&'static str, BTreeSet<String>>);

impl Actions {
    /// Takes note of a call that was answered as its sender hoped.
    pub(super) fn add(&mut self, call: &Call) {
        let function = FUNCTIONS.iter().find(|function| {
            call.function.strip_suffix(**function).is_some_and(|stack| stack.ends_with('-'))
        });
        let Some(function) = function.filter(|_| (200..300).contains(&call.status)) else { return };
        let known = self.0.entry(function).or_default();
        let before = known.len();
        known.extend(call.permissions());
        if known.len() > before {
            std::fs::write(file(), serde_json::to_string_pretty(&self.0).unwrap()).unwrap();
        }
    }
}

fn file() -> PathBuf {
    root().join("target/cloud/used-actions.json")
}
