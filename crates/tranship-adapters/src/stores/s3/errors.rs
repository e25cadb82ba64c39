//! The one table from a store's answer to an [`ErrorKind`].
//!
//! Codes decide where there is one, since vendors disagree about statuses; the status decides where
//! the answer has no body, as that of a HEAD never has. Nothing else in the product reads a code.

use std::borrow::Cow;
use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use tranship_core::error::ErrorKind;
use tranship_core::object::escape;

use super::vendors::host_of;
use crate::aws::{causes, chain};
use crate::secrets::SecretError;

/// Who was asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// The endpoint, or whose store it is.
    pub store: &'a str,
    pub bucket: &'a str,
    /// The bucket was to stand in the host's name.
    pub in_host: bool,
}

/// What a store answered to a call that failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failure<'a> {
    /// The call, as S3 names it.
    pub operation: &'a str,
    pub status: u16,
    pub code: Option<&'a str>,
    pub has_body: bool,
    /// The region that the answer names.
    pub region: Option<&'a str>,
    /// The answer names another endpoint as the bucket's.
    pub is_elsewhere: bool,
}

const NO_CREDENTIALS: &str = "there are no usable credentials: set AWS_ACCESS_KEY_ID and \
    AWS_SECRET_ACCESS_KEY, name a profile, or ask for anonymous access";

const BY_CODE: &[(ErrorKind, &[&str])] = &[
    (ErrorKind::NoSuchKey, &["NoSuchKey"]),
    // The key may well be there: this proves nothing about it.
    (
        ErrorKind::NotFound,
        &[
            "NoSuchVersion",
            "NotFound",
            "NoSuchLifecycleConfiguration",
            "OwnershipControlsNotFoundError",
        ],
    ),
    (ErrorKind::NoSuchBucket, &["NoSuchBucket", "NoSuchAccessPoint", "InvalidBucketName"]),
    (ErrorKind::NoSuchUpload, &["NoSuchUpload"]),
    (
        ErrorKind::PreconditionFailed,
        &["PreconditionFailed", "FileAlreadyExists", "ObjectAlreadyExists"],
    ),
    (ErrorKind::Conflict, &["ConditionalRequestConflict", "OperationAborted"]),
    (ErrorKind::Archived, &["InvalidObjectState", "ObjectNotInActiveTierError"]),
    (
        ErrorKind::Throttled,
        &[
            "SlowDown",
            "SlowDownRead",
            "SlowDownWrite",
            "TooManyRequests",
            "TooManyRequestsException",
            "Throttling",
            "ThrottlingException",
            "RequestThrottled",
            "RequestLimitExceeded",
            "TooManyRequest",
            "BandwidthLimitExceeded",
            "QpsLimitExceeded",
            "TotalQpsLimitExceeded",
            "DownloadTrafficRateLimitExceeded",
            "UploadTrafficRateLimitExceeded",
            "KMS.ThrottlingException",
        ],
    ),
    (
        ErrorKind::Unavailable,
        &[
            "InternalError",
            "InternalFailure",
            "InternalServerError",
            "ServiceUnavailable",
            "RequestTimeout",
            "RequestTimeoutException",
            "IncompleteBody",
            "KMS.DependencyTimeoutException",
            "KMS.KMSInternalException",
            "KMS.InternalException",
        ],
    ),
    (
        ErrorKind::BadDigest,
        &["BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"],
    ),
    (ErrorKind::InvalidPart, &["InvalidPart", "InvalidPartOrder"]),
    (
        ErrorKind::Denied,
        &[
            "AccessDenied",
            "AccessDeniedException",
            "AllAccessDisabled",
            "Unauthorized",
            "InDebt",
            "InDebtOverdue",
        ],
    ),
    // Of objects by the ends of their names: the others may be read.
    (ErrorKind::Forbidden, &["DownloadForbidden"]),
    // A link that leads nowhere, or to a link. It stays so until somebody mends it.
    (ErrorKind::Invalid, &["SymlinkTargetNotExist", "InvalidTargetType"]),
    (
        ErrorKind::Unauthenticated,
        &[
            "AccountProblem",
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidAccessKeyId",
            "InvalidSecurity",
            "InvalidToken",
            "NotSignedUp",
            "SecurityTokenExpired",
            "SignatureDoesNotMatch",
            "TokenRefreshRequired",
            "UserDisable",
        ],
    ),
    (ErrorKind::ClockSkewed, &["RequestTimeTooSkewed", "RequestExpired"]),
    (
        ErrorKind::WrongRegion,
        &[
            "PermanentRedirect",
            "TemporaryRedirect",
            "Redirect",
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
            "IncorrectEndpoint",
            "IncorrectRegion",
        ],
    ),
    (
        ErrorKind::WrongAddress,
        &["SecondLevelDomainForbidden", "PathStyleDomainForbidden", "VirtualHostDomainRequired"],
    ),
    (ErrorKind::Unsupported, &["NotImplemented", "MethodNotAllowed"]),
];

