//! The store: all buckets of one server, open to its S3 front and, directly, to tests.

mod bucket;
mod object;
mod upload;

pub use bucket::{BucketSettings, Versioning};
pub use object::{Form, Object, ObjectPart, Properties};

pub(crate) use bucket::{Bucket, no_such_key};
pub(crate) use object::{ARCHIVE_CLASSES, Version};
pub(crate) use upload::{Completed, Upload, UploadedPart};

use crate::checksum::{Algorithm, Hashed, Hasher, Sums, compose_etag};
use crate::clock;
use crate::content::{Content, mix};
use crate::formula::{Formula, Formulated, fast_etag};
use crate::options::{Backend, EtagMode};
use crate::qetag;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use s3s::dto::ChecksumType;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An upload that is still open, as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenUpload {
    pub key: String,
    pub upload_id: String,
    pub part_numbers: Vec<u16>,
}

/// All buckets. Reads and writes by tests pass no conditions, faults or permissions.
pub struct Store {
    buckets: Mutex<BTreeMap<String, Bucket>>,
    backend: Backend,
    etags: EtagMode,
    /// The storage classes whose bytes have to be restored before they can be read.
    archive_classes: &'static [&'static str],
    serial: AtomicU64,
    generations: AtomicU64,
    received: AtomicU64,
    sent: Arc<AtomicU64>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    pub(crate) fn new(
        backend: Backend,
        etags: EtagMode,
        archive_classes: &'static [&'static str],
    ) -> Self {
        Self {
            buckets: Mutex::default(),
            backend,
            etags,
            archive_classes,
            serial: AtomicU64::new(1),
            generations: AtomicU64::new(1),
            received: AtomicU64::new(0),
            sent: Arc::default(),
        }
    }

    /// Makes an empty bucket on the server's default back end; an existing one stays as it is.
    pub fn create_bucket(&self, bucket: &str) {
        self.create_bucket_on(bucket, self.backend);
    }

    /// Makes an empty bucket on this back end; an existing one stays as it is.
    pub fn create_bucket_on(&self, bucket: &str, backend: Backend) {
        self.lock().entry(bucket.to_owned()).or_insert_with(|| Bucket::new(backend, clock::now()));
    }

    /// Makes a bucket whose objects exist by formula; what is written to it is thrown away as `backend` says.
    pub fn create_synthetic_bucket(&self, bucket: &str, formula: Formula, backend: Backend) {
        let mut made = Bucket::new(backend, clock::now());
        made.formula = Some(Arc::new(Formulated::new(formula)));
        self.lock().insert(bucket.to_owned(), made);
    }

    /// Changes the settings of a bucket.
    pub fn configure(&self, bucket: &str, change: impl FnOnce(&mut BucketSettings)) {
        if let Some(bucket) = self.lock().get_mut(bucket) {
            change(&mut bucket.settings);
        }
    }

    /// Writes an object in one piece and returns its `ETag`. A missing bucket is made.
    pub fn put(&self, bucket: &str, key: &str, bytes: impl Into<Bytes>) -> String {
        self.put_with(bucket, key, bytes, Properties::default(), Vec::new())
    }

    /// The same with properties and tags.
    pub fn put_with(
        &self,
        bucket: &str,
        key: &str,
        bytes: impl Into<Bytes>,
        properties: Properties,
        tags: Vec<(String, String)>,
    ) -> String {
        let bytes = bytes.into();
        let mut hasher = self.hasher(true, &[Algorithm::Crc64Nvme]);
        hasher.update(&bytes);
        let hashed = hasher.finish();
        let mut object = self.new_object(Content::from(bytes), properties, tags);
        object.etag = self.etag_of(&hashed);
        object.sums = hashed.sums;
        self.insert(bucket, key, object)
    }

    /// Writes an object as a multipart upload of these parts would, of any size each.
    pub fn put_multipart(&self, bucket: &str, key: &str, parts: Vec<Bytes>) -> String {
        let mut digests = Vec::new();
        let mut rows = Vec::new();
        for (number, part) in (1..).zip(&parts) {
            let mut hasher = self.hasher(true, &[Algorithm::Crc64Nvme]);
            hasher.update(part);
            let hashed = hasher.finish();
            let md5 = hex::encode(hashed.md5.unwrap_or_default());
            digests.push((hashed.qetag.unwrap_or(md5), hashed.length));
            rows.push(ObjectPart { number, size: hashed.length, sums: hashed.sums });
        }
        let content = Content::Kept(parts.into());
        let mut object = self.new_object(content, Properties::default(), Vec::new());
        object.etag =
            self.whole_etag(digests.iter().map(|(digest, size)| (digest.as_str(), *size)));
        let whole = crate::checksum::combine(
            Algorithm::Crc64Nvme,
            rows.iter().map(|part| (part.sums.get(Algorithm::Crc64Nvme), part.size)),
        );
        object.sums.set(Algorithm::Crc64Nvme, whole);
        object.parts = rows;
        self.insert(bucket, key, object)
    }

    fn insert(&self, bucket: &str, key: &str, object: Object) -> String {
        self.create_bucket(bucket);
        let etag = object.etag.clone();
        let id = self.fresh_id();
        if let Some(bucket) = self.lock().get_mut(bucket) {
            bucket.write(key, object, id);
        }
        etag
    }

    /// The object that a GET of the key would answer with.
    pub fn get(&self, bucket: &str, key: &str) -> Option<Arc<Object>> {
        self.lock().get(bucket)?.current(key)
    }

    /// The bytes that a GET of the key would answer with.
    pub fn read(&self, bucket: &str, key: &str) -> Option<Bytes> {
        self.get(bucket, key)?.content.read()
    }

    /// All keys that a listing would show. Not for buckets of a billion keys.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let buckets = self.lock();
        let Some(bucket) = buckets.get(bucket) else {
            return Vec::new();
        };
        bucket
            .walk(Bound::Unbounded)
            .filter(|(_, entry)| entry.is_listed())
            .map(|(key, _)| key)
            .collect()
    }

    /// Deletes as a DELETE without version id would.
    pub fn delete(&self, bucket: &str, key: &str) {
        let id = self.fresh_id();
        if let Some(bucket) = self.lock().get_mut(bucket) {
            bucket.delete(key, id, clock::now());
        }
    }

    /// Writes an object that grows by appending; OSS and COS have such.
    pub fn put_appendable(&self, bucket: &str, key: &str, bytes: impl Into<Bytes>) -> String {
        let mut object =
            self.new_object(Content::from(bytes.into()), Properties::default(), Vec::new());
        object.etag = self.etag(None, 0);
        object.form = Form::Appendable;
        self.insert(bucket, key, object)
    }

    /// Writes a symbolic link to another key of the bucket, which need not exist; OSS has such.
    pub fn put_symlink(&self, bucket: &str, key: &str, goal: &str, properties: Properties) {
        let mut object = self.new_object(Content::from(Bytes::new()), properties, Vec::new());
        object.etag = self.etag(None, 0);
        object.form = Form::Symlink { goal: goal.to_owned() };
        self.insert(bucket, key, object);
    }

    /// Writes an object in this storage class, by whatever name the vendor has for it.
    pub fn put_in_class(&self, bucket: &str, key: &str, bytes: impl Into<Bytes>, class: &str) {
        let properties =
            Properties { storage_class: Some(class.to_owned()), ..Properties::default() };
        self.put_with(bucket, key, bytes, properties, Vec::new());
    }

    /// Restores an archived object until then; says whether there was one.
    pub fn restore(&self, bucket: &str, key: &str, seconds_after_epoch: u64) -> bool {
        self.change(bucket, key, |object| {
            object.restored_until = Some(clock::at(seconds_after_epoch));
        })
    }

    /// Changes an object in place, e.g. its tags, `ETag`, storage class or time; says whether there was one.
    pub fn change(&self, bucket: &str, key: &str, change: impl FnOnce(&mut Object)) -> bool {
        let mut buckets = self.lock();
        let Some(bucket) = buckets.get_mut(bucket) else {
            return false;
        };
        let Some(object) = bucket.current(key) else {
            return false;
        };
        bucket.amend(key, &object.version_id, change)
    }

    /// The versions of a key, delete markers included.
    pub fn count_versions(&self, bucket: &str, key: &str) -> usize {
        self.lock().get(bucket).and_then(|bucket| bucket.keys.get(key)).map_or(0, Vec::len)
    }

    /// How many times an object was written to a key, by whatever operation.
    pub fn count_writes(&self, bucket: &str, key: &str) -> u64 {
        self.lock()
            .get(bucket)
            .and_then(|bucket| bucket.writes.get(key))
            .copied()
            .unwrap_or_default()
    }

    /// All uploads of a bucket that are neither completed nor aborted.
    pub fn open_uploads(&self, bucket: &str) -> Vec<OpenUpload> {
        let buckets = self.lock();
        let uploads = buckets.get(bucket).into_iter().flat_map(|it| &it.uploads);
        uploads
            .map(|((key, upload_id), upload)| OpenUpload {
                key: key.clone(),
                upload_id: upload_id.clone(),
                part_numbers: upload.parts.keys().copied().collect(),
            })
            .collect()
    }

    /// Dates an upload back, so that it looks abandoned.
    pub fn backdate_upload(&self, bucket: &str, upload_id: &str, seconds_after_epoch: u64) {
        if let Some(bucket) = self.lock().get_mut(bucket) {
            for ((_, id), upload) in &mut bucket.uploads {
                if id == upload_id {
                    upload.initiated = clock::at(seconds_after_epoch);
                }
            }
        }
    }

    /// Aborts an upload as a lifecycle rule would; says whether it was open.
    pub fn abort_upload(&self, bucket: &str, upload_id: &str) -> bool {
        let mut buckets = self.lock();
        let Some(bucket) = buckets.get_mut(bucket) else {
            return false;
        };
        let before = bucket.uploads.len();
        bucket.uploads.retain(|(_, id), _| id != upload_id);
        bucket.uploads.len() < before
    }

    /// The bytes of all bodies that were received over HTTP and hashed or kept.
    pub fn bytes_received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// The bytes of all objects that answers to GETs took up so far; a client that hung up has not read the last
    /// of them.
    pub fn bytes_sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn sent(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.sent)
    }

    pub(crate) fn count_received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The object that a request for this version, or for the newest one, would find.
    pub(crate) fn find(&self, bucket: &str, key: &str, id: Option<&str>) -> Option<Arc<Object>> {
        self.lock().get(bucket)?.lookup(key, id).ok()
    }

    /// The id of the version with this number among all writes.
    pub(crate) fn version_of(&self, bucket: &str, key: &str, generation: u64) -> Option<String> {
        let buckets = self.lock();
        let history = buckets.get(bucket)?.keys.get(key)?;
        let mut objects = history.iter().filter_map(Version::object);
        let found = objects.find(|object| object.generation == generation)?;
        Some(found.version_id.clone())
    }

    /// Whether versioning was ever turned on for this bucket.
    /// Whether requests that read need no signature.
    pub(crate) fn is_public(&self, bucket: &str) -> bool {
        self.lock().get(bucket).is_some_and(|bucket| bucket.settings.public)
    }

    pub(crate) fn is_versioned(&self, bucket: &str) -> bool {
        self.lock().get(bucket).is_some_and(Bucket::is_versioned)
    }

    /// A number that grows with every write: the time in microseconds, as far as a counter can tell it.
    fn generation(&self) -> u64 {
        let count = self.generations.fetch_add(1, Ordering::Relaxed);
        clock::seconds(&clock::now()) * 1_000_000 + count % 1_000_000
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An id that was never given out before; later ids sort after earlier ones.
    pub(crate) fn fresh_id(&self) -> String {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let mut state = serial;
        format!("{serial:012x}{:016x}", mix(&mut state))
    }

    /// Hashes what an `ETag` is made of here, if that is wanted, and checksums.
    pub(crate) fn hasher(&self, of_etag: bool, algorithms: &[Algorithm]) -> Hasher {
        let hasher = Hasher::new(of_etag, algorithms);
        if of_etag && self.etags == EtagMode::Qetag { hasher.with_qetag() } else { hasher }
    }

    /// The `ETag` of what came in one piece.
    pub(crate) fn etag_of(&self, hashed: &Hashed) -> String {
        hashed.qetag.clone().unwrap_or_else(|| self.etag(hashed.md5, 0))
    }

    /// The `ETag` for an MD5, or another where the mode has none of it.
    pub(crate) fn etag(&self, md5: Option<[u8; 16]>, parts: usize) -> String {
        let hashed = md5.filter(|_| self.etags.hashes()).map(hex::encode);
        if self.etags == EtagMode::Md5OrOpaque && hashed.is_none() {
            let mut state = !self.serial.fetch_add(1, Ordering::Relaxed);
            return format!("-{}=", URL_SAFE_NO_PAD.encode(mix(&mut state).to_be_bytes()));
        }
        let etag = hashed
            .unwrap_or_else(|| fast_etag(!self.serial.fetch_add(1, Ordering::Relaxed), parts));
        if self.etags == EtagMode::UpperMd5 { etag.to_uppercase() } else { etag }
    }

    /// The `ETag` of an object that was put together from parts with these, and of these sizes.
    pub(crate) fn whole_etag<'a>(&self, parts: impl IntoIterator<Item = (&'a str, u64)>) -> String {
        match self.etags {
            EtagMode::Md5 => compose_etag(parts.into_iter().map(|(etag, _)| etag)),
            EtagMode::Qetag => qetag::of_parts(parts),
            _ => self.etag(None, parts.into_iter().count()),
        }
    }

    /// An object of now, without `ETag` or checksums yet.
    pub(crate) fn new_object(
        &self,
        content: Content,
        mut properties: Properties,
        tags: Vec<(String, String)>,
    ) -> Object {
        if self.etags == EtagMode::Random && properties.server_side_encryption.is_none() {
            properties.server_side_encryption = Some("aws:kms".to_owned());
        }
        Object {
            version_id: "null".to_owned(),
            content,
            etag: String::new(),
            parts: Vec::new(),
            sums: Sums::default(),
            checksum_type: ChecksumType::FULL_OBJECT,
            properties,
            tags,
            readers: Vec::new(),
            modified: clock::now(),
            restored_until: None,
            form: Form::Plain,
            has_vendor_checksum: true,
            is_unlisted: false,
            generation: self.generation(),
            archive_classes: self.archive_classes,
        }
    }
}

