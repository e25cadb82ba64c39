//! Where a row lies in the table, which lane of the index it is in, and when it may go.
//!
//! A row's key is cut at a slash: what is before it is the partition, the rest with the slash is
//! the sort key. So the rows of a partition sort as their keys do, and every prefix that reaches
//! the cut is one query.

use serde::Deserialize;
use tranship_core::object::Millis;
use tranship_core::ports::Row;
use tranship_core::rows::{RowKey, Status};

/// Partitions of the index of due rows: enough that no writer waits for another's, few enough to
/// ask them all in every sweep.
const LANES: u32 = 8;
/// The sort key of a row whose key is its partition's. It sorts before every slash.
const WHOLE: &str = ".";
/// How long rows are kept that nobody forgot: far longer than a run or an upload may take, and what
/// is older than that is no evidence of anything.
const KEPT_MS: u64 = 90 * 24 * 60 * 60 * 1_000;

/// Primary key of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub pk: String,
    pub sk: String,
}

/// What there is to know about the rows whose keys begin alike.
struct Family {
    name: &'static str,
    /// Parts of the key that make the partition.
    cut: usize,
    expiry: Expiry,
}

#[derive(Debug, Clone, Copy)]
enum Expiry {
    Never,
    /// A while after the last write.
    Later,
    /// A while after the upload has ended and nothing of it is left to clear away. A parked one
    /// stays: its header is what keeps a hopeless object from being tried in every run.
    OnceDone,
}

/// The rows of a run lie in one partition per kind; each header, and the parts of each of its
/// epochs, have a partition of their own, so that no two uploads share one.
const FAMILIES: &[Family] = &[
    Family { name: "run", cut: 1, expiry: Expiry::Never },
    Family { name: "scan", cut: 2, expiry: Expiry::Later },
    Family { name: "task", cut: 2, expiry: Expiry::Later },
    Family { name: "share", cut: 2, expiry: Expiry::Later },
    Family { name: "failures", cut: 2, expiry: Expiry::Later },
    Family { name: "candidates", cut: 2, expiry: Expiry::Later },
    Family { name: "sent", cut: 2, expiry: Expiry::Later },
    Family { name: "header", cut: 2, expiry: Expiry::OnceDone },
    Family { name: "part", cut: 3, expiry: Expiry::Later },
    // What was copied stays copied: without the evidence it would be copied again.
    Family { name: "evidence", cut: 2, expiry: Expiry::Never },
];
const OTHER: Family = Family { name: "", cut: 1, expiry: Expiry::Never };

/// Whether a header's upload is over; what cannot be read is not.
fn is_over(header: &Row) -> bool {
    #[derive(Deserialize)]
    struct Probe {
        status: Status,
    }
    let probe = serde_json::from_slice::<Probe>(&header.value);
    let over = probe
        .is_ok_and(|probe| matches!(probe.status, Status::Done | Status::Conflict | Status::Gone));
    over && header.due.is_none()
}

fn family(key: &str) -> &'static Family {
    let name = key.split('/').next().unwrap_or_default();
    FAMILIES.iter().find(|family| family.name == name).unwrap_or(&OTHER)
}

/// Where the partition's name ends; `None` if the text does not reach so far.
fn cut(text: &str) -> Option<usize> {
    text.match_indices('/').nth(family(text).cut - 1).map(|(at, _)| at)
}

impl Place {
    pub(super) fn of(key: &RowKey) -> Self {
        match cut(&key.0).and_then(|at| key.0.split_at_checked(at)) {
            Some((pk, sk)) => Self { pk: pk.to_owned(), sk: sk.to_owned() },
            None => Self { pk: key.0.clone(), sk: WHOLE.to_owned() },
        }
    }

    pub(super) fn key(&self) -> RowKey {
        if self.sk == WHOLE {
            return RowKey(self.pk.clone());
        }
        RowKey(format!("{}{}", self.pk, self.sk))
    }
}

/// Which items have keys with a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    /// Those of one partition whose sort key starts so.
    Partition(Place),
    /// Those of all partitions whose name starts so.
    Table(String),
}

impl Reach {
    pub(super) fn of(prefix: &str) -> Self {
        match cut(prefix).and_then(|at| prefix.split_at_checked(at)) {
            Some((pk, sk)) => Self::Partition(Place { pk: pk.to_owned(), sk: sk.to_owned() }),
            None => Self::Table(prefix.to_owned()),
        }
    }
}

/// The lane of a row, the same for as long as it exists.
pub(super) fn lane(key: &RowKey) -> String {
    // FNV-1a: it has to spread hashes and numbers evenly, and nothing else.
    let hash = key
        .0
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("lane/{}", (hash ^ (hash >> 16)) % LANES)
}

pub(super) fn lanes() -> impl Iterator<Item = String> {
    (0..LANES).map(|lane| format!("lane/{lane}"))
}

