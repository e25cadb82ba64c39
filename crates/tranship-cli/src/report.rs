//! The run report: what became of everything, by outcome and by prefix and over time, as JSON for
//! programs and as a page that opens offline for people. A copy in this process and a deployed stack
//! each fill in the same [`Content`]; both forms are made of that.

mod balance;
mod content;
mod html;
mod json;
pub(crate) mod stack;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tranship_core::breakdown::{Breakdown, PrefixAccount};
use tranship_core::object::Millis;
use tranship_core::outcome::Count;
use tranship_core::rows::Note;

pub(crate) use balance::Balance;
use balance::{Row, RowName, Whole, of_whole};
use content::{Content, Failed, Ran, Throughput};

use crate::display::{Summary, count_text, duration_text, events, size_text};
use crate::exit::{Exit, Failure};
use crate::failure_list::{beside, check_place};
use crate::page::Mood;
use crate::timeline::Timeline;

const JSON: &str = "report.json";
const HTML: &str = "report.html";
/// Failures that the report names; the failure list has all of them.
const FAILURES_MAX: usize = 1_000;

/// What is gathered for the report while the run goes on.
#[derive(Debug)]
pub(crate) struct Report {
    folder: PathBuf,
    pub(crate) failures: Failures,
    pub(crate) timeline: Timeline,
}

/// The first failures of a run, and how many there were.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    first: Vec<Note>,
    count: u64,
}

impl Failures {
    pub(crate) fn add(&mut self, note: &Note) {
        self.count += 1;
        if self.first.len() < FAILURES_MAX {
            self.first.push(note.clone());
        }
    }
}

/// What only its end shows.
#[derive(Debug)]
pub(crate) struct RunEnd<'a> {
    pub(crate) summary: &'a Summary,
    pub(crate) breakdown: &'a Breakdown,
    pub(crate) started: Millis,
    pub(crate) ended: Option<Millis>,
    /// As the ledger has counted them.
    pub(crate) failed_deliveries: u64,
}

impl RunEnd<'_> {
    fn whole(&self) -> Whole {
        let (listed, account) = (self.summary.listed, self.summary.account.clone());
        Whole {
            account: PrefixAccount { listed, account },
            is_balanced: self.summary.is_balanced(),
            is_open: false,
        }
    }
}

impl Report {
    /// Begins a report, and names a folder that cannot be written before anything is copied.
    pub(crate) fn begin(folder: &Path) -> Result<Self, Failure> {
        for name in [JSON, HTML] {
            check_place(&folder.join(name)).map_err(|error| unwritable(folder, &error))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            failures: Failures::default(),
            timeline: Timeline::default(),
        })
    }

    /// Writes both forms; tells where the folder is.
    pub(crate) fn publish(&self, end: &RunEnd<'_>) -> Result<PathBuf, Failure> {
        publish(&self.folder, &self.content(end))
    }

    fn content<'a>(&'a self, end: &'a RunEnd<'_>) -> Content<'a> {
        let summary = end.summary;
        let ended = end.ended.map_or_else(|| "not yet".to_owned(), html::time);
        let mood = if summary.is_clean() { Mood::Good } else { Mood::Bad };
        Content {
            source: &summary.source,
            destination: &summary.destination,
            verdict: (mood, format!("The run is {}.", summary.verdict())),
            about: format!(
                "Begun {}, ended {ended}; {} of this process; tranship {}; transfer {}.",
                html::time(end.started),
                duration_text(summary.elapsed_ms),
                env!("CARGO_PKG_VERSION"),
                summary.transfer_id,
            ),
            ran: Some(self.ran(end)),
            failures: self.failures(summary),
            stack: None,
        }
    }

    fn ran<'a>(&'a self, end: &'a RunEnd<'_>) -> Ran<'a> {
        let summary = end.summary;
        let mut fields = events::run(summary);
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("failed_deliveries".to_owned(), end.failed_deliveries.into());
        }
        let settled = summary.account.of_source();
        let there = summary.account.iter().filter(|(_, count)| count.objects > 0);
        Ran {
            started: end.started,
            ended: end.ended,
            fields,
            listed: summary.listed,
            outcomes: there.map(|(outcome, count)| (outcome.name().to_owned(), count)).collect(),
            unsettled: Count {
                objects: summary.listed.objects.saturating_sub(settled.objects),
                bytes: summary.listed.bytes.saturating_sub(settled.bytes),
            },
            is_balanced: summary.is_balanced(),
            is_open: false,
            by_prefix: Ok(Balance::of(end.breakdown, &end.whole())),
            throughput: Throughput {
                about: format!(
                    "{} read from the source, repetitions included; {} retries. The plots speak of this process: a run that was interrupted before has an earlier part.",
                    size_text(summary.bytes_moved),
                    count_text(summary.retries),
                ),
                failed_deliveries: Some(end.failed_deliveries),
                points: Some(self.timeline.points()),
            },
            losses: summary.losses.clone(),
        }
    }

    fn failures(&self, summary: &Summary) -> content::Failures<'_> {
        let list = summary.failures.as_ref();
        let list =
            list.map_or_else(String::new, |path| format!(" All of them: {}", path.display()));
        content::Failures {
            count: self.failures.count,
            first: self.failures.first.iter().map(Failed::of).collect(),
            all: format!("Up to {FAILURES_MAX} stand in report.json.{list}"),
        }
    }
}

/// Writes both forms into a folder; tells where it is.
fn publish(folder: &Path, content: &Content<'_>) -> Result<PathBuf, Failure> {
    let write = || -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        put(&folder.join(JSON), &json::text(content))?;
        put(&folder.join(HTML), &html::text(content))
    };
    write().map_err(|error| unwritable(folder, &error))?;
    Ok(folder.to_owned())
}

/// A file takes its place when it is whole.
fn put(path: &Path, text: &str) -> io::Result<()> {
    let new = beside(path);
    let mut file = std::fs::File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(new, path)
}

fn unwritable(folder: &Path, error: &io::Error) -> Failure {
    let what = format!("the run report in {} cannot be written: {error}", folder.display());
    Failure::new(Exit::Usage, what, "name a writable folder with --report")
}

#[cfg(test)]
mod tests;
