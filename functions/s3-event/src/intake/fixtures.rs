//! What each file of `events/` comes to.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tranship_core::message::Action::{Delete, Look};
use tranship_core::message::{Action, Message, MessageError, Work};

use super::tests::{ALL, World};
use super::{Counts, Intake};

/// What an intake comes to: its counts, and the entries of the tasks that it sends.
type Outcome = (Counts, &'static [(&'static str, Action, u64)]);

fn events() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events")
}

/// The files of a folder, by their names.
fn files(folder: &str) -> BTreeMap<String, Value> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(events().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        files.insert(name, value);
    }
    files
}

fn counts(taken: u64, filtered: u64, refused: u64, unreadable: u64) -> Counts {
    Counts { taken, filtered, refused, unreadable }
}

const HOSTILE: &str = "photos/plus+sign and space/😀/100%//tab\t.jpg";
const PLAIN: &str = "photos/a+b%2B.jpg";

fn expected(name: &str) -> Option<Outcome> {
    Some(match name {
        "put" => (counts(1, 0, 0, 0), &[(HOSTILE, Look, 1_024)]),
        "multipart" => (counts(1, 0, 0, 0), &[("photos/2026/film.mov", Look, 5_368_709_120)]),
        "several-records" => {
            (counts(3, 2, 1, 0), &[("photos/a.jpg", Look, 40), ("photos/b.jpg", Look, 20)])
        }
        "delete" | "delete-marker" | "lifecycle-expiration" | "eventbridge-deleted" => {
            (counts(1, 0, 0, 0), &[("photos/gone.jpg", Delete, 0)])
        }
        // The task looks at the source first, and copies what lives.
        "delete-old-version" | "eventbridge-deleted-version" => {
            (counts(1, 0, 0, 0), &[("photos/live.jpg", Delete, 0)])
        }
        "restore-completed" | "eventbridge-restore-completed" => {
            (counts(1, 0, 0, 0), &[("photos/old.jpg", Look, 4_096)])
        }
        "restore-expired" | "intelligent-tiering" | "test-event" | "eventbridge-tags-added" => {
            (counts(0, 1, 0, 0), &[])
        }
        "another-bucket" => (counts(0, 0, 1, 0), &[]),
        "version-3" | "oss-unbridged" => (counts(0, 0, 0, 1), &[]),
        "minio" => (counts(1, 0, 0, 0), &[("photos/a b.jpg", Look, 7)]),
        "sqs" => (
            counts(2, 1, 0, 0),
            &[("photos/gone.jpg", Delete, 0), ("photos/plus+sign.jpg", Look, 10)],
        ),
        "sqs-malformed" => (counts(1, 0, 0, 1), &[("photos/a.jpg", Look, 10)]),
        "sns" | "sns-in-sqs-raw" => (counts(1, 0, 0, 0), &[("photos/a b.jpg", Look, 10)]),
        "sns-in-sqs" => (counts(1, 1, 0, 0), &[("photos/a b.jpg", Look, 10)]),
        "eventbridge-created" => {
            (counts(1, 0, 0, 0), &[("photos/plus+sign%2B 😀//.jpg", Look, 1_024)])
        }
        "eventbridge-in-sqs" => (
            counts(2, 0, 0, 0),
            &[("photos/gone.jpg", Delete, 0), ("photos/plus+sign%2B 😀//.jpg", Look, 1_024)],
        ),
        "plain" => (counts(1, 0, 0, 0), &[(PLAIN, Look, 10)]),
        "plain-in-sqs" => {
            (counts(2, 0, 0, 0), &[(PLAIN, Look, 10), ("photos/gone.jpg", Delete, 0)])
        }
        "plain-of-a-bridge" => {
            (counts(2, 0, 0, 0), &[("photos/cos.jpg", Look, 0), ("photos/oss.jpg", Look, 10)])
        }
        _ => return None,
    })
}

#[tokio::test]
async fn every_notification_comes_to_what_it_should() {
    for (name, event) in files("s3-event") {
        let (counts, entries) = expected(&name).unwrap_or_else(|| panic!("{name} is not expected"));
        let world = World::new();
        let intake = world.take(ALL, &event).await;
        assert_eq!(intake.counts, counts, "{name}");
        let sent = world.entries().await;
        let sent: Vec<_> =
            sent.iter().map(|(key, action, size)| (&**key, *action, *size)).collect();
        assert_eq!(sent, entries, "{name}");
        let is_queue = event["Records"][0]["eventSource"] == "aws:sqs";
        let Intake { failed, dead, bad_input, is_direct, .. } = intake;
        assert_eq!((failed.len(), is_direct), (0, !is_queue), "{name}");
        let (letters, refusals) = (dead.len(), usize::from(bad_input.is_some()));
        let unreadable = usize::try_from(counts.unreadable).unwrap();
        assert_eq!((letters, refusals), if is_queue { (unreadable, 0) } else { (0, unreadable) });
    }
}

/// The body of the only message.
fn body(event: &Value) -> &str {
    let records = event["Records"].as_array().unwrap();
    assert_eq!((records.len(), &records[0]["eventSource"]), (1, &"aws:sqs".into()));
    records[0]["body"].as_str().unwrap()
}

#[test]
fn the_messages_of_the_other_queues_are_what_the_core_reads() {
    for (name, event) in files("worker") {
        let work = Message::decode(body(&event)).map(|message| message.work);
        match &*name {
            "objects" => {
                let Ok(Work::Objects(task)) = work else { panic!("{work:?}") };
                let keys: Vec<_> = task.objects.iter().map(|entry| entry.key.as_str()).collect();
                let expected = [
                    "photos/plus+sign.jpg",
                    "photos/space and%.jpg",
                    "photos/event.jpg",
                    "photos/gone.jpg",
                ];
                assert_eq!(keys, expected);
            }
            "parts" => assert!(matches!(work, Ok(Work::Parts(_))), "{work:?}"),
            "unreadable" => assert_eq!(work, Err(MessageError::Version(2))),
            other => panic!("{other} is not expected"),
        }
    }
    for (name, event) in files("finder") {
        match &*name {
            "scan" => {
                let work = Message::decode(body(&event)).unwrap().work;
                assert!(matches!(work, Work::Scan(_)), "{work:?}");
            }
            "report" => assert_eq!(event, serde_json::json!({ "tranship": name, "run": 1 })),
            _ => assert_eq!(event, serde_json::json!({ "tranship": name })),
        }
    }
    let complete = &files("completer")["complete"];
    assert_eq!(complete["header"].as_str().unwrap().len(), 64);
    assert!(complete["epoch"].is_u64() && complete["attempt"].is_u64());
}

#[test]
fn the_list_names_every_file_and_no_other() {
    let readme = fs::read_to_string(events().join("README.md")).unwrap();
    let mut named: Vec<&str> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    named.sort_unstable();
    let mut there = Vec::new();
    for folder in ["completer", "finder", "notification", "s3-event", "worker"] {
        there.extend(files(folder).into_keys().map(|name| format!("{folder}/{name}.json")));
    }
    let bridge = fs::read_dir(events().join("bridge")).unwrap();
    let bridge = bridge.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // Python leaves its compiled form behind.
    let bridge = bridge.filter(|name| name.contains('.'));
    there.extend(bridge.map(|name| format!("bridge/{name}")));
    there.sort_unstable();
    assert_eq!(named, there);
}
