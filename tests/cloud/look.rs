//! What reports and requests say.

use serde_json::{Value, json};
use tranship_tests::cloud::call::Call;
use tranship_tests::rig::SOURCE;

/// Objects that a report counts as copied.
pub(crate) fn copied(report: &Value) -> u64 {
    report["outcomes"]["copied"]["objects"].as_u64().unwrap_or_default()
}

/// Write requests to the ledger; each item of a batch is one.
pub(crate) fn writes(calls: &[Call]) -> usize {
    let writes = calls.iter().filter(|call| call.service == "dynamodb");
    writes
        .map(|call| match call.action.as_str() {
            "PutItem" | "UpdateItem" | "DeleteItem" => 1,
            "TransactWriteItems" => call.asked["TransactItems"].as_array().map_or(0, Vec::len),
            "BatchWriteItem" => {
                let tables = call.asked["RequestItems"].as_object().into_iter().flatten();
                tables.map(|(_, items)| items.as_array().map_or(0, Vec::len)).sum()
            }
            _ => 0,
        })
        .sum()
}

/// A notification as S3 sends it, in one record. The key is encoded as S3 does.
pub(crate) fn notification(event: &str, key: &str, size: u64) -> String {
    of_bucket(SOURCE, event, key, size).to_string()
}

pub(crate) fn of_bucket(bucket: &str, event: &str, key: &str, size: u64) -> Value {
    let encoded = percent_encoding::utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC);
    let encoded = encoded.to_string().replace("%20", "+").replace("%2F", "/");
    json!({ "Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": "2026-01-01T00:00:00.000Z",
        "eventName": event,
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "tranship",
            "bucket": { "name": bucket, "arn": format!("arn:aws:s3:::{bucket}") },
            "object": { "key": encoded, "size": size, "sequencer": "0055AED6DCD90281E5" },
        },
    }]})
}
