//! The options of `tranship doctor`.

#![expect(clippy::doc_markdown, reason = "these comments are the help text, which shows no markup")]

use clap::{Args, ValueHint};

use super::{DestinationArgs, FromStackArgs, SourceArgs, VerifyArgs};

/// Options of `doctor`.
#[derive(Debug, Clone, Default, Args)]
pub struct DoctorArgs {
    /// Where objects come from: s3://bucket/prefix
    pub source: Option<String>,
    /// Where they are to go: s3://bucket/prefix
    pub destination: Option<String>,
    #[command(flatten)]
    pub from: FromStackArgs,
    #[command(flatten)]
    pub source_options: SourceArgs,
    #[command(flatten)]
    pub destination_options: DestinationArgs,
    /// Write some small objects below the destination prefix, look at them, and delete them again;
    /// never where object locks are on, or may be
    #[arg(long, help_heading = "This look")]
    pub write_probe: bool,
    /// Print the least permissions that a copy needs on each side, in the language of its store; asks no
    /// store
    #[arg(long, help_heading = "This look")]
    pub print_policy: bool,
    /// Write the options that this look recommends into a TOML file, for the --config of copy
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "This look")]
    pub write_facts: Option<String>,
    /// Trust the certificate authorities in this PEM file, for both sides
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "This look")]
    pub ca_bundle: Option<String>,
    /// A TOML file with options (repeatable, the later wins); those of copy alone have no effect here
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "This look")]
    pub config: Vec<String>,
    /// Report as JSON, one finding a line on standard output
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "This look")]
    pub json: Option<bool>,
}

impl DoctorArgs {
    /// What `verify` would be told with the options that both have.
    pub(crate) fn as_verify(&self) -> VerifyArgs {
        VerifyArgs {
            source: self.source.clone(),
            destination: self.destination.clone(),
            source_options: self.source_options.clone(),
            destination_options: self.destination_options.clone(),
            ca_bundle: self.ca_bundle.clone(),
            config: self.config.clone(),
            json: self.json,
            ..VerifyArgs::default()
        }
    }
}

/// The part of the help that explains findings and exit codes.
pub const DOCTOR_HELP: &str = "\
It lists a page of each side, and reads the headers and a byte or two of one object. Without
--write-probe it writes nothing. Each finding is one of:
  good     as a copy wants it
  advice   a copy works, and somebody should know this before
  unknown  it could not be seen: an empty side, a permission that only this look needs
  bad      a copy would fail, or stop
Where a store differs from what is known of its kind, the finding names the option that says so. All of
them stand once more at the end, as lines of a configuration file.
--print-policy leaves out what only some options need: s3:DeleteObject (--delete, and the objects that
--write-probe makes) and s3:PutObjectAcl (--acl); and what only a plan asks for, to count ACL grants:
s3:GetObjectAcl and s3:GetBucketOwnershipControls at the source.

Exit codes:
    0  nothing is bad
    1  an error that has no code of its own
    2  wrong options, environment or configuration file; no store was asked
    8  something keeps a copy from working
  130  interrupted";
