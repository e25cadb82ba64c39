//! Reading: `GetObject`, `HeadObject`, `GetObjectAttributes` and `RestoreObject`.

use super::condition::read_condition;
use super::properties::encryption;
use super::{Api, Misbehave, caller_of, count, misbehaves, signed, strong};
use crate::checksum::put_sums;
use crate::clock;
use crate::store::{Access, Object, custom_error, enter};
use s3s::dto::{
    Checksum, ChecksumMode, ChecksumType, GetObjectAttributesInput, GetObjectAttributesOutput,
    GetObjectAttributesParts, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
    ObjectAttributes, ObjectPart, Range, RestoreObjectInput, RestoreObjectOutput, StorageClass,
    StreamingBlob, TimestampFormat,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};
use std::sync::Arc;

/// The part of an object that a request asks for.
struct Cut {
    range: std::ops::Range<u64>,
    content_range: Option<String>,
    parts_count: Option<i32>,
}

fn cut(object: &Object, range: Option<Range>, part_number: Option<i32>) -> S3Result<Cut> {
    let size = object.size();
    let whole = Cut { range: 0..size, content_range: None, parts_count: None };
    let invalid = || s3_error!(InvalidRange, "The requested range is not satisfiable");
    let range = match (range, part_number) {
        (Some(_), Some(_)) => {
            return Err(s3_error!(
                InvalidRequest,
                "Cannot specify both Range header and partNumber query parameter"
            ));
        }
        (None, None) => return Ok(whole),
        (Some(_), None) if size == 0 => return Err(invalid()),
        (Some(range), None) => range.check(size).map_err(|_| invalid())?,
        (None, Some(number)) => u32::try_from(number)
            .ok()
            .and_then(|number| object.part_range(number))
            .ok_or_else(|| {
                custom_error(
                    "InvalidPartNumber",
                    http::StatusCode::RANGE_NOT_SATISFIABLE,
                    "The requested partnumber is not satisfiable",
                )
            })?,
    };
    let parts = count(object.parts.len());
    Ok(Cut {
        content_range: (size > 0)
            .then(|| format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1))),
        parts_count: part_number.and((parts > 0).then_some(parts)),
        range,
    })
}

/// Fills in what GET and HEAD tell alike.
macro_rules! describe {
    ($output:expr, $object:expr, $cut:expr, $versioned:expr, $mode:expr) => {{
        let object: &Object = $object;
        let properties = &object.properties;
        $output.accept_ranges = Some("bytes".to_owned());
        $output.content_length = Some(signed($cut.range.end - $cut.range.start));
        $output.content_range = $cut.content_range.clone();
        $output.parts_count = $cut.parts_count;
        $output.e_tag = Some(strong(&object.etag));
        $output.last_modified = Some(object.modified.clone());
        $output.cache_control = properties.cache_control.clone();
        $output.content_disposition = properties.content_disposition.clone();
        $output.content_encoding = properties.content_encoding.clone();
        $output.content_language = properties.content_language.clone();
        $output.content_type = Some(
            properties.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned()),
        );
        $output.expires = properties.expires.clone();
        $output.website_redirect_location = properties.website_redirect_location.clone();
        $output.metadata = Some(properties.metadata.clone().into_iter().collect());
        $output.storage_class = properties.storage_class.clone().map(StorageClass::from);
        $output.server_side_encryption = Some(encryption(properties));
        $output.ssekms_key_id = properties.kms_key_id.clone();
        $output.bucket_key_enabled = properties.bucket_key_enabled;
        $output.restore = restore_header(object);
        $output.version_id = $versioned.then(|| object.version_id.clone());
        // A part or range has no checksum of its own here, as on Amazon S3.
        let asked = $mode.as_ref().is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
        if asked && $cut.content_range.is_none() && !object.sums.is_empty() {
            put_sums!($output, &object.sums);
            $output.checksum_type = Some(ChecksumType::from_static(object.checksum_type));
        }
    }};
}

impl Api {
    fn find(
        &self,
        caller: &crate::store::Caller<'_>,
        key: &str,
        version_id: Option<&str>,
    ) -> S3Result<(Arc<Object>, bool)> {
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, caller, Access::Read)?;
        let found = bucket.lookup(key, version_id);
        // Without the right to list, a missing key is not distinguished from a forbidden one.
        if found.is_err() && bucket.settings.deny_list && version_id.is_none() {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        Ok((found?, bucket.is_versioned()))
    }

    /// How many tags an answer says that there are: none to whom may not read them.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>, `x-amz-tagging-count`
    fn shown_tags(&self, bucket: &str, object: &Object) -> usize {
        let buckets = self.store.lock();
        let is_hidden = buckets.get(bucket).is_some_and(|bucket| bucket.settings.deny_tagging);
        if is_hidden { 0 } else { object.tags.len() }
    }

