//! The options of `tranship copy`, one group for each heading of its help.

#![expect(clippy::doc_markdown, reason = "these comments are the help text, which shows no markup")]

use clap::{Args, ValueHint};
use serde::Serialize;

use crate::settings::names::{
    ACLS, COMPARE, LIST_VERSIONS, OVERWRITE, SERVER_SIDE, SSE, TRUST, names,
};

/// Options of `copy`. Serialised, the fields carry the options' names.
#[derive(Debug, Clone, Default, Serialize, Args)]
pub struct CopyArgs {
    /// Where objects come from: s3://bucket/prefix, or oss://, cos://, kodo://, gs://. The prefix is a string,
    /// not a folder
    pub source: Option<String>,
    /// Where they go: s3://bucket/prefix, followed by what the source prefix leaves of the key
    pub destination: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    pub source_options: SourceArgs,
    #[command(flatten)]
    #[serde(flatten)]
    pub destination_options: DestinationArgs,
    #[command(flatten)]
    #[serde(flatten)]
    pub select: SelectArgs,
    #[command(flatten)]
    #[serde(flatten)]
    pub keys: KeysArgs,
    #[command(flatten)]
    #[serde(flatten)]
    pub compare: CompareArgs,
    #[command(flatten)]
    #[serde(flatten)]
    pub delete: DeleteArgs,
    #[command(flatten)]
    #[serde(flatten)]
    pub carry: CarryArgs,
    #[command(flatten)]
    #[serde(flatten)]
    pub pace: PaceArgs,
    #[command(flatten)]
    #[serde(flatten)]
    pub forecast: ForecastArgs,
    #[command(flatten)]
    #[serde(flatten)]
    pub state: StateArgs,
}

/// Options of the side that is read.
#[derive(Debug, Clone, Default, Serialize, Args)]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Source")]
pub struct SourceArgs {
    /// The store's endpoint, such as https://minio.example:9000 [default: by scheme and region]
    #[arg(long, value_name = "URL")]
    pub source_endpoint: Option<String>,
    /// Use the endpoint within the vendor's own network
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub source_internal: Option<bool>,
    /// The bucket's region, as its vendor names it
    #[arg(long, value_name = "REGION")]
    pub source_region: Option<String>,
    /// The profile of the AWS configuration that credentials come from; goes before the environment's
    #[arg(long, value_name = "NAME")]
    pub source_profile: Option<String>,
    /// Put the bucket into the path, not the host name; decided by the endpoint if absent
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub source_path_style: Option<bool>,
    /// The endpoint is a domain of the bucket's own, such as a CNAME: the bucket is named nowhere else
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub source_bucket_endpoint: Option<bool>,
    /// Sign nothing: a public bucket
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub source_anonymous: Option<bool>,
    /// Agree to pay for the requests and the traffic
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub source_requester_pays: Option<bool>,
    /// List with this version of the protocol [default: the vendor's]
    #[arg(long, value_name = "VERSION", value_parser = names(LIST_VERSIONS))]
    pub source_list_version: Option<String>,
    /// Ask for keys in listings in percent-encoded form [default: unless the vendor has none]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub source_list_encoding: Option<bool>,
    /// Send Amazon's headers about checksums, and those that came with them, which some stores refuse [default: the
    /// vendor's]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub source_checksums: Option<bool>,
}

