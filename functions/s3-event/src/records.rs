//! Reads notifications of every shape that they come in.
//!
//! S3 sends them straight to a function, or through a queue, a topic, or both; EventBridge has a
//! form of its own; and the bridges of other clouds post a plain object with a key. Each of them
//! may be inside another. Keys are form-encoded in S3's own records, and plain everywhere else.

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;
use tranship_core::finder::events::{Change, ChangeKind};
use tranship_core::object::{KEY_LENGTH_MAX_BYTES, ObjectKey, escape};

/// Envelopes within envelopes that are opened: a queue, a topic, and the notification itself.
const DEPTH_MAX: u32 = 4;
/// Stores that send S3's own records, with keys encoded as S3 encodes them.
const SOURCES: [&str; 2] = ["aws:s3", "minio:s3"];
/// The version of records that this code reads. Within it fields are only ever added.
const VERSION_MAJOR: &str = "2";
/// The version of what the event bus carries.
const BUS_VERSION: &str = "0";
/// Characters of a foreign text that an error repeats.
const QUOTED_MAX: usize = 80;

/// What one message of a queue, or one whole invocation, says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The message, where it came from a queue: what fails alone is delivered again alone.
    pub message: Option<QueueMessage>,
    pub notices: Vec<Notice>,
    /// What of it cannot be read; the rest is acted on all the same.
    pub unreadable: Vec<Unreadable>,
}

/// A message of a queue, as far as its sender and the dead-letter queue care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueMessage {
    pub id: String,
    pub body: String,
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

/// Why a message, or one record of it, cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not a notification of an object store: {}", self.0)
    }
}

impl std::error::Error for Unreadable {}

impl Envelope {
    /// Why it cannot be read, or not all of it.
    pub fn reason(&self) -> Option<String> {
        let first = self.unreadable.first()?;
        Some(match self.unreadable.len() {
            1 => first.to_string(),
            count => format!("{first} (and {} more of its records)", count - 1),
        })
    }

    fn add(&mut self, read: Result<Notice, Unreadable>) {
        match read {
            Ok(notice) => self.notices.push(notice),
            Err(unreadable) => self.unreadable.push(unreadable),
        }
    }
}

/// Reads what a function is invoked with.
pub fn read(event: &Value) -> Vec<Envelope> {
    let records = event.get("Records").and_then(Value::as_array);
    let is_queue = |records: &[Value]| {
        !records.is_empty()
            && records.iter().all(|record| text(record, "eventSource") == Some("aws:sqs"))
    };
    match records {
        Some(records) if is_queue(records) => records.iter().map(from_queue).collect(),
        _ => {
            let mut envelope = Envelope::default();
            open(event, DEPTH_MAX, &mut envelope);
            vec![envelope]
        }
    }
}

fn from_queue(record: &Value) -> Envelope {
    let mut envelope = Envelope::default();
    let body = text(record, "body");
    match body {
        Some(body) => open_text(body, DEPTH_MAX, &mut envelope),
        None => envelope.add(unreadable("a message of a queue without a body")),
    }
    envelope.message = text(record, "messageId").map(|id| QueueMessage {
        id: id.to_owned(),
        body: body.map_or_else(|| record.to_string(), str::to_owned),
    });
    envelope
}

