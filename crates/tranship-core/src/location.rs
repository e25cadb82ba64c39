//! Where a side of the transfer is: an endpoint, a bucket and a prefix.
//!
//! A prefix is a string, not a folder: a source key under the source prefix maps to the destination
//! prefix followed by the rest of the key, byte for byte.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::object::{KEY_LENGTH_MAX_BYTES, ObjectKey};

/// A side of the transfer, as the options call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Source,
    Destination,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Destination => "destination",
        })
    }
}

/// One side of the transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// What a person writes before `://`. It names the kind of store, and is no part of the place.
    #[serde(default = "of_s3")]
    pub scheme: String,
    /// Canonical: scheme, host in lower case, port. `None` is Amazon S3 itself.
    pub endpoint: Option<String>,
    pub bucket: String,
    pub prefix: String,
}

fn of_s3() -> String {
    "s3".to_owned()
}

impl Location {
    pub fn new(endpoint: Option<&str>, bucket: &str, prefix: &str) -> Self {
        Self {
            scheme: of_s3(),
            endpoint: endpoint.map(canonical_endpoint),
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        }
    }

    /// The same place, written with the scheme of its kind of store.
    #[must_use]
    pub fn with_scheme(self, scheme: &str) -> Self {
        Self { scheme: scheme.to_owned(), ..self }
    }

    /// `s3://bucket/prefix`, escaped for a person.
    pub fn display(&self) -> String {
        format!("{}://{}/{}", self.scheme, self.bucket, crate::object::escape(&self.prefix))
    }

    fn same_bucket(&self, other: &Self) -> bool {
        self.endpoint == other.endpoint && self.bucket == other.bucket
    }
}

fn canonical_endpoint(endpoint: &str) -> String {
    let lower = endpoint.trim_end_matches('/').to_ascii_lowercase();
    let default_port = if lower.starts_with("https:") { ":443" } else { ":80" };
    lower.strip_suffix(default_port).map_or(lower.clone(), str::to_owned)
}

/// The configured pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    pub source: Location,
    pub destination: Location,
}

/// Why a pair of locations is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    Same,
    SourceInsideDestination,
    DestinationInsideSource,
}

impl Transfer {
    /// The hash of both endpoints, buckets and prefixes, in 32 hexadecimal digits.
    pub fn id(&self) -> String {
        let mut hash = Sha256::new();
        for side in [&self.source, &self.destination] {
            for field in [side.endpoint.as_deref().unwrap_or(""), &side.bucket, &side.prefix] {
                hash.update(field.len().to_le_bytes());
                hash.update(field.as_bytes());
            }
        }
        hex::encode(hash.finalize()).chars().take(32).collect()
    }

    /// A transfer into itself would never end, or would feed on its own output.
    pub fn overlap(&self) -> Option<Overlap> {
        let (source, destination) = (&self.source, &self.destination);
        if !source.same_bucket(destination) {
            return None;
        }
        if source.prefix == destination.prefix {
            return Some(Overlap::Same);
        }
        if source.prefix.starts_with(&destination.prefix) {
            return Some(Overlap::SourceInsideDestination);
        }
        destination.prefix.starts_with(&source.prefix).then_some(Overlap::DestinationInsideSource)
    }

    /// The destination's key for a key of the source; `None` if the key is not under the source
    /// prefix or would be too long at the destination.
    pub fn destination_key(&self, key: &ObjectKey) -> Option<ObjectKey> {
        map(&self.source.prefix, &self.destination.prefix, key)
    }

    /// The prefix at the destination of what lies under a prefix of the source; `None` if that is
    /// not under the source's own.
    pub fn destination_prefix(&self, prefix: &str) -> Option<String> {
        let rest = prefix.strip_prefix(self.source.prefix.as_str())?;
        Some(format!("{}{rest}", self.destination.prefix))
    }

    /// The source's key for a key of the destination.
    pub fn source_key(&self, key: &ObjectKey) -> Option<ObjectKey> {
        map(&self.destination.prefix, &self.source.prefix, key)
    }
}

fn map(from: &str, to: &str, key: &ObjectKey) -> Option<ObjectKey> {
    let mapped = rename(from, to, key)?;
    let length = mapped.as_str().len();
    (length > 0 && length <= KEY_LENGTH_MAX_BYTES).then_some(mapped)
}

/// A key under another prefix, however long it becomes there: good for comparing and for nothing
/// else. `None` if it is not under the first prefix.
pub fn rename(from: &str, to: &str, key: &ObjectKey) -> Option<ObjectKey> {
    let rest = key.as_str().strip_prefix(from)?;
    Some(ObjectKey::new(format!("{to}{rest}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transfer(source: (&str, &str), destination: (&str, &str)) -> Transfer {
        let at = |(bucket, prefix)| Location::new(Some("https://h"), bucket, prefix);
        Transfer { source: at(source), destination: at(destination) }
    }

    #[test]
    fn overlap_is_found_in_both_directions() {
        for (source, destination, overlap) in [
            (("a", ""), ("b", ""), None),
            (("a", "x/"), ("a", "y/"), None),
            (("a", "x/"), ("a", "x/"), Some(Overlap::Same)),
            (("a", "x/y"), ("a", "x/"), Some(Overlap::SourceInsideDestination)),
            (("a", ""), ("a", "copy/"), Some(Overlap::DestinationInsideSource)),
        ] {
            assert_eq!(transfer(source, destination).overlap(), overlap);
        }
    }

    #[test]
    fn a_prefix_is_a_string_and_nothing_is_normalised() {
        let transfer = transfer(("a", "in"), ("b", "out/"));
        for (key, mapped) in [
            ("in//../x", Some("out///../x")),
            ("in", Some("out/")),
            ("index", Some("out/dex")),
            ("other", None),
        ] {
            let got = transfer.destination_key(&ObjectKey::new(key));
            assert_eq!(got.as_ref().map(ObjectKey::as_str), mapped);
            if let Some(got) = got {
                assert_eq!(transfer.source_key(&got), Some(ObjectKey::new(key)));
            }
        }
        assert_eq!(
            transfer.destination_key(&ObjectKey::new(format!("in{}", "k".repeat(1_021)))),
            None
        );
    }

    #[test]
    fn endpoints_are_compared_in_canonical_form() {
        let a = Location::new(Some("HTTPS://Host:443/"), "b", "");
        let b = Location::new(Some("https://host"), "b", "");
        assert_eq!(a, b);
    }
}
