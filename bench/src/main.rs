//! The benchmark: what a copy costs the client in CPU, memory, time and requests.
//!
//! The program starts itself again in two more roles: as the stores, in a process of their own, and
//! as the client that is measured, one process for each measurement. Beside every measurement of
//! tranship stands one of a bare loop over the SDK, with the same streams, part size and HTTP
//! client: how much more the engine costs than that is what counts, on any machine.

mod bare;
mod case;
mod client;
mod cost;
mod engine;
mod report;
mod serve;
mod stand;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::case::{Case, Work};
use crate::client::{Client, Who};
use crate::report::Report;
use crate::stand::Stand;

/// Measures what a copy costs, beside a bare loop over the SDK.
#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    measure: Measure,
}

#[derive(Debug, Args)]
struct Measure {
    /// Measurements of each side; the medians are printed
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// What to measure; may be given several times [default: all but `list`]
    #[arg(long = "case", value_name = "CASE")]
    cases: Vec<Case>,
    /// Divide the number of objects (of `large`, their size) by this, for a quick look
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    scale: u64,
    /// Measure this side alone
    #[arg(long)]
    only: Option<Who>,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Be the stores of one case, until the standard input ends
    #[command(hide = true)]
    Serve(Work),
    /// Be the client of one measurement
    #[command(hide = true)]
    Client(Client),
}

fn main() -> ExitCode {
    let options = Options::parse();
    let ended = match options.role {
        Some(Role::Serve(work)) => serve::serve(work),
        Some(Role::Client(client)) => client.run(),
        None => measure(&options.measure),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report::complain(&format!("{error:#}")),
    }
}

fn measure(options: &Measure) -> Result<()> {
    let cases = if options.cases.is_empty() { &Case::COPIES[..] } else { &options.cases };
    report::print_head()?;
    for case in cases {
        let work = Work { case: *case, scale: options.scale };
        let mut report = Report::new(work);
        measure_case(options, work, &mut report)?;
        report.print()?;
    }
    Ok(())
}

/// The runs of the two sides take turns, so that whatever else the machine does hits both alike.
fn measure_case(options: &Measure, work: Work, report: &mut Report) -> Result<()> {
    let sides: Vec<Who> =
        Who::ALL.into_iter().filter(|who| options.only.is_none_or(|only| only == *who)).collect();
    if work.case.copies() {
        for _ in 0..options.runs {
            for who in &sides {
                // Fresh stores and a fresh ledger: each run copies everything.
                report.add(*who, Stand::start(work)?.measure(*who)?);
            }
        }
        return Ok(());
    }
    let mut stand = Stand::start(work)?;
    if work.case == Case::Again {
        // The first pass, which is not measured.
        stand.measure(Who::Tranship)?;
    }
    for _ in 0..options.runs {
        for who in &sides {
            report.add(*who, stand.measure(*who)?);
        }
    }
    if work.case == Case::List {
        let empty = Work { case: Case::Empty, ..work };
        for _ in 0..options.runs {
            report.add_empty(Stand::start(empty)?.measure(Who::Tranship)?);
        }
    }
    Ok(())
}
