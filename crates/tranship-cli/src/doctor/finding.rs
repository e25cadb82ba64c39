//! One thing that was found out about a side.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tranship_adapters::stores::s3::vendors::FACTS;
use tranship_core::object::escape;

use crate::engine::Side;

/// What a finding means for a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// As a copy wants it.
    Good,
    /// A copy works, and somebody should know this before.
    Advice,
    /// It could not be seen.
    Unknown,
    /// A copy would fail, or stop.
    Bad,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Advice => "advice",
            Self::Unknown => "unknown",
            Self::Bad => "bad",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    side: Side,
    /// The question that it answers, in a word or two.
    check: &'static str,
    pub(super) state: State,
    what: String,
    /// Empty if there is nothing to do.
    to_do: String,
    /// Options by which a copy does as was found.
    pub(super) options: Vec<(String, Value)>,
}

impl Finding {
    pub(super) fn new(
        side: Side,
        check: &'static str,
        state: State,
        what: impl Into<String>,
        to_do: impl Into<String>,
    ) -> Self {
        Self { side, check, state, what: what.into(), to_do: to_do.into(), options: Vec::new() }
    }

    pub(super) fn good(side: Side, check: &'static str, what: impl Into<String>) -> Self {
        Self::new(side, check, State::Good, what, "")
    }

    /// With options that a copy should be given: facts, which a stack takes, too.
    pub(super) fn passing(self, options: Vec<(String, Value)>) -> Self {
        debug_assert!(options.iter().all(|(name, _)| FACTS.contains(&name.as_str())));
        Self { options, ..self }
    }

    /// What to do, and first of all the options to give.
    fn to_do(&self) -> String {
        if self.options.is_empty() {
            return self.to_do.clone();
        }
        let bare = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let options: Vec<_> =
            self.options.iter().map(|(name, value)| format!("--{name}={}", bare(value))).collect();
        format!("give {}: {}", options.join(" "), self.to_do)
    }

    pub(super) fn event(&self) -> Value {
        json!({
            "event": "finding",
            "side": self.side.to_string(),
            "check": self.check,
            "state": self.state.name(),
            "what": self.what,
            "to_do": self.to_do(),
        })
    }
}

/// All findings for a person, those of the source first. `names`: both sides, escaped.
pub(super) fn text(findings: &[Finding], names: &[String; 2]) -> String {
    let mut out = String::new();
    for (side, name) in [Side::Source, Side::Destination].into_iter().zip(names) {
        // Writing to a string cannot fail.
        writeln!(out, "{side} {name}").unwrap_or_default();
        for finding in findings.iter().filter(|finding| finding.side == side) {
            let (state, what) = (finding.state.name(), escape(&finding.what));
            writeln!(out, "  {state:<8} {}: {what}", finding.check).unwrap_or_default();
            let to_do = finding.to_do();
            if !to_do.is_empty() {
                writeln!(out, "           to do: {}", escape(&to_do)).unwrap_or_default();
            }
        }
    }
    let of = |state| findings.iter().filter(|finding| finding.state == state).count();
    let (bad, advice, unknown) = (of(State::Bad), of(State::Advice), of(State::Unknown));
    writeln!(out, "{bad} bad, {advice} advice, {unknown} unknown").unwrap_or_default();
    out
}