/// What a failed answer means.
pub(super) fn kind_of(failure: Failure<'_>) -> ErrorKind {
    // An answer that says "done" and carries an error: whether it is done is unknown.
    if (200..300).contains(&failure.status) {
        return ErrorKind::Lied;
    }
    let of_code = failure.code.filter(|_| failure.has_body).and_then(kind_of_code);
    // Some vendors say of a bucket in another region that there is none, or that it may not be used.
    if failure.is_elsewhere && matches!(of_code, Some(ErrorKind::NoSuchBucket | ErrorKind::Denied))
    {
        return ErrorKind::WrongRegion;
    }
    of_code.unwrap_or_else(|| {
        let is_head = failure.operation.starts_with("Head");
        match failure.status {
            300..=399 => ErrorKind::WrongRegion,
            // A HEAD has no body to say so in: it only names the region.
            400 if is_head && failure.region.is_some() => ErrorKind::WrongRegion,
            401 | 403 => ErrorKind::Denied,
            404 if failure.operation == "HeadBucket" => ErrorKind::NoSuchBucket,
            404 => ErrorKind::NotFound,
            405 | 501 => ErrorKind::Unsupported,
            409 => {
                if failure.has_body {
                    ErrorKind::Invalid
                } else {
                    ErrorKind::Conflict
                }
            }
            412 => ErrorKind::PreconditionFailed,
            // The object is shorter than the range: it is not the one that was listed.
            416 if failure.operation == "GetObject" => ErrorKind::PreconditionFailed,
            429 => ErrorKind::Throttled,
            // Without a body it is a store that throttles, or a proxy; only for a read is the
            // difference of no account.
            503 if is_head => ErrorKind::Throttled,
            408 | 499 | 500..=599 => ErrorKind::Unavailable,
            400..=499 => ErrorKind::Invalid,
            _ => ErrorKind::Lied,
        }
    })
}

fn kind_of_code(code: &str) -> Option<ErrorKind> {
    let listed = BY_CODE.iter().find(|(_, codes)| codes.contains(&code)).map(|(kind, _)| *kind);
    listed.or_else(|| code.starts_with("KMS.").then_some(ErrorKind::Encryption))
}

/// Kind and message of an error of the SDK. `place` is where the requests go to.
pub(super) fn explain<E>(
    operation: &str,
    place: Place<'_>,
    error: &SdkError<E, HttpResponse>,
) -> (ErrorKind, String)
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let Some(explained) = explain_credentials(error) {
        return explained;
    }
    match error {
        SdkError::ServiceError(_) | SdkError::ResponseError(_) => {
            explain_answer(operation, place, error)
        }
        SdkError::ConstructionFailure(_) => {
            let causes = causes(error);
            if causes.contains("Missing Region") {
                return (ErrorKind::Invalid, NO_REGION.to_owned());
            }
            (ErrorKind::Invalid, causes)
        }
        // Timeouts, refused and broken connections, and bodies of ours that failed on the way.
        _ => {
            let causes = causes(error);
            let hint = if place.in_host && causes.contains(WRONG_NAME) {
                no_certificate(place.bucket)
            } else {
                String::new()
            };
            (ErrorKind::Unavailable, format!("{}: {causes}{hint}", place.store))
        }
    }
}

/// What TLS says of a certificate that is for other hosts.
const WRONG_NAME: &str = "not valid for name";

fn no_certificate(bucket: &str) -> String {
    format!(
        "; the store's certificate does not cover the bucket {} in the host's name: put it into the path \
        (--source-path-style, --destination-path-style)",
        escape(bucket)
    )
}

