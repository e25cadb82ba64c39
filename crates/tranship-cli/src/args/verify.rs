//! The options of `tranship verify`.

use clap::{Args, ValueHint};

use super::{CopyArgs, PaceArgs, SelectArgs, SidesArgs, StateArgs};

/// Options of `verify`. Those that it shares with `copy` can stand in the same file and the same
/// environment.
#[derive(Debug, Clone, Default, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub sides: SidesArgs,
    #[command(flatten)]
    pub select: SelectArgs,
    /// Read the bytes of both sides again and compare their hashes; all of them pass this machine
    #[arg(long, help_heading = "How to compare")]
    pub deep: bool,
    /// Count what only the destination has, and call the sides equal all the same
    #[arg(long, help_heading = "How to compare")]
    pub ignore_extra: bool,
    /// Write a report into this folder: summary.json, differences.jsonl, prefixes.jsonl, report.html
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "This look")]
    pub report: Option<String>,
    /// Objects that are looked at, and up to 16 ranges that are listed, at a time, 1 to 4096
    /// [default: 64]
    #[arg(long, allow_negative_numbers = true, value_name = "N", help_heading = "This look")]
    pub concurrency: Option<String>,
    /// Report differences and errors only
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "This look")]
    pub quiet: Option<bool>,
}

impl VerifyArgs {
    /// What `copy` would be told with the options that both have.
    pub(crate) fn as_copy(&self) -> CopyArgs {
        let copy = self.sides.as_copy();
        CopyArgs {
            select: self.select.clone(),
            pace: PaceArgs { concurrency: self.concurrency.clone(), ..PaceArgs::default() },
            state: StateArgs { quiet: self.quiet, ..copy.state },
            ..copy
        }
    }
}

/// The part of the help that explains grades and exit codes.
pub const VERIFY_HELP: &str = "\
It lists both sides anew, reads no ledger, and writes to neither side. What it says of an object is
about its bytes, not about headers or tags. Each pair has a grade:
    A  the bytes of both sides were read again and hashed (--deep), or there are none
    B  a checksum that the source keeps equals the destination's
    C  the ETags are equal; or the source's ETag is the one that is recorded with the copy
    D  the sizes are equal, and there is nothing else to go by: not provable
    U  unproven: it could not be looked at, or changed meanwhile
The listings give C. Only where they leave D or U does it ask for the headers of both objects.
Options that copy has too can stand in the environment and in --config, as there.

Exit codes:
    0  equal: every object has an equal one at the other side, by evidence of grade A, B or C
    1  an error that has no code of its own
    2  wrong options, environment or configuration file; no store was asked
    4  halted before it began: credentials, a denied or missing bucket
    6  different: something is missing, extra or different
    7  not provable: no difference is known; something has grade D or U, or could not be listed
  130  interrupted; the same command begins anew";
