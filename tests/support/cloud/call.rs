//! What a request of the AWS API asks for, read off the request itself.

use http::{HeaderMap, Method, Uri};
use serde_json::Value;

/// A request that a function sent, and what was answered.
#[derive(Debug, Clone)]
pub struct Call {
    /// The function's name; empty for the tests' own requests.
    pub function: String,
    /// The service by its name in signatures: `sqs`, `dynamodb`, `states`.
    pub service: String,
    /// As the service names it: `PutItem`.
    pub action: String,
    pub asked: Value,
    pub status: u16,
    pub answered: Value,
    /// A fault was played instead of, or after, the service's own answer.
    pub struck: bool,
}

impl Call {
    /// The actions that a policy has to allow for this call.
    pub fn permissions(&self) -> Vec<String> {
        let service = self.service.as_str();
        let actions: &[&str] = match (service, self.action.as_str()) {
            ("sqs", "SendMessageBatch") => &["SendMessage"],
            ("sqs", "DeleteMessageBatch") => &["DeleteMessage"],
            ("sqs", "ChangeMessageVisibilityBatch") => &["ChangeMessageVisibility"],
            ("dynamodb", "TransactWriteItems") => return self.transacted(),
            ("dynamodb", "TransactGetItems") => &["GetItem"],
            ("s3", "HeadObject") => &["GetObject"],
            ("s3", "ListObjectsV2" | "ListObjects" | "HeadBucket") => &["ListBucket"],
            ("s3", "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload") => {
                &["PutObject"]
            }
            ("s3", "CopyObject" | "UploadPartCopy") => &["GetObject", "PutObject"],
            ("s3", "ListParts") => &["ListMultipartUploadParts"],
            ("s3", "ListMultipartUploads") => &["ListBucketMultipartUploads"],
            ("s3", "GetBucketLifecycleConfiguration") => &["GetLifecycleConfiguration"],
            ("s3", "GetBucketNotificationConfiguration") => &["GetBucketNotification"],
            ("s3", "PutBucketNotificationConfiguration") => &["PutBucketNotification"],
            (_, action) => return vec![format!("{service}:{action}")],
        };
        actions.iter().map(|action| format!("{service}:{action}")).collect()
    }

    /// A transaction is allowed by what it consists of.
    fn transacted(&self) -> Vec<String> {
        let items = self.asked["TransactItems"].as_array().into_iter().flatten();
        let kinds = items.filter_map(|item| item.as_object()?.keys().next().cloned());
        let mut actions: Vec<String> = kinds
            .map(|kind| match kind.as_str() {
                "ConditionCheck" => "dynamodb:ConditionCheckItem".to_owned(),
                kind => format!("dynamodb:{kind}Item"),
            })
            .collect();
        actions.sort();
        actions.dedup();
        actions
    }

    /// Capacity units that the answer of the ledger's service names; what it does not name cost none.
    pub fn units(&self) -> f64 {
        match &self.answered["ConsumedCapacity"] {
            Value::Array(tables) => tables.iter().map(units).sum(),
            one => units(one),
        }
    }
}

fn units(capacity: &Value) -> f64 {
    capacity["CapacityUnits"].as_f64().unwrap_or_default()
}

/// The access key and the service of a signature's scope.
pub(super) fn signed_by(headers: &HeaderMap) -> (String, String) {
    let signature = headers.get("authorization").and_then(|value| value.to_str().ok());
    let scope = signature.unwrap_or_default().split("Credential=").nth(1).unwrap_or_default();
    let mut scope = scope.split(['/', ',']);
    let key = scope.next().unwrap_or_default().to_owned();
    (key, scope.nth(2).unwrap_or_default().to_owned())
}

/// The action's name.
pub(super) fn action(
    service: &str,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> String {
    if let Some(named) = headers.get("x-amz-target").and_then(|value| value.to_str().ok()) {
        return named.rsplit('.').next().unwrap_or_default().to_owned();
    }
    if service == "s3" {
        return of_s3(method, uri, headers).to_owned();
    }
    if service == "lambda" {
        return of_lambda(method, uri.path()).to_owned();
    }
    let text = String::from_utf8_lossy(body);
    let named = text.split('&').find_map(|field| field.strip_prefix("Action="));
    named.map_or_else(|| format!("{method} {}", uri.path()), str::to_owned)
}

fn of_lambda(method: &Method, path: &str) -> &'static str {
    match (method.as_str(), path) {
        ("GET", path) if path.ends_with("/event-source-mappings") => "ListEventSourceMappings",
        ("GET", path) if path.ends_with("/event-source-mappings/") => "ListEventSourceMappings",
        ("PUT", path) if path.contains("/event-source-mappings/") => "UpdateEventSourceMapping",
        ("GET", path) if path.contains("/event-source-mappings/") => "GetEventSourceMapping",
        ("POST", path) if path.ends_with("/invocations") => "InvokeFunction",
        _ => "another call of Lambda",
    }
}

fn of_s3(method: &Method, uri: &Uri, headers: &HeaderMap) -> &'static str {
    let query = uri.query().unwrap_or_default();
    let asks = |name: &str| query.split('&').any(|field| field.split('=').next() == Some(name));
    let of_object = uri.path().trim_matches('/').contains('/');
    let copies = headers.contains_key("x-amz-copy-source");
    match (method.as_str(), of_object) {
        ("GET", false) if asks("versioning") => "GetBucketVersioning",
        ("GET", false) if asks("lifecycle") => "GetBucketLifecycleConfiguration",
        ("GET", false) if asks("notification") => "GetBucketNotificationConfiguration",
        ("PUT", false) if asks("notification") => "PutBucketNotificationConfiguration",
        ("GET", false) if asks("uploads") => "ListMultipartUploads",
        ("GET", false) => "ListObjectsV2",
        ("HEAD", false) => "HeadBucket",
        ("GET", true) if asks("tagging") => "GetObjectTagging",
        ("PUT", true) if asks("tagging") => "PutObjectTagging",
        ("GET", true) if asks("uploadId") => "ListParts",
        ("GET", true) => "GetObject",
        ("HEAD", true) => "HeadObject",
        ("PUT", true) if asks("partNumber") && copies => "UploadPartCopy",
        ("PUT", true) if asks("partNumber") => "UploadPart",
        ("PUT", true) if copies => "CopyObject",
        ("PUT", true) => "PutObject",
        ("POST", true) if asks("uploads") => "CreateMultipartUpload",
        ("POST", true) if asks("uploadId") => "CompleteMultipartUpload",
        ("DELETE", true) if asks("uploadId") => "AbortMultipartUpload",
        ("DELETE", true) => "DeleteObject",
        _ => "another call of S3",
    }
}
