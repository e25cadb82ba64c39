//! Alibaba Cloud OSS, over its S3-compatible API.
//!
//! "S3 API on OSS: supported operations and limitations",
//! <https://help.aliyun.com/en/oss/developer-reference/compatibility-with-amazon-s3>, unless a rule names another page.

use super::{Asked, CreateOnly, Described, Failure, Lists, Refusal, UserMetadata, Vendor};
use crate::options::EtagMode;
use crate::store::Form;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use s3s::dto::Range;

pub(super) const VENDOR: Vendor = Vendor {
    prefix: "x-oss-",
    request_id: "x-oss-request-id",
    // The page denies path style. The code and text are those of many public reports, such as
    // <https://github.com/xenondevs/Nova/pull/692> and <https://github.com/vectordotdev/vector/issues/20746>.
    path_style: Some(
        Refusal::new(
            403,
            "SecondLevelDomainForbidden",
            "The bucket you are attempting to access must be addressed using OSS third level domain.",
        )
        .saying(&[("EC", "0003-00001401")]),
    ),
    // What the page does not list.
    absent: &[
        "GetObjectTagging",
        "PutObjectTagging",
        "DeleteObjectTagging",
        "GetObjectAttributes",
        "RestoreObject",
        "ListMultipartUploads",
        "ListObjectVersions",
        "GetBucketVersioning",
        "PutBucketVersioning",
        "GetObjectLockConfiguration",
        "GetBucketOwnershipControls",
    ],
    not_there: NOT_IMPLEMENTED,
    tags: false,
    // Seen in <https://github.com/tobi/walgit/issues/67>.
    write_conditions: Some(NOT_IMPLEMENTED),
    // <https://help.aliyun.com/en/oss/user-guide/0026-00000002>
    create_only: Some(CreateOnly {
        header: "x-oss-forbid-overwrite",
        value: "true",
        exists: Refusal::new(
            409,
            "FileAlreadyExists",
            "The object you specified already exists and can not be overwritten.",
        )
        .saying(&[("EC", "0026-00000002")]),
        unversioned_only: true,
    }),
    newer_delete_checksum: false,
    // <https://help.aliyun.com/en/oss/user-guide/0016-00000002>
    longest_key: 1023,
    key_too_long: INVALID_NAME,
    // <https://help.aliyun.com/en/oss/user-guide/0011-00000002>: the whole is less than 8 KB. Another page, 0011-00000005,
    // admits nothing but letters, digits and hyphens in values, which examples of the vendor's own break.
    metadata: UserMetadata {
        total: 8191,
        entry: usize::MAX,
        name: usize::MAX,
        value: usize::MAX,
        whole_names: true,
        plain_names: true,
        too_large: Refusal::new(
            400,
            "InvalidArgument",
            "The total size of the user metadata exceeds the limit.",
        )
        .saying(&[("EC", "0011-00000002")]),
        // <https://help.aliyun.com/en/oss/user-guide/0011-00000004>
        bad_name: Refusal::new(400, "InvalidArgument", "The user metadata has an invalid name.")
            .saying(&[("EC", "0011-00000004")]),
    },
    // Three of them are the page's; that the colder ones look like this is believed and written down nowhere.
    classes: &[
        ("STANDARD", "Standard"),
        ("STANDARD_IA", "IA"),
        ("GLACIER", "Archive"),
        ("DEEP_ARCHIVE", "ColdArchive"),
        ("DEEP_ARCHIVE", "DeepColdArchive"),
    ],
    archive_classes: &["GLACIER", "DEEP_ARCHIVE", "Archive", "ColdArchive", "DeepColdArchive"],
    // <https://www.alibabacloud.com/help/en/oss/how-to-troubleshoot-403-status-code-when-you-access-oss>
    archived: Refusal::new(
        403,
        "InvalidObjectState",
        "The operation is not valid for the object's state",
    ),
    // An object of `PutObject` has an MD5 in capitals, and no other object has an MD5.
    etags: EtagMode::UpperMd5,
    // "CompleteMultipartUpload": parts but the last have 100 KB or more.
    minimum_part: 100 << 10,
    // "GetBucketV2 (ListObjectsV2)": 100 keys if nobody says.
    // <https://www.alibabacloud.com/help/en/oss/developer-reference/listobjectsv2>
    lists: Lists { second: true, encodes: true, page: 100, next_marker: true, types: true },
    // <https://www.alibabacloud.com/help/en/oss/support/http-status-code-403>; over the S3 API, as seen by the live tests
    // of <https://github.com/finch-xu/BucketCat>.
    elsewhere: (
        Refusal::new(
            403,
            "AccessDenied",
            "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.",
        ),
        Refusal::new(404, "NoSuchBucket", "The specified bucket does not exist."),
    ),
    // <https://help.aliyun.com/en/oss/user-guide/http-status-code-503>
    throttled: Refusal::new(503, "TotalQpsLimitExceeded", "Max total qps limit is exceeded"),
    check,
    rewrite,
    describe,
    finish: |_, _, _| {},
    no_lifecycle: None,
    error,
};

