//! Completing: the parts of an upload become an object, all at once and only if everything about them is right.

use super::condition::check_write;
use super::multipart::{no_such_upload, part_number};
use super::{Api, Misbehave, caller_of, misbehaves, signed, strong};
use crate::checksum::{Algorithm, Sums, combine, compose, put_sums, sums_of};
use crate::content::Content;
use crate::options::CompleteReplay;
use crate::store::{Access, Bucket, Completed, Object, ObjectPart, Upload, UploadedPart, enter};
use s3s::dto::{ChecksumType, CompleteMultipartUploadInput, CompleteMultipartUploadOutput, ETag};
use s3s::{S3Request, S3Response, S3Result, s3_error};

/// One part that the request names, with what was received for it.
struct Chosen<'a> {
    number: u16,
    part: &'a UploadedPart,
}

impl Api {
    pub(super) fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = &request.input;
        let conditional =
            self.options.conditional_writes && !misbehaves(&request, Misbehave::IgnoreConditions);
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &caller_of!(input), Access::Write)?;
        let row = (input.key.clone(), input.upload_id.clone());
        let Some(upload) = bucket.uploads.get(&row) else {
            return self.replay(bucket, input);
        };
        let object = self.assemble(upload, input)?;
        if conditional {
            check_write(
                input.if_match.as_ref(),
                input.if_none_match.as_ref(),
                bucket.current(&input.key).as_deref(),
            )?;
        }
        let shows_sums = upload.algorithm.is_some() || self.options.default_checksum;
        let object = bucket.write(&input.key, object, self.store.fresh_id());
        bucket.uploads.remove(&row);
        let completed = Completed {
            key: input.key.clone(),
            etag: object.etag.clone(),
            version_id: object.version_id.clone(),
        };
        let mut output = answer(bucket, input, &completed);
        if shows_sums && !object.sums.is_empty() {
            put_sums!(output, &object.sums);
            output.checksum_type = Some(ChecksumType::from_static(object.checksum_type));
        }
        output.server_side_encryption = Some(super::properties::encryption(&object.properties));
        output.ssekms_key_id.clone_from(&object.properties.kms_key_id);
        bucket.completed.insert(input.upload_id.clone(), completed);
        Ok(S3Response::new(output))
    }

    /// Answers for an upload that is not open: finished already, or never heard of.
    fn replay(
        &self,
        bucket: &Bucket,
        input: &CompleteMultipartUploadInput,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let completed = bucket
            .completed
            .get(&input.upload_id)
            .filter(|completed| completed.key == input.key)
            .ok_or_else(no_such_upload)?;
        let conditional = input.if_match.is_some() || input.if_none_match.is_some();
        match self.options.replay {
            CompleteReplay::Ok200 => Ok(S3Response::new(answer(bucket, input, completed))),
            CompleteReplay::Precondition412 if conditional => Err(s3_error!(
                PreconditionFailed,
                "At least one of the pre-conditions you specified did not hold"
            )),
            _ => Err(no_such_upload()),
        }
    }

    fn assemble(&self, upload: &Upload, input: &CompleteMultipartUploadInput) -> S3Result<Object> {
        let chosen = choose(upload, input)?;
        self.check_sizes(&chosen, input)?;
        let (sums, checksum_type) = self.whole_sums(upload, &chosen, input)?;
        let mut pieces = Vec::new();
        let mut length = 0;
        let mut kept = true;
        let mut parts = Vec::new();
        for one in &chosen {
            let size = one.part.content.len();
            length += size;
            kept &= flatten(&one.part.content, &mut pieces);
            parts.push(ObjectPart { number: one.number, size, sums: one.part.sums.clone() });
        }
        let content =
            if kept { Content::Kept(pieces.into()) } else { Content::Discarded { length } };
        let mut object =
            self.store.new_object(content, upload.properties.clone(), upload.tags.clone());
        let etags = chosen.iter().map(|one| (one.part.etag.as_str(), one.part.content.len()));
        object.etag = self.store.whole_etag(etags);
        object.parts = parts;
        object.sums = sums;
        object.checksum_type = checksum_type;
        Ok(object)
    }

    fn check_sizes(
        &self,
        chosen: &[Chosen<'_>],
        input: &CompleteMultipartUploadInput,
    ) -> S3Result<()> {
        let inner = chosen.iter().rev().skip(1);
        if inner.into_iter().any(|one| one.part.content.len() < self.options.minimum_part) {
            return Err(s3_error!(
                EntityTooSmall,
                "Your proposed upload is smaller than the minimum allowed size"
            ));
        }
        let size: u64 = chosen.iter().map(|one| one.part.content.len()).sum();
        if input.mpu_object_size.is_some_and(|wanted| wanted != signed(size)) {
            return Err(s3_error!(
                InvalidRequest,
                "The provided 'x-amz-mp-object-size' header does not match what was computed"
            ));
        }
        Ok(())
    }

    /// The checksum of the object, verified against the one that the request gives.
    fn whole_sums(
        &self,
        upload: &Upload,
        chosen: &[Chosen<'_>],
        input: &CompleteMultipartUploadInput,
    ) -> S3Result<(Sums, &'static str)> {
        let given = sums_of!(input);
        let kind = match input.checksum_type.as_ref().map(ChecksumType::as_str) {
            None => upload.checksum_type,
            Some(asked) if asked == upload.checksum_type => upload.checksum_type,
            Some(asked) => {
                return Err(s3_error!(
                    InvalidRequest,
                    "The upload was created using the {} checksum type. The complete request must use the same checksum type, not {asked}.",
                    upload.checksum_type
                ));
            }
        };
        let by_default = self.options.default_checksum.then_some(Algorithm::Crc64Nvme);
        let Some(algorithm) = upload.algorithm.or(by_default) else {
            return Ok((Sums::default(), kind));
        };
        let values = chosen.iter().map(|one| one.part.sums.get(algorithm));
        let value = if kind == ChecksumType::COMPOSITE {
            compose(algorithm, values)
        } else {
            combine(algorithm, values.zip(chosen.iter().map(|one| one.part.content.len())))
        };
        let mut sums = Sums::default();
        sums.set(algorithm, value);
        for (known, wanted) in given.iter() {
            let computed = sums.get(known);
            let bare = computed.and_then(|computed| computed.split('-').next());
            if computed.is_some() && computed != Some(wanted) && bare != Some(wanted) {
                return Err(s3_error!(
                    BadDigest,
                    "The {} you specified did not match the calculated checksum.",
                    known.name().to_lowercase()
                ));
            }
        }
        Ok((sums, kind))
    }
}

/// Adds the kept pieces of a part; says no if its bytes are not there.
fn flatten(content: &Content, pieces: &mut Vec<bytes::Bytes>) -> bool {
    let Some(slices) = content.slices(0..content.len()) else {
        return false;
    };
    pieces.extend(slices);
    true
}

/// The parts in the request's order, which must be ascending, and each as it was received.
fn choose<'a>(
    upload: &'a Upload,
    input: &CompleteMultipartUploadInput,
) -> S3Result<Vec<Chosen<'a>>> {
    let listed =
        input.multipart_upload.as_ref().and_then(|it| it.parts.as_deref()).unwrap_or_default();
    if listed.is_empty() {
        return Err(s3_error!(
            MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema"
        ));
    }
    let mut chosen: Vec<Chosen<'a>> = Vec::with_capacity(listed.len());
    for one in listed {
        let number = part_number(one.part_number.unwrap_or_default())?;
        if chosen.last().is_some_and(|last| last.number >= number) {
            return Err(s3_error!(
                InvalidPartOrder,
                "The list of parts was not in ascending order. Parts must be ordered by part number."
            ));
        }
        let invalid = || {
            s3_error!(
                InvalidPart,
                "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."
            )
        };
        let part = upload.parts.get(&number).ok_or_else(invalid)?;
        let etag = one.e_tag.as_ref().map(ETag::value);
        if etag != Some(part.etag.as_str()) {
            return Err(invalid());
        }
        let given = sums_of!(one);
        if let (Some(algorithm), ChecksumType::COMPOSITE) = (upload.algorithm, upload.checksum_type)
            && given.get(algorithm).is_none()
        {
            return Err(s3_error!(
                InvalidRequest,
                "The upload was created using a {} checksum. The complete request must include the checksum for each part. It was missing for part {number} in the request.",
                algorithm.name().to_lowercase()
            ));
        }
        let differs = given
            .iter()
            .any(|(algorithm, value)| part.sums.get(algorithm).is_some_and(|known| known != value));
        if differs {
            return Err(invalid());
        }
        chosen.push(Chosen { number, part });
    }
    Ok(chosen)
}

fn answer(
    bucket: &Bucket,
    input: &CompleteMultipartUploadInput,
    completed: &Completed,
) -> CompleteMultipartUploadOutput {
    CompleteMultipartUploadOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        e_tag: Some(strong(&completed.etag)),
        version_id: bucket.is_versioned().then(|| completed.version_id.clone()),
        ..Default::default()
    }
}