/// Options of the side that is written.
#[derive(Debug, Clone, Default, Serialize, Args)]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Destination")]
pub struct DestinationArgs {
    /// The store's endpoint, such as https://minio.example:9000 [default: by scheme and region]
    #[arg(long, value_name = "URL")]
    pub destination_endpoint: Option<String>,
    /// Use the endpoint within the vendor's own network
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub destination_internal: Option<bool>,
    /// The bucket's region, as its vendor names it
    #[arg(long, value_name = "REGION")]
    pub destination_region: Option<String>,
    /// The profile of the AWS configuration that credentials come from; goes before the environment's
    #[arg(long, value_name = "NAME")]
    pub destination_profile: Option<String>,
    /// Put the bucket into the path, not the host name; decided by the endpoint if absent
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub destination_path_style: Option<bool>,
    /// The endpoint is a domain of the bucket's own, such as a CNAME: the bucket is named nowhere else
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub destination_bucket_endpoint: Option<bool>,
    /// Sign nothing: a public bucket
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub destination_anonymous: Option<bool>,
    /// Agree to pay for the requests and the traffic
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub destination_requester_pays: Option<bool>,
    /// List with this version of the protocol [default: the vendor's]
    #[arg(long, value_name = "VERSION", value_parser = names(LIST_VERSIONS))]
    pub destination_list_version: Option<String>,
    /// Ask for keys in listings in percent-encoded form [default: unless the vendor has none]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub destination_list_encoding: Option<bool>,
    /// Send Amazon's headers about checksums, and those that came with them, which some stores refuse [default: the
    /// vendor's]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub destination_checksums: Option<bool>,
    /// Whether the store honours conditions on writes [default: the vendor's]. Without them the source is
    /// looked at after each write
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub destination_conditions: Option<bool>,
    /// Refuse to write if the destination bucket is not this account's (12 digits)
    #[arg(long, value_name = "ACCOUNT")]
    pub expected_bucket_owner: Option<String>,
}

/// Options that choose objects. Patterns see the key without the source prefix.
#[derive(Debug, Clone, Default, Serialize, Args)]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Which objects")]
pub struct SelectArgs {
    /// Take only keys that match one of these, or an --include-regex (repeatable); * matches any text, / too
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// Leave out keys that match (repeatable); wins over any include
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// As --include, with a regular expression that may match anywhere in the key
    #[arg(long, value_name = "REGEX")]
    pub include_regex: Vec<String>,
    /// As --exclude, with a regular expression
    #[arg(long, value_name = "REGEX")]
    pub exclude_regex: Vec<String>,
    /// Leave out smaller objects
    #[arg(long, value_name = "SIZE")]
    pub min_size: Option<String>,
    /// Leave out larger objects
    #[arg(long, value_name = "SIZE")]
    pub max_size: Option<String>,
    /// Leave out objects modified before this time (RFC 3339, such as 2024-05-01T00:00:00Z)
    #[arg(long, value_name = "TIME")]
    pub modified_after: Option<String>,
    /// Leave out objects modified after this time
    #[arg(long, value_name = "TIME")]
    pub modified_before: Option<String>,
}

/// The list that takes the place of the listing.
#[derive(Debug, Clone, Default, Serialize, Args)]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Which objects")]
pub struct KeysArgs {
    /// Copy only the keys in this file: one a line, or a former failure list
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub keys_from: Option<String>,
}

/// Options that decide what is copied again.
#[derive(Debug, Clone, Default, Serialize, Args)]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "What counts as equal")]
pub struct CompareArgs {
    /// When two objects are equal [default: etag]
    #[arg(long, value_name = "POLICY", value_parser = names(COMPARE))]
    pub compare: Option<String>,
    /// Whether an object that differs is written over [default: always]
    #[arg(long, value_name = "POLICY", value_parser = names(OVERWRITE))]
    pub overwrite: Option<String>,
    /// Where ETags prove nothing, believe the same size and a later time
    #[arg(long, value_name = "EVIDENCE", value_parser = names(TRUST))]
    pub trust: Option<String>,
}

/// Options about objects that only the destination has.
#[derive(Debug, Clone, Default, Serialize, Args)]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Deleting")]
pub struct DeleteArgs {
    /// After the copies, delete what only the destination has, within the limits below
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub delete: Option<bool>,
    /// Delete nothing if more objects than this would go [default: 1000]
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    pub delete_max: Option<String>,
    /// Delete nothing if more than this part of the destination would go [default: 10]
    #[arg(long, allow_negative_numbers = true, value_name = "PERCENT")]
    pub delete_max_ratio: Option<String>,
    /// Delete even if the destination bucket keeps no versions, and nothing can be brought back
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub delete_unversioned: Option<bool>,
    /// Where the list of candidates is written [default: beside the ledger]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub delete_manifest: Option<String>,
}

