//! From options to settings: typed, within bounds, free of contradictions, and without any effect.
//!
//! Precedence: the command line, then the environment (`TRANSHIP_…`), then the TOML file, then the
//! default. A list is taken whole from the first of them that has it. Secrets are never options.

mod layers;
pub(crate) mod names;
pub mod patterns;
mod places;
mod rules;
mod values;
mod verify;

use std::collections::BTreeMap;
use std::path::PathBuf;

use tranship_adapters::stores::s3::vendors::{ListVersion, Vendor};
use tranship_core::forecast::Band;
use tranship_core::location::{Location, Transfer};
use tranship_core::object::{Millis, PART_SIZE_MAX_BYTES, PART_SIZE_MIN_BYTES};
use tranship_core::policy::{Compare, Overwrite};

use crate::args::CopyArgs;
use crate::usage::UsageError;

pub use self::verify::VerifySettings;

/// Each stream holds two connections and buffers of about this size, in bytes.
pub const STREAM_MEMORY_BYTES: u64 = 1 << 20;
/// What the process needs besides its streams: the ledger's cache, two listings, the runtime.
pub const BASE_MEMORY_BYTES: u64 = 32 << 20;
/// A limit of bandwidth below this moves no object in a reasonable time.
pub const BANDWIDTH_MIN_BYTES: u64 = 64 << 10;
/// And one above this limits nothing.
pub const BANDWIDTH_MAX_BYTES: u64 = 1 << 40;
/// A budget above this is a slip of the unit: no machine has 16 TiB.
pub const MEMORY_MAX_BYTES: u64 = 16 << 40;
pub const MEMORY_DEFAULT_BYTES: u64 = 256 << 20;

/// Streams: enough to fill 10 Gbit/s at the usual rate of one stream.
pub const CONCURRENCY_DEFAULT: u64 = 64;
/// Above this a process runs out of file descriptors and ports before it gains speed.
pub const CONCURRENCY_MAX: u64 = 4_096;

/// Below this, parts cost more requests than they save time.
pub const MULTIPART_THRESHOLD_DEFAULT_BYTES: u64 = 64 << 20;
/// An object below the smallest part cannot have two.
pub const MULTIPART_THRESHOLD_MIN_BYTES: u64 = PART_SIZE_MIN_BYTES;
/// The largest object that one PUT can write.
pub const MULTIPART_THRESHOLD_MAX_BYTES: u64 = PART_SIZE_MAX_BYTES;

pub const RETRIES_DEFAULT: u64 = 5;
/// With back-off, more attempts than this take days.
pub const RETRIES_MAX: u64 = 100;

pub const DELETE_MAX_DEFAULT: u64 = 1_000;
/// Percent of the objects that the destination has.
pub const DELETE_MAX_RATIO_DEFAULT_PERCENT: u64 = 10;

/// Enough to see what one object in fifty has, and few enough to cost nothing that anybody notices.
pub const ACL_SAMPLE_DEFAULT: u64 = 100;
/// Their keys are held in memory.
pub const ACL_SAMPLE_MAX: u64 = 10_000;

/// Everything that `tranship copy` needs to know.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command, named at every use"
)]
pub struct CopySettings {
    pub source: SideSettings,
    pub destination: SideSettings,
    /// Both locations once more, as the core wants them.
    pub transfer: Transfer,
    /// Account that must own the destination bucket, 12 digits.
    pub expected_bucket_owner: Option<String>,
    pub ca_bundle: Option<PathBuf>,
    pub select: SelectSettings,
    pub compare: Compare,
    pub overwrite: Overwrite,
    pub trust_size_and_time: bool,
    /// `None`: nothing is deleted.
    pub delete: Option<DeleteSettings>,
    /// `None`: the source's is kept.
    pub storage_class: Option<String>,
    /// Classes of the source, and those that are written in their place.
    pub class_map: Vec<(String, String)>,
    /// Whether the destination honours conditions on writes.
    pub conditions: bool,
    pub acl: Option<String>,
    pub sse: Option<Sse>,
    pub tags: bool,
    pub token: bool,
    pub server_side: ServerSideCopy,
    pub multipart_threshold_bytes: u64,
    /// `None`: the layout decides.
    pub part_size_bytes: Option<u64>,
    /// Streams at a time, 1 to 4096.
    pub concurrency: u64,
    /// At least what the streams need.
    /// In a second; `None` is no limit.
    pub bandwidth_bytes: Option<u64>,
    pub memory_budget_bytes: u64,
    /// How often an object that really failed is tried again.
    pub retries: u32,
    /// Bytes a second that a plan reckons with.
    pub rate: Option<Band>,
    /// Thousand-millionths of a dollar for a GiB that leaves the source.
    pub egress_nanodollars: Option<u64>,
    /// Objects of which a plan looks at the ACLs.
    pub acl_sample: u64,
    pub dry_run: bool,
    pub ledger: PathBuf,
    /// Where the failure list is written; `None` for a dry run that names no place.
    pub failures: Option<PathBuf>,
    /// The folder of the run report; `None` for a dry run.
    pub report: Option<PathBuf>,
    pub verbosity: Verbosity,
}

