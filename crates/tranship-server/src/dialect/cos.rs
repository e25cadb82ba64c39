//! Tencent Cloud COS, over its S3-compatible API.
//!
//! Numbers are those of pages below <https://www.tencentcloud.com/document/product/436/>; where no documentation says
//! what the S3 API does, the live tests of <https://github.com/finch-xu/BucketCat> do.

use super::{Asked, CreateOnly, Described, Failure, Lists, Refusal, UserMetadata, Vendor};
use crate::options::EtagMode;
use crate::store::Form;
use http::{HeaderMap, HeaderValue, header};

pub(super) const VENDOR: Vendor = Vendor {
    prefix: "x-cos-",
    request_id: "x-cos-request-id",
    // For buckets from 2024 on: <https://cloud.tencent.com/document/product/436/102489>
    path_style: Some(Refusal::new(
        403,
        "PathStyleDomainForbidden",
        "The bucket you are attempting to access must be addressed using COS virtual-styled domain.",
    )),
    absent: &["GetObjectAttributes", "GetObjectLockConfiguration", "GetBucketOwnershipControls"],
    not_there: Refusal::new(
        501,
        "NotImplemented",
        "A header you provided implies functionality that is not implemented.",
    ),
    // 7746: up to ten.
    tags: true,
    // Documented nowhere; what is not documented is not relied on.
    write_conditions: None,
    // 7746, 7749
    create_only: Some(CreateOnly {
        header: "x-cos-forbid-overwrite",
        value: "true",
        exists: Refusal::new(
            409,
            "FileAlreadyExists",
            "The object you specified already exists and can not be overwritten.",
        ),
        unversioned_only: true,
    }),
    newer_delete_checksum: false,
    // 13324
    longest_key: 850,
    key_too_long: Refusal::new(400, "KeyTooLong", "Your key is too long."),
    // 7749. Its codes are documented nowhere; these are Amazon's.
    metadata: UserMetadata {
        total: 4 << 10,
        entry: 2 << 10,
        name: usize::MAX,
        value: usize::MAX,
        whole_names: true,
        plain_names: true,
        too_large: Refusal::new(
            400,
            "MetadataTooLarge",
            "Your metadata headers exceed the maximum allowed metadata size.",
        ),
        bad_name: Refusal::new(400, "InvalidArgument", "The metadata header is not valid."),
    },
    // 7746; that they have the same names over the S3 API is believed.
    classes: &[
        ("STANDARD", "STANDARD"),
        ("STANDARD_IA", "STANDARD_IA"),
        ("INTELLIGENT_TIERING", "INTELLIGENT_TIERING"),
        ("COLD", "COLD"),
        ("ARCHIVE", "ARCHIVE"),
        ("DEEP_ARCHIVE", "DEEP_ARCHIVE"),
        ("MAZ_STANDARD", "MAZ_STANDARD"),
        ("MAZ_STANDARD_IA", "MAZ_STANDARD_IA"),
        ("MAZ_INTELLIGENT_TIERING", "MAZ_INTELLIGENT_TIERING"),
    ],
    archive_classes: &["ARCHIVE", "DEEP_ARCHIVE"],
    // 7730
    archived: Refusal::new(
        403,
        "InvalidObjectState",
        "The operation is not valid for the object's storage class.",
    ),
    // 7729: not necessarily an MD5.
    etags: EtagMode::Md5OfOnePiece,
    // 7750
    minimum_part: 1 << 20,
    // 30614 documents the first version alone and says that it names the next marker whenever there is more. Some have
    // seen the second one answered; who relies on it relies on nothing written.
    lists: Lists { second: false, encodes: true, page: 1000, next_marker: true, types: false },
    elsewhere: (NO_SUCH_BUCKET, NO_SUCH_BUCKET),
    // 7730
    throttled: Refusal::new(503, "SlowDown", "Reduce your request rate."),
    check,
    rewrite: |_, _| {},
    describe,
    finish: |_, _, _| {},
    no_lifecycle: None,
    error,
};

const NO_SUCH_BUCKET: Refusal =
    Refusal::new(404, "NoSuchBucket", "The specified bucket does not exist.");

fn check(asked: &Asked<'_>) -> Result<(), Refusal> {
    // 30614 and 13312: the APPID always belongs to the name.
    let bucket = &asked.facts.bucket;
    let (_, app) = bucket.rsplit_once('-').unwrap_or_default();
    if !bucket.is_empty() && (app.len() < 8 || !app.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(Refusal::new(
            400,
            "InvalidBucketName",
            "The specified bucket is not valid. A bucket's name ends in its APPID.",
        ));
    }
    // Frames hide the length: <https://github.com/infiniflow/ragflow/pull/15930>
    if asked.facts.framed {
        return Err(Refusal::new(
            411,
            "MissingContentLength",
            "You must provide the Content-Length HTTP header.",
        ));
    }
    // 13324
    let unfit = |byte: char| ('\u{18}'..='\u{1b}').contains(&byte);
    if asked.facts.key.starts_with(['/', '\\']) || asked.facts.key.contains(unfit) {
        return Err(Refusal::new(400, "InvalidObjectName", "Your object key is not valid."));
    }
    // <https://cloud.tencent.com/document/product/436/102489>
    let key = asked.facts.key.to_lowercase();
    let app = [".apk", ".ipa"].iter().any(|ending| key.ends_with(ending));
    if app && asked.facts.operation == "GetObject" {
        return Err(Refusal::new(
            403,
            "DownloadForbidden",
            "The APK/IPA file is not allowed to be distributed in a public network using COS default domain, please use custom domain instead.",
        ));
    }
    Ok(())
}

/// 7745. The S3 API gives these headers Amazon's prefix.
fn describe(described: &Described<'_>, headers: &mut HeaderMap) {
    // 34078
    if let Some(sum) = described.sums.crc64xz(described.goal) {
        headers.insert("x-amz-hash-crc64ecma", HeaderValue::from(sum));
    }
    if described.object.form == Form::Appendable {
        headers.insert("x-amz-object-type", HeaderValue::from_static("appendable"));
        headers.insert("x-amz-next-append-position", HeaderValue::from(described.object.size()));
    }
    // Whatever is read by the default domain is to be saved and not shown:
    // <https://cloud.tencent.com/document/product/436/102489>
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert("x-amz-force-download", HeaderValue::from_static("true"));
}

/// 7730
fn error(failure: &Failure) -> Vec<(&'static str, String)> {
    vec![
        ("Resource", failure.host.clone()),
        ("RequestId", failure.request_id.clone()),
        ("TraceId", failure.request_id.to_lowercase()),
    ]
}
