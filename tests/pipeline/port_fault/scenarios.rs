//! What is copied between memory stores when something goes wrong: small worlds, each with something
//! of its own.

use std::sync::Arc;

use tranship_core::finder::events::{Change, ChangeKind};
use tranship_core::object::ObjectKey;
use tranship_core::policy::{Compare, DeleteGuard, Overwrite, Policy};
use tranship_core::rows::ScanRange;
use tranship_tests::functions::Lines;
use tranship_tests::world::{Errand, Fleet, Host, Make, Nature, Others, Plan};

/// A world, and how it ends: equal, but for the names that are left alone.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) nature: fn() -> Nature,
    pub(super) policy: fn(&mut Policy),
    pub(super) fill: fn(&Others),
    /// What changes after a first run without faults; without it there is no first run.
    pub(super) change: Option<fn(&Others)>,
    /// An earlier process was asked to stop after so long, or died at this call.
    pub(super) stopped_ms: Option<u64>,
    pub(super) died_at: Option<u64>,
    /// What others do just before the call whose name begins so, after so many of them.
    pub(super) meanwhile: Option<Plan>,
    /// Changes that are told; then nothing is listed.
    pub(super) events: fn() -> Vec<Change>,
    /// Prefixes that are listed instead of everything.
    pub(super) prefixes: &'static [&'static str],
    /// Of whom the destination has nothing at the end, or what somebody else put there.
    pub(super) absent: &'static [&'static str],
    pub(super) foreign: &'static [&'static str],
    /// Where only one of the hosts has what it is about.
    pub(super) host: Option<Host>,
}

impl Scenario {
    pub(super) fn errand(&self, host: Host) -> Errand {
        if self.prefixes.is_empty() {
            return Errand { host, ..Errand::default() };
        }
        let lines = self.prefixes.iter().map(|prefix| format!("in/{prefix}")).collect();
        let range = ScanRange::Prefixes { next: 0, until: None };
        Errand { host, range: Some(range), lines: Some(Arc::new(Lines(lines))) }
    }

    /// Events come to a stack alone, and only a process is asked to stop.
    pub(super) fn runs_on(&self, host: Host) -> bool {
        if self.host.is_some_and(|only| only != host) {
            return false;
        }
        match host {
            Host::Process => (self.events)().is_empty(),
            Host::Functions => self.stopped_ms.is_none(),
        }
    }
}

const PLAIN: Scenario = Scenario {
    name: "",
    nature: plain,
    policy: |_| {},
    fill: |_| {},
    change: None,
    stopped_ms: None,
    died_at: None,
    meanwhile: None,
    events: Vec::new,
    prefixes: &[],
    absent: &[],
    foreign: &[],
    host: None,
};

fn plain() -> Nature {
    Nature::plain(1)
}

fn deleting() -> Nature {
    Nature { deletes: true, ..plain() }
}

fn with_a_fleet() -> Nature {
    Nature { fleet: Some(Fleet::Polls), ..plain() }
}

fn with_a_dead_fleet() -> Nature {
    Nature { fleet: Some(Fleet::IsDead), ..plain() }
}

fn opaque() -> Nature {
    Nature { opaque: true, ..plain() }
}

fn guarding() -> Nature {
    Nature { overwrite: Overwrite::Never, ..plain() }
}

fn one_by_one() -> Nature {
    Nature { objects_per_task_max: 1, window_keys: 8, pages_of: 8, ..plain() }
}

fn splitting() -> Nature {
    Nature { scans_max: 3, window_keys: 2, pages_of: 2, ..plain() }
}

fn small(others: &Others) {
    others.make("small", Make::Small);
}

fn large(others: &Others) {
    others.make("large", Make::Parts);
}

fn both(others: &Others) {
    small(others);
    large(others);
}

fn many(others: &Others) {
    for name in ["a", "a/", "a/b", "b+c", "d e", "é", "f%2B", "g", "h", "i", "😀", "z"] {
        others.make(name, Make::Small);
    }
}

fn extra(others: &Others) {
    small(others);
    others.write_destination("extra");
}

