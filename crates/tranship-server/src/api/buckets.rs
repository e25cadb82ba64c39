//! Buckets: made, found, described and removed.

use super::multipart::owner;
use super::{Api, caller};
use crate::store::{Access, Bucket as Stored, Versioning, custom_error, enter};
use s3s::dto::{
    AbortIncompleteMultipartUpload, Bucket, BucketLocationConstraint, BucketVersioningStatus,
    CreateBucketInput, CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput, ExpirationStatus,
    GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput,
    GetBucketLocationInput, GetBucketLocationOutput, GetBucketVersioningInput,
    GetBucketVersioningOutput, GetObjectLockConfigurationInput, GetObjectLockConfigurationOutput,
    HeadBucketInput, HeadBucketOutput, LifecycleRule, LifecycleRuleFilter, ListBucketsInput,
    ListBucketsOutput, ObjectLockConfiguration, ObjectLockEnabled, PutBucketVersioningInput,
    PutBucketVersioningOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

impl Api {
    fn region_of(&self, bucket: &Stored) -> String {
        let own = bucket.settings.region.as_ref();
        own.unwrap_or(&self.options.region).clone()
    }

    pub(super) fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let name = request.input.bucket;
        if self.store.lock().contains_key(&name) {
            return Err(s3_error!(
                BucketAlreadyOwnedByYou,
                "Your previous request to create the named bucket succeeded and you already own it."
            ));
        }
        self.store.create_bucket(&name);
        Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{name}")) }))
    }

    pub(super) fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        let input = request.input;
        let from = caller(&input.bucket, input.expected_bucket_owner.as_deref(), None);
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &from, Access::Manage)?;
        if bucket.formula.is_some() || bucket.keys.values().any(|history| !history.is_empty()) {
            return Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty"));
        }
        buckets.remove(&input.bucket);
        Ok(S3Response::new(DeleteBucketOutput::default()))
    }

    pub(super) fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        let input = request.input;
        let from = caller(&input.bucket, input.expected_bucket_owner.as_deref(), None);
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &from, Access::Manage)?;
        let region = self.region_of(bucket);
        if bucket.settings.deny_list {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        Ok(S3Response::new(HeadBucketOutput { bucket_region: Some(region), ..Default::default() }))
    }

    pub(super) fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        let input = request.input;
        let from = caller(&input.bucket, input.expected_bucket_owner.as_deref(), None);
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &from, Access::Manage)?;
        let region = self.region_of(bucket);
        // The oldest region has no name here.
        let constraint = Some(region).filter(|region| region != "us-east-1");
        Ok(S3Response::new(GetBucketLocationOutput {
            location_constraint: constraint.map(BucketLocationConstraint::from),
        }))
    }

    pub(super) fn get_bucket_lifecycle_configuration(
        &self,
        request: S3Request<GetBucketLifecycleConfigurationInput>,
    ) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
        let input = request.input;
        let from = caller(&input.bucket, input.expected_bucket_owner.as_deref(), None);
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &from, Access::Manage)?;
        let days = bucket.settings.abort_incomplete_after_days.ok_or_else(|| {
            s3_error!(NoSuchLifecycleConfiguration, "The lifecycle configuration does not exist")
        })?;
        let rule = LifecycleRule {
            abort_incomplete_multipart_upload: Some(AbortIncompleteMultipartUpload {
                days_after_initiation: Some(days),
            }),
            filter: Some(LifecycleRuleFilter {
                prefix: Some(bucket.settings.abort_incomplete_prefix.clone()),
                ..Default::default()
            }),
            id: Some("abort-incomplete".to_owned()),
            status: ExpirationStatus::from_static(ExpirationStatus::ENABLED),
            expiration: None,
            noncurrent_version_expiration: None,
            noncurrent_version_transitions: None,
            prefix: None,
            transitions: None,
        };
        Ok(S3Response::new(GetBucketLifecycleConfigurationOutput {
            rules: Some(vec![rule]),
            transition_default_minimum_object_size: None,
        }))
    }

    pub(super) fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        let input = request.input;
        let from = caller(&input.bucket, input.expected_bucket_owner.as_deref(), None);
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &from, Access::Manage)?;
        let status = match bucket.settings.versioning {
            Versioning::Off => None,
            Versioning::Enabled => Some(BucketVersioningStatus::ENABLED),
            Versioning::Suspended => Some(BucketVersioningStatus::SUSPENDED),
        };
        Ok(S3Response::new(GetBucketVersioningOutput {
            mfa_delete: None,
            status: status.map(BucketVersioningStatus::from_static),
        }))
    }

    pub(super) fn get_object_lock_configuration(
        &self,
        request: S3Request<GetObjectLockConfigurationInput>,
    ) -> S3Result<S3Response<GetObjectLockConfigurationOutput>> {
        let input = request.input;
        let from = caller(&input.bucket, input.expected_bucket_owner.as_deref(), None);
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &from, Access::Manage)?;
        if !bucket.settings.object_lock {
            return Err(custom_error(
                "ObjectLockConfigurationNotFoundError",
                http::StatusCode::NOT_FOUND,
                "Object Lock configuration does not exist for this bucket",
            ));
        }
        Ok(S3Response::new(GetObjectLockConfigurationOutput {
            object_lock_configuration: Some(ObjectLockConfiguration {
                object_lock_enabled: Some(ObjectLockEnabled::from_static(
                    ObjectLockEnabled::ENABLED,
                )),
                rule: None,
            }),
        }))
    }

    pub(super) fn put_bucket_versioning(
        &self,
        request: S3Request<PutBucketVersioningInput>,
    ) -> S3Result<S3Response<PutBucketVersioningOutput>> {
        let input = request.input;
        let from = caller(&input.bucket, input.expected_bucket_owner.as_deref(), None);
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &from, Access::Manage)?;
        let status = input.versioning_configuration.status;
        bucket.settings.versioning = match status.as_ref().map(BucketVersioningStatus::as_str) {
            Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
            Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
            _ => return Err(s3_error!(IllegalVersioningConfigurationException)),
        };
        Ok(S3Response::new(PutBucketVersioningOutput::default()))
    }

    pub(super) fn list_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let prefix = request.input.prefix.unwrap_or_default();
        let buckets = self.store.lock();
        let rows =
            buckets.iter().filter(|(name, _)| name.starts_with(&prefix)).map(|(name, bucket)| {
                Bucket {
                    bucket_region: Some(self.region_of(bucket)),
                    creation_date: Some(bucket.created.clone()),
                    name: Some(name.clone()),
                }
            });
        Ok(S3Response::new(ListBucketsOutput {
            buckets: Some(rows.collect()),
            owner: Some(owner()),
            ..Default::default()
        }))
    }

    /// The region a bucket is really in, if it is not the server's.
    pub(crate) fn foreign_region(&self, bucket: &str) -> Option<String> {
        let buckets = self.store.lock();
        let region = buckets.get(bucket)?.settings.region.clone()?;
        (region != self.options.region).then_some(region)
    }
}
