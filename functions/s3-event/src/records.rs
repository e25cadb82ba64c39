//! Reads notifications of every shape that they come in.
//!
//! S3 sends them straight to a function, or through a queue, a topic, or both; EventBridge has a
//! form of its own; and the bridges of other clouds post a plain object with a key. Each of them
//! may be inside another. Keys are form-encoded in S3's own records, and plain everywhere else.

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;
use tranship_core::finder::events::{Change, ChangeKind};
use tranship_core::object::ObjectKey;

/// Envelopes within envelopes that are opened: a queue, a topic, and the notification itself.
const DEPTH_MAX: u32 = 4;

/// What one message of a queue, or one whole invocation, says.
#[derive(Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Names the message where it came from a queue: what fails alone is delivered again alone.
    pub message: Option<String>,
    pub notices: Result<Vec<Notice>, Unreadable>,
}

/// One record of a notification.
#[derive(Debug, PartialEq, Eq)]
pub enum Notice {
    Change {
        /// `None` where the sender does not say.
        bucket: Option<String>,
        change: Change,
    },
    /// Something that changes nothing which is copied: a test, a tag, an access list.
    Other(String),
}

/// Why a message cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not a notification of an object store: {}", self.0)
    }
}

impl std::error::Error for Unreadable {}

/// Reads what a function is invoked with.
pub fn read(event: &Value) -> Vec<Envelope> {
    let records = event.get("Records").and_then(Value::as_array);
    let is_queue = |records: &[Value]| {
        !records.is_empty()
            && records.iter().all(|record| text(record, "eventSource") == Some("aws:sqs"))
    };
    match records {
        Some(records) if is_queue(records) => records.iter().map(from_queue).collect(),
        _ => vec![Envelope { message: None, notices: open(event, DEPTH_MAX) }],
    }
}

fn from_queue(record: &Value) -> Envelope {
    let message = text(record, "messageId").map(str::to_owned);
    let notices = match text(record, "body") {
        Some(body) => parse(body).and_then(|inner| open(&inner, DEPTH_MAX)),
        None => Err(Unreadable("a message of a queue without a body".to_owned())),
    };
    Envelope { message, notices }
}

fn parse(text: &str) -> Result<Value, Unreadable> {
    serde_json::from_str(text).map_err(|error| Unreadable(error.to_string()))
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn open(event: &Value, depth: u32) -> Result<Vec<Notice>, Unreadable> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Unreadable("too many envelopes within each other".to_owned()));
    };
    if let Some(records) = event.get("Records").and_then(Value::as_array) {
        let mut notices = Vec::new();
        for record in records {
            notices.extend(open_record(record, depth)?);
        }
        return Ok(notices);
    }
    if text(event, "Type") == Some("Notification")
        && let Some(message) = text(event, "Message")
    {
        return open(&parse(message)?, depth);
    }
    if text(event, "Event") == Some("s3:TestEvent") {
        return Ok(vec![Notice::Other("s3:TestEvent".to_owned())]);
    }
    if event.get("detail-type").is_some() {
        return Ok(vec![from_event_bus(event)?]);
    }
    match event {
        Value::Array(plain) => plain.iter().map(from_plain).collect(),
        _ => Ok(vec![from_plain(event)?]),
    }
}