pub(super) const NO_REGION: &str =
    "there is no region: set AWS_REGION, or name a region or a profile";

fn explain_credentials(error: &(dyn Error + 'static)) -> Option<(ErrorKind, String)> {
    if let Some(secret) = SecretError::behind(error) {
        let kind =
            if secret.may_pass() { ErrorKind::Unavailable } else { ErrorKind::Unauthenticated };
        return Some((kind, secret.to_string()));
    }
    let cause = chain(error).find_map(|cause| cause.downcast_ref::<CredentialsError>())?;
    let kind = match cause {
        CredentialsError::ProviderTimedOut(_) => ErrorKind::Unavailable,
        _ => ErrorKind::Unauthenticated,
    };
    Some((kind, format!("{NO_CREDENTIALS} ({})", causes(cause))))
}

fn explain_answer<E>(
    operation: &str,
    place: Place<'_>,
    error: &SdkError<E, HttpResponse>,
) -> (ErrorKind, String)
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let Some(response) = error.raw_response() else { return (ErrorKind::Lied, causes(error)) };
    let status = response.status().as_u16();
    // The answer broke off; what it would have said is unknown.
    let broke_off = chain(error).any(|c| c.is::<std::io::Error>() || c.is::<ConnectorError>());
    if broke_off {
        return (ErrorKind::Unavailable, format!("the answer broke off: {}", causes(error)));
    }
    let body = response.body().bytes().unwrap_or_default();
    let region = response.headers().get("x-amz-bucket-region").or_else(|| region_in(body));
    let code = error.code().filter(|code| !code.is_empty());
    let endpoint = within(body, "Endpoint");
    let is_elsewhere = endpoint.is_some_and(|endpoint| is_another(endpoint, place));
    let has_body = !body.is_empty();
    let failure = Failure { operation, status, code, has_body, region, is_elsewhere };
    let kind = kind_of(failure);
    let mut message = match (code, error.message()) {
        (Some(code), Some(text)) => format!("{}: {} (HTTP {status})", escape(code), escape(text)),
        (Some(code), None) => format!("{} (HTTP {status})", escape(code)),
        (None, _)
            if matches!(error, SdkError::ResponseError(_)) || (200..300).contains(&status) =>
        {
            format!("the answer cannot be read: {} (HTTP {status})", causes(error))
        }
        (None, _) => format!("HTTP {status}"),
    };
    if let Some(hint) = hint(code, error.message(), place) {
        message.push_str("; ");
        message.push_str(&hint);
    }
    if let Some(endpoint) = endpoint {
        message.push_str("; the bucket's endpoint is ");
        message.push_str(&escape(endpoint));
    }
    if kind == ErrorKind::WrongRegion
        && let Some(region) = region
    {
        message.push_str("; the bucket is in region ");
        message.push_str(&escape(region));
    }
    if kind == ErrorKind::ClockSkewed {
        message.push_str(&clocks(body, response.headers().get("date")));
    }
    if code == Some("MetadataTooLarge") {
        message.push_str(METADATA_TOO_LARGE);
    }
    (kind, message)
}

const METADATA_TOO_LARGE: &str = "; the destination holds less user metadata than the source: \
    shorten it at the source, or leave the object out";

/// What the two clocks say, as far as the answer tells, and what to do about it.
fn clocks(body: &[u8], date: Option<&str>) -> String {
    let theirs = within(body, "ServerTime").or(date);
    let theirs = theirs.map(|time| format!("; the store's clock says {}", escape(time)));
    let ours = within(body, "RequestTime");
    let ours = ours.map(|time| format!("; this machine's said {}", escape(time)));
    let (theirs, ours) = (theirs.unwrap_or_default(), ours.unwrap_or_default());
    format!("{theirs}{ours}; set this machine's clock")
}

/// `AuthorizationHeaderMalformed` names the right region in its body alone.
fn region_in(body: &[u8]) -> Option<&str> {
    within(body, "Region")
}

/// The text of an element of an error's document.
fn within<'a>(body: &'a [u8], name: &str) -> Option<&'a str> {
    let (_, rest) = std::str::from_utf8(body).ok()?.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

