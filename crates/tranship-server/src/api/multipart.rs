//! Multipart uploads until they are completed: created, listed with their parts, aborted.

use super::properties::{check_key, parse_tags, properties_of, put_encryption, read_as_latin1};
use super::{Api, caller_of, signed, strong};
use crate::checksum::{Algorithm, put_sums};
use crate::clock;
use crate::store::{Access, Upload, enter};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, Initiator, ListPartsInput,
    ListPartsOutput, Owner, Part, StorageClass,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};
use std::collections::BTreeMap;
use std::ops::Bound;

/// The account that everything here belongs to.
pub(super) const OWNER: &str = "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a";

pub(super) fn no_such_upload() -> S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
}

pub(super) fn part_number(number: i32) -> S3Result<u16> {
    u16::try_from(number).ok().filter(|number| (1..=10_000).contains(number)).ok_or_else(|| {
        s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive")
    })
}

pub(super) fn owner() -> Owner {
    Owner { display_name: None, id: Some(OWNER.to_owned()) }
}

pub(super) fn initiator() -> Initiator {
    Initiator { display_name: None, id: Some(OWNER.to_owned()) }
}

pub(super) fn storage_class(upload: &Upload) -> StorageClass {
    let class = upload.properties.storage_class.as_deref();
    StorageClass::from(class.unwrap_or("STANDARD").to_owned())
}

pub(super) fn checksum_algorithm(upload: &Upload) -> Option<ChecksumAlgorithm> {
    upload.algorithm.map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name()))
}

impl Api {
    pub(super) fn create_multipart_upload(
        &self,
        mut request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        read_as_latin1(&mut request.input.metadata, &request.headers);
        let input = &request.input;
        check_key(&input.key)?;
        let properties = properties_of!(input, self.options.metadata_limit)?;
        let tags = parse_tags(input.tagging.as_ref())?;
        let (algorithm, checksum_type) = checksum_choice(input)?;
        let mut upload = Upload {
            properties: self
                .store
                .new_object(
                    crate::content::Content::Discarded { length: 0 },
                    properties,
                    Vec::new(),
                )
                .properties,
            tags,
            initiated: clock::now(),
            algorithm,
            checksum_type: ChecksumType::FULL_OBJECT,
            parts: BTreeMap::new(),
        };
        upload.checksum_type = checksum_type;
        let mut buckets = self.store.lock();
        if !upload.tags.is_empty() {
            enter(&mut buckets, &caller_of!(input), Access::Tagging)?;
        }
        let bucket = enter(&mut buckets, &caller_of!(input), Access::Write)?;
        let upload_id = self.store.fresh_id();
        let mut output = CreateMultipartUploadOutput {
            bucket: Some(input.bucket.clone()),
            key: Some(input.key.clone()),
            upload_id: Some(upload_id.clone()),
            checksum_algorithm: checksum_algorithm(&upload),
            checksum_type: algorithm.map(|_| ChecksumType::from_static(checksum_type)),
            ..Default::default()
        };
        put_encryption!(output, upload.properties);
        bucket.uploads.insert((input.key.clone(), upload_id), upload);
        Ok(S3Response::new(output))
    }

    pub(super) fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &caller_of!(input), Access::Write)?;
        bucket.uploads.remove(&(input.key, input.upload_id)).ok_or_else(no_such_upload)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    pub(super) fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let input = request.input;
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &caller_of!(input), Access::Read)?;
        let row = (input.key.clone(), input.upload_id.clone());
        let upload = bucket.uploads.get(&row).ok_or_else(no_such_upload)?;
        let marker = input.part_number_marker.unwrap_or_default();
        let max = input.max_parts.unwrap_or(1000).clamp(0, 1000);
        let after = u16::try_from(marker).unwrap_or(u16::MAX);
        let mut rest = upload.parts.range((Bound::Excluded(after), Bound::Unbounded));
        let mut parts = Vec::new();
        for (number, uploaded) in rest.by_ref().take(usize::try_from(max).unwrap_or_default()) {
            let mut part = Part {
                part_number: Some(i32::from(*number)),
                e_tag: Some(strong(&uploaded.etag)),
                size: Some(signed(uploaded.content.len())),
                last_modified: Some(uploaded.modified.clone()),
                ..Default::default()
            };
            if upload.algorithm.is_some() || self.options.default_checksum {
                put_sums!(part, &uploaded.sums);
            }
            parts.push(part);
        }
        let next = parts.last().and_then(|part| part.part_number);
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            is_truncated: Some(rest.next().is_some()),
            max_parts: Some(max),
            part_number_marker: Some(marker),
            next_part_number_marker: next.or(Some(0)),
            parts: Some(parts),
            initiator: Some(initiator()),
            owner: Some(owner()),
            storage_class: Some(storage_class(upload)),
            checksum_algorithm: checksum_algorithm(upload),
            checksum_type: upload
                .algorithm
                .map(|_| ChecksumType::from_static(upload.checksum_type)),
            ..Default::default()
        }))
    }
}

/// The algorithm that was asked for, with the type that was asked for or goes with it.
fn checksum_choice(
    input: &CreateMultipartUploadInput,
) -> S3Result<(Option<Algorithm>, &'static str)> {
    let Some(name) = &input.checksum_algorithm else {
        return Ok((None, ChecksumType::FULL_OBJECT));
    };
    let algorithm = Algorithm::parse(name.as_str())
        .ok_or_else(|| s3_error!(InvalidRequest, "Checksum algorithm provided is unsupported."))?;
    let asked = input.checksum_type.as_ref().map(ChecksumType::as_str);
    let kind = match asked {
        None => algorithm.default_type(),
        Some(ChecksumType::COMPOSITE) => ChecksumType::COMPOSITE,
        Some(_) => ChecksumType::FULL_OBJECT,
    };
    if !algorithm.allows(kind) {
        return Err(s3_error!(
            InvalidRequest,
            "The {kind} checksum type cannot be used with the {} checksum algorithm.",
            algorithm.name().to_lowercase()
        ));
    }
    Ok((Some(algorithm), kind))
}
