//! The options of the commands that ask a deployed stack.

use clap::{Args, ValueHint};

/// Which stack, and how it is reached. What all these commands have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct StackArgs {
    /// The name that the stack was deployed under
    #[arg(long, value_name = "NAME", required = true, value_hint = ValueHint::Other)]
    pub stack: String,
    /// The region that it was deployed to [default: the AWS configuration's]
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// The profile of the AWS configuration that credentials come from; goes before the environment's
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Print each answer of the stack as it came: JSON, one answer a line on standard output
    #[arg(long)]
    pub json: bool,
}

/// The settings of a deployed stack, in place of a configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct FromStackArgs {
    /// Take places and options from this deployed stack, in place of a configuration file
    #[arg(long, value_name = "NAME", conflicts_with = "config", value_hint = ValueHint::Other, help_heading = "A deployed stack")]
    pub stack: Option<String>,
    /// The region that it was deployed to [default: the AWS configuration's]
    #[arg(long, value_name = "REGION", requires = "stack", help_heading = "A deployed stack")]
    pub region: Option<String>,
    /// The profile that the stack is asked with; the sides have profiles of their own
    #[arg(long, value_name = "NAME", requires = "stack", help_heading = "A deployed stack")]
    pub profile: Option<String>,
}

impl FromStackArgs {
    /// The stack that is to be asked, if one is.
    pub(crate) fn asked(&self) -> Option<StackArgs> {
        let Self { stack, region, profile } = self.clone();
        Some(StackArgs { stack: stack?, region, profile, json: false })
    }
}

/// Options of `status`.
#[derive(Debug, Clone, Default, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    pub stack: StackArgs,
    /// Ask again and again, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// Seconds between two questions, 1 to 3600
    #[arg(long, value_name = "SECONDS", default_value = "5", requires = "watch",
        value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub every: u64,
    /// Write the report of the last run into this folder: report.json and report.html, a page that
    /// opens offline
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath, conflicts_with = "watch")]
    pub report: Option<String>,
}

/// Options of `run`.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub stack: StackArgs,
    /// Follow the run until it ends; if one is open already, follow that one
    #[arg(long)]
    pub wait: bool,
    /// Seconds between two questions, 1 to 3600
    #[arg(long, value_name = "SECONDS", default_value = "5", requires = "wait",
        value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub every: u64,
    /// Write the report of the run when it has ended into this folder: report.json and report.html, a page that
    /// opens offline
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath, requires = "wait")]
    pub report: Option<String>,
}

/// The part of the help of these commands that explains them.
pub const STACK_HELP: &str = "\
The command invokes the stack's function NAME-finder and shows what it answers. The caller needs the
permission lambda:InvokeFunction on that function. Credentials and region come from the AWS default
chain; AWS_ENDPOINT_URL is followed.

Exit codes:
    0  done; of status: whatever it shows, failed objects too. Of run --wait: the run is complete,
       every listed object is accounted for, and none failed
    1  the stack cannot be asked (no such function, access denied, not reached), or refused: such as
       a run that is open already
    2  wrong options
    3  run --wait: some objects failed, or the run is incomplete, or its accounts do not balance
    4  halted: the stack stopped itself or was paused while run --wait followed it, or its function
       says that nothing will get better by itself
  130  interrupted; what was begun goes on in the stack";
