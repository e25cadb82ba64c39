//! An upload: a multipart upload that is neither completed nor aborted yet.

use crate::checksum::{Algorithm, Sums};
use crate::content::Content;
use crate::store::Properties;
use s3s::dto::Timestamp;
use std::collections::BTreeMap;

/// A part that was received.
#[derive(Clone, Debug)]
pub(crate) struct UploadedPart {
    pub(crate) content: Content,
    pub(crate) etag: String,
    /// What goes into the composite `ETag`; differs from the `ETag` where that is random.
    pub(crate) sums: Sums,
    pub(crate) modified: Timestamp,
}

#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) properties: Properties,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) initiated: Timestamp,
    /// The checksum that was asked for when it was created.
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) checksum_type: &'static str,
    pub(crate) parts: BTreeMap<u16, UploadedPart>,
}

/// What is remembered of a completed upload, so that its replay can be answered.
#[derive(Clone, Debug)]
pub(crate) struct Completed {
    pub(crate) key: String,
    pub(crate) etag: String,
    pub(crate) version_id: String,
}
