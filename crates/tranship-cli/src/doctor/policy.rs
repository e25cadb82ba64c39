//! The least permissions that a copy needs on each side, as docs/SOURCES.md has them.

use serde_json::{Value, json};
use tranship_adapters::stores::s3::vendors::{Permissions, partition};
use tranship_core::location::Location;

use crate::engine::Side;
use crate::settings::{SideSettings, VerifySettings};

const SOURCE_BUCKET: [&str; 2] = ["s3:ListBucket", "s3:GetBucketVersioning"];
const SOURCE_OBJECTS: [&str; 4] =
    ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging", "s3:GetObjectVersionTagging"];
const DESTINATION_BUCKET: [&str; 4] = [
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
    "s3:GetBucketVersioning",
    "s3:GetLifecycleConfiguration",
];
const DESTINATION_OBJECTS: [&str; 6] = [
    "s3:GetObject",
    "s3:GetObjectTagging",
    "s3:PutObject",
    "s3:PutObjectTagging",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
];

const CAM_READS: [&str; 6] = [
    "cos:GetBucket",
    "cos:HeadBucket",
    "cos:GetBucketVersioning",
    "cos:GetObject",
    "cos:HeadObject",
    "cos:GetObjectTagging",
];
const CAM_WRITES: [&str; 8] = [
    "cos:PutObject",
    "cos:PutObjectTagging",
    "cos:InitiateMultipartUpload",
    "cos:UploadPart",
    "cos:ListParts",
    "cos:ListMultipartUploads",
    "cos:CompleteMultipartUpload",
    "cos:AbortMultipartUpload",
];

/// Both policies, by side, each in the language of its store.
pub fn policies(settings: &VerifySettings) -> Value {
    json!({
        "source": policy(Side::Source, &settings.source),
        "destination": policy(Side::Destination, &settings.destination),
    })
}

fn policy(which: Side, side: &SideSettings) -> Value {
    match side.vendor.permissions {
        Permissions::Iam => iam(which, side),
        Permissions::Ram => ram(which, side),
        Permissions::Cam => cam(which, side),
        Permissions::Roles => roles(which),
        Permissions::Console => console(which, side),
    }
}

/// A policy of Amazon's, which most stores take.
fn iam(which: Side, side: &SideSettings) -> Value {
    let Location { bucket, prefix, .. } = &side.location;
    let (of_bucket, of_objects): (&[&str], &[&str]) = match which {
        Side::Source => (&SOURCE_BUCKET, &SOURCE_OBJECTS),
        Side::Destination => (&DESTINATION_BUCKET, &DESTINATION_OBJECTS),
    };
    let partition = partition(side.region.as_deref().unwrap_or_default());
    let arn = format!("arn:{partition}:s3:::{bucket}");
    json!({
        "Version": "2012-10-17",
        "Statement": [
            { "Effect": "Allow", "Action": of_bucket, "Resource": arn },
            {
                "Effect": "Allow",
                "Action": of_objects,
                "Resource": format!("{arn}/{}*", literal(prefix)),
            },
        ],
    })
}

/// A custom policy of Alibaba Cloud's RAM.
fn ram(which: Side, side: &SideSettings) -> Value {
    let Location { bucket, prefix, .. } = &side.location;
    let (of_bucket, of_objects) = match which {
        Side::Source => {
            (json!(["oss:ListObjects", "oss:GetBucketVersioning"]), json!("oss:GetObject"))
        }
        Side::Destination => (
            json!(["oss:ListObjects", "oss:GetBucketVersioning", "oss:ListMultipartUploads"]),
            json!(["oss:GetObject", "oss:PutObject", "oss:AbortMultipartUpload", "oss:ListParts"]),
        ),
    };
    let bucket = format!("acs:oss:*:*:{bucket}");
    let objects = format!("{bucket}/{prefix}*");
    json!({
        "Version": "1",
        "Statement": [
            { "Effect": "Allow", "Action": of_bucket, "Resource": bucket },
            { "Effect": "Allow", "Action": of_objects, "Resource": objects },
        ],
    })
}

/// A custom policy of Tencent Cloud's CAM. The account's number is the end of the bucket's name.
fn cam(which: Side, side: &SideSettings) -> Value {
    let Location { bucket, prefix, .. } = &side.location;
    let region = side.region.as_deref().unwrap_or("REGION");
    let is_number = |end: &&str| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit());
    let account = bucket.rsplit_once('-').map(|(_, end)| end).filter(is_number);
    let bucket = format!("qcs::cos:{region}:uid/{}:{bucket}/", account.unwrap_or("APPID"));
    let objects = format!("{bucket}{prefix}*");
    let writes: &[&str] = match which {
        Side::Source => &[],
        Side::Destination => &CAM_WRITES,
    };
    let actions: Vec<_> = CAM_READS.iter().chain(writes).collect();
    json!({
        "version": "2.0",
        "statement": [{ "effect": "allow", "action": actions, "resource": [bucket, objects] }],
    })
}

/// A binding of a role at Google's. It counts for the whole bucket.
fn roles(which: Side) -> Value {
    let role = match which {
        Side::Source => "roles/storage.objectViewer",
        Side::Destination => "roles/storage.objectUser",
    };
    let member = "serviceAccount:tranship-reader@PROJECT.iam.gserviceaccount.com";
    json!({ "bindings": [{ "role": role, "members": [member] }] })
}

/// In words, where no text of a policy is documented.
fn console(which: Side, side: &SideSettings) -> Value {
    let Location { bucket, prefix, .. } = &side.location;
    let (name, writes) = match which {
        Side::Source => (side.vendor.name, ""),
        Side::Destination => (
            side.vendor.name,
            ", to put objects there, and to begin, list, complete and abort uploads in parts",
        ),
    };
    Value::from(format!(
        "{name} documents no text of such a policy: in the console, under Bucket Policy of {bucket}, let the user of the keys list the bucket, and get the objects {prefix}*{writes}"
    ))
}

/// A prefix whose characters mean themselves: in a resource some of them are patterns.
fn literal(prefix: &str) -> String {
    let mut out = String::with_capacity(prefix.len());
    for c in prefix.chars() {
        match c {
            '*' => out.push_str("${*}"),
            '?' => out.push_str("${?}"),
            '$' => out.push_str("${$}"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_no_pattern() {
        assert_eq!(literal("a*b?c$d/"), "a${*}b${?}c${$}d/");
    }
}
