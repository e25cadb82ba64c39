//! Qiniu Kodo, over its S3-compatible API.
//!
//! <https://developer.qiniu.com/kodo/4087/compatible-s3-api>, unless a rule names another source.

use super::{Failure, Lists, Refusal, UserMetadata, Vendor};
use crate::options::EtagMode;

pub(super) const VENDOR: Vendor = Vendor {
    prefix: "x-amz-",
    request_id: "x-reqid",
    // Both styles: <https://developer.qiniu.com/kodo/4088/s3-access-domainname>
    path_style: None,
    // What the page does not list.
    absent: &[
        "GetObjectTagging",
        "PutObjectTagging",
        "DeleteObjectTagging",
        "GetObjectAttributes",
        "ListObjectVersions",
        "GetBucketVersioning",
        "PutBucketVersioning",
        "GetObjectLockConfiguration",
        "GetBucketOwnershipControls",
    ],
    not_there: NOT_IMPLEMENTED,
    tags: false,
    // Not listed, and so not relied on.
    write_conditions: None,
    create_only: None,
    // The live tests of <https://github.com/finch-xu/BucketCat>.
    newer_delete_checksum: true,
    // Believed of the native API.
    longest_key: 750,
    key_too_long: Refusal::new(400, "KeyTooLongError", "Your key is too long."),
    // <https://developer.qiniu.com/kodo/8567/settings-file-meta-information> says so of the native metadata. What its form
    // admits of characters and lengths is the console's. Codes are Amazon's, as believed.
    metadata: UserMetadata {
        total: 1 << 10,
        entry: usize::MAX,
        name: usize::MAX,
        value: usize::MAX,
        whole_names: false,
        plain_names: false,
        too_large: METADATA_TOO_LARGE,
        bad_name: METADATA_TOO_LARGE,
    },
    // Archives that are read at once are no archives here.
    classes: &[
        ("STANDARD", "STANDARD"),
        ("LINE", "LINE"),
        ("INTELLIGENT_TIERING", "INTELLIGENT_TIERING"),
        ("GLACIER_IR", "GLACIER_IR"),
        ("GLACIER", "GLACIER"),
        ("DEEP_ARCHIVE", "DEEP_ARCHIVE"),
    ],
    archive_classes: &["GLACIER", "DEEP_ARCHIVE"],
    archived: Refusal::new(
        403,
        "InvalidObjectState",
        "The operation is not valid for the object's storage class",
    ),
    // The native hash is no MD5: <https://github.com/qiniu/qetag>. Behind the S3 protocol it is believed to be one of
    // what comes in one piece; with `EtagMode::Qetag` the server gives the native one there, too.
    etags: EtagMode::Md5OfOnePiece,
    minimum_part: 1 << 20,
    // Neither version knows `encoding-type`.
    lists: Lists { second: true, encodes: false, page: 1000, next_marker: false, types: false },
    // The live tests of <https://github.com/finch-xu/BucketCat>.
    elsewhere: (INCORRECT_REGION, INCORRECT_REGION),
    throttled: Refusal::new(503, "SlowDown", "Please reduce your request rate."),
    check: |asked| if asked.facts.framed { Err(NOT_IMPLEMENTED) } else { Ok(()) },
    rewrite: |_, _| {},
    // No checksum of the whole was found in any documentation.
    describe: |_, _| {},
    finish: |_, _, _| {},
    no_lifecycle: None,
    error: |failure: &Failure| {
        vec![("Resource", failure.host.clone()), ("RequestId", failure.request_id.clone())]
    },
};

const METADATA_TOO_LARGE: Refusal = Refusal::new(
    400,
    "MetadataTooLarge",
    "Your metadata headers exceed the maximum allowed metadata size",
);

const INCORRECT_REGION: Refusal =
    Refusal::new(400, "IncorrectRegion", "The bucket region not match with the service region");

const NOT_IMPLEMENTED: Refusal = Refusal::new(
    501,
    "NotImplemented",
    "A header you provided implies functionality that is not implemented",
);
