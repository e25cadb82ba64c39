//! Whose store a side is, and what its vendor's row says that a copy goes by.

use serde_json::json;
use tranship_adapters::stores::s3::vendors::{ChecksumHeader, ETags, ListVersion, Vendor};

use super::Subject;
use super::finding::{Finding, State};
use crate::engine::Side;

pub(super) fn introduce(subject: &Subject<'_>) -> Vec<Finding> {
    let vendor = subject.settings.vendor();
    let what = format!("{}: {}; {}", vendor.name, habits(subject).join(", "), documents(vendor));
    let mut findings = vec![Finding::good(subject.side, "store", what)];
    findings.extend(events(subject));
    findings
}

/// As the row says, or an option that overrides it.
fn habits(subject: &Subject<'_>) -> Vec<&'static str> {
    let settings = &subject.settings;
    let quirks = &settings.vendor().quirks;
    let mut habits = vec![if settings.bucket_endpoint {
        "the endpoint is the bucket's own domain"
    } else if settings.path_style {
        "the bucket stands in the path"
    } else {
        "the bucket stands in the host name"
    }];
    habits.push(match settings.list_version.unwrap_or(quirks.list) {
        ListVersion::V1 => "listings of version 1",
        ListVersion::V2 => "listings of version 2",
    });
    habits.push(if settings.list_encoding.unwrap_or(quirks.encodes_listings) {
        "keys in them encoded"
    } else {
        "keys in them as they are"
    });
    if quirks.lists_late {
        habits.push("a listing may show late what was written");
    }
    if subject.side == Side::Destination {
        habits.push(if subject.conditions {
            "writes are fenced by conditions"
        } else {
            "writes are not fenced"
        });
    }
    if !quirks.tags {
        habits.push("tags are lost");
    }
    match quirks.checksum {
        Some(ChecksumHeader::Crc64(_)) => habits.push("a CRC-64 of each whole object"),
        Some(ChecksumHeader::Hashes(_)) => habits.push("a CRC-32C of each whole object"),
        None => {}
    }
    if quirks.qetags {
        habits.push("a hash of each whole object whose ETag is a qetag");
    }
    habits.push(match quirks.etags {
        ETags::Md5 => "ETags as Amazon's",
        ETags::Md5OfPlain => "ETags are MD5 of what was not written in parts",
        ETags::Own => "ETags of its own kind",
    });
    habits
}

fn documents(vendor: &Vendor) -> String {
    match vendor.documents {
        [] => "no document says more, so that only a look at it can".to_owned(),
        [only] => format!("documented at {only}"),
        [first, more @ ..] => format!("documented at {first} and {} more pages", more.len()),
    }
}

/// How to set up push events towards a stack, where a function of that cloud has to pass them on.
fn events(subject: &Subject<'_>) -> Option<Finding> {
    let handler = subject.settings.vendor().bridge?;
    if subject.side != Side::Source {
        return None;
    }
    let (bucket, prefix) = (&subject.settings.bucket, subject.prefix);
    let written = json!({ "bucket": bucket, "key": format!("{prefix}new"), "size": 1_048_576 });
    let deleted = json!({ "bucket": bucket, "deleted": true, "key": format!("{prefix}old") });
    let what = format!(
        "a stack follows changes as they happen if a function of that cloud posts them to its event queue, in this form: [{written},{deleted}]"
    );
    let to_do = format!(
        "for a stack: make a function of events/bridge/bridge.py with the handler {handler}, as docs/SOURCES.md#events-of-other-clouds says; the schedule alone is complete, too"
    );
    Some(Finding::new(Side::Source, "events", State::Advice, what, to_do))
}