/// Whether an endpoint that an answer names is another one than that which was asked. One store's has
/// several names, and the bucket may stand before any of them.
fn is_another(endpoint: &str, place: Place<'_>) -> bool {
    let bare = |name: &str| {
        let host = host_of(name);
        let host = host.strip_prefix(&format!("{}.", place.bucket)).unwrap_or(&host).to_owned();
        host.trim_start_matches("s3.").replacen("-internal.", ".", 1)
    };
    bare(endpoint) != bare(place.store)
}

/// What to do about an answer that says it in the vendor's own words, or not at all.
fn hint(code: Option<&str>, text: Option<&str>, place: Place<'_>) -> Option<Cow<'static, str>> {
    const BUCKET_IN_HOST: &str = "the store wants the bucket in the host's name: leave path style off \
        (--source-path-style=false, --destination-path-style=false)";
    let hint = match code? {
        "SecondLevelDomainForbidden" | "PathStyleDomainForbidden" | "VirtualHostDomainRequired"
            if place.in_host && place.bucket.contains('.') =>
        {
            return Some(dotted(place.bucket).into());
        }
        "SecondLevelDomainForbidden" | "PathStyleDomainForbidden" | "VirtualHostDomainRequired" => {
            Some(BUCKET_IN_HOST)
        }
        "IncorrectRegion" => Some("name the bucket's region: the endpoint follows from it"),
        "DownloadForbidden" => {
            Some("give the store's objects a domain of their own, and name it as the endpoint")
        }
        "SymlinkTargetNotExist" => Some(
            "the object is a link, and what it points to is not there: mend or delete the link at the source",
        ),
        "InvalidTargetType" => Some(
            "the object is a link to what no link may point to, such as another link: mend or delete it at the source",
        ),
        "InDebt" | "InDebtOverdue" | "UserDisable" => Some("the vendor has closed the account"),
        _ if text.is_some_and(|text| text.contains("Unsupported Authorization Type")) => Some(
            "the store knows only signatures older than version 4, and tranship signs with that",
        ),
        _ => None,
    };
    hint.map(Cow::Borrowed)
}

/// Over HTTPS a bucket with a dot in its name stands in the path, whatever was asked for.
fn dotted(bucket: &str) -> String {
    format!(
        "the bucket {} has a dot in its name, so no certificate covers it in the host's name, and it stands in the \
        path, which the store refuses: name a domain of its own as the endpoint (--source-bucket-endpoint, \
        --destination-bucket-endpoint), or take a bucket without a dot",
        escape(bucket)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ErrorKind as K;

    #[test]
    fn every_code_has_one_kind() {
        let mut seen = std::collections::BTreeSet::new();
        for (kind, codes) in BY_CODE {
            for code in *codes {
                assert!(seen.insert(code), "{code} is listed twice");
                let failure = Failure {
                    operation: "PutObject",
                    status: 400,
                    code: Some(code),
                    has_body: true,
                    region: None,
                    is_elsewhere: false,
                };
                assert_eq!(kind_of(failure), *kind, "{code}");
                let done = Failure { status: 200, ..failure };
                assert_eq!(kind_of(done), K::Lied, "{code}");
            }
        }
    }

    #[test]
    fn codes_and_statuses_mean_what_the_table_says() {
        for (operation, status, code, kind) in [
            ("GetObject", 404, "NoSuchKey", K::NoSuchKey),
            ("GetObject", 404, "NoSuchVersion", K::NotFound),
            ("GetObject", 404, "NoSuchBucket", K::NoSuchBucket),
            ("GetObject", 403, "InvalidObjectState", K::Archived),
            ("GetObject", 403, "DownloadForbidden", K::Forbidden),
            ("GetObject", 404, "SymlinkTargetNotExist", K::Invalid),
            ("ListObjects", 403, "PathStyleDomainForbidden", K::WrongAddress),
            ("GetObject", 416, "InvalidRange", K::PreconditionFailed),
            ("GetObject", 412, "PreconditionFailed", K::PreconditionFailed),
            ("GetObject", 301, "PermanentRedirect", K::WrongRegion),
            ("GetObject", 400, "AuthorizationHeaderMalformed", K::WrongRegion),
            ("GetObject", 400, "ExpiredToken", K::Unauthenticated),
            ("GetObject", 403, "RequestTimeTooSkewed", K::ClockSkewed),
            ("GetObject", 403, "SomethingNew", K::Denied),
            ("GetObject", 400, "KMS.DisabledException", K::Encryption),
            ("GetObject", 400, "KMS.ThrottlingException", K::Throttled),
            ("PutObject", 409, "ConditionalRequestConflict", K::Conflict),
            ("PutObject", 409, "FileImmutable", K::Invalid),
            ("PutObject", 409, "FileAlreadyExists", K::PreconditionFailed),
            ("PutObject", 503, "SlowDown", K::Throttled),
            ("PutObject", 503, "ServiceUnavailable", K::Unavailable),
            ("PutObject", 503, "SomethingNew", K::Unavailable),
            ("PutObject", 429, "SomethingNew", K::Throttled),
            ("PutObject", 400, "RequestTimeout", K::Unavailable),
            ("PutObject", 400, "EntityTooLarge", K::Invalid),
            ("PutObject", 400, "MetadataTooLarge", K::Invalid),
            ("PutObject", 400, "KeyTooLongError", K::Invalid),
            ("PutObject", 501, "NotImplemented", K::Unsupported),
            ("CompleteMultipartUpload", 400, "EntityTooSmall", K::Invalid),
            ("CompleteMultipartUpload", 404, "NoSuchUpload", K::NoSuchUpload),
            ("CompleteMultipartUpload", 200, "InternalError", K::Lied),
        ] {
            let code = Some(code);
            let failure = Failure {
                operation,
                status,
                code,
                has_body: true,
                region: None,
                is_elsewhere: false,
            };
            assert_eq!(kind_of(failure), kind, "{operation} {status} {code:?}");
        }
    }

    #[test]
    fn an_answer_without_a_body_is_judged_by_its_status() {
        for (operation, status, region, kind) in [
            ("HeadObject", 404, None, K::NotFound),
            ("HeadBucket", 404, None, K::NoSuchBucket),
            ("GetObject", 404, None, K::NotFound),
            ("HeadObject", 403, None, K::Denied),
            ("HeadObject", 301, None, K::WrongRegion),
            ("HeadObject", 400, Some("eu-west-1"), K::WrongRegion),
            ("HeadObject", 400, None, K::Invalid),
            ("HeadObject", 412, None, K::PreconditionFailed),
            ("HeadObject", 503, None, K::Throttled),
            ("PutObject", 503, None, K::Unavailable),
            ("PutObject", 409, None, K::Conflict),
            ("PutObject", 500, None, K::Unavailable),
            ("PutObject", 502, None, K::Unavailable),
            ("PutObject", 405, None, K::Unsupported),
            ("PutObject", 418, None, K::Invalid),
            ("PutObject", 200, None, K::Lied),
            ("PutObject", 600, None, K::Lied),
        ] {
            // The SDK makes up a code for a HEAD's 404; without a body it says nothing.
            let code = (status == 404).then_some("NoSuchKey");
            let failure =
                Failure { operation, status, code, has_body: false, region, is_elsewhere: false };
            assert_eq!(kind_of(failure), kind, "{operation} {status}");
        }
    }

    #[test]
    fn another_endpoint_in_an_answer_is_another_region() {
        for (code, endpoint, kind) in [
            ("AccessDenied", "oss-cn-beijing.aliyuncs.com", K::WrongRegion),
            ("NoSuchBucket", "cos.ap-beijing.myqcloud.com", K::WrongRegion),
            // The endpoint that was asked, by another of its names.
            ("AccessDenied", "oss-cn-hangzhou.aliyuncs.com", K::Denied),
            ("AccessDenied", "photos.oss-cn-hangzhou-internal.aliyuncs.com", K::Denied),
            ("NoSuchKey", "oss-cn-beijing.aliyuncs.com", K::NoSuchKey),
        ] {
            let store = "https://s3.oss-cn-hangzhou.aliyuncs.com:443";
            let place = Place { store, bucket: "photos", in_host: true };
            let failure = Failure {
                operation: "ListObjectsV2",
                status: 403,
                code: Some(code),
                has_body: true,
                region: None,
                is_elsewhere: is_another(endpoint, place),
            };
            assert_eq!(kind_of(failure), kind, "{code} {endpoint}");
        }
    }

    #[test]
    fn the_right_region_is_read_from_the_body() {
        assert_eq!(region_in(b"<Error><Region>eu-west-1</Region></Error>"), Some("eu-west-1"));
        assert_eq!(region_in(b"<Error><Region>"), None);
    }
}
