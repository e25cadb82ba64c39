//! Google Cloud Storage, over its XML API with HMAC keys.
//!
//! Pages are below <https://cloud.google.com/storage/docs/>; what answers to S3-signed requests hold is what the
//! vendor's own client reads from them (`googlecloudsdk/api_lib/storage/gcs_xml` of its command line tools).

use super::{Asked, CreateOnly, Described, Failure, Lists, Refusal, UserMetadata, Vendor, gunzip};
use crate::options::EtagMode;
use crate::store::{Form, Object, Properties};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use http_body::Frame;
use http_body_util::StreamBody;
use s3s::Body;
use std::convert::Infallible;

pub(super) const VENDOR: Vendor = Vendor {
    prefix: "x-goog-",
    request_id: "x-guploader-uploadid",
    // Both styles: `request-endpoints`.
    path_style: None,
    // No part can be copied: issuetracker.google.com/issues/323465186. Tags of objects and the rest are not among the
    // methods of the XML API.
    absent: &[
        "UploadPartCopy",
        "GetObjectTagging",
        "PutObjectTagging",
        "DeleteObjectTagging",
        "GetObjectAttributes",
        "RestoreObject",
        "GetObjectLockConfiguration",
        "GetBucketOwnershipControls",
    ],
    // `xml-api/reference-status`
    not_there: Refusal::new(
        501,
        "NotImplemented",
        "A header or query you provided requested a function that is not implemented.",
    ),
    tags: false,
    // `request-preconditions` documents these for reading alone; writing has generations.
    write_conditions: None,
    create_only: Some(CreateOnly {
        header: "x-goog-if-generation-match",
        value: "0",
        exists: PRECONDITION,
        unversioned_only: false,
    }),
    newer_delete_checksum: true,
    longest_key: 1024,
    key_too_long: Refusal::new(400, "KeyTooLong", "The key is too long."),
    // `reference/rpc/google.storage.v1`, ServiceConstants; the code is among those of `xml-api/reference-status`.
    metadata: UserMetadata {
        total: 8 << 10,
        entry: usize::MAX,
        name: 1 << 10,
        value: 4 << 10,
        whole_names: false,
        plain_names: false,
        too_large: METADATA_TOO_LARGE,
        bad_name: METADATA_TOO_LARGE,
    },
    // `aws-simple-migration`: a storage class is one of these; all are read at once.
    classes: &[
        ("STANDARD", "STANDARD"),
        ("NEARLINE", "NEARLINE"),
        ("COLDLINE", "COLDLINE"),
        ("ARCHIVE", "ARCHIVE"),
        ("MULTI_REGIONAL", "MULTI_REGIONAL"),
        ("REGIONAL", "REGIONAL"),
        ("DURABLE_REDUCED_AVAILABILITY", "DURABLE_REDUCED_AVAILABILITY"),
    ],
    archive_classes: &[],
    archived: PRECONDITION,
    // `xml-api/post-object-complete`: that of a multipart upload is not based on MD5.
    etags: EtagMode::Md5OrOpaque,
    minimum_part: 5 << 20,
    // `xml-api/get-bucket-list`
    lists: Lists { second: true, encodes: true, page: 1000, next_marker: true, types: false },
    elsewhere: (NO_SUCH_BUCKET, NO_SUCH_BUCKET),
    // `retry-strategy`; the form is that of <https://github.com/nextcloud/server/issues/12537>.
    throttled: Refusal::new(429, "SlowDown", "Please reduce your request rate."),
    check,
    rewrite,
    describe,
    finish,
    // As the integration tests of <https://github.com/boto/boto> expect it (tests/integration/gs/test_basic.py).
    no_lifecycle: Some("<?xml version='1.0' encoding='UTF-8'?><LifecycleConfiguration/>"),
    error,
};

const METADATA_TOO_LARGE: Refusal = Refusal::new(
    400,
    "MetadataTooLarge",
    "Your metadata headers exceed the maximum allowed metadata size.",
);

const NO_SUCH_BUCKET: Refusal =
    Refusal::new(404, "NoSuchBucket", "The specified bucket does not exist.");

const PRECONDITION: Refusal = Refusal::new(
    412,
    "PreconditionFailed",
    "At least one of the pre-conditions you specified did not hold.",
);

const UNSIGNED: Refusal = Refusal::new(
    403,
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match the signature you provided. Check your Google secret key and signing method.",
);

