//! An object: one version of a key, with everything that a HEAD tells about it.

use crate::checksum::Sums;
use crate::content::Content;
use s3s::dto::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a client sets along with an object and gets back from GET and HEAD.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub content_disposition: Option<String>,
    pub cache_control: Option<String>,
    pub expires: Option<Timestamp>,
    pub website_redirect_location: Option<String>,
    pub storage_class: Option<String>,
    pub server_side_encryption: Option<String>,
    pub kms_key_id: Option<String>,
    pub bucket_key_enabled: Option<bool>,
    pub metadata: BTreeMap<String, String>,
}

/// A finished part of an object that came by multipart upload.
#[derive(Clone, Debug)]
pub struct ObjectPart {
    pub number: u16,
    pub size: u64,
    pub sums: Sums,
}

/// How an object came to be, where a store tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Written in one piece or by multipart upload.
    #[default]
    Plain,
    /// Grown by appending.
    Appendable,
    /// A name for another key of the same bucket.
    Symlink { goal: String },
}

/// The archive classes of Amazon S3.
pub(crate) const ARCHIVE_CLASSES: &[&str] = &["GLACIER", "DEEP_ARCHIVE"];

/// One version of a key.
#[derive(Clone, Debug)]
pub struct Object {
    /// `null` unless the bucket's versioning was enabled when it was written.
    pub version_id: String,
    pub content: Content,
    pub etag: String,
    /// Empty unless it came by multipart upload.
    pub parts: Vec<ObjectPart>,
    pub sums: Sums,
    /// `FULL_OBJECT` or `COMPOSITE`.
    pub checksum_type: &'static str,
    pub properties: Properties,
    pub tags: Vec<(String, String)>,
    /// Whom its ACL grants to read it, besides its owner: canonical users by their ids, groups by their URIs.
    pub readers: Vec<String>,
    pub modified: Timestamp,
    /// Until when an archived object is restored.
    pub restored_until: Option<Timestamp>,
    pub form: Form,
    /// Whether the vendor's own checksum of the whole is there; it is not on objects from before it had one.
    pub has_vendor_checksum: bool,
    /// Whether listings do not show it yet, as where they are only eventually consistent.
    pub is_unlisted: bool,
    /// A number that grows with every write to the store.
    pub generation: u64,
    pub(crate) archive_classes: &'static [&'static str],
}

impl Object {
    pub fn size(&self) -> u64 {
        self.content.len()
    }

    /// Whether its bytes lie in an archive and are not restored.
    pub fn is_archived(&self) -> bool {
        self.in_archive_class() && self.restored_until.is_none()
    }

    pub(crate) fn in_archive_class(&self) -> bool {
        let class = self.properties.storage_class.as_deref();
        class.is_some_and(|class| self.archive_classes.contains(&class))
    }

    /// The byte range of a part. An object that came in one piece is its own part 1.
    pub(crate) fn part_range(&self, number: u32) -> Option<std::ops::Range<u64>> {
        if self.parts.is_empty() {
            return (number == 1).then(|| 0..self.size());
        }
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        let part = self.parts.get(index)?;
        let start = self.parts.iter().take(index).map(|part| part.size).sum();
        Some(start..start + part.size)
    }
}

/// What a key's history consists of.
#[derive(Clone, Debug)]
pub(crate) enum Version {
    Object(Arc<Object>),
    DeleteMarker { version_id: String, modified: Timestamp },
}

impl Version {
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Object(object) => &object.version_id,
            Self::DeleteMarker { version_id, .. } => version_id,
        }
    }

    pub(crate) fn object(&self) -> Option<&Arc<Object>> {
        match self {
            Self::Object(object) => Some(object),
            Self::DeleteMarker { .. } => None,
        }
    }
}