/// One side of the transfer and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SideSettings {
    pub location: Location,
    pub vendor: &'static Vendor,
    /// `None`: the vendor's.
    pub list_version: Option<ListVersion>,
    pub list_encoding: Option<bool>,
    pub checksums: Option<bool>,
    /// The endpoint is a domain of the bucket's own.
    pub bucket_endpoint: bool,
    pub region: Option<String>,
    pub profile: Option<String>,
    /// `None`: the endpoint decides.
    pub path_style: Option<bool>,
    pub anonymous: bool,
    pub requester_pays: bool,
}

/// Which objects take part. The patterns have been checked, alone and together, with [`patterns`],
/// whose [`patterns::set`] compiles them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelectSettings {
    pub include_globs: Vec<String>,
    pub exclude_globs: Vec<String>,
    pub include_regexes: Vec<String>,
    pub exclude_regexes: Vec<String>,
    /// All bounds are inclusive.
    pub min_size: Option<u64>,
    pub max_size: Option<u64>,
    pub modified_after: Option<Millis>,
    pub modified_before: Option<Millis>,
    pub keys_from: Option<PathBuf>,
}

/// What holds deletes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteSettings {
    pub objects_max: u64,
    /// Of the objects that the destination has.
    pub percent_max: u64,
    /// The second flag: delete where nothing can be brought back.
    pub unversioned: bool,
    /// Where the candidates are written; `None` for a dry run that names no place.
    pub manifest: Option<PathBuf>,
}

/// Encryption that the destination is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sse {
    Aes256,
    /// `None`: the bucket's key.
    Kms {
        key_id: Option<String>,
    },
}

/// The word of `--sse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SseMethod {
    Aes256,
    Kms,
}

/// Whether the store copies by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerSideCopy {
    /// Where it can.
    #[default]
    Auto,
    Never,
    /// Or the object fails.
    Always,
}

/// How much is told, and in which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verbosity {
    #[default]
    Normal,
    Json,
    Quiet,
}

impl CopySettings {
    /// Merges the three layers and checks the whole. Of the files the last goes first. Reads and
    /// writes nothing.
    pub fn resolve(
        args: &CopyArgs,
        env: &BTreeMap<String, String>,
        files: &[ConfigFile],
    ) -> Result<Self, UsageError> {
        let layers = layers::Layers::merge(args, env, files)?;
        rules::settings(&layers, env)
    }
}

/// A configuration file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    pub path: PathBuf,
    pub text: String,
}

/// The configuration files that are named, and where: on the command line, or else in the environment,
/// which can name one.
pub fn config_paths(args: &CopyArgs, env: &BTreeMap<String, String>) -> (Vec<PathBuf>, String) {
    let named = &args.state.config;
    if named.is_empty() {
        let path = env.get(layers::CONFIG_VARIABLE).map(PathBuf::from);
        return (
            path.into_iter().collect(),
            format!("the environment, {}", layers::CONFIG_VARIABLE),
        );
    }
    (named.iter().map(PathBuf::from).collect(), "the command line, --config".to_owned())
}

#[cfg(test)]
mod tests;
