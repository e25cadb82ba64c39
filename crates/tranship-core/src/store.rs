//! The object store port: what the stages ask of a source or a destination.
//!
//! Each call is one request. An implementation retries nothing that carries a body, checks every
//! answer itself, and maps the store's codes to [`ErrorKind`](crate::error::ErrorKind)s.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::body::Body;
use crate::checksum::Checksum;
use crate::error::StoreError;
use crate::layout::Layout;
use crate::loss::Losses;
use crate::object::{
    ByteRange, ETag, Identity, Millis, ObjectKey, PartNumber, UploadId, VersionId,
};
use crate::qetag::Qetag;

/// The class that is none: what is said of no class is of this one.
pub const STANDARD: &str = "STANDARD";

/// What the destination must hold for a write to take effect.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Condition {
    Absent,
    Is(ETag),
}

/// Whether the bytes of a listed object can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// At once, be it that a restored copy lies there.
    Open,
    /// They lie in an archive, and are not restored.
    Archived,
    /// They lie in an archive, and the listing does not say whether they are restored: only a read tells.
    Unsaid,
}

/// A key as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Listed {
    pub key: ObjectKey,
    pub size: u64,
    pub etag: ETag,
    pub modified: Millis,
    /// Amazon's name of it, or the one that was asked for in its place; `None` is the standard class.
    pub storage_class: Option<String>,
    /// By the store's own class, whatever name stands in its place.
    pub reading: Reading,
}

/// What to list: the keys under `prefix` that come after `after`, at most `limit` of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListRequest {
    pub prefix: String,
    /// Exclusive.
    pub after: Option<ObjectKey>,
    /// At most 1,000.
    pub limit: u16,
    /// The store's own continuation, if the page before this one gave one.
    pub continuation: Option<String>,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListPage {
    pub objects: Vec<Listed>,
    /// Whether the listing goes on after this page.
    pub truncated: bool,
    pub continuation: Option<String>,
}

/// Everything about an object that can be carried over, apart from its bytes and tags.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Attributes {
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub content_disposition: Option<String>,
    pub cache_control: Option<String>,
    /// As the store wrote it.
    pub expires: Option<String>,
    pub website_redirect: Option<String>,
    pub storage_class: Option<String>,
    pub user: BTreeMap<String, String>,
}

/// An object as a HEAD or the headers of a GET show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub identity: Identity,
    pub attributes: Attributes,
    pub tag_count: u32,
    /// The store's own checksum over the whole object, if it keeps one that can be composed.
    pub checksum: Option<Checksum>,
    /// The `ETag`, where the store is known to give such ones and it has their form.
    pub qetag: Option<Qetag>,
    /// Whether the store's key management makes the `ETag` opaque.
    pub etag_is_opaque: bool,
    /// Its bytes lie in an archive, and nothing says that they are restored: a read tells for sure.
    pub is_archived: bool,
    /// What of it no other store could be given.
    pub losses: Losses,
    /// Number of parts, where the request named one and the store answered for it.
    pub part_count: Option<u32>,
    /// Size of the answer's bytes: of the part where the request named one.
    pub content_size: u64,
}

/// Which generation of the source a read must come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    pub etag: ETag,
    pub version: Option<VersionId>,
}

impl From<&Identity> for Pin {
    fn from(identity: &Identity) -> Self {
        Self { etag: identity.etag.clone(), version: identity.version.clone() }
    }
}

/// An open read. The adapter has checked status, range, length and `ETag` against the request.
pub struct Read {
    pub head: Head,
    pub body: Body,
    /// Number of bytes in the body.
    pub size: u64,
}

impl std::fmt::Debug for Read {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Read")
            .field("head", &self.head)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// What a whole-object write carries besides its bytes. Encryption, ACL and expected owner are
/// settings of the adapter, the same for every object.
#[derive(Debug, Clone, Default)]
pub struct Write {
    pub attributes: Attributes,
    pub tags: Vec<(String, String)>,
}

/// A whole object in one request.
#[derive(Debug)]
pub struct Put<'a> {
    pub key: &'a ObjectKey,
    pub size: u64,
    pub write: Write,
    /// `None` only where the destination cannot fence.
    pub condition: Option<&'a Condition>,
    /// Known before the bytes: sent as a header, verified by the store.
    pub checksum: Option<Checksum>,
    pub md5: Option<[u8; 16]>,
}

/// What a store answers to a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub etag: ETag,
    pub version: Option<VersionId>,
}

/// A part that lies in an open upload.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Part {
    pub number: PartNumber,
    pub size: u64,
    pub etag: ETag,
    /// What is known of its bytes: ours for a part that we sent, the store's for a listed one.
    pub checksums: Vec<Checksum>,
}

