//! The account of a run, as a person reads it at the end.

use std::fmt::Write as _;
use std::path::PathBuf;

use tranship_core::object::escape;
use tranship_core::outcome::{Account, Count, Outcome};

use super::format::{count_text, duration_text, size_text};
use crate::exit::Exit;
use crate::plan::Plan;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Ending {
    /// Everything that was listed has an outcome.
    #[default]
    Complete,
    /// It went on to its end, and something is unsettled, or a listing did not end.
    Incomplete {
        reason: String,
    },
    Interrupted,
    /// Credentials, a key service, a denied or missing bucket.
    Halted {
        reason: String,
    },
}

impl Ending {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Incomplete { .. } => "incomplete",
            Self::Interrupted => "interrupted",
            Self::Halted { .. } => "halted",
        }
    }

    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Complete | Self::Interrupted => None,
            Self::Incomplete { reason } | Self::Halted { reason } => Some(reason),
        }
    }
}

/// What is known when a run is over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    pub transfer_id: String,
    /// As [`tranship_core::location::Location::display`] writes them.
    pub source: String,
    pub destination: String,
    pub ending: Ending,
    pub dry_run: bool,
    pub listed: Count,
    pub account: Account,
    /// Bytes read from the source, repetitions included.
    pub bytes_moved: u64,
    pub retries: u64,
    pub elapsed_ms: u64,
    /// Where the failure list is, if anything failed.
    pub failures: Option<PathBuf>,
    /// Keys that were to be deleted, and could not be.
    pub failed_deletes: u64,
    /// Why the guard let nothing be deleted, if it did not.
    pub deletes_held: Option<String>,
    /// Where the candidates for deletion are, if there were any.
    pub delete_manifest: Option<PathBuf>,
    /// The folder of the run report, if one was asked for.
    pub report: Option<PathBuf>,
    /// What could not be carried over, and for how many objects.
    pub losses: Vec<(String, u64)>,
    /// Of a dry run: what a copy would be.
    pub plan: Option<Box<Plan>>,
}

impl Summary {
    /// Whether the outcomes add up to the listing, in objects and in bytes.
    pub fn is_balanced(&self) -> bool {
        self.account.of_source() == self.listed
    }

    /// Whether there is nothing to tell to someone who wants to hear of errors only.
    pub fn is_clean(&self) -> bool {
        self.exit() == Exit::Success
    }

    /// Whether running the same command again would do more.
    pub fn may_resume(&self) -> bool {
        !self.is_clean() && !self.dry_run
    }

    pub fn exit(&self) -> Exit {
        match self.ending {
            Ending::Interrupted => Exit::Interrupted,
            Ending::Halted { .. } => Exit::Halted,
            Ending::Complete
                if self.is_whole() && (self.dry_run || self.deletes_held.is_none()) =>
            {
                Exit::Success
            }
            Ending::Complete | Ending::Incomplete { .. } => Exit::Failed,
        }
    }

    fn is_whole(&self) -> bool {
        self.is_balanced()
            && self.account.get(Outcome::Failed).objects == 0
            && self.failed_deletes == 0
    }

    /// The whole report. `resume` is the command that takes the run up again.
    pub fn text(&self, resume: &str) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        self.write(&mut out, resume).unwrap_or_default();
        out
    }

    fn write(&self, out: &mut String, resume: &str) -> std::fmt::Result {
        let dry = if self.dry_run { " (dry run: nothing was written)" } else { "" };
        writeln!(out, "{} → {}{dry}", self.source, self.destination)?;
        self.write_table(out)?;
        if !self.dry_run {
            self.write_rate(out)?;
        }
        for (name, objects) in &self.losses {
            writeln!(out, "not carried over: {} ({} objects)", escape(name), count_text(*objects))?;
        }
        if let Some(path) = &self.failures {
            writeln!(out, "failure list: {}", escape(&path.to_string_lossy()))?;
        }
        if let Some(reason) = &self.deletes_held {
            writeln!(out, "nothing was deleted: {reason}")?;
        }
        if let Some(path) = &self.delete_manifest {
            writeln!(out, "candidates for deletion: {}", escape(&path.to_string_lossy()))?;
        }
        if let Some(path) = &self.report {
            writeln!(out, "run report: {}", escape(&path.to_string_lossy()))?;
        }
        writeln!(out, "{}", self.verdict())?;
        if self.may_resume() {
            writeln!(out, "to resume, run:\n  {resume}")?;
        }
        self.plan.as_ref().map_or(Ok(()), |plan| super::plan::write(plan, out))
    }

    fn write_rate(&self, out: &mut String) -> std::fmt::Result {
        let rate = if self.elapsed_ms == 0 {
            0
        } else {
            u128::from(self.bytes_moved) * 1_000 / u128::from(self.elapsed_ms)
        };
        writeln!(
            out,
            "{} read from the source in {}, {}/s, {} retries",
            size_text(self.bytes_moved),
            duration_text(self.elapsed_ms),
            size_text(u64::try_from(rate).unwrap_or(u64::MAX)),
            count_text(self.retries),
        )
    }

    fn write_table(&self, out: &mut String) -> std::fmt::Result {
        let width = if self.dry_run { 16 } else { 10 };
        let row = |out: &mut String, name: &str, count: Count| {
            writeln!(
                out,
                "  {name:<width$} {:>15} objects {:>12}",
                count_text(count.objects),
                size_text(count.bytes)
            )
        };
        row(out, "listed", self.listed)?;
        for (outcome, count) in self.account.iter().filter(|(_, count)| count.objects > 0) {
            row(out, if self.dry_run { foreseen(outcome) } else { outcome.name() }, count)?;
        }
        Ok(())
    }

    /// What failed, to be said behind something.
    fn failed(&self) -> String {
        let say = |count: u64, one: &str, several: &str| match count {
            0 => String::new(),
            1 => format!(", 1 {one} failed"),
            count => format!(", {} {several} failed", count_text(count)),
        };
        let objects = say(self.account.get(Outcome::Failed).objects, "object", "objects");
        objects + &say(self.failed_deletes, "delete", "deletes")
    }

    /// One line: how it ended, and whether the account balances.
    pub(crate) fn verdict(&self) -> String {
        let reason =
            self.ending.reason().map(|reason| format!(": {}", escape(reason))).unwrap_or_default();
        let failed = self.failed();
        let sum = self.account.of_source();
        let is_open = matches!(self.ending, Ending::Interrupted | Ending::Halted { .. });
        let balance = if is_open {
            format!(
                "{} of {} objects that were listed so far have an outcome",
                count_text(sum.objects),
                count_text(self.listed.objects),
            )
        } else if self.is_balanced() {
            "every listed object is accounted for".to_owned()
        } else {
            format!(
                "the account does not balance: {} objects and {} bytes have an outcome, {} and {} were listed",
                count_text(sum.objects),
                count_text(sum.bytes),
                count_text(self.listed.objects),
                count_text(self.listed.bytes),
            )
        };
        format!("{}{reason}{failed}; {balance}", self.ending.name())
    }
}

/// What would become of an object: nothing has been done to it yet.
fn foreseen(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Copied => "would be copied",
        Outcome::Deleted => "would be deleted",
        Outcome::Kept => "would be kept",
        Outcome::Failed => "would fail",
        outcome => outcome.name(),
    }
}