fn open_record(record: &Value, depth: u32) -> Result<Vec<Notice>, Unreadable> {
    if let Some(message) = record.get("Sns").and_then(|sns| text(sns, "Message")) {
        return open(&parse(message)?, depth);
    }
    if record.get("s3").is_some() {
        return Ok(vec![from_s3(record)?]);
    }
    Err(Unreadable("a record that is neither of S3 nor of a topic".to_owned()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct S3Record {
    event_name: String,
    s3: S3Part,
}

#[derive(Deserialize)]
struct S3Part {
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
struct Object {
    key: String,
    size: Option<u64>,
}

fn typed<T: for<'de> Deserialize<'de>>(value: &Value) -> Result<T, Unreadable> {
    T::deserialize(value).map_err(|error| Unreadable(error.to_string()))
}

fn from_s3(record: &Value) -> Result<Notice, Unreadable> {
    let record: S3Record = typed(record)?;
    let name = record.event_name.strip_prefix("s3:").unwrap_or(&record.event_name);
    let size = record.s3.object.size;
    let kind = if name.starts_with("ObjectCreated:") || name == "ObjectRestore:Completed" {
        ChangeKind::Written(size)
    } else if name.starts_with("ObjectRemoved:") || name.starts_with("LifecycleExpiration:") {
        // Of the current object, of an old version, or a marker: the task finds out.
        ChangeKind::Deleted
    } else {
        return Ok(Notice::Other(name.to_owned()));
    };
    let key = form_decoded(&record.s3.object.key)?;
    Ok(Notice::Change { bucket: Some(record.s3.bucket.name), change: Change { key, kind } })
}

/// `+` is a space, and then `%XX` is a byte: in this order, so that `%2B` is a plus.
fn form_decoded(key: &str) -> Result<ObjectKey, Unreadable> {
    let spaced = key.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    let decoded = decoded.map_err(|_| Unreadable(format!("the key {key:?} is not UTF-8")))?;
    plain_key(&decoded)
}

fn plain_key(key: &str) -> Result<ObjectKey, Unreadable> {
    if key.is_empty() {
        return Err(Unreadable("a key is empty".to_owned()));
    }
    Ok(ObjectKey::new(key))
}

#[derive(Deserialize)]
struct BusEvent {
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    detail: S3Part,
}

fn from_event_bus(event: &Value) -> Result<Notice, Unreadable> {
    let event: BusEvent = typed(event)?;
    if event.source != "aws.s3" {
        return Err(Unreadable(format!("an event of {}", event.source)));
    }
    let kind = match event.detail_type.as_str() {
        "Object Created" | "Object Restore Completed" => {
            ChangeKind::Written(event.detail.object.size)
        }
        "Object Deleted" => ChangeKind::Deleted,
        other => return Ok(Notice::Other(other.to_owned())),
    };
    let key = plain_key(&event.detail.object.key)?;
    Ok(Notice::Change { bucket: Some(event.detail.bucket.name), change: Change { key, kind } })
}

#[derive(Deserialize)]
struct Plain {
    key: String,
    size: Option<u64>,
    bucket: Option<String>,
    #[serde(default)]
    deleted: bool,
}

fn from_plain(event: &Value) -> Result<Notice, Unreadable> {
    let plain: Plain = typed(event)?;
    let key = plain_key(&plain.key)?;
    let kind = if plain.deleted { ChangeKind::Deleted } else { ChangeKind::Written(plain.size) };
    Ok(Notice::Change { bucket: plain.bucket, change: Change { key, kind } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;
    use serde_json::json;

    fn change(bucket: Option<&str>, key: &str, kind: ChangeKind) -> Notice {
        let change = Change { key: ObjectKey::new(key), kind };
        Notice::Change { bucket: bucket.map(str::to_owned), change }
    }

    fn s3(name: &str, key: &str) -> Value {
        json!({"Records": [{
            "eventSource": "aws:s3", "eventName": name,
            "s3": {"bucket": {"name": "b"}, "object": {"key": key, "size": 7, "versionId": "v"}},
        }]})
    }

    fn only(event: &Value) -> Vec<Notice> {
        let mut envelopes = read(event);
        assert_eq!(envelopes.len(), 1);
        envelopes.remove(0).notices.unwrap()
    }

    #[test]
    fn every_event_name_has_a_meaning() {
        let written = || Some(ChangeKind::Written(Some(7)));
        for (name, kind) in [
            ("ObjectCreated:Put", written()),
            ("s3:ObjectCreated:CompleteMultipartUpload", written()),
            ("ObjectRestore:Completed", written()),
            ("ObjectRestore:Post", None),
            ("ObjectRemoved:Delete", Some(ChangeKind::Deleted)),
            ("ObjectRemoved:DeleteMarkerCreated", Some(ChangeKind::Deleted)),
            ("LifecycleExpiration:Delete", Some(ChangeKind::Deleted)),
            ("ObjectTagging:Put", None),
            ("ObjectAcl:Put", None),
        ] {
            let expected = match kind {
                Some(kind) => change(Some("b"), "k", kind),
                None => Notice::Other(name.to_owned()),
            };
            assert_eq!(only(&s3(name, "k")), [expected], "{name}");
        }
    }

    #[test]
    fn envelopes_are_opened() {
        let inner = s3("ObjectCreated:Put", "a+b%2Bc/%F0%9F%98%80");
        let topic = json!({"Type": "Notification", "Message": inner.to_string()});
        let topics =
            json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": inner.to_string()}}]});
        for event in [&inner, &topic, &topics] {
            let expected = change(Some("b"), "a b+c/😀", ChangeKind::Written(Some(7)));
            assert_eq!(only(event), [expected], "{event}");
        }
        let message =
            |id: &str, body: &str| json!({"eventSource": "aws:sqs", "messageId": id, "body": body});
        let queue = json!({"Records": [
            message("1", &inner.to_string()),
            message("2", &topic.to_string()),
            message("3", "no json"),
            message("4", &json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}).to_string()),
        ]});
        let read = read(&queue);
        let names: Vec<_> = read.iter().map(|e| e.message.as_deref().unwrap()).collect();
        assert_eq!(names, ["1", "2", "3", "4"]);
        assert_eq!(read[0].notices, read[1].notices);
        assert!(read[2].notices.is_err());
        assert_eq!(read[3].notices, Ok(vec![Notice::Other("s3:TestEvent".to_owned())]));
    }

    #[test]
    fn the_event_bus_and_the_bridges_do_not_encode_keys() {
        let bus = |kind: &str| {
            json!({"source": "aws.s3", "detail-type": kind, "detail": {
                "bucket": {"name": "b"}, "object": {"key": "a+b%2B", "size": 7}}})
        };
        let written = ChangeKind::Written(Some(7));
        assert_eq!(only(&bus("Object Created")), [change(Some("b"), "a+b%2B", written)]);
        assert_eq!(
            only(&bus("Object Deleted")),
            [change(Some("b"), "a+b%2B", ChangeKind::Deleted)]
        );
        assert_eq!(
            only(&bus("Object ACL Updated")),
            [Notice::Other("Object ACL Updated".to_owned())]
        );
        let plain = json!({"key": "a+b%2B", "size": 7});
        assert_eq!(only(&plain), [change(None, "a+b%2B", written)]);
        assert_eq!(only(&json!([plain, {"key": "x", "deleted": true}])).len(), 2);
    }

    #[test]
    fn what_is_no_notification_is_refused() {
        let mut deep = json!({"key": "k"});
        for _ in 0..5 {
            deep = json!({"Type": "Notification", "Message": deep.to_string()});
        }
        for event in [
            json!(null),
            json!("text"),
            json!({}),
            json!({"Records": [{}]}),
            json!({"Records": [{"eventSource": "aws:s3", "s3": {}}]}),
            json!({"key": ""}),
            json!({"key": 5}),
            s3("ObjectCreated:Put", ""),
            s3("ObjectCreated:Put", "%FF"),
            json!({"source": "aws.ec2", "detail-type": "x", "detail": {"bucket": {"name": "b"}, "object": {"key": "k"}}}),
            deep,
        ] {
            assert!(read(&event).iter().all(|envelope| envelope.notices.is_err()), "{event}");
        }
    }

    proptest! {
        #[test]
        fn any_key_survives_the_form(key in "\\PC{1,40}") {
            let encoded = utf8_percent_encode(&key, NON_ALPHANUMERIC).to_string().replace("%20", "+");
            let expected = change(Some("b"), &key, ChangeKind::Written(Some(7)));
            prop_assert_eq!(only(&s3("ObjectCreated:Put", &encoded)), [expected]);
        }
    }
}
