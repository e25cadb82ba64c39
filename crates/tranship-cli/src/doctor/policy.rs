//! The least permissions that a copy needs on each side, as IAM policies.

use serde_json::{Value, json};
use tranship_core::location::Location;

use crate::settings::{SideSettings, VerifySettings};

const SOURCE_BUCKET: [&str; 1] = ["s3:ListBucket"];
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

/// Both policies, by side.
pub fn policies(settings: &VerifySettings) -> Value {
    json!({
        "source": policy(&settings.source, &SOURCE_BUCKET, &SOURCE_OBJECTS),
        "destination": policy(&settings.destination, &DESTINATION_BUCKET, &DESTINATION_OBJECTS),
    })
}

fn policy(side: &SideSettings, of_bucket: &[&str], of_objects: &[&str]) -> Value {
    let Location { bucket, prefix, .. } = &side.location;
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

fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
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
    fn a_prefix_is_no_pattern_and_a_partition_follows_the_region() {
        assert_eq!(literal("a*b?c$d/"), "a${*}b${?}c${$}d/");
        for (region, name) in [
            ("", "aws"),
            ("eu-west-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
        ] {
            assert_eq!(partition(region), name);
        }
    }
}
