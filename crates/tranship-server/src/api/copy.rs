//! Copying on the server's side: `CopyObject` and `UploadPartCopy`, across the buckets of one server.

use super::condition::{check_write, source_condition};
use super::multipart::{no_such_upload, part_number};
use super::properties::{
    check_key, check_metadata, parse_tags, properties_of, put_encryption, read_as_latin1,
};
use super::{Api, Misbehave, caller, caller_of, misbehaves, strong};
use crate::checksum::{Algorithm, put_sums};
use crate::clock;
use crate::content::{Content, Slices};
use crate::store::{Access, Caller, Object, UploadedPart, enter};
use s3s::dto::{
    ChecksumType, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource,
    ETagCondition, MetadataDirective, Range, RequestPayer, TaggingDirective, UploadPartCopyInput,
    UploadPartCopyOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};
use std::sync::Arc;

/// The most that one copy may take.
const COPY_LIMIT: u64 = 5 << 30;

/// A found source: the object, and its version id if that is shown.
struct Source {
    object: Arc<Object>,
    version_id: Option<String>,
}

impl Api {
    fn source(
        &self,
        source: &CopySource,
        expected_owner: Option<&str>,
        payer: Option<&RequestPayer>,
    ) -> S3Result<Source> {
        let CopySource::Bucket { bucket, key, version_id } = source else {
            return Err(s3_error!(NotImplemented, "Copy sources other than buckets"));
        };
        let from: Caller<'_> = caller(bucket, expected_owner, payer);
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &from, Access::Read)?;
        let object = bucket.lookup(key, version_id.as_deref())?;
        if object.is_archived() {
            return Err(s3_error!(InvalidObjectState, "The source object is archived"));
        }
        let version_id = bucket.is_versioned().then(|| object.version_id.clone());
        Ok(Source { object, version_id })
    }

    /// Hashes what is copied, unless its bytes are neither kept nor worth it.
    fn rehash(
        &self,
        slices: Option<Slices>,
        algorithm: Option<Algorithm>,
    ) -> (String, crate::checksum::Sums) {
        let by_default = self.options.default_checksum.then_some(Algorithm::Crc64Nvme);
        let algorithms: Vec<Algorithm> = algorithm.or(by_default).into_iter().collect();
        let mut hasher = self.store.hasher(self.options.etags.hashes(), &algorithms);
        for slice in slices.into_iter().flatten() {
            hasher.update(&slice);
        }
        let hashed = hasher.finish();
        (self.store.etag_of(&hashed), hashed.sums)
    }

    pub(super) fn copy_object(
        &self,
        mut request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        read_as_latin1(&mut request.input.metadata, &request.headers);
        let input = &request.input;
        check_key(&input.key)?;
        let owner = input.expected_source_bucket_owner.as_deref();
        let source = self.source(&input.copy_source, owner, input.request_payer.as_ref())?;
        source_condition!(input).check_source(&source.object)?;
        if source.object.size() > COPY_LIMIT {
            return Err(s3_error!(
                InvalidRequest,
                "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120"
            ));
        }
        let mut copy = self.copied(input, &source.object)?;
        // A copy is one piece, whatever its source came in: its ETag is the plain MD5 again.
        if source.object.parts.is_empty() && input.checksum_algorithm.is_none() {
            copy.etag = if self.options.etags.hashes() {
                source.object.etag.clone()
            } else {
                self.store.etag(None, 0)
            };
            copy.sums = source.object.sums.clone();
        } else {
            let wanted = input.checksum_algorithm.as_ref();
            let wanted = wanted.and_then(|name| Algorithm::parse(name.as_str()));
            let slices = copy.content.slices(0..copy.size());
            (copy.etag, copy.sums) = self.rehash(slices, wanted);
        }
        let id = self.store.fresh_id();
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &caller_of!(input), Access::Write)?;
        if self.options.conditional_writes && !misbehaves(&request, Misbehave::IgnoreConditions) {
            let current = bucket.current(&input.key);
            let [if_match, if_none_match] = ["if-match", "if-none-match"]
                .map(|name| destination_condition(&request.headers, name));
            check_write(if_match?.as_ref(), if_none_match?.as_ref(), current.as_deref())?;
        }
        let object = bucket.write(&input.key, copy, id);
        let mut result = CopyObjectResult {
            e_tag: Some(strong(&object.etag)),
            last_modified: Some(object.modified.clone()),
            ..Default::default()
        };
        put_sums!(result, &object.sums);
        if !object.sums.is_empty() {
            result.checksum_type = Some(ChecksumType::from_static(object.checksum_type));
        }
        let mut output = CopyObjectOutput {
            copy_object_result: Some(result),
            copy_source_version_id: source.version_id,
            version_id: bucket.is_versioned().then(|| object.version_id.clone()),
            ..Default::default()
        };
        put_encryption!(output, object.properties);
        Ok(S3Response::new(output))
    }

    /// The object that a copy makes, after its directives.
    fn copied(&self, input: &CopyObjectInput, source: &Object) -> S3Result<Object> {
        let replace = input
            .metadata_directive
            .as_ref()
            .is_some_and(|it| it.as_str() == MetadataDirective::REPLACE);
        let asked = properties_of!(input, self.options.metadata_limit)?;
        let mut properties = if replace {
            asked.clone()
        } else {
            let mut kept = source.properties.clone();
            kept.website_redirect_location = asked.website_redirect_location;
            kept
        };
        // Storage class and encryption are never inherited.
        properties.storage_class = asked.storage_class;
        properties.server_side_encryption = asked.server_side_encryption;
        properties.kms_key_id = asked.kms_key_id;
        properties.bucket_key_enabled = asked.bucket_key_enabled;
        check_metadata(&properties.metadata, self.options.metadata_limit)?;
        let CopySource::Bucket { bucket, key, .. } = &input.copy_source else {
            return Err(s3_error!(NotImplemented));
        };
        let same_place = **bucket == *input.bucket && **key == *input.key;
        if same_place && !replace && properties == source.properties {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
            ));
        }
        let retag = input
            .tagging_directive
            .as_ref()
            .is_some_and(|it| it.as_str() == TaggingDirective::REPLACE);
        let tags = if retag { parse_tags(input.tagging.as_ref())? } else { source.tags.clone() };
        Ok(self.store.new_object(source.content.clone(), properties, tags))
    }

    pub(super) fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let input = &request.input;
        let number = part_number(input.part_number)?;
        let row = (input.key.clone(), input.upload_id.clone());
        let algorithm = {
            let mut buckets = self.store.lock();
            let bucket = enter(&mut buckets, &caller_of!(input), Access::Write)?;
            bucket.uploads.get(&row).ok_or_else(no_such_upload)?.algorithm
        };
        let owner = input.expected_source_bucket_owner.as_deref();
        let source = self.source(&input.copy_source, owner, input.request_payer.as_ref())?;
        source_condition!(input).check_source(&source.object)?;
        let range = source_range(input.copy_source_range.as_deref(), source.object.size())?;
        let content = section(&source.object.content, range.clone());
        let slices = source.object.content.slices(range);
        let (etag, sums) = self.rehash(slices, algorithm);

        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &caller_of!(input), Access::Write)?;
        let upload = bucket.uploads.get_mut(&row).ok_or_else(no_such_upload)?;
        let now = clock::now();
        let mut result = CopyPartResult {
            e_tag: Some(strong(&etag)),
            last_modified: Some(now.clone()),
            ..Default::default()
        };
        put_sums!(result, &sums);
        let part = UploadedPart { content, etag, sums, modified: now };
        upload.parts.insert(number, part);
        let mut output = UploadPartCopyOutput {
            copy_part_result: Some(result),
            copy_source_version_id: source.version_id,
            ..Default::default()
        };
        put_encryption!(output, upload.properties);
        Ok(S3Response::new(output))
    }
}

