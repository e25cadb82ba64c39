//! A bucket in memory: for simulations, and the plainest reading of the object store port.
//!
//! It keeps no versions. Its answers are those of Amazon S3 as the S3 adapter reads them: the same
//! kinds of errors in the same order of checks.

mod object;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tranship_core::body::{Body, full};
use tranship_core::checksum::{Algorithm, Checksum};
use tranship_core::error::{ErrorKind, StoreError};
use tranship_core::object::{
    ByteRange, ETag, KEY_LENGTH_MAX_BYTES, ObjectKey, PART_SIZE_MIN_BYTES, PartNumber, UploadId,
    VersionId,
};
use tranship_core::ports::Clock;
use tranship_core::room::MetadataRoom;
use tranship_core::store::{
    BucketFacts, Completion, Condition, CopySource, Head, ListPage, ListRequest, Listed,
    ObjectStore, OpenUpload, Part, PartPage, Pin, Put, Read, Reading, Write, Written,
};

pub use object::{Digests, Object};
use object::{Piece, Upload, assemble, length, receive};

/// What S3 puts into one page at most.
const PAGE_MAX: usize = 1_000;

/// A visible change of a key: what lay there, and what lies there now.
#[derive(Debug)]
pub struct Change<'a> {
    pub key: &'a ObjectKey,
    pub before: Option<&'a Arc<Object>>,
    pub after: Option<&'a Arc<Object>>,
}

