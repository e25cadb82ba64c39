//! The folder of a report: the summary, every difference, every prefix, and a page that shows them.
//!
//! The list of differences grows beside its place; all files take their places when the whole is
//! known. A verification that was cut short leaves an earlier report as it was.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::summary::Summary;
use crate::display::json_line;
use crate::exit::{Exit, Failure};

const SUMMARY: &str = "summary.json";
const DIFFERENCES: &str = "differences.jsonl";
const PREFIXES: &str = "prefixes.jsonl";
const PAGE: &str = "report.html";
/// What a file is called until it takes its place.
const NEW: &str = ".new";

/// A report that is being written.
#[derive(Debug)]
pub(super) struct Report {
    folder: PathBuf,
    differences: BufWriter<File>,
}

impl Report {
    /// Begins an empty list, so that a folder that cannot be written is named before any store is
    /// asked.
    pub(super) fn begin(folder: &Path) -> Result<Self, Failure> {
        let begun =
            std::fs::create_dir_all(folder).and_then(|()| File::create(new(folder, DIFFERENCES)));
        let differences = begun.map_err(|error| {
            let what = unwritable(folder, &error);
            Failure::new(Exit::Usage, what, "name a folder that can be written with --report")
        })?;
        Ok(Self { folder: folder.to_owned(), differences: BufWriter::new(differences) })
    }

    pub(super) fn add(&mut self, difference: &Value) -> Result<(), String> {
        writeln!(self.differences, "{}", json_line(difference))
            .map_err(|error| unwritable(&self.folder, &error))
    }

    /// Writes the rest, and puts everything in its place.
    pub(super) fn publish(mut self, summary: &Summary<'_>, page: &str) -> Result<(), Failure> {
        self.write_and_move(summary, page).map_err(|error| {
            let what = unwritable(&self.folder, &error);
            Failure::new(Exit::Other, what, "make room there, and run the same command again")
        })
    }

    fn write_and_move(&mut self, summary: &Summary<'_>, page: &str) -> io::Result<()> {
        self.differences.flush()?;
        let mut prefixes = BufWriter::new(File::create(new(&self.folder, PREFIXES))?);
        for prefix in summary.prefixes() {
            writeln!(prefixes, "{}", json_line(&prefix))?;
        }
        prefixes.flush()?;
        let text = format!("{}\n", json_line(&summary.json()));
        std::fs::write(new(&self.folder, SUMMARY), text)?;
        std::fs::write(new(&self.folder, PAGE), page)?;
        // The summary last: where it is, everything that it speaks of is there.
        for name in [DIFFERENCES, PREFIXES, PAGE, SUMMARY] {
            std::fs::rename(new(&self.folder, name), self.folder.join(name))?;
        }
        Ok(())
    }
}

/// Removes what has not taken its place. It is dropped with the command itself, whatever workers may
/// still hold of the report when that is cut short.
#[derive(Debug)]
pub(super) struct Leftovers(PathBuf);

impl Leftovers {
    pub(super) fn of(folder: &Path) -> Self {
        Self(folder.to_owned())
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        for name in [DIFFERENCES, PREFIXES, PAGE, SUMMARY] {
            std::fs::remove_file(new(&self.0, name)).ok();
        }
    }
}

fn new(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}{NEW}"))
}

fn unwritable(folder: &Path, error: &io::Error) -> String {
    format!("the report in {} cannot be written: {error}", folder.display())
}
