//! The tables: medians of each client, and how many times what tranship needs the others need.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;

use crate::case::{Case, Work};
use crate::cost::Cost;
use crate::serve::Generation;
use crate::stand::Overwritten;
use crate::who::Who;

const GB: u64 = 1_000_000_000;
const MIB: u64 = 1 << 20;

/// The measurements of one case.
pub(crate) struct Report {
    work: Work,
    costs: BTreeMap<Who, Vec<Cost>>,
    /// Of runs that failed: they count for nothing else.
    failures: BTreeMap<Who, Vec<String>>,
    empty: Vec<Cost>,
    read_again: BTreeMap<Who, Vec<u64>>,
    overwritten: Vec<(Who, Overwritten)>,
}

impl Report {
    pub(crate) fn new(work: Work) -> Self {
        Self {
            work,
            costs: BTreeMap::new(),
            failures: BTreeMap::new(),
            empty: Vec::new(),
            read_again: BTreeMap::new(),
            overwritten: Vec::new(),
        }
    }

    /// A run that did not copy everything is no fast one.
    pub(crate) fn add(&mut self, who: Who, run: Result<Cost>) {
        match run {
            Ok(cost) => self.costs.entry(who).or_default().push(cost),
            Err(error) => self.failures.entry(who).or_default().push(format!("{error:#}")),
        }
    }

    pub(crate) fn add_empty(&mut self, cost: Cost) {
        self.empty.push(cost);
    }

    pub(crate) fn add_resumed(&mut self, who: Who, run: Result<(Cost, u64)>) {
        if let Ok((_, read_again)) = &run {
            self.read_again.entry(who).or_default().push(*read_again);
        }
        self.add(who, run.map(|(cost, _)| cost));
    }

    pub(crate) fn add_overwritten(&mut self, who: Who, run: Result<(Cost, Overwritten)>) {
        let cost = run.map(|(cost, overwritten)| {
            self.overwritten.push((who, overwritten));
            cost
        });
        self.add(who, cost);
    }