/// What a request wants of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    List,
    Read,
    Write,
    Delete,
    Tagging,
    Acl,
    Manage,
}

/// What a request tells about itself at the door of a bucket.
pub(crate) struct Caller<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) expected_owner: Option<&'a str>,
    pub(crate) pays: bool,
}

/// Finds the bucket and checks that the caller may do this to it.
pub(crate) fn enter<'a>(
    buckets: &'a mut BTreeMap<String, Bucket>,
    caller: &Caller<'_>,
    access: Access,
) -> S3Result<&'a mut Bucket> {
    let bucket = buckets
        .get_mut(caller.bucket)
        .ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))?;
    let settings = &bucket.settings;
    let denied = match access {
        Access::List => settings.deny_list,
        Access::Read => settings.deny_read,
        Access::Write => settings.deny_write,
        Access::Delete => settings.deny_delete,
        Access::Tagging => settings.deny_tagging,
        Access::Acl => settings.deny_acl,
        Access::Manage => false,
    };
    let foreign = match (&settings.owner, caller.expected_owner) {
        (Some(owner), Some(expected)) => owner != expected,
        _ => false,
    };
    let unpaid = settings.requester_pays && !caller.pays && access != Access::Manage;
    if denied || foreign || unpaid {
        return Err(s3_error!(AccessDenied, "Access Denied"));
    }
    Ok(bucket)
}

/// An error whose code the library does not know.
pub(crate) fn custom_error(code: &str, status: http::StatusCode, message: &str) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::Custom(code.into()));
    error.set_status_code(status);
    error.set_message(message.to_owned());
    error
}
