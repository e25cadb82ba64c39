//! Calls that read who else may do what to an object.

use aws_sdk_s3::types::{Grant, ObjectOwnership};
use tranship_core::error::{ErrorKind, StoreError};
use tranship_core::object::ObjectKey;

use super::{CALL_TIMEOUT, Call, S3Store};

impl S3Store {
    /// Without any setting of ownership, each object is its writer's, with an ACL of its own.
    pub(super) async fn has_object_acls(&self) -> Result<bool, StoreError> {
        let request = self.client.get_bucket_ownership_controls().bucket(self.bucket_name());
        let call = Call::bucket("GetBucketOwnershipControls");
        match self.send(call, CALL_TIMEOUT, request.send()).await {
            Ok(output) => {
                let rules = output.ownership_controls.map(|it| it.rules).unwrap_or_default();
                let is_off = |rule: &ObjectOwnership| *rule == ObjectOwnership::BucketOwnerEnforced;
                Ok(!rules.iter().any(|rule| is_off(&rule.object_ownership)))
            }
            Err(error) if error.kind == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn foreign_grants(&self, key: &ObjectKey) -> Result<usize, StoreError> {
        let call = Call::new("GetObjectAcl", key);
        let request = self.client.get_object_acl().bucket(self.bucket_name()).key(key.as_str());
        let output = self.send(call, CALL_TIMEOUT, request.send()).await?;
        // An ACL in a form of the store's own would look like one that grants nothing.
        let owner = output.owner.ok_or_else(|| self.lied(call, "the ACL names no owner"))?;
        let grants = output.grants.unwrap_or_default();
        foreign(owner.id.as_deref(), &grants)
            .ok_or_else(|| self.lied(call, "the ACL has a grant that names nobody"))
    }
}

/// The grants to others than the owner; `None` if one of them cannot be read.
fn foreign(owner: Option<&str>, grants: &[Grant]) -> Option<usize> {
    let mut foreign = 0;
    for grant in grants {
        let grantee = grant.grantee.as_ref()?;
        // Some stores leave the owner's id empty, here and there.
        let is_person = grantee.uri.is_none() && grantee.email_address.is_none();
        let is_owner = grantee.id.as_deref().unwrap_or_default() == owner.unwrap_or_default();
        foreign += usize::from(!(is_person && is_owner));
    }
    Some(foreign)
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{Grantee, Permission, Type};

    use super::*;

    fn grant(kind: Type, id: Option<&str>, uri: Option<&str>) -> Grant {
        let grantee = Grantee::builder().r#type(kind);
        let grantee = grantee.set_id(id.map(str::to_owned)).set_uri(uri.map(str::to_owned));
        Grant::builder().grantee(grantee.build().unwrap()).permission(Permission::Read).build()
    }

    #[test]
    fn a_grant_is_foreign_unless_it_is_the_owners() {
        let person = |id| grant(Type::CanonicalUser, id, None);
        let group =
            grant(Type::Group, None, Some("http://acs.amazonaws.com/groups/global/AllUsers"));
        for (owner, grants, wanted) in [
            (Some("me"), vec![], Some(0)),
            (Some("me"), vec![person(Some("me")), person(Some("me"))], Some(0)),
            (Some("me"), vec![person(Some("me")), person(Some("you")), group.clone()], Some(2)),
            (Some(""), vec![person(None)], Some(0)),
            (None, vec![group], Some(1)),
            (Some("me"), vec![Grant::builder().build()], None),
        ] {
            assert_eq!(foreign(owner, &grants), wanted, "{owner:?} {grants:?}");
        }
    }
}
