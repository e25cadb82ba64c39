//! The settings in the words of the command, so that a plan, a verification or a look can be made with
//! them from anywhere. Whoever asks uses credentials of their own.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use tranship_adapters::stores::s3::vendors::{ListVersion, SideFacts};

use super::read::Word;
use super::{Access, COMPARE, MIB, OVERWRITE, Settings, Side, Sse};

/// Options of the command, and what of the settings it has no option for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Options {
    pub options: BTreeMap<String, Value>,
    /// Each is a sentence for a person.
    pub left_out: Vec<String>,
}

impl Settings {
    pub fn options(&self) -> Options {
        let mut out = Options { options: BTreeMap::new(), left_out: Vec::new() };
        out.side("source", &self.source);
        out.side("destination", &self.destination);
        out.switch("source-requester-pays", self.requester_pays);
        out.some("expected-bucket-owner", self.expected_owner.as_ref());
        out.some("acl", self.acl.as_ref());
        match &self.sse {
            None => {}
            Some(Sse::Managed) => out.put("sse", "AES256"),
            Some(Sse::Kms(key)) => {
                out.put("sse", "aws:kms");
                out.some("sse-kms-key-id", key.as_ref());
            }
        }
        let policy = &self.policy;
        out.word("compare", COMPARE, policy.compare);
        out.word("overwrite", OVERWRITE, policy.overwrite);
        if policy.trust_size_and_time {
            out.put("trust", "size+time");
        }
        if let Some(guard) = policy.delete {
            out.switch("delete", true);
            out.put("delete-max", guard.objects_max);
            out.put("delete-max-ratio", guard.percent_max);
            out.switch("delete-unversioned", self.delete_unversioned);
        }
        out.some("storage-class", policy.storage_class.as_ref());
        out.switch("no-tags", !policy.tags);
        out.switch("no-token", !policy.token);
        out.put("multipart-threshold", format!("{}MiB", policy.multipart_threshold_bytes / MIB));
        // Only where it differs from what is known of the store: then it was seen.
        if policy.fenced != self.destination.vendor.quirks.conditions {
            out.put("destination-conditions", policy.fenced);
        }
        if let Some(bytes) = policy.part_size_bytes {
            out.put("part-size", format!("{}MiB", bytes / MIB));
        }
        // A stack passes all bytes through its workers, even where both sides are one store.
        out.put("server-side", "never");
        if let Some(bytes) = self.bandwidth_bytes_per_second {
            out.put("bandwidth", format!("{}MiB", bytes / MIB));
        }
        if self.prefix_list.is_some() {
            out.leave("the list of prefixes: everything under the source prefix is looked at");
        }
        if !policy.metadata {
            out.leave("that headers and metadata are not carried over");
        }
        out
    }
}

impl Options {
    fn side(&mut self, name: &str, side: &Side) {
        let location = &side.location;
        self.put(name, format!("{}://{}/{}", location.scheme, location.bucket, location.prefix));
        self.some(&format!("{name}-endpoint"), location.endpoint.as_ref());
        self.some(&format!("{name}-region"), side.region.as_ref());
        self.switch(&format!("{name}-bucket-endpoint"), side.bucket_endpoint);
        let SideFacts { list_version, list_encoding, path_style, checksums } = side.facts;
        if let Some(version) = list_version {
            self.word(&format!("{name}-list-version"), &ListVersion::WORDS, version);
        }
        for (habit, seen) in
            [("list-encoding", list_encoding), ("path-style", path_style), ("checksums", checksums)]
        {
            if let Some(seen) = seen {
                self.put(&format!("{name}-{habit}"), seen);
            }
        }
        match &side.access {
            Access::Role => {}
            Access::Anonymous => self.put(&format!("{name}-anonymous"), true),
            Access::Secret(secret) => self.leave(format!(
                "the credentials of the {name}, in the secret {secret}: --{name}-profile names others"
            )),
        }
    }

    fn put(&mut self, option: &str, value: impl Into<Value>) {
        self.options.insert(option.to_owned(), value.into());
    }

    fn some(&mut self, option: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.put(option, json!(value));
        }
    }

    fn switch(&mut self, option: &str, is_on: bool) {
        if is_on {
            self.put(option, true);
        }
    }

    fn word<T: Copy + PartialEq>(&mut self, option: &str, words: &[Word<T>], value: T) {
        if let Some((word, _)) = words.iter().find(|(_, known)| *known == value) {
            self.put(option, *word);
        }
    }

    fn leave(&mut self, what: impl Into<String>) {
        self.left_out.push(what.into());
    }
}
