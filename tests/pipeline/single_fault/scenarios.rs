//! What is copied when something goes wrong: small worlds, each with something of its own.

use std::collections::BTreeMap;

use tranship_core::policy::{Compare, DeleteGuard, Overwrite, Policy};
use tranship_server::{CompleteReplay, EtagMode, Properties, ServerOptions, Store, Versioning};
use tranship_tests::keys::HOSTILE;
use tranship_tests::rig::{DESTINATION, MIB, SOURCE, noise};

/// A world, and how it ends.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) options: fn() -> (ServerOptions, ServerOptions),
    /// Source and destination.
    pub(super) fill: fn(&Store, &Store),
    /// What changes after a first run without faults; without it there is no first run.
    pub(super) change: Option<fn(&Store, &Store)>,
    pub(super) policy: fn() -> Policy,
    /// Both sides are buckets of one server, which can copy by itself.
    pub(super) one_server: bool,
    pub(super) end: End,
}

/// What the destination has at the end.
pub(super) enum End {
    Equal,
    AsBefore,
    Keys(&'static [&'static str]),
}

const PLAIN: Scenario = Scenario {
    name: "",
    options: plain,
    fill: |_, _| {},
    change: None,
    policy: in_parts,
    one_server: false,
    end: End::Equal,
};

fn plain() -> (ServerOptions, ServerOptions) {
    (ServerOptions::default(), ServerOptions::default())
}

fn opaque() -> (ServerOptions, ServerOptions) {
    let options = ServerOptions { etags: EtagMode::Random, ..ServerOptions::default() };
    (ServerOptions::default(), options)
}

fn replaying(replay: CompleteReplay) -> (ServerOptions, ServerOptions) {
    (ServerOptions::default(), ServerOptions { replay, ..ServerOptions::default() })
}

fn in_parts() -> Policy {
    Policy {
        multipart_threshold_bytes: 6 << 20,
        part_size_bytes: Some(5 << 20),
        failures_max: 3,
        ..Policy::default()
    }
}

fn deleting() -> Policy {
    let guard = DeleteGuard { objects_max: 100, percent_max: 100 };
    Policy { delete: Some(guard), ..in_parts() }
}

fn put(store: &Store, key: &str, bytes: impl Into<bytes::Bytes>) {
    store.put(SOURCE, key, bytes);
}

fn had(store: &Store, key: &str, bytes: impl Into<bytes::Bytes>) {
    store.put(DESTINATION, key, bytes);
}

fn nothing(_: &Store, _: &Store) {}

fn small(here: &Store, _: &Store) {
    put(here, "small", "bytes");
}

fn large(here: &Store, _: &Store) {
    put(here, "large", noise(1, 11 * MIB));
}

fn both(here: &Store, there: &Store) {
    small(here, there);
    large(here, there);
}

fn uploaded(here: &Store, _: &Store) {
    let parts = [5 * MIB, 5 * MIB, 100].map(|size| noise(3, size).into());
    here.put_multipart(SOURCE, "uploaded in parts", parts.to_vec());
}

fn with_everything(here: &Store, size: usize) {
    let properties = Properties {
        content_type: Some("text/html".to_owned()),
        cache_control: Some("max-age=60".to_owned()),
        metadata: BTreeMap::from([("owner".to_owned(), "naïve café".to_owned())]),
        ..Properties::default()
    };
    let tags = vec![("project".to_owned(), "a+b & c=d".to_owned())];
    here.put_with(SOURCE, "tagged", noise(1, size), properties, tags);
}

fn without_room(here: &Store, size: usize) {
    let metadata = BTreeMap::from([("m".to_owned(), "x".repeat(2_000))]);
    let properties = Properties { metadata, ..Properties::default() };
    here.put_with(SOURCE, "full", noise(1, size), properties, vec![]);
}