fn check(asked: &Asked<'_>) -> Result<(), Refusal> {
    // boto/boto3#4400 and others: frames with trailers break the signature.
    if asked.facts.framed {
        return Err(UNSIGNED);
    }
    // The list of providers of <https://github.com/rclone/rclone> (GCS.yaml): the query breaks the signature, and the
    // front end changes `Accept-Encoding` after it was signed.
    if asked.query("x-id").is_some() || signs(asked, "accept-encoding") {
        return Err(UNSIGNED);
    }
    // `objects`: a name holds neither of these, is neither of those, and does not begin so.
    let key = asked.facts.key.as_str();
    let is_reserved = matches!(key, "." | "..") || key.starts_with(".well-known/acme-challenge/");
    if is_reserved || key.contains(['\r', '\n']) {
        return Err(Refusal::new(400, "InvalidArgument", "Invalid argument."));
    }
    generation(asked)
}

fn signs(asked: &Asked<'_>, name: &str) -> bool {
    let authorization = asked.header("authorization").unwrap_or_default();
    let signed = authorization.split_once("SignedHeaders=").map(|(_, rest)| rest);
    let names = signed.and_then(|rest| rest.split(',').next()).unwrap_or_default();
    names.split(';').any(|known| known == name)
}

/// `request-preconditions`: what is there has this generation, or does not; 0 stands for nothing.
fn generation(asked: &Asked<'_>) -> Result<(), Refusal> {
    let there = asked.object.as_ref().map_or(0, |object| object.generation);
    let named = |name: &str| asked.header(name).and_then(|value| value.parse::<u64>().ok());
    if named("x-goog-if-generation-match").is_some_and(|wanted| wanted != there)
        || named("x-goog-if-generation-not-match").is_some_and(|unwanted| unwanted == there)
    {
        return Err(PRECONDITION);
    }
    Ok(())
}

/// `transcoding`: what is stored compressed is handed out uncompressed, unless the client takes it as it is or the
/// object forbids it. There is then no length, and no range.
fn is_transcoded(asked: &Asked<'_>) -> bool {
    let takes = asked.header("accept-encoding").unwrap_or_default().contains("gzip");
    let properties = asked.object.as_ref().map(|object| &object.properties);
    let kept = |properties: &Properties| {
        let cached = properties.cache_control.as_deref().unwrap_or_default();
        properties.content_encoding.as_deref() != Some("gzip") || cached.contains("no-transform")
    };
    asked.facts.operation == "GetObject" && !takes && !properties.is_none_or(kept)
}

fn rewrite(asked: &Asked<'_>, headers: &mut HeaderMap) {
    if is_transcoded(asked) {
        headers.remove(header::RANGE);
    }
}

fn finish(asked: &Asked<'_>, answer: &mut Response<Body>, object: &Object) {
    if !is_transcoded(asked) {
        return;
    }
    let Some(plain) = object.content.read().and_then(|bytes| gunzip::gunzip(&bytes)) else {
        return;
    };
    let headers = answer.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::CONTENT_ENCODING);
    headers.insert(header::WARNING, HeaderValue::from_static("214 UploadServer gunzipped"));
    // A stream, whose length nobody knows before its end.
    let frame = Ok::<_, Infallible>(Frame::data(Bytes::from(plain)));
    *answer.body_mut() = Body::http_body(StreamBody::new(futures_util::stream::iter([frame])));
}

/// `xml-api/reference-headers`
fn describe(described: &Described<'_>, headers: &mut HeaderMap) {
    let object = described.object;
    let hash = HeaderName::from_static("x-goog-hash");
    let mut add = |name: &str, bytes: &[u8]| {
        if let Ok(value) = HeaderValue::from_str(&format!("{name}={}", STANDARD.encode(bytes))) {
            headers.append(hash.clone(), value);
        }
    };
    if let Some(sum) = described.sums.crc32c(object) {
        add("crc32c", sum.to_be_bytes().get(4..).unwrap_or_default());
    }
    // Only what came in one piece has an MD5.
    if object.form == Form::Plain
        && object.parts.is_empty()
        && let Ok(md5) = hex::decode(&object.etag)
    {
        add("md5", &md5);
    }
    let encoding = object.properties.content_encoding.as_deref().unwrap_or("identity");
    let class = described.class(true);
    let texts = [
        ("x-goog-stored-content-encoding", encoding.to_owned()),
        ("x-goog-stored-content-length", object.size().to_string()),
        ("x-goog-storage-class", class),
        ("x-goog-generation", object.generation.to_string()),
        ("x-goog-metageneration", "1".to_owned()),
        // Where boto's `VersionId` comes from.
        ("x-amz-version-id", object.generation.to_string()),
    ];
    for (name, value) in texts {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// `xml-api/reference-status`: nothing but a code, a message and at times details.
fn error(failure: &Failure) -> Vec<(&'static str, String)> {
    vec![("Details", format!("{} at {}", failure.request_id, failure.host))]
}
