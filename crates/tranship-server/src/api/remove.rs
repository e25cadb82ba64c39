//! Removing: `DeleteObject` and `DeleteObjects`, with their conditions and delete markers.

use super::condition::check_write;
use super::{Api, Misbehave, caller_of, misbehaves, signed};
use crate::clock;
use crate::store::{Access, Bucket, enter};
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
    ETagCondition, Error,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

/// What a delete left behind.
struct Removed {
    delete_marker: bool,
    version_id: Option<String>,
}

fn remove(bucket: &mut Bucket, key: &str, version_id: Option<&str>, fresh_id: String) -> Removed {
    if let Some(version_id) = version_id {
        return Removed {
            delete_marker: bucket.delete_version(key, version_id),
            version_id: Some(version_id.to_owned()),
        };
    }
    let version_id = bucket.delete(key, fresh_id, clock::now());
    Removed { delete_marker: version_id.is_some(), version_id }
}

impl Api {
    pub(super) fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = &request.input;
        let fresh_id = self.store.fresh_id();
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &caller_of!(input), Access::Delete)?;
        if self.options.conditional_writes && !misbehaves(&request, Misbehave::IgnoreConditions) {
            let current = bucket.current(&input.key);
            check_write(input.if_match.as_ref(), None, current.as_deref())?;
            let resized = match (input.if_match_size, &current) {
                (Some(size), Some(current)) => size != signed(current.size()),
                _ => false,
            };
            if resized {
                return Err(s3_error!(
                    PreconditionFailed,
                    "At least one of the pre-conditions you specified did not hold"
                ));
            }
        }
        let removed = remove(bucket, &input.key, input.version_id.as_deref(), fresh_id);
        Ok(S3Response::with_status(
            DeleteObjectOutput {
                delete_marker: removed.delete_marker.then_some(true),
                version_id: removed.version_id,
                request_charged: None,
            },
            http::StatusCode::NO_CONTENT,
        ))
    }

    pub(super) fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = &request.input;
        if input.delete.objects.len() > 1000 {
            return Err(s3_error!(MalformedXML, "More than 1000 keys"));
        }
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &caller_of!(input), Access::Delete)?;
        let mut deleted = Vec::new();
        let mut errors = Vec::new();
        for one in &input.delete.objects {
            let wanted = one.e_tag.clone().map(ETagCondition::ETag);
            let current = bucket.current(&one.key);
            if let Err(error) = check_write(wanted.as_ref(), None, current.as_deref()) {
                errors.push(Error {
                    code: Some(error.code().as_str().to_owned()),
                    key: Some(one.key.clone()),
                    message: error.message().map(str::to_owned),
                    version_id: one.version_id.clone(),
                });
                continue;
            }
            let fresh_id = self.store.fresh_id();
            let removed = remove(bucket, &one.key, one.version_id.as_deref(), fresh_id);
            let marker = removed.delete_marker;
            deleted.push(DeletedObject {
                key: Some(one.key.clone()),
                delete_marker: marker.then_some(true),
                delete_marker_version_id: removed.version_id.filter(|_| marker),
                version_id: one.version_id.clone(),
            });
        }
        let quiet = input.delete.quiet.unwrap_or_default();
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: (!quiet && !deleted.is_empty()).then_some(deleted),
            errors: (!errors.is_empty()).then_some(errors),
            request_charged: None,
        }))
    }
}
