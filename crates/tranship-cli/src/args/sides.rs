//! The options that `verify` and `doctor` share. All but `--stack` are options of `copy`, too.

#![expect(clippy::doc_markdown, reason = "these comments are the help text, which shows no markup")]

use clap::{Args, ValueHint};

use super::{CopyArgs, DestinationArgs, FromStackArgs, SourceArgs, StateArgs};

/// Both sides of a transfer, and how they are looked at.
#[derive(Debug, Clone, Default, Args)]
pub struct SidesArgs {
    /// Where objects come from: s3://bucket/prefix. The prefix is a string, not a folder
    pub source: Option<String>,
    /// Where they go: s3://bucket/prefix, followed by what the source prefix leaves of the key
    pub destination: Option<String>,
    #[command(flatten)]
    pub from: FromStackArgs,
    #[command(flatten)]
    pub source_options: SourceArgs,
    #[command(flatten)]
    pub destination_options: DestinationArgs,
    /// Trust the certificate authorities in this PEM file, for both sides
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "This look")]
    pub ca_bundle: Option<String>,
    /// A TOML file with options (repeatable, the later wins); those of copy alone have no effect here
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "This look")]
    pub config: Vec<String>,
    /// Report as JSON, one event a line on standard output
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "This look")]
    pub json: Option<bool>,
}

impl SidesArgs {
    /// What `copy` would be told with these.
    pub(super) fn as_copy(&self) -> CopyArgs {
        CopyArgs {
            source: self.source.clone(),
            destination: self.destination.clone(),
            source_options: self.source_options.clone(),
            destination_options: self.destination_options.clone(),
            state: StateArgs {
                ca_bundle: self.ca_bundle.clone(),
                config: self.config.clone(),
                json: self.json,
                ..StateArgs::default()
            },
            ..CopyArgs::default()
        }
    }
}
