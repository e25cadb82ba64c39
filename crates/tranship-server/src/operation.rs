//! An operation: what one HTTP request asks for, read off its line and headers before anything else looks at it.

use http::{HeaderMap, Method, Request};
use percent_encoding::percent_decode_str;

/// A request as faults and the record see it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) operation: &'static str,
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) part_number: Option<u32>,
    pub(crate) upload_id: Option<String>,
    pub(crate) range: Option<String>,
    pub(crate) if_match: Option<String>,
    pub(crate) if_none_match: Option<String>,
    /// Whether the body comes in aws-chunked frames.
    pub(crate) framed: bool,
    pub(crate) trailer: Option<String>,
    /// The region that the signature is for.
    pub(crate) region: Option<String>,
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl Facts {
    /// Reads a request whose bucket is in its path, unless the host has named it already.
    pub(crate) fn of<B>(request: &Request<B>, hosted: Option<&str>) -> Self {
        let headers = request.headers();
        let path = request.uri().path();
        let path = path.strip_prefix('/').unwrap_or(path);
        let (bucket, key) = match hosted {
            Some(bucket) => (bucket, path),
            None => path.split_once('/').unwrap_or((path, "")),
        };
        let query = request.uri().query().unwrap_or_default();
        let pairs: Vec<(&str, &str)> =
            query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
        let find = |name: &str| {
            let (_, value) = pairs.iter().find(|(known, _)| *known == name)?;
            Some(*value)
        };
        let has = |name: &str| find(name).is_some();
        let copies = headers.contains_key("x-amz-copy-source");
        let operation = match (bucket.is_empty(), key.is_empty()) {
            (true, _) => "ListBuckets",
            (_, true) => of_bucket(request.method(), has, find("list-type") == Some("2")),
            _ => of_object(request.method(), has, copies),
        };
        let digest = header(headers, "x-amz-content-sha256");
        let coding = header(headers, "content-encoding").unwrap_or_default();
        Self {
            operation,
            bucket: decode(bucket),
            key: decode(key),
            part_number: find("partNumber").and_then(|number| number.parse().ok()),
            upload_id: find("uploadId").map(decode),
            range: header(headers, "range"),
            if_match: header(headers, "if-match"),
            if_none_match: header(headers, "if-none-match"),
            framed: coding.contains("aws-chunked")
                || digest.is_some_and(|digest| digest.starts_with("STREAMING-")),
            trailer: header(headers, "x-amz-trailer"),
            region: header(headers, "authorization").and_then(|it| signed_region(&it)),
        }
    }
}

/// The region within `Credential=KEY/DATE/REGION/s3/aws4_request`.
fn signed_region(authorization: &str) -> Option<String> {
    let (_, credential) = authorization.split_once("Credential=")?;
    let scope = credential.split([',', ' ']).next()?;
    // The access key itself may hold slashes, so the scope is counted from its end.
    scope.rsplit('/').nth(2).map(str::to_owned)
}

fn of_bucket(method: &Method, has: impl Fn(&str) -> bool, second: bool) -> &'static str {
    match *method {
        Method::HEAD => "HeadBucket",
        Method::PUT if has("versioning") => "PutBucketVersioning",
        Method::PUT => "CreateBucket",
        Method::DELETE => "DeleteBucket",
        Method::POST => "DeleteObjects",
        _ if has("location") => "GetBucketLocation",
        _ if has("versioning") => "GetBucketVersioning",
        _ if has("lifecycle") => "GetBucketLifecycleConfiguration",
        _ if has("ownershipControls") => "GetBucketOwnershipControls",
        _ if has("object-lock") => "GetObjectLockConfiguration",
        _ if has("uploads") => "ListMultipartUploads",
        _ if has("versions") => "ListObjectVersions",
        _ if second => "ListObjectsV2",
        _ => "ListObjects",
    }
}

fn of_object(method: &Method, has: impl Fn(&str) -> bool, copies: bool) -> &'static str {
    match *method {
        Method::HEAD => "HeadObject",
        Method::GET if has("attributes") => "GetObjectAttributes",
        Method::GET if has("tagging") => "GetObjectTagging",
        Method::GET if has("acl") => "GetObjectAcl",
        Method::GET if has("uploadId") => "ListParts",
        Method::GET => "GetObject",
        Method::PUT if has("tagging") => "PutObjectTagging",
        Method::PUT if has("uploadId") && copies => "UploadPartCopy",
        Method::PUT if has("uploadId") => "UploadPart",
        Method::PUT if copies => "CopyObject",
        Method::PUT => "PutObject",
        Method::DELETE if has("uploadId") => "AbortMultipartUpload",
        Method::DELETE if has("tagging") => "DeleteObjectTagging",
        Method::DELETE => "DeleteObject",
        _ if has("uploads") => "CreateMultipartUpload",
        _ if has("uploadId") => "CompleteMultipartUpload",
        _ if has("restore") => "RestoreObject",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(method: Method, uri: &str) -> Facts {
        Facts::of(&Request::builder().method(method).uri(uri).body(()).unwrap(), None)
    }

    #[test]
    fn operations_are_told_apart() {
        let part = facts(Method::PUT, "/b/a%20b/c?partNumber=7&uploadId=u&x-id=UploadPart");
        assert_eq!(part.operation, "UploadPart");
        assert_eq!((part.bucket.as_str(), part.key.as_str()), ("b", "a b/c"));
        assert_eq!(part.part_number, Some(7));
        assert_eq!(facts(Method::GET, "/b?list-type=2&prefix=x").operation, "ListObjectsV2");
        assert_eq!(facts(Method::GET, "/b/").operation, "ListObjects");
        assert_eq!(facts(Method::POST, "/b/k?uploads").operation, "CreateMultipartUpload");
    }

    #[test]
    fn the_region_is_in_the_scope() {
        let header =
            "AWS4-HMAC-SHA256 Credential=AK/20260101/eu-west-1/s3/aws4_request, SignedHeaders=host";
        assert_eq!(signed_region(header).as_deref(), Some("eu-west-1"));
    }
}