    pub(crate) fn print(&self) -> Result<()> {
        let ours = self.costs.get(&Who::Tranship).and_then(|costs| medians(costs));
        for who in Who::ALL {
            let costs = self.costs.get(&who).map(Vec::as_slice).unwrap_or_default();
            let failures = self.failures.get(&who).map(Vec::as_slice).unwrap_or_default();
            if let Some(cost) = medians(costs) {
                self.print_row(who.name(), &cost, ours.as_ref())?;
            } else if !failures.is_empty() {
                say(&format!("| {} | {} | failed | | | | | | | | |", self.name(), who.name()))?;
            }
            if let Some(reason) = failures.first() {
                let runs = costs.len() + failures.len();
                let name = who.name();
                complain(&format!("{name}: {} of {runs} runs failed; {reason}", failures.len()));
            }
        }
        if let Some(empty) = medians(&self.empty) {
            self.print_row("tranship, no keys", &empty, None)?;
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.work.case.name()
    }

    fn print_row(&self, who: &str, cost: &Cost, ours: Option<&Cost>) -> Result<()> {
        let (bytes, objects) = (self.work.bytes(), self.work.objects());
        let moves = self.work.case.copies();
        let per_gb =
            if moves { decimal(cost.cpu_ms * GB / bytes.max(1), 3) } else { String::new() };
        let times = |number: fn(&Cost) -> u64| {
            ours.map(|ours| decimal(ratio_hundredths(number(cost), number(ours)), 2))
                .unwrap_or_default()
        };
        say(&format!(
            "| {} | {who} | {} | {} | {} | {per_gb} | {} | {} | {} | {} | {} |",
            self.name(),
            decimal(cost.wall_ms, 3),
            decimal(cost.cpu_ms, 3),
            times(|cost| cost.cpu_ms),
            cost.cpu_ms * 1_000 / objects.max(1),
            decimal(cost.peak_kib * 10 / 1_024, 1),
            times(|cost| cost.peak_kib),
            cost.requests,
            cost.read_bytes / MIB,
        ))
    }

    /// What the table of costs has no column for.
    pub(crate) fn print_outcomes(&self) -> Result<()> {
        if self.work.case == Case::Resume && !self.read_again.is_empty() {
            say("\n| killed at half | MiB read again | parts' worth |\n| --- | ---: | ---: |")?;
            for (who, bytes) in &self.read_again {
                let bytes = median(bytes.clone()).unwrap_or_default();
                let parts = bytes * 10 / self.work.case.part_bytes();
                say(&format!("| {} | {} | {} |", who.name(), bytes / MIB, decimal(parts, 1)))?;
            }
        }
        if !self.overwritten.is_empty() {
            say("\n| overwritten while it is copied | what is there | after a second run |")?;
            say("| --- | --- | --- |")?;
            let mut lines: Vec<String> = self.overwritten.iter().map(overwritten_row).collect();
            lines.sort();
            lines.dedup();
            for line in lines {
                say(&line)?;
            }
        }
        Ok(())
    }
}

fn overwritten_row((who, overwritten): &(Who, Overwritten)) -> String {
    let (first, second) = (outcome(overwritten.first), outcome(overwritten.second));
    format!("| {} | {first} | {second} |", who.name())
}

fn outcome((generation, code): (Generation, Option<i32>)) -> String {
    let there = match generation {
        Generation::None => "nothing",
        Generation::Old => "the old object",
        Generation::New => "the new object",
        Generation::Mixed => "**a mix of both**",
    };
    match code {
        Some(code) => format!("{there}, exit {code}"),
        None => format!("{there}, killed since it hung"),
    }
}

pub(crate) fn print_head() -> Result<()> {
    say(
        "| case | client | wall s | CPU s | CPU × | CPU s/GB | CPU µs/object | peak MiB | memory × | requests | MiB read |",
    )?;
    say("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
}

pub(crate) fn complain(error: &str) -> ExitCode {
    writeln!(std::io::stderr(), "error: {error}").ok();
    ExitCode::FAILURE
}

/// What a person should know who waits, and a table should not hold.
pub(crate) fn note(what: &str) {
    writeln!(std::io::stderr(), "{what}").ok();
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn median(mut numbers: Vec<u64>) -> Option<u64> {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied()
}

/// The median of each number by itself; `None` without measurements.
fn medians(costs: &[Cost]) -> Option<Cost> {
    let median = |number: fn(&Cost) -> u64| median(costs.iter().map(number).collect());
    Some(Cost {
        wall_ms: median(|cost| cost.wall_ms)?,
        cpu_ms: median(|cost| cost.cpu_ms)?,
        peak_kib: median(|cost| cost.peak_kib)?,
        requests: median(|cost| cost.requests)?,
        read_bytes: median(|cost| cost.read_bytes)?,
    })
}

fn ratio_hundredths(a: u64, b: u64) -> u64 {
    a * 100 / b.max(1)
}

/// A number of tenths, hundredths or thousandths, with its point.
fn decimal(number: u64, places: usize) -> String {
    let digits = format!("{number:0width$}", width = places + 1);
    let (whole, part) = digits.split_at(digits.len() - places);
    format!("{whole}.{part}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_point() {
        assert_eq!((decimal(7, 3), decimal(1_234, 2)), ("0.007".into(), "12.34".into()));
        assert_eq!(ratio_hundredths(115, 100), 115);
    }

    #[test]
    fn the_median_is_of_each_number() {
        let cost =
            |wall_ms, cpu_ms| Cost { wall_ms, cpu_ms, peak_kib: 1, requests: 2, read_bytes: 3 };
        let median = medians(&[cost(1, 9), cost(2, 8), cost(9, 1)]).unwrap();
        assert_eq!((median.wall_ms, median.cpu_ms), (2, 8));
        assert!(medians(&[]).is_none());
    }

    #[test]
    fn a_mix_is_told_whatever_the_client_says() {
        let overwritten =
            Overwritten { first: (Generation::Mixed, Some(0)), second: (Generation::Old, Some(3)) };
        assert_eq!(
            overwritten_row(&(Who::Rclone, overwritten)),
            "| rclone | **a mix of both**, exit 0 | the old object, exit 3 |"
        );
    }
}