type Observer = Box<dyn Fn(&Change<'_>) + Send + Sync>;

/// A bucket that lives as long as the process.
pub struct MemoryStore {
    name: String,
    clock: Arc<dyn Clock>,
    digests: Arc<Digests>,
    page_max: usize,
    etags_are_opaque: bool,
    readable: Vec<Arc<MemoryStore>>,
    denied: Option<String>,
    observer: Option<Observer>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<ObjectKey, Arc<Object>>,
    uploads: BTreeMap<(ObjectKey, String), Upload>,
    /// Of the newest upload or opaque `ETag`.
    serial: u64,
    /// ACLs are switched off for the whole bucket.
    acls_are_off: bool,
}

impl State {
    fn next(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A call, for its errors.
struct Call<'a>(&'static str, &'a str);

impl Call<'_> {
    fn error(&self, kind: ErrorKind, message: impl Into<String>) -> StoreError {
        let key = tranship_core::object::escape(self.1);
        StoreError::new(kind, format!("{} {key}", self.0), message)
    }

    fn no_such_upload(&self) -> StoreError {
        self.error(ErrorKind::NoSuchUpload, "the upload was completed or aborted, or never was")
    }
}

impl MemoryStore {
    /// An empty bucket.
    pub fn new(name: &str, clock: Arc<dyn Clock>) -> Self {
        Self {
            name: name.to_owned(),
            clock,
            digests: Arc::default(),
            page_max: PAGE_MAX,
            etags_are_opaque: false,
            readable: Vec::new(),
            denied: None,
            observer: None,
            state: Mutex::default(),
        }
    }

    /// Shares what is known of bytes with other stores.
    #[must_use]
    pub fn with_digests(mut self, digests: Arc<Digests>) -> Self {
        self.digests = digests;
        self
    }

    /// Pages shorter than asked for, as a store may answer.
    #[must_use]
    pub fn with_pages_of(mut self, page_max: usize) -> Self {
        self.page_max = page_max.clamp(1, PAGE_MAX);
        self
    }

    /// `ETag`s that say nothing about the bytes, as under a key management service.
    #[must_use]
    pub fn with_opaque_etags(mut self) -> Self {
        self.etags_are_opaque = true;
        self
    }

    /// Another bucket that server-side copies may read.
    #[must_use]
    pub fn reading(mut self, other: Arc<Self>) -> Self {
        self.readable.push(other);
        self
    }

    /// Keys that begin so are neither written nor looked at, as under a policy that denies them.
    #[must_use]
    pub fn denying(mut self, prefix: &str) -> Self {
        self.denied = Some(prefix.to_owned());
        self
    }

    /// Is told of every visible change, in order, while it happens. It must not call the store.
    #[must_use]
    pub fn observed(mut self, observer: impl Fn(&Change<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// What lies at a key now.
    pub fn object(&self, key: &ObjectKey) -> Option<Arc<Object>> {
        self.state().objects.get(key).cloned()
    }

    pub fn keys(&self) -> Vec<ObjectKey> {
        self.state().objects.keys().cloned().collect()
    }

    /// Gives an object, if it is there, so many grants besides its owner's.
    pub fn grant(&self, key: &ObjectKey, grants: usize) {
        if let Some(object) = self.state().objects.get_mut(key) {
            Arc::make_mut(object).grants = grants;
        }
    }

    /// From now on nobody's grants count, as in a bucket whose owner owns every object.
    pub fn switch_acls_off(&self) {
        self.state().acls_are_off = true;
    }

    /// All uploads that are neither completed nor aborted.
    pub fn open_uploads(&self) -> Vec<(ObjectKey, UploadId)> {
        let state = self.state();
        state.uploads.keys().map(|(key, id)| (key.clone(), UploadId(id.clone()))).collect()
    }

    fn admit(&self, call: &Call<'_>, key: &ObjectKey) -> Result<(), StoreError> {
        match &self.denied {
            Some(prefix) if key.as_str().starts_with(prefix) => {
                Err(call.error(ErrorKind::Denied, "a policy denies it"))
            }
            _ => Ok(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn piece(&self, bytes: Bytes) -> Piece {
        let (md5, crc64) = self.digests.of(&bytes);
        let etag = if self.etags_are_opaque { self.opaque(None) } else { md5.clone() };
        Piece { bytes, md5, crc64, etag }
    }

    fn opaque(&self, parts: Option<usize>) -> ETag {
        let serial = self.state().next();
        let parts = parts.map(|parts| format!("-{parts}")).unwrap_or_default();
        ETag::new(&format!("{serial:032x}{parts}"))
    }

    /// The generation that a read asks for.
    fn find(
        &self,
        call: &Call<'_>,
        key: &ObjectKey,
        pin: Option<&Pin>,
    ) -> Result<Arc<Object>, StoreError> {
        let object = self.object(key);
        let object = object.ok_or_else(|| call.error(ErrorKind::NoSuchKey, "there is no key"))?;
        if pin.and_then(|pin| pin.version.as_ref()).is_some_and(|version| version.0 != "null") {
            return Err(call.error(ErrorKind::NotFound, "there is no such version"));
        }
        if pin.is_some_and(|pin| pin.etag != object.etag) {
            return Err(call.error(ErrorKind::PreconditionFailed, "the object has another ETag"));
        }
        if object.is_archived() {
            return Err(call.error(ErrorKind::Archived, "the object lies in an archive"));
        }
        Ok(object)
    }

    fn copied(&self, call: &Call<'_>, source: &CopySource<'_>) -> Result<Arc<Object>, StoreError> {
        let others = self.readable.iter().map(|other| &**other);
        let store = std::iter::once(self).chain(others).find(|store| store.name == source.bucket);
        let Some(store) = store else {
            return Err(call.error(ErrorKind::NoSuchBucket, "there is no such source bucket"));
        };
        store.find(call, source.key, Some(source.pin))
    }

    /// Makes an object visible, if the condition holds at this very moment.
    fn store(
        &self,
        call: &Call<'_>,
        key: &ObjectKey,
        condition: Option<&Condition>,
        object: Object,
        upload: Option<&UploadId>,
    ) -> Result<Written, StoreError> {
        let mut state = self.state();
        let row = upload.map(|upload| (key.clone(), upload.0.clone()));
        if row.as_ref().is_some_and(|row| !state.uploads.contains_key(row)) {
            return Err(call.no_such_upload());
        }
        check(call, condition, state.objects.get(key))?;
        if let Some(row) = row {
            state.uploads.remove(&row);
        }
        let written = Written { etag: object.etag.clone(), version: None };
        let after = Arc::new(object);
        let before = state.objects.insert(key.clone(), after.clone());
        self.tell(&Change { key, before: before.as_ref(), after: Some(&after) });
        Ok(written)
    }

    fn tell(&self, change: &Change<'_>) {
        if let Some(observer) = &self.observer {
            observer(change);
        }
    }

    /// A whole object of one piece.
    fn whole(&self, piece: Piece, write: &Write) -> Object {
        let mut object = assemble(&[&piece], write, self.clock.now());
        object.etag = piece.etag;
        object.etag_is_opaque = self.etags_are_opaque;
        object.part_sizes = Vec::new();
        object
    }

    async fn received(&self, call: &Call<'_>, body: Body, size: u64) -> Result<Piece, StoreError> {
        let bytes = receive(body, size).await;
        bytes.map(|b| self.piece(b)).map_err(|text| call.error(ErrorKind::Unavailable, text))
    }

    /// The object that an upload's parts make, as they are named.
    fn assembled(
        &self,
        call: &Call<'_>,
        completion: &Completion<'_>,
    ) -> Result<Object, StoreError> {
        let row = (completion.key.clone(), completion.upload.0.clone());
        let upload = self.state().uploads.get(&row).cloned();
        let upload = upload.ok_or_else(|| call.no_such_upload())?;
        let mut chosen = Vec::with_capacity(completion.parts.len());
        let mut last = None;
        for (number, etag) in completion.parts {
            let part = upload.parts.get(number).filter(|part| part.etag == *etag);
            let part = part.filter(|_| last.is_none_or(|last| last < *number));
            last = Some(*number);
            chosen.push(part.ok_or_else(|| {
                call.error(ErrorKind::InvalidPart, format!("part {} is not there so", number.get()))
            })?);
        }
        let small = |part: &&Piece| length(&part.bytes) < PART_SIZE_MIN_BYTES;
        let size: u64 = chosen.iter().map(|part| length(&part.bytes)).sum();
        if chosen.is_empty() || chosen.iter().rev().skip(1).any(small) || size != completion.size {
            let text = "there are no parts, one is too small, or the size is another";
            return Err(call.error(ErrorKind::Invalid, text));
        }
        let mut object = assemble(&chosen, &upload.write, self.clock.now());
        if self.etags_are_opaque {
            object.etag = self.opaque(Some(chosen.len()));
            object.etag_is_opaque = true;
        }
        Ok(object)
    }

    /// Adds a part to an upload that is open still.
    fn keep_part(
        &self,
        call: &Call<'_>,
        row: &(ObjectKey, String),
        number: PartNumber,
        piece: Piece,
    ) -> Result<ETag, StoreError> {
        let mut state = self.state();
        let upload = state.uploads.get_mut(row).ok_or_else(|| call.no_such_upload())?;
        let etag = piece.etag.clone();
        upload.parts.insert(number, piece);
        Ok(etag)
    }
}

fn check(
    call: &Call<'_>,
    condition: Option<&Condition>,
    now: Option<&Arc<Object>>,
) -> Result<(), StoreError> {
    match (condition, now) {
        (None, _) | (Some(Condition::Absent), None) => Ok(()),
        (Some(Condition::Is(etag)), Some(now)) if now.etag == *etag => Ok(()),
        // What S3 answers to an If-Match where there is nothing to match.
        (Some(Condition::Is(_)), None) => Err(call.error(ErrorKind::NoSuchKey, "there is no key")),
        (Some(_), Some(_)) => {
            Err(call.error(ErrorKind::PreconditionFailed, "another object lies there"))
        }
    }
}

fn check_write(call: &Call<'_>, key: &ObjectKey, write: &Write) -> Result<(), StoreError> {
    if key.as_str().is_empty() || key.as_str().len() > KEY_LENGTH_MAX_BYTES {
        return Err(call.error(ErrorKind::Invalid, "the key is empty or too long"));
    }
    if !MetadataRoom::ASSUMED.holds(&write.attributes.user) {
        return Err(call.error(ErrorKind::Invalid, "the user metadata is too large"));
    }
    Ok(())
}

fn crc64(value: u64) -> Checksum {
    Checksum { algorithm: Algorithm::Crc64Nvme, value }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn bucket(&self) -> Result<BucketFacts, StoreError> {
        Ok(BucketFacts::default())
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage, StoreError> {
        let state = self.state();
        let continuation = request.continuation.clone().map(ObjectKey::new);
        let after = continuation.or_else(|| request.after.clone());
        let prefix = ObjectKey::new(request.prefix.clone());
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut rest = state
            .objects
            .range((start, Bound::Unbounded))
            .take_while(|(key, _)| key.as_str().starts_with(&request.prefix))
            .peekable();
        let limit = usize::from(request.limit).min(self.page_max);
        let listed = rest.by_ref().take(limit).map(|(key, object)| Listed {
            key: key.clone(),
            size: object.size(),
            etag: object.etag.clone(),
            modified: object.modified,
            storage_class: object.attributes.storage_class.clone(),
            // As most stores' listings: whether it is restored is not said.
            reading: if object.is_archived() { Reading::Unsaid } else { Reading::Open },
        });
        let objects: Vec<Listed> = listed.collect();
        let truncated = rest.peek().is_some() && limit > 0;
        let last = objects.last().map(|listed| listed.key.as_str().to_owned());
        Ok(ListPage { objects, truncated, continuation: last.filter(|_| truncated) })
    }

    async fn head(
        &self,
        key: &ObjectKey,
        version: Option<&VersionId>,
        part: Option<PartNumber>,
    ) -> Result<Head, StoreError> {
        let call = Call("HeadObject", key.as_str());
        self.admit(&call, key)?;
        let object = self.object(key).filter(|_| version.is_none_or(|v| v.0 == "null"));
        // A HEAD's answer has no body to say more in.
        let object = object.ok_or_else(|| call.error(ErrorKind::NotFound, "HTTP 404"))?;
        let mut head = object.head();
        if let Some(part) = part {
            let index = usize::try_from(part.index()).unwrap_or(usize::MAX);
            let is_whole = object.part_sizes.is_empty() && part == PartNumber::FIRST;
            match object.part_sizes.get(index) {
                Some(size) => {
                    head.content_size = *size;
                    head.part_count = u32::try_from(object.part_sizes.len()).ok();
                }
                None if is_whole => {}
                None => return Err(call.error(ErrorKind::Invalid, "HTTP 416")),
            }
        }
        Ok(head)
    }

    async fn get(
        &self,
        key: &ObjectKey,
        range: Option<ByteRange>,
        pin: Option<&Pin>,
    ) -> Result<Read, StoreError> {
        let call = Call("GetObject", key.as_str());
        let object = self.find(&call, key, pin)?;
        let mut head = object.head();
        let Some(range) = range else {
            let size = object.size();
            return Ok(Read { head, body: full(object.bytes()), size });
        };
        if range.start() >= object.size() {
            return Err(call.error(ErrorKind::PreconditionFailed, "the object ends before it"));
        }
        if range.end() > object.size() {
            return Err(call.error(ErrorKind::Lied, "the answer is shorter than the range"));
        }
        head.checksum = None;
        head.content_size = range.size();
        Ok(Read { head, body: full(object.slice(range)), size: range.size() })
    }

    async fn put(&self, put: Put<'_>, body: Body) -> Result<Written, StoreError> {
        let call = Call("PutObject", put.key.as_str());
        self.admit(&call, put.key)?;
        check_write(&call, put.key, &put.write)?;
        let piece = self.received(&call, body, put.size).await?;
        let wrong_md5 = put.md5.is_some_and(|md5| piece.md5.md5() != Some(md5));
        let wrong = put
            .checksum
            .is_some_and(|c| c.algorithm == Algorithm::Crc64Nvme && c != crc64(piece.crc64));
        if wrong_md5 || wrong {
            return Err(call.error(ErrorKind::BadDigest, "these are other bytes"));
        }
        let object = self.whole(piece, &put.write);
        self.store(&call, put.key, put.condition, object, None)
    }

    async fn copy(&self, source: CopySource<'_>, put: Put<'_>) -> Result<Written, StoreError> {
        let call = Call("CopyObject", put.key.as_str());
        self.admit(&call, put.key)?;
        check_write(&call, put.key, &put.write)?;
        let from = self.copied(&call, &source)?;
        let object = self.whole(self.piece(from.bytes()), &put.write);
        self.store(&call, put.key, put.condition, object, None)
    }

    async fn create_upload(&self, key: &ObjectKey, write: &Write) -> Result<UploadId, StoreError> {
        let call = Call("CreateMultipartUpload", key.as_str());
        self.admit(&call, key)?;
        check_write(&call, key, write)?;
        let mut state = self.state();
        let id = format!("upload-{:08}", state.next());
        let (write, initiated) = (write.clone(), self.clock.now());
        let upload = Upload { write, initiated, parts: BTreeMap::new() };
        state.uploads.insert((key.clone(), id.clone()), upload);
        Ok(UploadId(id))
    }

    async fn upload_part(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        number: PartNumber,
        size: u64,
        body: Body,
    ) -> Result<ETag, StoreError> {
        let call = Call("UploadPart", key.as_str());
        let row = (key.clone(), upload.0.clone());
        if !self.state().uploads.contains_key(&row) {
            return Err(call.no_such_upload());
        }
        let piece = self.received(&call, body, size).await?;
        self.keep_part(&call, &row, number, piece)
    }

    async fn copy_part(
        &self,
        source: CopySource<'_>,
        key: &ObjectKey,
        upload: &UploadId,
        number: PartNumber,
        range: ByteRange,
    ) -> Result<ETag, StoreError> {
        let call = Call("UploadPartCopy", key.as_str());
        let from = self.copied(&call, &source)?;
        if range.end() > from.size() {
            return Err(call.error(ErrorKind::Invalid, "the object ends before it"));
        }
        let piece = self.piece(from.slice(range));
        self.keep_part(&call, &(key.clone(), upload.0.clone()), number, piece)
    }

    async fn list_parts(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        after: Option<PartNumber>,
    ) -> Result<PartPage, StoreError> {
        let call = Call("ListParts", key.as_str());
        let state = self.state();
        let open = state.uploads.get(&(key.clone(), upload.0.clone()));
        let open = open.ok_or_else(|| call.no_such_upload())?;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = open.parts.range((start, Bound::Unbounded)).peekable();
        let listed = rest.by_ref().take(self.page_max).map(|(number, piece)| Part {
            number: *number,
            size: length(&piece.bytes),
            etag: piece.etag.clone(),
            checksums: vec![crc64(piece.crc64)],
        });
        let parts: Vec<Part> = listed.collect();
        let next = parts.last().map(|part| part.number).filter(|_| rest.peek().is_some());
        Ok(PartPage { parts, next })
    }

    async fn list_uploads(&self, key: &ObjectKey) -> Result<Vec<OpenUpload>, StoreError> {
        let state = self.state();
        let of_key = state.uploads.iter().filter(|((of, _), _)| of == key);
        let open = of_key.map(|((_, id), upload)| OpenUpload {
            key: key.clone(),
            upload: UploadId(id.clone()),
            initiated: upload.initiated,
            initiator: None,
        });
        Ok(open.collect())
    }

    async fn complete_upload(&self, completion: Completion<'_>) -> Result<Written, StoreError> {
        let call = Call("CompleteMultipartUpload", completion.key.as_str());
        let object = self.assembled(&call, &completion)?;
        let Completion { key, upload, condition, .. } = completion;
        self.store(&call, key, condition, object, Some(upload))
    }

    async fn abort_upload(&self, key: &ObjectKey, upload: &UploadId) -> Result<(), StoreError> {
        let removed = self.state().uploads.remove(&(key.clone(), upload.0.clone()));
        let call = Call("AbortMultipartUpload", key.as_str());
        removed.map(|_| ()).ok_or_else(|| call.no_such_upload())
    }

    async fn delete(&self, key: &ObjectKey, condition: Option<&ETag>) -> Result<(), StoreError> {
        let call = Call("DeleteObject", key.as_str());
        let mut state = self.state();
        let Some(before) = state.objects.get(key).cloned() else { return Ok(()) };
        if condition.is_some_and(|etag| before.etag != *etag) {
            return Err(call.error(ErrorKind::PreconditionFailed, "another object lies there"));
        }
        state.objects.remove(key);
        self.tell(&Change { key, before: Some(&before), after: None });
        Ok(())
    }

    async fn tags(
        &self,
        key: &ObjectKey,
        version: Option<&VersionId>,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let call = Call("GetObjectTagging", key.as_str());
        let object = self.object(key).filter(|_| version.is_none_or(|v| v.0 == "null"));
        let object = object.ok_or_else(|| call.error(ErrorKind::NoSuchKey, "there is no key"))?;
        Ok(object.tags.clone())
    }

    async fn has_acls(&self) -> Result<bool, StoreError> {
        Ok(!self.state().acls_are_off)
    }

    async fn grants(&self, key: &ObjectKey) -> Result<usize, StoreError> {
        let call = Call("GetObjectAcl", key.as_str());
        let object = self.object(key);
        let object = object.ok_or_else(|| call.error(ErrorKind::NoSuchKey, "there is no key"))?;
        Ok(if self.state().acls_are_off { 0 } else { object.grants })
    }
}