    pub(super) fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = &request.input;
        let caller = caller_of!(input);
        let (object, versioned) = self.find(&caller, &input.key, input.version_id.as_deref())?;
        if !misbehaves(&request, Misbehave::IgnoreConditions) {
            read_condition!(input).check(&object)?;
        }
        if object.is_archived() {
            return Err(s3_error!(
                InvalidObjectState,
                "The operation is not valid for the object's storage class"
            ));
        }
        let range = input.range.filter(|_| !misbehaves(&request, Misbehave::IgnoreRange));
        let cut = cut(&object, range, input.part_number)?;
        let slices = object
            .content
            .slices(cut.range.clone())
            .ok_or_else(|| s3_error!(NotImplemented, "The bytes of this object were discarded"))?;
        let mut output = GetObjectOutput::default();
        describe!(output, &object, cut, versioned, input.checksum_mode);
        let tags = count(self.shown_tags(&input.bucket, &object));
        output.tag_count = (tags > 0).then_some(tags);
        output.body = Some(StreamingBlob::new(slices.counted(self.store.sent())));
        Ok(S3Response::new(output))
    }

    pub(super) fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = &request.input;
        let caller = caller_of!(input);
        let (object, versioned) = self.find(&caller, &input.key, input.version_id.as_deref())?;
        if !misbehaves(&request, Misbehave::IgnoreConditions) {
            read_condition!(input).check(&object)?;
        }
        let cut = cut(&object, input.range, input.part_number)?;
        let mut output = HeadObjectOutput::default();
        describe!(output, &object, cut, versioned, input.checksum_mode);
        let mut response = S3Response::new(output);
        let tags = self.shown_tags(&input.bucket, &object);
        if tags > 0 {
            response.headers.insert("x-amz-tagging-count", tags.into());
        }
        Ok(response)
    }

    pub(super) fn get_object_attributes(
        &self,
        request: S3Request<GetObjectAttributesInput>,
    ) -> S3Result<S3Response<GetObjectAttributesOutput>> {
        let input = &request.input;
        let caller = caller_of!(input);
        let (object, versioned) = self.find(&caller, &input.key, input.version_id.as_deref())?;
        let asked =
            |name: &str| input.object_attributes.iter().any(|attribute| attribute.as_str() == name);
        let mut output = GetObjectAttributesOutput {
            last_modified: Some(object.modified.clone()),
            version_id: versioned.then(|| object.version_id.clone()),
            ..Default::default()
        };
        output.e_tag = asked(ObjectAttributes::ETAG).then(|| strong(&object.etag));
        output.object_size = asked(ObjectAttributes::OBJECT_SIZE).then(|| signed(object.size()));
        if asked(ObjectAttributes::STORAGE_CLASS) {
            let class = object.properties.storage_class.as_deref();
            output.storage_class = Some(StorageClass::from(class.unwrap_or("STANDARD").to_owned()));
        }
        if asked(ObjectAttributes::CHECKSUM) && !object.sums.is_empty() {
            let mut checksum = Checksum::default();
            put_sums!(checksum, &object.sums);
            checksum.checksum_type = Some(ChecksumType::from_static(object.checksum_type));
            output.checksum = Some(checksum);
        }
        if asked(ObjectAttributes::OBJECT_PARTS) && !object.parts.is_empty() {
            output.object_parts = Some(attribute_parts(&object, input));
        }
        Ok(S3Response::new(output))
    }

    pub(super) fn restore_object(
        &self,
        request: S3Request<RestoreObjectInput>,
    ) -> S3Result<S3Response<RestoreObjectOutput>> {
        let input = &request.input;
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &caller_of!(input), Access::Write)?;
        let object = bucket.lookup(&input.key, input.version_id.as_deref())?;
        if !object.in_archive_class() {
            return Err(s3_error!(
                InvalidObjectState,
                "Restore is not allowed for the object's current storage class"
            ));
        }
        let days = input.restore_request.as_ref().and_then(|it| it.days).unwrap_or(1);
        let seconds = u64::try_from(days).unwrap_or(1) * 86_400;
        let until = clock::at(clock::seconds(&clock::now()) + seconds);
        bucket.amend(&input.key, &object.version_id, |object| {
            object.restored_until = Some(until);
        });
        Ok(S3Response::new(RestoreObjectOutput::default()))
    }
}

fn attribute_parts(object: &Object, input: &GetObjectAttributesInput) -> GetObjectAttributesParts {
    let marker = input.part_number_marker.unwrap_or_default();
    let max = input.max_parts.unwrap_or(1000).clamp(0, 1000);
    let after: Vec<ObjectPart> = object
        .parts
        .iter()
        .filter(|part| i32::from(part.number) > marker)
        .map(|part| {
            let mut row = ObjectPart {
                part_number: Some(i32::from(part.number)),
                size: Some(signed(part.size)),
                ..Default::default()
            };
            put_sums!(row, &part.sums);
            row
        })
        .collect();
    let truncated = count(after.len()) > max;
    let page: Vec<ObjectPart> =
        after.into_iter().take(usize::try_from(max).unwrap_or_default()).collect();
    GetObjectAttributesParts {
        is_truncated: Some(truncated),
        max_parts: Some(max),
        next_part_number_marker: page.last().and_then(|part| part.part_number),
        part_number_marker: Some(marker),
        parts: (!object.sums.is_empty()).then_some(page),
        total_parts_count: Some(count(object.parts.len())),
    }
}

/// `x-amz-restore` of an archived object that was restored.
fn restore_header(object: &Object) -> Option<String> {
    let until = object.restored_until.as_ref()?;
    let mut date = Vec::new();
    until.format(TimestampFormat::HttpDate, &mut date).ok()?;
    let date = String::from_utf8(date).ok()?;
    Some(format!("ongoing-request=\"false\", expiry-date=\"{date}\""))
}
