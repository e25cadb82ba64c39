//! Tags: read, replaced and removed on an object that stays as it is otherwise.

use super::properties::check_tags;
use super::{Api, caller};
use crate::store::{Access, enter};
use s3s::dto::{
    DeleteObjectTaggingInput, DeleteObjectTaggingOutput, GetObjectTaggingInput,
    GetObjectTaggingOutput, PutObjectTaggingInput, PutObjectTaggingOutput, Tag,
};
use s3s::{S3Request, S3Response, S3Result};

impl Api {
    fn retag(
        &self,
        bucket: &str,
        owner: Option<&str>,
        key: &str,
        version_id: Option<&str>,
        tags: Vec<(String, String)>,
    ) -> S3Result<Option<String>> {
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &caller(bucket, owner, None), Access::Tagging)?;
        let object = bucket.lookup(key, version_id)?;
        bucket.amend(key, &object.version_id, |object| object.tags = tags);
        Ok(bucket.is_versioned().then(|| object.version_id.clone()))
    }

    pub(super) fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let input = request.input;
        let from = caller(
            &input.bucket,
            input.expected_bucket_owner.as_deref(),
            input.request_payer.as_ref(),
        );
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &from, Access::Tagging)?;
        let object = bucket.lookup(&input.key, input.version_id.as_deref())?;
        let tags = object
            .tags
            .iter()
            .map(|(name, value)| Tag { key: Some(name.clone()), value: Some(value.clone()) });
        Ok(S3Response::new(GetObjectTaggingOutput {
            tag_set: tags.collect(),
            version_id: bucket.is_versioned().then(|| object.version_id.clone()),
        }))
    }

    pub(super) fn put_object_tagging(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        let input = request.input;
        let tags: Vec<(String, String)> = input
            .tagging
            .tag_set
            .into_iter()
            .map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()))
            .collect();
        check_tags(&tags)?;
        let version_id = self.retag(
            &input.bucket,
            input.expected_bucket_owner.as_deref(),
            &input.key,
            input.version_id.as_deref(),
            tags,
        )?;
        Ok(S3Response::new(PutObjectTaggingOutput { version_id }))
    }

    pub(super) fn delete_object_tagging(
        &self,
        request: S3Request<DeleteObjectTaggingInput>,
    ) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
        let input = request.input;
        let version_id = self.retag(
            &input.bucket,
            input.expected_bucket_owner.as_deref(),
            &input.key,
            input.version_id.as_deref(),
            Vec::new(),
        )?;
        Ok(S3Response::new(DeleteObjectTaggingOutput { version_id }))
    }
}
