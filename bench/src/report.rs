//! The table: medians of each side, and what tranship costs of the bare loop's CPU.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;

use crate::case::Work;
use crate::client::Who;
use crate::cost::Cost;

const GB: u64 = 1_000_000_000;

/// The measurements of one case.
pub(crate) struct Report {
    work: Work,
    bare: Vec<Cost>,
    tranship: Vec<Cost>,
    empty: Vec<Cost>,
}

impl Report {
    pub(crate) fn new(work: Work) -> Self {
        Self { work, bare: Vec::new(), tranship: Vec::new(), empty: Vec::new() }
    }

    pub(crate) fn add(&mut self, who: Who, cost: Cost) {
        let costs = match who {
            Who::Bare => &mut self.bare,
            Who::Tranship => &mut self.tranship,
        };
        costs.push(cost);
    }

    pub(crate) fn add_empty(&mut self, cost: Cost) {
        self.empty.push(cost);
    }

    pub(crate) fn print(&self) -> Result<()> {
        let (bare, tranship) = (medians(&self.bare), medians(&self.tranship));
        for (who, cost) in [(Who::Bare, &bare), (Who::Tranship, &tranship)] {
            if let Some(cost) = cost {
                self.print_row(who.name(), cost)?;
            }
        }
        if let Some(empty) = medians(&self.empty) {
            self.print_row("no keys", &empty)?;
        }
        if let (Some(bare), Some(tranship)) = (bare, tranship) {
            let ratio = ratio_hundredths(tranship.cpu_ms, bare.cpu_ms);
            say(&format!("|  | tranship / bare |  | {} |  |  |  |  |", decimal(ratio, 2)))?;
        }
        Ok(())
    }

    fn print_row(&self, who: &str, cost: &Cost) -> Result<()> {
        let (bytes, objects) = (self.work.bytes(), self.work.objects());
        let moves = self.work.case.copies();
        let per_gb =
            if moves { decimal(cost.cpu_ms * GB / bytes.max(1), 3) } else { String::new() };
        say(&format!(
            "| {} | {who} | {} | {} | {per_gb} | {} | {} | {} |",
            self.work.case.name(),
            decimal(cost.wall_ms, 3),
            decimal(cost.cpu_ms, 3),
            cost.cpu_ms * 1_000 / objects.max(1),
            decimal(cost.peak_kib * 10 / 1_024, 1),
            cost.requests,
        ))
    }
}

pub(crate) fn print_head() -> Result<()> {
    say("| case | client | wall s | CPU s | CPU s/GB | CPU µs/object | peak MiB | requests |")?;
    say("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
}

pub(crate) fn complain(error: &str) -> ExitCode {
    writeln!(std::io::stderr(), "error: {error}").ok();
    ExitCode::FAILURE
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// The median of each number by itself; `None` without measurements.
fn medians(costs: &[Cost]) -> Option<Cost> {
    let median = |number: fn(&Cost) -> u64| {
        let mut numbers: Vec<u64> = costs.iter().map(number).collect();
        numbers.sort_unstable();
        numbers.get(numbers.len() / 2).copied()
    };
    Some(Cost {
        wall_ms: median(|cost| cost.wall_ms)?,
        cpu_ms: median(|cost| cost.cpu_ms)?,
        peak_kib: median(|cost| cost.peak_kib)?,
        requests: median(|cost| cost.requests)?,
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
        let cost = |wall_ms, cpu_ms| Cost { wall_ms, cpu_ms, peak_kib: 1, requests: 2 };
        let median = medians(&[cost(1, 9), cost(2, 8), cost(9, 1)]).unwrap();
        assert_eq!((median.wall_ms, median.cpu_ms), (2, 8));
        assert!(medians(&[]).is_none());
    }
}