/// A condition on what a copy replaces. The library knows no such headers here, so they are read by hand.
fn destination_condition(headers: &http::HeaderMap, name: &str) -> S3Result<Option<ETagCondition>> {
    headers
        .get(name)
        .map(|value| ETagCondition::parse_http_header(value.as_bytes()))
        .transpose()
        .map_err(|_| s3_error!(InvalidArgument, "The header '{name}' is malformed"))
}

/// The bytes that a part copies. Unlike a GET's range, this one must lie wholly inside.
fn source_range(header: Option<&str>, size: u64) -> S3Result<std::ops::Range<u64>> {
    let range = match header {
        None => 0..size,
        Some(header) => match Range::parse(header) {
            Ok(Range::Int { first, last: Some(last) }) if last < size => first..last + 1,
            Ok(Range::Int { last: Some(_), .. }) => {
                return Err(s3_error!(
                    InvalidArgument,
                    "Range specified is not valid for source object of size: {size}"
                ));
            }
            _ => {
                return Err(s3_error!(
                    InvalidArgument,
                    "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy"
                ));
            }
        },
    };
    if range.end - range.start > COPY_LIMIT {
        return Err(s3_error!(
            InvalidRequest,
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120"
        ));
    }
    Ok(range)
}

/// A range of some content as content of its own.
fn section(content: &Content, range: std::ops::Range<u64>) -> Content {
    match content {
        Content::Kept(_) => {
            let pieces: Vec<bytes::Bytes> = content.slices(range).into_iter().flatten().collect();
            Content::Kept(pieces.into())
        }
        Content::Pattern { offset, .. } => {
            Content::Pattern { offset: offset + range.start, length: range.end - range.start }
        }
        Content::Discarded { .. } => Content::Discarded { length: range.end - range.start },
    }
}
