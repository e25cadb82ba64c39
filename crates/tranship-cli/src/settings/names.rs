//! Every option by name, and the words that some of them take.

use tranship_adapters::stores::s3::vendors::ListVersion;
use tranship_core::policy::{Compare, Overwrite};

use super::{ServerSideCopy, SseMethod};

/// What an option holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Switch,
    Value,
    List,
}

/// The options that may also stand in the environment and in a file. `--config` is not among them:
/// it says where the file is.
pub(crate) const OPTIONS: [(&str, Kind); 67] = [
    ("source", Kind::Value),
    ("destination", Kind::Value),
    ("source-endpoint", Kind::Value),
    ("source-internal", Kind::Switch),
    ("source-region", Kind::Value),
    ("source-profile", Kind::Value),
    ("source-path-style", Kind::Switch),
    ("source-bucket-endpoint", Kind::Switch),
    ("source-anonymous", Kind::Switch),
    ("source-requester-pays", Kind::Switch),
    ("source-list-version", Kind::Value),
    ("source-list-encoding", Kind::Switch),
    ("source-checksums", Kind::Switch),
    ("destination-endpoint", Kind::Value),
    ("destination-internal", Kind::Switch),
    ("destination-region", Kind::Value),
    ("destination-profile", Kind::Value),
    ("destination-path-style", Kind::Switch),
    ("destination-bucket-endpoint", Kind::Switch),
    ("destination-anonymous", Kind::Switch),
    ("destination-requester-pays", Kind::Switch),
    ("destination-list-version", Kind::Value),
    ("destination-list-encoding", Kind::Switch),
    ("destination-checksums", Kind::Switch),
    ("destination-conditions", Kind::Switch),
    ("expected-bucket-owner", Kind::Value),
    ("include", Kind::List),
    ("exclude", Kind::List),
    ("include-regex", Kind::List),
    ("exclude-regex", Kind::List),
    ("min-size", Kind::Value),
    ("max-size", Kind::Value),
    ("modified-after", Kind::Value),
    ("modified-before", Kind::Value),
    ("keys-from", Kind::Value),
    ("compare", Kind::Value),
    ("overwrite", Kind::Value),
    ("trust", Kind::Value),
    ("delete", Kind::Switch),
    ("delete-max", Kind::Value),
    ("delete-max-ratio", Kind::Value),
    ("delete-unversioned", Kind::Switch),
    ("delete-manifest", Kind::Value),
    ("storage-class", Kind::Value),
    ("map-storage-class", Kind::List),
    ("acl", Kind::Value),
    ("sse", Kind::Value),
    ("sse-kms-key-id", Kind::Value),
    ("no-tags", Kind::Switch),
    ("no-token", Kind::Switch),
    ("multipart-threshold", Kind::Value),
    ("part-size", Kind::Value),
    ("concurrency", Kind::Value),
    ("bandwidth", Kind::Value),
    ("memory-budget", Kind::Value),
    ("server-side", Kind::Value),
    ("retries", Kind::Value),
    ("rate", Kind::Value),
    ("egress-price", Kind::Value),
    ("acl-sample", Kind::Value),
    ("dry-run", Kind::Switch),
    ("ledger", Kind::Value),
    ("failures", Kind::Value),
    ("report", Kind::Value),
    ("ca-bundle", Kind::Value),
    ("json", Kind::Switch),
    ("quiet", Kind::Switch),
];

pub(crate) const COMPARE: [(&str, Compare); 5] = [
    ("etag", Compare::ETag),
    ("size", Compare::Size),
    ("size+time", Compare::SizeAndTime),
    ("metadata", Compare::Metadata),
    ("always", Compare::Always),
];

pub(crate) const OVERWRITE: [(&str, Overwrite); 3] =
    [("always", Overwrite::Always), ("never", Overwrite::Never), ("newer", Overwrite::Newer)];

pub(crate) const LIST_VERSIONS: [(&str, ListVersion); 2] = ListVersion::WORDS;

pub(crate) const TRUST: [(&str, ()); 1] = [("size+time", ())];

pub(crate) const SERVER_SIDE: [(&str, ServerSideCopy); 3] = [
    ("auto", ServerSideCopy::Auto),
    ("never", ServerSideCopy::Never),
    ("always", ServerSideCopy::Always),
];

pub(crate) const SSE: [(&str, SseMethod); 2] =
    [("aws:kms", SseMethod::Kms), ("AES256", SseMethod::Aes256)];

pub(crate) const ACLS: [(&str, &str); 7] = [
    ("private", "private"),
    ("public-read", "public-read"),
    ("public-read-write", "public-read-write"),
    ("authenticated-read", "authenticated-read"),
    ("aws-exec-read", "aws-exec-read"),
    ("bucket-owner-read", "bucket-owner-read"),
    ("bucket-owner-full-control", "bucket-owner-full-control"),
];

/// The words alone, as clap wants them.
pub(crate) fn names<T, const N: usize>(choices: [(&'static str, T); N]) -> [&'static str; N] {
    choices.map(|(name, _)| name)
}

/// Whether an option is written without a name on the command line.
pub(crate) fn is_positional(option: &str) -> bool {
    matches!(option, "source" | "destination")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::CopyArgs;

    #[test]
    fn every_argument_is_an_option_of_the_environment_and_the_file() {
        let serde_json::Value::Object(fields) = serde_json::to_value(CopyArgs::default()).unwrap()
        else {
            panic!("arguments are an object");
        };
        let mut arguments: Vec<&str> =
            fields.keys().map(String::as_str).filter(|name| *name != "config").collect();
        let mut options: Vec<&str> = OPTIONS.iter().map(|(name, _)| *name).collect();
        arguments.sort_unstable();
        options.sort_unstable();
        assert_eq!(arguments, options);
    }
}
