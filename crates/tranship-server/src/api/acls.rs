//! ACLs: who else may read an object, and whether that counts.

use super::multipart::owner;
use super::{Api, caller};
use crate::store::{Access, custom_error, enter};
use s3s::dto::{
    GetBucketOwnershipControlsInput, GetBucketOwnershipControlsOutput, GetObjectAclInput,
    GetObjectAclOutput, Grant, Grantee, ObjectOwnership, OwnershipControls, OwnershipControlsRule,
    Permission, Type,
};
use s3s::{S3Request, S3Response, S3Result};

fn grant(grantee: Grantee, permission: &'static str) -> Grant {
    Grant { grantee: Some(grantee), permission: Some(Permission::from_static(permission)) }
}

fn person(id: Option<String>) -> Grantee {
    let type_ = Type::from_static(Type::CANONICAL_USER);
    Grantee { display_name: None, email_address: None, id, type_, uri: None }
}

fn reader(name: &str) -> Grantee {
    if !name.starts_with("http") {
        return person(Some(name.to_owned()));
    }
    let type_ = Type::from_static(Type::GROUP);
    Grantee { type_, uri: Some(name.to_owned()), ..person(None) }
}

impl Api {
    pub(super) fn get_object_acl(
        &self,
        request: S3Request<GetObjectAclInput>,
    ) -> S3Result<S3Response<GetObjectAclOutput>> {
        let input = request.input;
        let from = caller(
            &input.bucket,
            input.expected_bucket_owner.as_deref(),
            input.request_payer.as_ref(),
        );
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &from, Access::Acl)?;
        let object = bucket.lookup(&input.key, input.version_id.as_deref())?;
        let mut grants = vec![grant(person(owner().id), Permission::FULL_CONTROL)];
        // Where ACLs are switched off, the answer is that of an object without any.
        let readers = object.readers.iter().filter(|_| !bucket.settings.owner_enforced);
        grants.extend(readers.map(|name| grant(reader(name), Permission::READ)));
        Ok(S3Response::new(GetObjectAclOutput {
            grants: Some(grants),
            owner: Some(owner()),
            request_charged: None,
        }))
    }

    pub(super) fn get_bucket_ownership_controls(
        &self,
        request: S3Request<GetBucketOwnershipControlsInput>,
    ) -> S3Result<S3Response<GetBucketOwnershipControlsOutput>> {
        let input = request.input;
        let from = caller(&input.bucket, input.expected_bucket_owner.as_deref(), None);
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &from, Access::Acl)?;
        // A bucket of the time before that setting has none.
        if !bucket.settings.owner_enforced {
            return Err(custom_error(
                "OwnershipControlsNotFoundError",
                http::StatusCode::NOT_FOUND,
                "The bucket ownership controls were not found",
            ));
        }
        let object_ownership = ObjectOwnership::from_static(ObjectOwnership::BUCKET_OWNER_ENFORCED);
        let rules = vec![OwnershipControlsRule { object_ownership }];
        Ok(S3Response::new(GetBucketOwnershipControlsOutput {
            ownership_controls: Some(OwnershipControls { rules }),
        }))
    }
}
