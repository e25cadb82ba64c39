//! What travels in the queues: versioned JSON, keys percent-encoded to ASCII.
//!
//! A task names keys and plans, never an endpoint, a bucket or a credential: a forged message
//! reaches nothing outside the transfer.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::object::{ETag, Millis, ObjectKey, PartNumber};
use crate::rows::{HeaderId, TaskId};
use crate::store::Condition;

/// The version that this code writes.
pub const VERSION: u32 = 1;

/// A message of one of the queues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub v: u32,
    #[serde(flatten)]
    pub work: Work,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "lowercase")]
pub enum Work {
    Scan(ScanTask),
    Objects(ObjectsTask),
    Parts(PartsTask),
}

/// Go on with a scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanTask {
    pub generation: u64,
    pub scan: u64,
    /// Messages between this one and the schedule that began the run.
    pub hops: u32,
}

/// Make these keys of the destination equal to the source's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectsTask {
    pub id: TaskId,
    pub objects: Vec<Entry>,
}

/// What is to be done about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The listings say that it differs.
    Copy,
    /// The listings cannot tell.
    Check,
    /// Nothing is known but the key.
    Look,
    /// Only the destination has it, by its listing.
    Delete,
}

/// A key of an objects task, by its name at the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    #[serde(rename = "k", with = "percent")]
    pub key: ObjectKey,
    #[serde(rename = "a")]
    pub action: Action,
    #[serde(rename = "s", default)]
    pub size: u64,
    /// The source's, as listed.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<ETag>,
    #[serde(rename = "m", default)]
    pub modified: Millis,
    /// What the destination's listing showed.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Condition>,
    /// Try it again even if it was given up before.
    #[serde(rename = "i", default, skip_serializing_if = "std::ops::Not::not")]
    pub insist: bool,
    /// The source's storage class, as listed. Only a dry run asks for it.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
}

impl Entry {
    /// An entry of which nothing but the key is known; `size` as somebody told it.
    pub fn named(key: ObjectKey, action: Action, size: u64) -> Self {
        Self {
            key,
            action,
            size,
            etag: None,
            modified: Millis::default(),
            destination: None,
            insist: false,
            class: None,
        }
    }
}

/// Copy these parts of one upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartsTask {
    pub header: HeaderId,
    pub epoch: u64,
    pub first: PartNumber,
    pub count: u16,
}

/// Why a message cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    #[error("the message has version {0}, this is version {VERSION}: upgrade, then redrive it")]
    Version(u64),
    #[error("the message is malformed: {0}")]
    Malformed(String),
}

impl Message {
    pub fn new(work: Work) -> Self {
        Self { v: VERSION, work }
    }

    pub fn encode(&self) -> Result<String, MessageError> {
        serde_json::to_string(self).map_err(|error| MessageError::Malformed(error.to_string()))
    }

    pub fn decode(body: &str) -> Result<Self, MessageError> {
        #[derive(Deserialize)]
        struct Probe {
            v: u64,
        }
        let malformed = |error: serde_json::Error| MessageError::Malformed(error.to_string());
        let probe: Probe = serde_json::from_str(body).map_err(malformed)?;
        if probe.v != u64::from(VERSION) {
            return Err(MessageError::Version(probe.v));
        }
        serde_json::from_str(body).map_err(malformed)
    }
}

/// Bytes that an entry may add to a message, at most.
pub fn entry_bytes(entry: &Entry) -> usize {
    // Every byte of a key may become three, and the other fields have bounded lengths.
    entry.key.as_str().len() * 3 + 160
}

/// Everything that is not plainly printable ASCII, and what JSON or a form decoder would touch.
const ENCODED: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'%').add(b'\\').add(b'+').add(b'<').add(b'>');

mod percent {
    use super::{
        Deserialize, Deserializer, ENCODED, ObjectKey, Serializer, percent_decode_str,
        utf8_percent_encode,
    };

