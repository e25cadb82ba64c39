//! The benchmark: what a copy costs the client in CPU, memory, time and requests.
//!
//! The program starts itself again in more roles: as the stores, in a process of their own, as the
//! `tranship` command, and as a bare loop over the SDK with the same streams, part size and HTTP
//! client. Beside these run the programs of others, where they are installed. Each run is a process
//! of its own, and all are seen from outside: how much one costs compared with another is what
//! counts, on any machine.

mod bare;
mod case;
mod clients;
mod cost;
mod report;
mod serve;
mod stand;
mod who;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};

use crate::bare::Bare;
use crate::case::{Case, Work};
use crate::clients::Found;
use crate::report::Report;
use crate::stand::Stand;
use crate::who::Who;

/// Measures what a copy costs, beside a bare loop over the SDK and beside other programs.
#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    measure: Measure,
}

#[derive(Debug, Args)]
struct Measure {
    /// Measurements of each client; the medians are printed
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// What to measure; may be given several times [default: all but `list`]
    #[arg(long = "case", value_name = "CASE")]
    cases: Vec<Case>,
    /// Divide the number of objects (of `large` and `resume`, their size) by this, for a quick look
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    scale: u64,
    /// Measure this client; may be given several times [default: all that are found]
    #[arg(long, value_name = "CLIENT")]
    only: Vec<Who>,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Be the stores of one case, until the standard input ends
    #[command(hide = true)]
    Serve(Work),
    /// Be the bare loop
    #[command(hide = true)]
    Bare(Bare),
    /// Be the `tranship` command, with these arguments
    #[command(hide = true, disable_help_flag = true)]
    Tranship {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let options = Options::parse();
    let ended = match options.role {
        Some(Role::Serve(work)) => serve::serve(work),
        Some(Role::Bare(bare)) => bare::run(&bare),
        Some(Role::Tranship { args }) => return tranship(args),
        None => measure(&options.measure),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report::complain(&format!("{error:#}")),
    }
}

/// The same as the command's own `main`.
fn tranship(args: Vec<OsString>) -> ExitCode {
    let env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        })
        .collect();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tranship_cli::no_runtime(&error).into(),
    };
    let args = [OsString::from("tranship")].into_iter().chain(args).collect();
    let exit = runtime.block_on(tranship_cli::run(args, env));
    runtime.shutdown_background();
    exit.into()
}

fn measure(options: &Measure) -> Result<()> {
    let cases = if options.cases.is_empty() { &Case::USUAL[..] } else { &options.cases };
    let mut clients = Vec::new();
    for who in Who::ALL {
        if !options.only.is_empty() && !options.only.contains(&who) {
            continue;
        }
        match clients::find(who) {
            Ok(found) => {
                report::note(&format!("{}: {}", who.name(), found.version));
                clients.push(found);
            }
            Err(missing) => report::note(&missing),
        }
    }
    report::print_head()?;
    let mut reports = Vec::new();
    for case in cases {
        let work = Work { case: *case, scale: options.scale };
        let mut report = Report::new(work);
        measure_case(options.runs, &clients, work, &mut report)?;
        report.print()?;
        reports.push(report);
    }
    reports.iter().try_for_each(Report::print_outcomes)
}

/// The runs of the clients take turns, so that whatever else the machine does hits all alike.
fn measure_case(runs: u32, clients: &[Found], work: Work, report: &mut Report) -> Result<()> {
    if !work.case.copies() {
        return compare(runs, clients, work, report);
    }
    for _ in 0..runs {
        for client in clients {
            // Fresh stores and a fresh ledger: each run copies everything.
            let mut stand = Stand::start(work)?;
            match work.case {
                // The bare loop knows neither what it has copied nor what it could copy again.
                Case::Resume | Case::Overwrite if client.who == Who::Bare => {}
                Case::Resume => report.add_resumed(client.who, stand.resume(client)),
                Case::Overwrite => report.add_overwritten(client.who, stand.overwrite(client)),
                _ => report.add(client.who, stand.measure(client)),
            }
        }
    }
    Ok(())
}

/// Where nothing is to be copied, all runs look at the same stores.
fn compare(runs: u32, clients: &[Found], work: Work, report: &mut Report) -> Result<()> {
    let mut stand = Stand::start(work)?;
    let ours = clients::find(Who::Tranship).map_err(anyhow::Error::msg)?;
    if work.case == Case::Again {
        // The first pass, which is not measured.
        stand.measure(&ours).context("the first pass of `again`")?;
    }
    for _ in 0..runs {
        for client in clients {
            report.add(client.who, stand.measure(client));
        }
    }
    if work.case == Case::List && clients.iter().any(|client| client.who == Who::Tranship) {
        for _ in 0..runs {
            report.add_empty(Stand::start(Work { case: Case::Empty, ..work })?.measure(&ours)?);
        }
    }
    Ok(())
}