/// One page of the parts of an open upload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartPage {
    pub parts: Vec<Part>,
    pub next: Option<PartNumber>,
}

/// An upload that is neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenUpload {
    pub key: ObjectKey,
    pub upload: UploadId,
    pub initiated: Millis,
    pub initiator: Option<String>,
}

/// What a completion sends.
#[derive(Debug)]
pub struct Completion<'a> {
    pub key: &'a ObjectKey,
    pub upload: &'a UploadId,
    /// All parts, in order.
    pub parts: &'a [(PartNumber, ETag)],
    pub size: u64,
    pub condition: Option<&'a Condition>,
}

/// The source of a server-side copy.
#[derive(Debug)]
pub struct CopySource<'a> {
    pub bucket: &'a str,
    pub key: &'a ObjectKey,
    pub pin: &'a Pin,
}

/// Whether a bucket keeps what is replaced and deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versioning {
    /// It never did.
    Never,
    Enabled,
    /// It did once. What it kept then is still its history, and nothing is kept any more.
    Suspended,
    /// It may not be asked, or does not tell.
    #[default]
    Unknown,
}

/// What a bucket says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BucketFacts {
    pub versioning: Versioning,
    /// Prefixes below which a lifecycle rule ends uploads that nobody completes; `None` where that cannot
    /// be asked.
    pub aborts_below: Option<Vec<String>>,
    pub region: Option<String>,
}

impl BucketFacts {
    /// Whether what is deleted or replaced can be brought back. Who does not know must not rely on it.
    pub fn keeps_versions(&self) -> bool {
        self.versioning == Versioning::Enabled
    }

    /// Whether all uploads of keys with this prefix are ended if nobody completes them.
    pub fn aborts_incomplete_uploads(&self, prefix: &str) -> Option<bool> {
        let below = self.aborts_below.as_ref()?;
        Some(below.iter().any(|rule| prefix.starts_with(rule.as_str())))
    }
}

/// A bucket behind an endpoint.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Whether the bucket is there and may be used, and what it is like.
    async fn bucket(&self) -> Result<BucketFacts, StoreError>;

    async fn list(&self, request: &ListRequest) -> Result<ListPage, StoreError>;

    /// `part`: answer for this part of a multipart object, where the store can.
    async fn head(
        &self,
        key: &ObjectKey,
        version: Option<&VersionId>,
        part: Option<PartNumber>,
    ) -> Result<Head, StoreError>;

    /// `range`: `None` is the whole object. `pin`: `None` takes whichever generation is there.
    async fn get(
        &self,
        key: &ObjectKey,
        range: Option<ByteRange>,
        pin: Option<&Pin>,
    ) -> Result<Read, StoreError>;

    async fn put(&self, put: Put<'_>, body: Body) -> Result<Written, StoreError>;

    /// Copies a whole object on the server's side, at most 5 GiB.
    async fn copy(&self, source: CopySource<'_>, put: Put<'_>) -> Result<Written, StoreError>;

    async fn create_upload(&self, key: &ObjectKey, write: &Write) -> Result<UploadId, StoreError>;

    async fn upload_part(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        number: PartNumber,
        size: u64,
        body: Body,
    ) -> Result<ETag, StoreError>;

    async fn copy_part(
        &self,
        source: CopySource<'_>,
        key: &ObjectKey,
        upload: &UploadId,
        number: PartNumber,
        range: ByteRange,
    ) -> Result<ETag, StoreError>;

    async fn list_parts(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        after: Option<PartNumber>,
    ) -> Result<PartPage, StoreError>;

    /// The open uploads of exactly this key.
    async fn list_uploads(&self, key: &ObjectKey) -> Result<Vec<OpenUpload>, StoreError>;

    async fn complete_upload(&self, completion: Completion<'_>) -> Result<Written, StoreError>;

    async fn abort_upload(&self, key: &ObjectKey, upload: &UploadId) -> Result<(), StoreError>;

    async fn delete(&self, key: &ObjectKey, condition: Option<&ETag>) -> Result<(), StoreError>;

    async fn tags(
        &self,
        key: &ObjectKey,
        version: Option<&VersionId>,
    ) -> Result<Vec<(String, String)>, StoreError>;

    /// Whether objects of the bucket can have grants of their own: not where it has ACLs switched off.
    async fn has_acls(&self) -> Result<bool, StoreError>;

    /// How many grants an object's ACL has besides those of its owner.
    async fn grants(&self, key: &ObjectKey) -> Result<usize, StoreError>;
}

/// The layout that a HEAD of the first part teaches, if it teaches one that S3 can hold.
pub fn layout_of(first_part: &Head, size: u64) -> Option<Layout> {
    Layout::of_source(size, first_part.content_size, first_part.part_count?)
}