const NOT_IMPLEMENTED: Refusal = Refusal::new(
    501,
    "NotImplemented",
    "A header you provided implies functionality that is not implemented.",
);

const INVALID_NAME: Refusal =
    Refusal::new(400, "InvalidObjectName", "The specified object is not valid.")
        .saying(&[("EC", "0016-00000002")]);

/// <https://www.alibabacloud.com/help/en/oss/user-guide/0017-00000804>
const FRAMED: Refusal = Refusal::new(
    400,
    "InvalidArgument",
    "aws-chunked encoding is not supported with the specified x-amz-content-sha256 value.",
)
.saying(&[
    ("ArgumentName", "Content-Encoding"),
    ("ArgumentValue", "aws-chunked"),
    ("EC", "0017-00000804"),
]);

/// Seen in several public captures; the page above only has the other one.
const TRAILED: Refusal = Refusal::new(
    400,
    "NotImplemented",
    "Aws MultiChunkedEncoding STREAMING-UNSIGNED-PAYLOAD-TRAILER is not supported.",
);

fn check(asked: &Asked<'_>) -> Result<(), Refusal> {
    match asked.digest() {
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => {}
        digest if digest.starts_with("STREAMING-") => return Err(TRAILED),
        _ if asked.facts.framed => return Err(FRAMED),
        _ => {}
    }
    // <https://help.aliyun.com/en/oss/user-guide/0016-00000002>
    if asked.facts.key.starts_with(['/', '\\']) {
        return Err(INVALID_NAME);
    }
    Ok(())
}

/// A range that does not lie wholly inside the object is passed over, unless the request asks for the standard.
/// <https://www.alibabacloud.com/help/en/oss/developer-reference/getobject>
fn rewrite(asked: &Asked<'_>, headers: &mut HeaderMap) {
    let standard = asked.header("x-oss-range-behavior") == Some("standard");
    let Some(range) = asked.header("range").filter(|_| !standard) else { return };
    let size = asked.object.as_ref().map_or(0, |object| object.size());
    let inside = match Range::parse(range) {
        Ok(Range::Int { first, last }) => first < size && last.is_none_or(|last| last < size),
        Ok(Range::Suffix { length }) => length > 0 && length <= size,
        Err(_) => false,
    };
    let is_link =
        asked.object.as_ref().is_some_and(|object| matches!(object.form, Form::Symlink { .. }));
    if !inside && !is_link {
        headers.remove(header::RANGE);
    }
}

/// <https://www.alibabacloud.com/help/en/oss/developer-reference/headobject>; which of the headers keep the vendor's
/// prefix in answers to S3-signed requests is documented for the request id and the error code alone.
fn describe(described: &Described<'_>, headers: &mut HeaderMap) {
    let object = described.object;
    let kind = match &object.form {
        Form::Appendable => "Appendable",
        Form::Symlink { .. } => "Symlink",
        Form::Plain if object.parts.is_empty() => "Normal",
        Form::Plain => "Multipart",
    };
    headers.insert("x-oss-object-type", HeaderValue::from_static(kind));
    if let Some(sum) = described.sums.crc64xz(described.goal) {
        headers.insert("x-oss-hash-crc64ecma", HeaderValue::from(sum));
    }
    if object.form == Form::Appendable {
        headers.insert("x-oss-next-append-position", HeaderValue::from(object.size()));
    }
    // For objects of this one type.
    let md5 = Some(kind).filter(|kind| *kind == "Normal" && described.head);
    let md5 = md5.and_then(|_| hex::decode(&object.etag).ok());
    if let Some(md5) = md5.and_then(|md5| HeaderValue::from_str(&STANDARD.encode(md5)).ok()) {
        headers.insert(HeaderName::from_static("content-md5"), md5);
    }
}

/// Error elements as on <https://www.alibabacloud.com/help/en/oss/user-guide/0017-00000804>; the numbers of errors are
/// on pages of their own, or in the tests of the vendor's clients.
fn error(failure: &Failure) -> Vec<(&'static str, String)> {
    let ec = match failure.code.as_str() {
        "NoSuchKey" => "0026-00000001",
        "NoSuchBucket" => "0015-00000101",
        "SignatureDoesNotMatch" => "0002-00000040",
        "InvalidAccessKeyId" => "0002-00000902",
        // <https://help.aliyun.com/en/oss/user-guide/0002-00000504>
        "RequestTimeTooSkewed" => "0002-00000504",
        _ => "",
    };
    let mut more =
        vec![("RequestId", failure.request_id.clone()), ("HostId", failure.host.clone())];
    if let Some(region) = &failure.region
        && failure.code == "AccessDenied"
    {
        more.push(("Endpoint", format!("oss-{region}.aliyuncs.com")));
    }
    if !ec.is_empty() {
        more.push(("EC", ec.to_owned()));
        more.push(("RecommendDoc", format!("https://api.aliyun.com/troubleshoot?q={ec}")));
    }
    more
}
