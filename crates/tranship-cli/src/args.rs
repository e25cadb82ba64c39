//! What can be written on the command line: text, not yet understood.
//!
//! Every option of `copy` can also stand in the environment and in a TOML file, so none of them has
//! a default or a type of its own: [`crate::settings`] reads all three in the same way. The options
//! of the commands that ask a deployed stack stand on the command line alone.

mod copy;
mod doctor;
mod sides;
mod stack;
mod verify;

pub use copy::{
    CarryArgs, CompareArgs, CopyArgs, DeleteArgs, DestinationArgs, ForecastArgs, KeysArgs,
    PaceArgs, SelectArgs, SourceArgs, StateArgs,
};
pub use doctor::{DOCTOR_HELP, DoctorArgs};
pub use sides::SidesArgs;
pub use stack::{FromStackArgs, RunArgs, STACK_HELP, StackArgs, StatusArgs};
pub use verify::{VERIFY_HELP, VerifyArgs};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::exit::EXIT_CODES_HELP;

/// How the three sources of options are merged.
const PRECEDENCE_HELP: &str = "\
Where options come from, the first that has one wins:
  1. the command line
  2. the environment: TRANSHIP_ and the option's name in capitals with underscores
     (--part-size is TRANSHIP_PART_SIZE, SOURCE is TRANSHIP_SOURCE)
  3. the TOML files named by --config, the last of them first, or else the one of TRANSHIP_CONFIG, with
     the option's name as key (part-size = \"64MiB\", tags and the like: no-tags = true)
  4. the default
A list (--include and its kin) is taken whole from the first place that has it. In the environment
it is a JSON array of strings: TRANSHIP_INCLUDE='[\"*.jpg\", \"a,b\"]'. A switch is true or false there,
and can be taken back on the command line: --quiet=false.
Sizes are whole numbers with B, KiB, MiB, GiB, TiB (or K, M, G, T for the same), or KB, MB, GB, TB.
Credentials are never options: each side uses the AWS default chain, or its profile.
A side without an endpoint is Amazon S3. AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3 and a profile's
endpoint_url are never followed in silence: such a side is refused until its endpoint is given, or
AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true says that Amazon S3 is meant.";

/// Copies objects between S3-style stores, in parts, resumably, with balanced accounts.
#[derive(Debug, Parser)]
#[command(name = "tranship", version, after_help = EXIT_CODES_HELP)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the destination equal to the source: one run
    #[command(after_long_help = help_of_copy())]
    Copy(Box<CopyArgs>),
    /// Say what copy would do, and write nothing: as copy --dry-run, with the same options
    #[command(after_long_help = help_of_copy())]
    Plan(Box<PlanArgs>),
    /// Compare both sides anew, without any ledger, and say how well their equality is known
    #[command(after_help = VERIFY_HELP)]
    Verify(Box<VerifyArgs>),
    /// Look at both sides before the first copy: what they can do, and what is missing
    #[command(after_help = DOCTOR_HELP)]
    Doctor(Box<DoctorArgs>),
    /// Copy a world of awkward objects between two built-in stores, and check every byte
    #[command(after_help = EXIT_CODES_HELP)]
    Demo(DemoArgs),
    /// Show what a deployed stack does: its run, accounts, queues and failures
    #[command(after_help = STACK_HELP)]
    Status(StatusArgs),
    /// Have a deployed stack begin a run
    #[command(after_help = STACK_HELP)]
    Run(RunArgs),
    /// Have a deployed stack try again: its dead letters, and in a run the objects that failed
    #[command(after_help = STACK_HELP)]
    Retry(StackArgs),
    /// Have a deployed stack stop: nothing is lost, and messages wait
    #[command(after_help = STACK_HELP)]
    Pause(StackArgs),
    /// Have a deployed stack go on, after a pause or after it stopped itself
    #[command(after_help = STACK_HELP)]
    Resume(StackArgs),
    /// Print a completion script
    Completions {
        /// The shell that will read it
        shell: Shell,
    },
}

/// Options of `plan`: those of `copy`, and where else they may come from.
#[derive(Debug, Clone, Default, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub from: FromStackArgs,
    #[command(flatten)]
    pub copy: CopyArgs,
}

/// Options of the demo.
#[derive(Debug, Clone, Default, Args)]
pub struct DemoArgs {
    /// Keep the ledger and the lists when the demo is over
    #[arg(long)]
    pub keep: bool,
    /// Report as JSON, one event a line on standard output
    #[arg(long)]
    pub json: bool,
    /// A small world, done in seconds
    #[arg(long)]
    pub small: bool,
}

fn help_of_copy() -> String {
    format!("{PRECEDENCE_HELP}\n\n{EXIT_CODES_HELP}")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_names_the_precedence_and_the_exit_codes() {
        let help =
            Cli::command().find_subcommand_mut("copy").unwrap().render_long_help().to_string();
        assert!(help.contains("TRANSHIP_PART_SIZE"), "{help}");
        assert!(help.contains("130  interrupted"), "{help}");
    }
}