fn pages(here: &Store, there: &Store) {
    for n in 0..1_100 {
        put(here, &format!("{n:05}"), "");
        if n > 3 {
            had(there, &format!("{n:05}"), "");
        }
    }
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "nothing at all", ..PLAIN },
    Scenario { name: "a small object", fill: small, ..PLAIN },
    Scenario { name: "an empty object", fill: |here, _| put(here, "empty", ""), ..PLAIN },
    Scenario { name: "a folder's marker", fill: |here, _| put(here, "folder/", ""), ..PLAIN },
    Scenario {
        name: "hostile keys",
        fill: |here, _| HOSTILE.iter().step_by(4).for_each(|key| put(here, key, "x")),
        ..PLAIN
    },
    Scenario { name: "a tagged object", fill: |here, _| with_everything(here, 100), ..PLAIN },
    Scenario { name: "no room for a token", fill: |here, _| without_room(here, 100), ..PLAIN },
    Scenario {
        name: "an object that differs",
        fill: |here, there| {
            small(here, there);
            had(there, "small", "older");
        },
        ..PLAIN
    },
    Scenario { name: "an equal object", fill: small, change: Some(nothing), ..PLAIN },
    Scenario {
        name: "a change of the same size",
        fill: small,
        change: Some(|here, _| put(here, "small", "BYTES")),
        ..PLAIN
    },
    Scenario {
        name: "a foreign object that is kept",
        fill: |here, there| {
            small(here, there);
            had(there, "small", "foreign");
        },
        policy: || Policy { overwrite: Overwrite::Never, ..in_parts() },
        end: End::AsBefore,
        ..PLAIN
    },
    Scenario {
        name: "what a dry run leaves",
        fill: both,
        policy: || Policy { dry_run: true, ..in_parts() },
        end: End::AsBefore,
        ..PLAIN
    },
    Scenario {
        name: "an object that is too many",
        fill: |here, there| {
            small(here, there);
            had(there, "extra", "x");
        },
        policy: deleting,
        ..PLAIN
    },
    Scenario {
        name: "a delete that can be undone",
        options: plain,
        fill: |here, there| {
            there.configure(DESTINATION, |bucket| bucket.versioning = Versioning::Enabled);
            small(here, there);
            had(there, "extra", "x");
        },
        policy: deleting,
        ..PLAIN
    },
    Scenario {
        name: "a key that was deleted at the source",
        fill: both,
        change: Some(|here, _| here.delete(SOURCE, "small")),
        policy: deleting,
        ..PLAIN
    },
    Scenario { name: "two pages", fill: pages, ..PLAIN },
    Scenario {
        name: "an archived object",
        fill: |here, there| {
            small(here, there);
            put(here, "archived", "x");
            here.change(SOURCE, "archived", |object| {
                object.properties.storage_class = Some("GLACIER".to_owned());
            });
        },
        end: End::Keys(&["small"]),
        ..PLAIN
    },
    Scenario {
        name: "a compare of the metadata",
        fill: |here, _| with_everything(here, 100),
        change: Some(nothing),
        policy: || Policy { compare: Compare::Metadata, ..in_parts() },
        ..PLAIN
    },
    Scenario {
        name: "a change of the metadata",
        fill: |here, _| with_everything(here, 100),
        change: Some(|here, _| {
            here.change(SOURCE, "tagged", |object| object.properties.content_type = None);
        }),
        policy: || Policy { compare: Compare::Metadata, ..in_parts() },
        ..PLAIN
    },
    Scenario { name: "opaque ETags", options: opaque, fill: small, ..PLAIN },
    Scenario {
        name: "an equal object with opaque ETags",
        options: opaque,
        fill: both,
        change: Some(nothing),
        ..PLAIN
    },
    Scenario { name: "a large object", fill: large, ..PLAIN },
    Scenario { name: "a large object with opaque ETags", options: opaque, fill: large, ..PLAIN },
    Scenario {
        name: "a large object over another",
        fill: |here, there| {
            large(here, there);
            had(there, "large", noise(9, 11 * MIB));
        },
        ..PLAIN
    },
    Scenario {
        name: "a large object that changed",
        fill: large,
        change: Some(|here, _| put(here, "large", noise(2, 11 * MIB))),
        ..PLAIN
    },
    Scenario {
        name: "a large object that shrank",
        fill: large,
        change: Some(|here, _| put(here, "large", "no longer")),
        ..PLAIN
    },
    Scenario { name: "an object that was uploaded in parts", fill: uploaded, ..PLAIN },
    Scenario {
        name: "a large tagged object",
        fill: |here, _| with_everything(here, 7 * MIB),
        ..PLAIN
    },
    Scenario {
        name: "a large one without room",
        fill: |here, _| without_room(here, 7 * MIB),
        ..PLAIN
    },
    Scenario {
        name: "a replay that knows the upload no more",
        options: || replaying(CompleteReplay::NoSuchUpload404),
        fill: large,
        ..PLAIN
    },
    Scenario {
        name: "a replay whose condition fails",
        options: || replaying(CompleteReplay::Precondition412),
        fill: large,
        ..PLAIN
    },
    Scenario {
        name: "a destination without conditions",
        options: || {
            let options = ServerOptions { conditional_writes: false, ..ServerOptions::default() };
            (ServerOptions::default(), options)
        },
        fill: both,
        policy: || Policy { fenced: false, ..in_parts() },
        ..PLAIN
    },
    Scenario {
        name: "a source with versions",
        fill: |here, there| {
            here.configure(SOURCE, |bucket| bucket.versioning = Versioning::Enabled);
            put(here, "small", "older");
            both(here, there);
        },
        ..PLAIN
    },
    Scenario { name: "a copy within one store", fill: both, one_server: true, ..PLAIN },
];