/// Options about what the destination stores with an object.
#[derive(Debug, Clone, Default, Serialize, Args)]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "What is written")]
pub struct CarryArgs {
    /// Write this storage class; keep takes the source's [default: keep]
    #[arg(long, value_name = "CLASS")]
    pub storage_class: Option<String>,
    /// Write the class TO for what the source has in FROM (repeatable) [default: the nearest of Amazon's]
    #[arg(long, value_name = "FROM=TO")]
    pub map_storage_class: Vec<String>,
    /// Ask for this canned ACL [default: none]
    #[arg(long, value_name = "ACL", value_parser = names(ACLS))]
    pub acl: Option<String>,
    /// Encrypt at the destination with this method [default: as the bucket says]
    #[arg(long, value_name = "METHOD", value_parser = names(SSE))]
    pub sse: Option<String>,
    /// The key of --sse aws:kms [default: the bucket's]
    #[arg(long, value_name = "KEY")]
    pub sse_kms_key_id: Option<String>,
    /// Carry no tags over
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub no_tags: Option<bool>,
    /// Write no copy token into the user metadata
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub no_token: Option<bool>,
}

/// Options about sizes, numbers and attempts.
#[derive(Debug, Clone, Default, Serialize, Args)]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Speed and limits")]
pub struct PaceArgs {
    /// Copy objects of this size and above in parts, 5MiB to 5GiB [default: 64MiB]
    #[arg(long, value_name = "SIZE")]
    pub multipart_threshold: Option<String>,
    /// The size of a part, 5MiB to 5GiB [default: the source's own, or chosen by size]
    #[arg(long, value_name = "SIZE")]
    pub part_size: Option<String>,
    /// Streams at a time, 1 to 4096 [default: 64]
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    pub concurrency: Option<String>,
    /// Bytes that may move in a second, such as 50MiB, 64KiB at least [default: no limit]
    #[arg(long, value_name = "SIZE")]
    pub bandwidth: Option<String>,
    /// Memory for the streams [default: 256MiB, or what the concurrency needs]
    #[arg(long, value_name = "SIZE")]
    pub memory_budget: Option<String>,
    /// Let the store copy by itself where both sides are one store [default: auto]
    #[arg(long, value_name = "WHEN", value_parser = names(SERVER_SIDE))]
    pub server_side: Option<String>,
    /// How often an object that really failed is tried again, 0 to 100 [default: 5]
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    pub retries: Option<String>,
}

/// Options about what a plan reckons with. A copy takes them and makes no use of them, so that one
/// file of options serves both.
#[derive(Debug, Clone, Default, Serialize, Args)]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Forecast of a plan")]
pub struct ForecastArgs {
    /// Bytes that move in a second, from the least to the most, such as 50MiB..200MiB, or one size
    /// [default: as in the last run, or else 25MiB..250MiB; 256MiB..4GiB where the store copies by itself]
    #[arg(long, value_name = "RATE")]
    pub rate: Option<String>,
    /// Dollars for a GiB that leaves the source, such as 0.02 [default: assumed by the pair of stores]
    #[arg(long, allow_negative_numbers = true, value_name = "DOLLARS")]
    pub egress_price: Option<String>,
    /// Objects whose ACLs are looked at, a request each, 0 to 10000 [default: 100]
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    pub acl_sample: Option<String>,
}

/// Options about the run itself.
#[derive(Debug, Clone, Default, Serialize, Args)]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "This run")]
pub struct StateArgs {
    /// Say what would be done, as plan does, and write nothing, no ledger either; lists only where one
    /// is named
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub dry_run: Option<bool>,
    /// What the transfer remembers [default: $XDG_STATE_HOME/tranship/<transfer>.redb]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ledger: Option<String>,
    /// Where the failure list is written when the run ends; may be the file of --keys-from
    /// [default: beside the ledger]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub failures: Option<String>,
    /// Write the run report into this folder when the run ends: report.json and report.html, a page
    /// that opens offline. A dry run writes none
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub report: Option<String>,
    /// Trust the certificate authorities in this PEM file, for both sides
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca_bundle: Option<String>,
    /// A TOML file with options (repeatable); where two of them have the same one, the later wins
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Vec<String>,
    /// Report as JSON, one event a line on standard output
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub json: Option<bool>,
    /// Report errors only
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub quiet: Option<bool>,
}