/// When the table may drop the row, in seconds since 1970; `None` is never.
pub(super) fn expires(key: &RowKey, row: &Row, now: Millis) -> Option<u64> {
    let expires = match family(&key.0).expiry {
        Expiry::Never => false,
        Expiry::Later => true,
        Expiry::OnceDone => is_over(row),
    };
    expires.then(|| now.plus(KEPT_MS).0 / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use tranship_core::breakdown::WindowShare;
    use tranship_core::object::{ObjectKey, PartNumber};
    use tranship_core::rows::{
        Header, HeaderId, List, Notes, PartFailures, Run, Scan, Stored as _, TaskId,
    };

    fn row(value: &str, due: Option<u64>) -> Row {
        Row { revision: 1, due: due.map(Millis), value: value.as_bytes().to_vec() }
    }

    fn task(generation: u64) -> TaskId {
        TaskId { generation, scan: 2, window: 3, attempt: 4, index: 5 }
    }

    fn share(generation: u64) -> WindowShare {
        WindowShare { of: task(generation), prefixes: BTreeMap::new() }
    }

    #[test]
    fn every_prefix_of_the_core_but_the_headers_is_one_query() {
        let header = HeaderId::of(&ObjectKey::new("k"));
        let failures = PartFailures::row_key(&header, 7, PartNumber::new(17).unwrap());
        for (prefix, key) in [
            (Scan::prefix(1), Scan::row_key(1, 9)),
            (TaskId::prefix(1), task(1).row_key()),
            (WindowShare::prefix(1), share(1).key()),
            (header.groups_prefix(7), header.group_key(7, 3)),
            (header.groups_prefix(7), failures),
            (Notes::prefix(List::Failures, 1), RowKey("failures/0000000000000001/2/3".into())),
            (Notes::prefix(List::Candidates, 1), RowKey("candidates/0000000000000001/2".into())),
        ] {
            let Reach::Partition(reach) = Reach::of(&prefix) else { panic!("{prefix} is a scan") };
            let place = Place::of(&key);
            assert_eq!(place.pk, reach.pk, "{prefix}");
            assert!(place.sk.starts_with(&reach.sk), "{prefix}");
        }
        assert_eq!(Reach::of(Header::prefix()), Reach::Table("header/".into()));
        assert_eq!(Reach::of("scan"), Reach::Table("scan".into()));
    }

    #[test]
    fn uploads_share_no_partition() {
        let (a, b) = (HeaderId::of(&ObjectKey::new("a")), HeaderId::of(&ObjectKey::new("b")));
        let mut partitions = BTreeMap::new();
        for key in
            [a.row_key(), b.row_key(), a.group_key(1, 0), a.group_key(2, 0), b.group_key(1, 0)]
        {
            *partitions.entry(Place::of(&key).pk).or_insert(0) += 1;
        }
        assert_eq!(partitions.len(), 5, "{partitions:?}");
    }

    #[test]
    fn a_place_leads_back_to_its_key() {
        let header = HeaderId::of(&ObjectKey::new("k"));
        for key in [Run::row_key(), header.row_key(), header.group_key(1, 2), task(1).row_key()] {
            let place = Place::of(&key);
            assert!(!place.pk.is_empty() && !place.sk.is_empty());
            assert_eq!(place.key(), key);
        }
        for key in ["", "a", "a/", "a/b", "header/", "part/h/1", "part//", "run/x"] {
            assert_eq!(Place::of(&RowKey(key.into())).key().0, key);
        }
    }

    #[test]
    fn rows_are_spread_over_all_lanes() {
        let mut rows = BTreeMap::new();
        for n in 0..8_000 {
            let id = HeaderId::of(&ObjectKey::new(format!("key/{n}")));
            *rows.entry(lane(&id.row_key())).or_insert(0) += 1;
        }
        assert_eq!(rows.keys().cloned().collect::<Vec<_>>(), lanes().collect::<Vec<_>>());
        assert!(rows.values().all(|rows| (800..1_200).contains(rows)), "{rows:?}");
    }

    #[test]
    fn only_what_is_over_and_done_with_expires() {
        let now = Millis(1_000_000);
        let gone = Some((now.0 + KEPT_MS) / 1_000);
        let header = HeaderId::of(&ObjectKey::new("k")).row_key();
        for (status, due, expected) in [
            ("done", None, gone),
            ("conflict", None, gone),
            ("gone", None, gone),
            ("done", Some(5), None),
            ("open", None, None),
            ("planning", Some(5), None),
            ("completing", None, None),
            ("parked", None, None),
            ("of another version", None, None),
        ] {
            let row = row(&format!("{{\"status\":\"{status}\",\"epoch\":1}}"), due);
            assert_eq!(expires(&header, &row, now), expected, "{status} {due:?}");
        }
        for (key, expected) in [
            (Run::row_key(), None),
            (Scan::row_key(1, 1), gone),
            (task(1).row_key(), gone),
            (share(1).key(), gone),
            (HeaderId("h".into()).group_key(1, 1), gone),
            (RowKey("evidence/h".into()), None),
            (RowKey("of another version".into()), None),
        ] {
            assert_eq!(expires(&key, &row("{}", None), now), expected, "{key:?}");
        }
    }
}