fn unreadable<T>(why: impl Into<String>) -> Result<T, Unreadable> {
    Err(Unreadable(why.into()))
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

/// A foreign text, short and harmless enough for a log.
fn quoted(text: &str) -> String {
    let short: String = text.chars().take(QUOTED_MAX).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("\"{}{dots}\"", escape(&short))
}

fn open_text(text: &str, depth: u32, into: &mut Envelope) {
    match serde_json::from_str(text) {
        Ok(inner) => open(&inner, depth, into),
        Err(error) => into.add(unreadable(error.to_string())),
    }
}

fn open(event: &Value, depth: u32, into: &mut Envelope) {
    let Some(depth) = depth.checked_sub(1) else {
        return into.add(unreadable("too many envelopes within each other"));
    };
    if let Some(records) = event.get("Records").and_then(Value::as_array) {
        for record in records {
            open_record(record, depth, into);
        }
    } else if text(event, "Type") == Some("Notification")
        && let Some(message) = text(event, "Message")
    {
        open_text(message, depth, into);
    } else if text(event, "Event") == Some("s3:TestEvent") {
        into.add(Ok(Notice::Other("s3:TestEvent".to_owned())));
    } else if event.get("detail-type").is_some() {
        into.add(from_event_bus(event));
    } else if let Value::Array(several) = event {
        for event in several {
            open(event, depth, into);
        }
    } else {
        into.add(from_plain(event));
    }
}

fn open_record(record: &Value, depth: u32, into: &mut Envelope) {
    if let Some(message) = record.get("Sns").and_then(|sns| text(sns, "Message")) {
        open_text(message, depth, into);
    } else if record.get("s3").is_some() {
        into.add(from_s3(record));
    } else {
        into.add(unreadable("a record that is neither of S3 nor of a topic"));
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct S3Record {
    event_source: String,
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
    T::deserialize(value).map_err(|error| Unreadable(escape(&error.to_string())))
}

fn from_s3(record: &Value) -> Result<Notice, Unreadable> {
    // Before all else: what another version or another store calls its fields is not known.
    if let Some(version) = record.get("eventVersion")
        && version.as_str().and_then(|version| version.split('.').next()) != Some(VERSION_MAJOR)
    {
        return unreadable(format!(
            "records of version {}, this code reads {VERSION_MAJOR}.x: upgrade, then redrive",
            quoted(version.as_str().unwrap_or("another type"))
        ));
    }
    let record: S3Record = typed(record)?;
    if !SOURCES.contains(&record.event_source.as_str()) {
        return unreadable(format!(
            "records of {}, known are {}; have a bridge post {{\"key\", \"size\"}} instead",
            quoted(&record.event_source),
            SOURCES.join(" and "),
        ));
    }
    let name = record.event_name.strip_prefix("s3:").unwrap_or(&record.event_name);
    let size = record.s3.object.size;
    let kind = if name.starts_with("ObjectCreated:") || name == "ObjectRestore:Completed" {
        ChangeKind::Written(size)
    } else if name.starts_with("ObjectRemoved:") || name.starts_with("LifecycleExpiration:") {
        // Of the current object, of an old version, or a marker: the task finds out.
        ChangeKind::Deleted
    } else {
        return Ok(Notice::Other(quoted(name)));
    };
    let key = form_decoded(&record.s3.object.key)?;
    Ok(Notice::Change { bucket: Some(record.s3.bucket.name), change: Change { key, kind } })
}

/// `+` is a space, and then `%XX` is a byte: in this order, so that `%2B` is a plus.
fn form_decoded(key: &str) -> Result<ObjectKey, Unreadable> {
    let spaced = key.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(decoded) => plain_key(&decoded),
        Err(_) => unreadable(format!("the key {} is not UTF-8", quoted(key))),
    }
}

fn plain_key(key: &str) -> Result<ObjectKey, Unreadable> {
    match key.len() {
        0 => unreadable("a key is empty"),
        bytes if bytes > KEY_LENGTH_MAX_BYTES => unreadable(format!(
            "the key {} has {bytes} bytes, more than the {KEY_LENGTH_MAX_BYTES} that a store takes",
            quoted(key)
        )),
        _ => Ok(ObjectKey::new(key)),
    }
}

#[derive(Deserialize)]
struct BusEvent {
    #[serde(rename = "detail-type")]
    detail_type: String,
    detail: BusDetail,
}

#[derive(Deserialize)]
struct BusDetail {
    version: Option<String>,
    #[serde(flatten)]
    part: S3Part,
}

fn from_event_bus(event: &Value) -> Result<Notice, Unreadable> {
    let source = text(event, "source").unwrap_or_default();
    if source != "aws.s3" {
        return unreadable(format!("an event of {}", quoted(source)));
    }
    let event: BusEvent = typed(event)?;
    let BusDetail { version, part } = event.detail;
    if let Some(version) = version
        && version != BUS_VERSION
    {
        return unreadable(format!(
            "an event of version {}: upgrade, then redrive",
            quoted(&version)
        ));
    }
    let kind = match event.detail_type.as_str() {
        "Object Created" | "Object Restore Completed" => ChangeKind::Written(part.object.size),
        "Object Deleted" => ChangeKind::Deleted,
        other => return Ok(Notice::Other(quoted(other))),
    };
    let key = plain_key(&part.object.key)?;
    Ok(Notice::Change { bucket: Some(part.bucket.name), change: Change { key, kind } })
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
    if event.get("key").is_none() {
        return unreadable(
            "neither S3's form, nor EventBridge's, nor {\"key\", \"size\"}, which a bridge can post",
        );
    }
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
            "eventVersion": "2.3", "eventSource": "aws:s3", "eventName": name,
            "s3": {"bucket": {"name": "b"}, "object": {"key": key, "size": 7, "versionId": "v"}},
        }]})
    }

    fn only(event: &Value) -> Vec<Notice> {
        let mut envelopes = read(event);
        assert_eq!(envelopes.len(), 1);
        let envelope = envelopes.remove(0);
        assert_eq!(envelope.reason(), None);
        envelope.notices
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
            ("LifecycleExpiration:DeleteMarkerCreated", Some(ChangeKind::Deleted)),
            // The restored copy went, and the archived object stayed.
            ("ObjectRestore:Delete", None),
            ("LifecycleTransition", None),
            ("IntelligentTiering", None),
            ("ReducedRedundancyLostObject", None),
            ("Replication:OperationFailedReplication", None),
            ("ObjectTagging:Put", None),
            ("ObjectAcl:Put", None),
        ] {
            let expected = match kind {
                Some(kind) => change(Some("b"), "k", kind),
                None => Notice::Other(format!("\"{name}\"")),
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
        let names: Vec<_> = read.iter().map(|e| &*e.message.as_ref().unwrap().id).collect();
        assert_eq!(names, ["1", "2", "3", "4"]);
        assert_eq!(read[0].notices, read[1].notices);
        assert_eq!((read[2].notices.len(), read[2].unreadable.len()), (0, 1));
        assert_eq!(read[2].message.as_ref().unwrap().body, "no json");
        assert_eq!(read[3].notices, [Notice::Other("s3:TestEvent".to_owned())]);
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
            [Notice::Other("\"Object ACL Updated\"".to_owned())]
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
            s3("ObjectCreated:Put", &"k".repeat(1_025)),
            json!({"key": "k".repeat(1_025)}),
            json!({"key": "k", "size": -1}),
            json!({"key": "k", "size": "7"}),
            json!({"events": [{"eventSource": "acs:oss", "oss": {}}]}),
            deep,
        ] {
            for envelope in read(&event) {
                assert!(envelope.notices.is_empty() && envelope.reason().is_some(), "{event}");
            }
        }
    }

    #[test]
    fn the_longest_key_is_read() {
        let key = "é".repeat(512);
        let written = ChangeKind::Written(Some(7));
        assert_eq!(only(&s3("ObjectCreated:Put", &key)), [change(Some("b"), &key, written)]);
    }

    #[test]
    fn another_major_version_and_another_store_are_not_guessed_at() {
        let with = |field: &str, value: &str| {
            let mut event = s3("ObjectCreated:Put", "k");
            event["Records"][0][field] = json!(value);
            read(&event).remove(0).reason()
        };
        for version in ["2.0", "2.1", "2.4", "2.77"] {
            assert_eq!(with("eventVersion", version), None, "{version}");
        }
        for version in ["3.0", "1.0", "20.1", "", "x"] {
            assert!(with("eventVersion", version).unwrap().contains("version"), "{version}");
        }
        assert_eq!(with("eventSource", "minio:s3"), None);
        for source in ["aliyun:oss", "aws:s3:extra", "AWS:S3", "\u{202e}aws:s3"] {
            let reason = with("eventSource", source).unwrap();
            assert!(reason.contains("bridge") && !reason.contains('\u{202e}'), "{reason}");
        }
        let bus = json!({"source": "aws.s3", "detail-type": "Object Created", "detail": {
            "version": "1", "bucket": {"name": "b"}, "object": {"key": "k"}}});
        assert!(read(&bus).remove(0).reason().unwrap().contains("version"));
    }

    #[test]
    fn a_bad_record_does_not_take_the_good_ones_with_it() {
        let mut event = s3("ObjectCreated:Put", "good");
        let bad = json!({"s3": 1});
        event["Records"].as_array_mut().unwrap().extend([bad.clone(), bad]);
        let envelope = read(&event).remove(0);
        let written = ChangeKind::Written(Some(7));
        assert_eq!(envelope.notices, [change(Some("b"), "good", written)]);
        assert!(envelope.reason().unwrap().ends_with("(and 1 more of its records)"));
    }

    /// Any JSON, of the words that notifications are made of.
    fn any_json() -> impl Strategy<Value = Value> {
        let word = prop::sample::select(vec![
            "Records",
            "eventSource",
            "aws:sqs",
            "aws:s3",
            "body",
            "messageId",
            "Sns",
            "Message",
            "Type",
            "Notification",
            "s3",
            "bucket",
            "name",
            "object",
            "key",
            "size",
            "detail",
            "detail-type",
            "Object Created",
            "source",
            "aws.s3",
            "eventName",
            "eventVersion",
            "ObjectCreated:Put",
            "2.1",
            "%FF+",
            "{\"key\":\"k\"}",
            "[[[[[[",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            word.clone().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::hash_map(word.clone().prop_map(str::to_owned), inner, 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// As S3 writes a key: all but the unreserved bytes, and a space as a plus.
    fn in_a_form(key: &str) -> String {
        utf8_percent_encode(key, NON_ALPHANUMERIC).to_string().replace("%20", "+")
    }

    /// An event of the bus, and a post of a bridge.
    fn unencoded(key: &str) -> [Value; 2] {
        let object = json!({"key": key, "size": 7});
        let detail = json!({"bucket": {"name": "b"}, "object": object});
        [
            json!({"source": "aws.s3", "detail-type": "Object Created", "detail": detail}),
            json!({"bucket": "b", "key": key, "size": 7}),
        ]
    }

    /// Whatever way an event comes, its key is this one.
    #[track_caller]
    fn assert_told(key: &str) {
        let expected = [change(Some("b"), key, ChangeKind::Written(Some(7)))];
        // The text once more: what a queue delivers was written and read as JSON.
        let again = |event: Value| serde_json::from_str(&event.to_string()).unwrap();
        assert_eq!(only(&again(s3("ObjectCreated:Put", &in_a_form(key)))), expected);
        for event in unencoded(key) {
            assert_eq!(only(&again(event)), expected);
        }
    }

    /// Each of the 1,112,064 Unicode scalar values, many to a key.
    #[test]
    fn every_character_of_a_key_survives_every_form() {
        let all: Vec<char> = ('\0'..=char::MAX).collect();
        assert_eq!(all.len(), 1_112_064);
        for some in all.chunks(256) {
            assert_told(&some.iter().collect::<String>());
        }
    }

    #[test]
    fn a_key_that_looks_encoded_or_like_a_folder_is_what_it_says() {
        for key in [
            "+",
            "%",
            "%%",
            "%2B",
            "%252B",
            "%zz",
            "%2",
            "%2e%2e/%2E",
            "%FF",
            ".",
            "..",
            "./a",
            "a/../b",
            "//",
            "/a",
            "a/",
            " ",
            " a ",
            "\u{e9}",
            "e\u{301}",
            "a+b c%20d",
            "&lt;",
            "\\u0041",
            "\0",
        ] {
            assert_told(key);
        }
        // What S3 would never write is read as it stands.
        for (written, key) in
            [("100%", "100%"), ("%zz+", "%zz "), ("a/../b", "a/../b"), ("%2b", "+")]
        {
            let expected = [change(Some("b"), key, ChangeKind::Written(Some(7)))];
            assert_eq!(only(&s3("ObjectCreated:Put", written)), expected);
        }
    }

    /// The payloads of the repository.
    fn payloads() -> Vec<Value> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/s3-event");
        let files = std::fs::read_dir(folder).unwrap();
        let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        paths.sort();
        assert!(paths.len() > 20);
        paths
            .iter()
            .map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
            .collect()
    }

    /// All values within a value, itself included, by their places.
    fn places(value: &Value, at: &str, into: &mut Vec<String>) {
        into.push(at.to_owned());
        match value {
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(n, item)| places(item, &format!("{at}/{n}"), into));
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    places(field, &format!("{at}/{name}"), into);
                }
            }
            _ => {}
        }
    }

    /// Each field of each payload, lost or of another type: a change, something else, or a refusal in
    /// words, and nothing is dropped in silence.
    #[test]
    fn a_payload_with_any_field_gone_wrong_is_read_or_refused() {
        let wrong =
            [json!(null), json!(-1), json!("\u{1b}[31m"), json!([]), json!({}), json!([{}])];
        let mut refused = 0;
        for payload in payloads() {
            let mut all = Vec::new();
            places(&payload, "", &mut all);
            for place in all {
                for value in &wrong {
                    let mut event = payload.clone();
                    *event.pointer_mut(&place).unwrap() = value.clone();
                    refused += assert_answered(&event);
                }
            }
        }
        assert!(refused > 1_000, "{refused}");
    }

    /// Fails unless each envelope comes to something; how many of them are refused.
    fn assert_answered(event: &Value) -> u32 {
        let mut refused = 0;
        for envelope in read(event) {
            if let Some(reason) = envelope.reason() {
                refused += 1;
                assert!(!reason.contains(char::is_control), "{reason:?}");
            }
            for notice in envelope.notices {
                if let Notice::Change { change, .. } = notice {
                    assert!((1..=KEY_LENGTH_MAX_BYTES).contains(&change.key.as_str().len()));
                }
            }
        }
        refused
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(event in any_json()) {
            assert_answered(&event);
        }

        /// The text of a message with a character that was changed, lost or doubled.
        #[test]
        fn a_damaged_message_is_read_or_refused(
            payload in prop::sample::select(payloads()),
            at in any::<prop::sample::Index>(),
            with in prop::option::of(any::<char>()),
            cut: bool,
        ) {
            let mut damaged: Vec<char> = payload.to_string().chars().collect();
            let at = at.index(damaged.len());
            match with {
                Some(c) => damaged[at] = c,
                None if cut => damaged.truncate(at),
                None => damaged.insert(at, damaged[at]),
            }
            let body: String = damaged.into_iter().collect();
            let message = json!({"eventSource": "aws:sqs", "messageId": "1", "body": body});
            let event = json!({ "Records": [message] });
            let envelope = read(&event).remove(0);
            prop_assert_eq!(&envelope.message.unwrap().body, &body);
            assert_answered(&event);
        }

        #[test]
        fn any_key_survives_every_form(key in any::<String>()) {
            prop_assume!((1..=KEY_LENGTH_MAX_BYTES).contains(&key.len()));
            assert_told(&key);
        }
    }
}
