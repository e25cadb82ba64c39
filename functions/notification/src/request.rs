//! What `CloudFormation` asks for, and what it is answered.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tranship_core::object::escape;

use crate::configuration::{QueueArn, Wish};

/// Bytes of a reason: an answer has 4,096 at most, the ids in it included.
const REASON_BYTES_MAX: usize = 1_500;
/// Events of objects that come, by write or by restore.
const WRITES: [&str; 2] = ["s3:ObjectCreated:*", "s3:ObjectRestore:Completed"];
/// Events of objects that go.
const DELETES: [&str; 2] = ["s3:ObjectRemoved:*", "s3:LifecycleExpiration:*"];

/// The part of a request that is needed to answer it at all.
#[derive(Debug, Clone, Deserialize)]
#[expect(clippy::struct_field_names, reason = "they are CloudFormation's own names")]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Request {
    #[serde(rename = "ResponseURL")]
    pub(crate) response_url: String,
    pub(crate) stack_id: String,
    pub(crate) request_id: String,
    pub(crate) logical_resource_id: String,
    pub(crate) physical_resource_id: Option<String>,
    #[serde(default)]
    pub(crate) request_type: String,
    #[serde(default)]
    pub(crate) resource_properties: Value,
}

/// What to do, and to which bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) bucket: String,
    pub(crate) region: String,
    pub(crate) wish: Wish,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    bucket: String,
    queue_arn: String,
    #[serde(default)]
    prefix: String,
    events: String,
    stack: String,
    #[serde(default)]
    region: String,
}

impl Order {
    pub(crate) fn read(properties: &Value) -> Result<Self, String> {
        let read = Properties::deserialize(properties);
        let read = read.map_err(|error| format!("ResourceProperties: {error}"))?;
        let queue = QueueArn::parse(&read.queue_arn).ok_or_else(|| {
            format!("QueueArn is \"{}\", which is not the ARN of a queue", read.queue_arn)
        })?;
        for (name, value) in [("Bucket", &read.bucket), ("Stack", &read.stack)] {
            if value.is_empty() {
                return Err(format!("{name} is empty"));
            }
        }
        let events = match read.events.as_str() {
            "none" => Vec::new(),
            "create" => WRITES.to_vec(),
            "create-and-delete" => WRITES.into_iter().chain(DELETES).collect(),
            other => {
                return Err(format!(
                    "Events is \"{other}\": choose none, create or create-and-delete"
                ));
            }
        };
        let region = if read.region.is_empty() { queue.region().to_owned() } else { read.region };
        let id = format!("tranship-{}", read.stack);
        let wish = Wish { id, queue, prefix: read.prefix, events };
        Ok(Self { bucket: read.bucket, region, wish })
    }

    /// Names the entry of the bucket. Another bucket is another resource: the one that it replaces
    /// is deleted, with its own properties, once the new one is there.
    pub(crate) fn physical_id(&self) -> String {
        format!("{}/{}", self.wish.id, self.bucket)
    }
}

/// What is put to the `ResponseURL`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answer {
    status: &'static str,
    reason: String,
    physical_resource_id: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
}

impl Answer {
    pub(crate) fn new(
        request: &Request,
        physical_id: String,
        done: &Result<String, String>,
    ) -> Self {
        let (status, reason) = match done {
            Ok(text) => ("SUCCESS", text),
            Err(text) => ("FAILED", text),
        };
        let mut reason = escape(reason);
        let mut end = REASON_BYTES_MAX.min(reason.len());
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        reason.truncate(end);
        Self {
            status,
            reason,
            physical_resource_id: physical_id,
            stack_id: request.stack_id.clone(),
            request_id: request.request_id.clone(),
            logical_resource_id: request.logical_resource_id.clone(),
        }
    }
}