    pub(super) fn serialize<S: Serializer>(
        key: &ObjectKey,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&utf8_percent_encode(key.as_str(), ENCODED))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<ObjectKey, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let key = percent_decode_str(&text).decode_utf8().map_err(serde::de::Error::custom)?;
        Ok(ObjectKey::new(key.into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(key: &str) -> Message {
        let id = TaskId { generation: 1, scan: 2, window: 3, attempt: 4, index: 5 };
        let entry = Entry {
            key: ObjectKey::new(key),
            action: Action::Copy,
            size: 9,
            etag: Some(ETag::new("abc-2")),
            modified: Millis(7),
            destination: Some(Condition::Absent),
            insist: true,
            class: None,
        };
        Message::new(Work::Objects(ObjectsTask { id, objects: vec![entry] }))
    }

    #[test]
    fn bad_messages_are_told_apart() {
        assert!(matches!(Message::decode("{}"), Err(MessageError::Malformed(_))));
        assert!(matches!(Message::decode("not json"), Err(MessageError::Malformed(_))));
        assert_eq!(Message::decode("{\"v\":2}"), Err(MessageError::Version(2)));
        assert!(matches!(
            Message::decode("{\"v\":1,\"task\":\"x\"}"),
            Err(MessageError::Malformed(_))
        ));
        let zero_part = r#"{"v":1,"task":"parts","header":"h","epoch":1,"first":0,"count":1}"#;
        assert!(matches!(Message::decode(zero_part), Err(MessageError::Malformed(_))));
    }

    /// Each of the 1,112,064 Unicode scalar values, many to a key.
    #[test]
    fn every_character_travels_as_ascii_and_comes_back() {
        let all: Vec<char> = ('\0'..=char::MAX).collect();
        assert_eq!(all.len(), 1_112_064);
        for some in all.chunks(256) {
            let sent = message(&some.iter().collect::<String>());
            let body = sent.encode().unwrap();
            assert!(body.bytes().all(|b| (0x20..0x7f).contains(&b)), "{body}");
            assert_eq!(Message::decode(&body).unwrap(), sent);
        }
    }

    fn any_work() -> impl Strategy<Value = Work> {
        let id = any::<(u64, u64, u64, u64, u32)>().prop_map(
            |(generation, scan, window, attempt, index)| TaskId {
                generation,
                scan,
                window,
                attempt,
                index,
            },
        );
        let actions = vec![Action::Copy, Action::Check, Action::Look, Action::Delete];
        let etag = any::<String>().prop_map(|text| ETag::new(&text));
        let condition = prop_oneof![Just(Condition::Absent), etag.clone().prop_map(Condition::Is)];
        let entry = (
            (any::<String>(), proptest::sample::select(actions), any::<u64>()),
            (proptest::option::of(etag), any::<u64>(), proptest::option::of(condition)),
            (any::<bool>(), proptest::option::of(any::<String>())),
        )
            .prop_map(
                |((key, action, size), (etag, modified, destination), (insist, class))| {
                    let entry = Entry::named(ObjectKey::new(key), action, size);
                    Entry { etag, modified: Millis(modified), destination, insist, class, ..entry }
                },
            );
        let objects = (id, proptest::collection::vec(entry, 0..4))
            .prop_map(|(id, objects)| Work::Objects(ObjectsTask { id, objects }));
        let scan = any::<(u64, u64, u32)>()
            .prop_map(|(generation, scan, hops)| Work::Scan(ScanTask { generation, scan, hops }));
        let parts = (any::<String>(), any::<u64>(), 1..=10_000_u16, any::<u16>()).prop_map(
            |(header, epoch, first, count)| {
                let first = PartNumber::new(first).unwrap();
                Work::Parts(PartsTask { header: HeaderId(header), epoch, first, count })
            },
        );
        prop_oneof![objects, scan, parts]
    }

    proptest! {
        #[test]
        fn any_message_comes_back(work in any_work()) {
            let sent = Message::new(work);
            prop_assert_eq!(Message::decode(&sent.encode().unwrap()).unwrap(), sent);
        }

        /// A byte that was changed, lost or doubled: a task all the same, or a refusal that says why.
        #[test]
        fn a_damaged_message_is_read_or_refused(
            work in any_work(),
            at in any::<proptest::sample::Index>(),
            with in proptest::option::of(any::<char>()),
            cut: bool,
        ) {
            let body = Message::new(work).encode().unwrap();
            let mut damaged: Vec<char> = body.chars().collect();
            let at = at.index(damaged.len());
            match with {
                Some(c) => damaged[at] = c,
                None if cut => damaged.truncate(at),
                None => damaged.insert(at, damaged[at]),
            }
            let damaged: String = damaged.into_iter().collect();
            match Message::decode(&damaged) {
                Ok(read) => prop_assert_eq!(Message::decode(&read.encode().unwrap()).unwrap(), read),
                Err(error) => prop_assert!(!cut || with.is_some() || !error.to_string().is_empty()),
            }
        }
    }
}