fn nothing(_: &Others) {}

fn told(key: &str, kind: ChangeKind) -> Change {
    Change { key: ObjectKey::new(format!("in/{key}")), kind }
}

fn both_were_written() -> Vec<Change> {
    vec![told("small", ChangeKind::Written(Some(100))), told("large", ChangeKind::Written(None))]
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "nothing at all", ..PLAIN },
    Scenario { name: "a small object", fill: small, ..PLAIN },
    Scenario { name: "an empty object", fill: |it| it.make("empty", Make::Empty), ..PLAIN },
    Scenario {
        name: "a large object of one part",
        fill: |it| it.make("one", Make::OnePart),
        ..PLAIN
    },
    Scenario { name: "a large object of three parts", fill: large, ..PLAIN },
    Scenario {
        name: "two groups of parts",
        fill: |it| it.make("long", Make::Uploaded(18)),
        ..PLAIN
    },
    Scenario { name: "a small upload", fill: |it| it.make("upload", Make::Uploaded(1)), ..PLAIN },
    Scenario {
        name: "an upload of two parts",
        fill: |it| it.make("two", Make::Uploaded(2)),
        ..PLAIN
    },
    Scenario { name: "a batch of messages", nature: one_by_one, fill: many, ..PLAIN },
    Scenario { name: "scans that split", nature: splitting, fill: many, ..PLAIN },
    Scenario {
        name: "a list of prefixes",
        fill: many,
        prefixes: &["a", "b", "d", "f", "g", "h", "i", "z", "é", "😀"],
        ..PLAIN
    },
    Scenario { name: "equal objects", fill: both, change: Some(nothing), ..PLAIN },
    Scenario { name: "a small change", fill: small, change: Some(small), ..PLAIN },
    Scenario { name: "a large change", fill: large, change: Some(large), ..PLAIN },
    Scenario {
        name: "a large object that shrank",
        fill: large,
        change: Some(|it| it.make("large", Make::Small)),
        ..PLAIN
    },
    Scenario {
        name: "a small object that grew",
        fill: small,
        change: Some(|it| it.make("small", Make::Parts)),
        ..PLAIN
    },
    Scenario {
        name: "small, overwritten while it is read",
        fill: small,
        meanwhile: Some(("source get", 0, small)),
        ..PLAIN
    },
    Scenario {
        name: "small, overwritten while it is written",
        fill: small,
        meanwhile: Some(("destination put", 0, small)),
        ..PLAIN
    },
    Scenario {
        name: "large, overwritten between two parts",
        fill: large,
        meanwhile: Some(("destination upload_part", 1, large)),
        ..PLAIN
    },
    Scenario {
        name: "large, overwritten before it is complete",
        fill: large,
        meanwhile: Some(("destination complete_upload", 0, large)),
        ..PLAIN
    },
    Scenario {
        name: "small, deleted while it is read",
        fill: small,
        meanwhile: Some(("source get", 0, |it| it.delete_source("small"))),
        absent: &["small"],
        ..PLAIN
    },
    Scenario {
        name: "large, deleted between two parts",
        fill: large,
        meanwhile: Some(("source get", 1, |it| it.delete_source("large"))),
        absent: &["large"],
        ..PLAIN
    },
    Scenario {
        name: "somebody else's object",
        fill: |it| {
            both(it);
            it.write_destination("large");
            it.write_destination("small");
        },
        ..PLAIN
    },
    Scenario {
        name: "somebody else's object that is kept",
        nature: guarding,
        fill: |it| {
            both(it);
            it.write_destination("large");
        },
        foreign: &["large"],
        ..PLAIN
    },
    Scenario {
        name: "somebody writes before a small copy",
        fill: small,
        meanwhile: Some(("destination put", 0, |it| it.write_destination("small"))),
        ..PLAIN
    },
    Scenario {
        name: "somebody writes before a completion",
        fill: large,
        meanwhile: Some(("destination complete_upload", 0, |it| it.write_destination("large"))),
        ..PLAIN
    },
    Scenario {
        name: "somebody writes, and is kept",
        nature: guarding,
        fill: large,
        meanwhile: Some(("destination complete_upload", 0, |it| it.write_destination("large"))),
        ..PLAIN
    },
    Scenario {
        name: "the newer one wins",
        policy: |it| it.overwrite = Overwrite::Newer,
        fill: |it| it.write_destination("small"),
        change: Some(both),
        ..PLAIN
    },
    Scenario {
        name: "a compare of sizes",
        policy: |it| it.compare = Compare::Size,
        fill: both,
        change: Some(nothing),
        ..PLAIN
    },
    Scenario {
        name: "a compare of sizes and times",
        policy: |it| it.compare = Compare::SizeAndTime,
        fill: both,
        change: Some(both),
        ..PLAIN
    },
    Scenario {
        name: "a compare of the metadata",
        policy: |it| it.compare = Compare::Metadata,
        fill: both,
        change: Some(small),
        ..PLAIN
    },
    Scenario {
        name: "no compare at all",
        policy: |it| it.compare = Compare::Always,
        fill: both,
        change: Some(nothing),
        ..PLAIN
    },
    Scenario {
        name: "an archived object",
        fill: |it| {
            small(it);
            it.make("cold", Make::Archived);
        },
        absent: &["cold"],
        ..PLAIN
    },
    Scenario {
        name: "a filtered object",
        policy: |it| it.filter.max_size = Some(1_000),
        fill: both,
        absent: &["large"],
        ..PLAIN
    },
    Scenario { name: "an object that is too many", nature: deleting, fill: extra, ..PLAIN },
    Scenario {
        name: "too many for the guard",
        nature: deleting,
        policy: |it| it.delete = Some(DeleteGuard { objects_max: 0, percent_max: 0 }),
        fill: extra,
        foreign: &["extra"],
        ..PLAIN
    },
    Scenario {
        name: "deleted at the source",
        nature: deleting,
        fill: both,
        change: Some(|it| it.delete_source("large")),
        ..PLAIN
    },
    Scenario {
        name: "made anew just before its delete",
        nature: deleting,
        fill: extra,
        meanwhile: Some(("destination delete", 0, |it| it.make("extra", Make::Small))),
        ..PLAIN
    },
    Scenario { name: "a run that was stopped", fill: both, stopped_ms: Some(60), ..PLAIN },
    Scenario { name: "a run that died", fill: both, died_at: Some(60), ..PLAIN },
    Scenario {
        name: "parts that a fleet copies",
        nature: with_a_fleet,
        fill: large,
        host: Some(Host::Functions),
        ..PLAIN
    },
    Scenario {
        name: "parts that a dead fleet leaves",
        nature: with_a_dead_fleet,
        fill: large,
        host: Some(Host::Functions),
        ..PLAIN
    },
    Scenario { name: "opaque ETags", nature: opaque, fill: both, ..PLAIN },
    Scenario {
        name: "equal objects with opaque ETags",
        nature: opaque,
        fill: both,
        change: Some(nothing),
        ..PLAIN
    },
    Scenario {
        name: "copies on the server's side",
        nature: || Nature { server_side: true, ..plain() },
        fill: both,
        ..PLAIN
    },
    Scenario {
        name: "no tokens",
        nature: || Nature { token: false, ..plain() },
        fill: both,
        change: Some(both),
        ..PLAIN
    },
    Scenario {
        name: "what a dry run leaves",
        policy: |it| it.dry_run = true,
        fill: both,
        absent: &["small", "large"],
        ..PLAIN
    },
    Scenario { name: "events of writes", fill: both, events: both_were_written, ..PLAIN },
    Scenario {
        name: "an event that is late",
        fill: both,
        events: both_were_written,
        meanwhile: Some(("destination create_upload", 0, large)),
        ..PLAIN
    },
    Scenario {
        name: "events of deletes",
        nature: deleting,
        fill: both,
        change: Some(|it| {
            it.delete_source("small");
            it.delete_source("large");
        }),
        events: || vec![told("small", ChangeKind::Deleted), told("large", ChangeKind::Deleted)],
        ..PLAIN
    },
];
