//! What `tranship verify` needs to know: the part of the settings of `copy` that it shares, and its
//! own options.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tranship_core::location::Transfer;

use super::layers::Layers;
use super::{ConfigFile, SelectSettings, SideSettings, Sse, Verbosity, places, rules};
use crate::args::VerifyArgs;
use crate::usage::UsageError;

/// Everything that `tranship verify` needs to know.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch, named at every use")]
pub struct VerifySettings {
    pub source: SideSettings,
    pub destination: SideSettings,
    pub transfer: Transfer,
    pub expected_bucket_owner: Option<String>,
    /// Whether a copy would rely on the destination's conditions.
    pub conditions: bool,
    /// How a copy would write: the canned ACL, the encryption, and whether with tags.
    pub acl: Option<String>,
    pub sse: Option<Sse>,
    pub tags: bool,
    pub ca_bundle: Option<PathBuf>,
    pub select: SelectSettings,
    pub deep: bool,
    pub ignore_extra: bool,
    /// The folder of the report.
    pub report: Option<PathBuf>,
    /// Requests for objects at a time.
    pub concurrency: u64,
    pub verbosity: Verbosity,
}

impl VerifySettings {
    /// Merges the three layers and checks the whole. Reads and writes nothing.
    pub fn resolve(
        args: &VerifyArgs,
        env: &BTreeMap<String, String>,
        files: &[ConfigFile],
    ) -> Result<Self, UsageError> {
        let layers = Layers::merge(&args.as_copy(), env, files)?;
        let source = places::read(&layers, "source")?;
        let destination = places::read(&layers, "destination")?;
        places::check_overlap(&layers, &source, &destination)?;
        let transfer =
            Transfer { source: source.location.clone(), destination: destination.location.clone() };
        let (concurrency, _) = rules::memory(&layers)?;
        Ok(Self {
            transfer,
            expected_bucket_owner: rules::owner(&layers, &destination)?,
            conditions: rules::conditions(&layers, &destination)?,
            acl: rules::acl(&layers)?,
            sse: rules::sse(&layers, &destination)?,
            tags: !layers.is_on("no-tags")? && destination.vendor.quirks.tags,
            ca_bundle: layers.text("ca-bundle").map(PathBuf::from),
            // A list of keys is of one copy; both sides are listed whole.
            select: SelectSettings { keys_from: None, ..rules::select(&layers)? },
            deep: args.deep,
            ignore_extra: args.ignore_extra,
            report: args.report.as_deref().map(PathBuf::from),
            concurrency,
            verbosity: rules::verbosity(&layers)?,
            source,
            destination,
        })
    }
}
