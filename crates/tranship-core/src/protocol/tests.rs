use std::collections::BTreeMap;

use super::*;
use crate::layout::Layout;
use crate::object::{ObjectKey, UploadId};
use crate::room::MetadataRoom;
use crate::rows::{Bits, TaskId};
use crate::store::Attributes;

const MIB: u64 = 1 << 20;

fn identity(etag: &str) -> Identity {
    Identity { etag: ETag::new(etag), version: None, size: 20 * MIB, modified: Millis(1) }
}

fn account(generation: u64) -> AccountRef {
    let task = TaskId { generation, scan: 1, window: 0, attempt: 1, index: 0 };
    AccountRef { task, object: 0, of: 1, listed_size: 20 * MIB }
}

fn header(status: Status, epoch: u64) -> Header {
    Header {
        revision: 3,
        source_key: ObjectKey::new("k"),
        destination_key: ObjectKey::new("k"),
        epoch,
        first_epoch: 1,
        status,
        random: 42,
        planned_at: Millis(0),
        source: Some(identity("s-4")),
        upload: Some(UploadId("u".to_owned())),
        old_uploads: Vec::new(),
        layout: Layout::new(20 * MIB, 5 * MIB),
        condition: Some(Condition::Absent),
        full_groups: Bits::default(),
        lease_until: None,
        attempt: 0,
        due: None,
        account: account(1),
        tries: 1,
        server_side: false,
        checksum: None,
        reason: None,
        losses: crate::loss::Losses::new(),
        orphans_since: None,
    }
}

fn there(etag: &str, token: Option<(u64, u64)>) -> Head {
    let mut user = BTreeMap::new();
    if let Some((epoch, random)) = token {
        let token = Token { transfer: "t".to_owned(), epoch, random, source: identity("s-4") };
        assert!(token.write(&mut user, &MetadataRoom::ASSUMED));
    }
    Head {
        identity: Identity { etag: ETag::new(etag), ..identity("") },
        attributes: Attributes { user, ..Attributes::default() },
        tag_count: 0,
        checksum: None,
        qetag: None,
        etag_is_opaque: false,
        is_archived: false,
        losses: crate::loss::Losses::new(),
        part_count: None,
        content_size: 20 * MIB,
    }
}

#[test]
fn the_reconcile_table_holds() {
    let foreign = Condition::Is(ETag::new("x"));
    for (name, there, lives, over, verdict) in [
        ("our token, this epoch", Some(there("x", Some((2, 42)))), false, false, Verdict::Landed),
        (
            "our token, upload still there",
            Some(there("x", Some((2, 42)))),
            true,
            false,
            Verdict::Landed,
        ),
        (
            "the epoch, another random",
            Some(there("x", Some((2, 7)))),
            true,
            false,
            Verdict::Foreign,
        ),
        (
            "ours, older",
            Some(there("x", Some((1, 7)))),
            true,
            false,
            Verdict::Rebase(foreign.clone()),
        ),
        ("foreign, kept", Some(there("x", None)), true, false, Verdict::Foreign),
        ("foreign, over", Some(there("x", None)), true, true, Verdict::Rebase(foreign)),
        ("unchanged, upload lives", None, true, false, Verdict::Again),
        ("nothing, upload gone", None, false, true, Verdict::Lost),
        ("foreign, upload gone", Some(there("x", None)), false, true, Verdict::Lost),
        ("no token, the source's ETag", Some(there("s-4", None)), false, false, Verdict::Landed),
    ] {
        let header = header(Status::Completing, 2);
        assert_eq!(reconcile(&header, "t", there.as_ref(), lives, over), verdict, "{name}");
    }
    let mut planned_over = header(Status::Completing, 2);
    planned_over.condition = Some(Condition::Is(ETag::new("old")));
    assert_eq!(
        reconcile(&planned_over, "t", None, true, false),
        Verdict::Rebase(Condition::Absent)
    );
}

#[test]
fn epochs_only_grow_and_old_uploads_are_remembered() {
    let mut fresh = header(Status::Planning, 1);
    fresh.upload = None;
    fresh.account = account(2);
    for status in [Status::Planning, Status::Open, Status::Done, Status::Conflict, Status::Gone] {
        let source = identity("moved");
        let Intent::Plan(planned) =
            intend(Some(header(status, 7)), fresh.clone(), Some(&source), false)
        else {
            panic!("{status:?}");
        };
        assert_eq!((planned.epoch, planned.tries), (8, 1), "{status:?}");
        assert_eq!(planned.old_uploads, [UploadId("u".to_owned())]);
        assert_eq!(planned.upload, None);
    }
}

#[test]
fn an_open_upload_of_an_earlier_run_is_taken_over() {
    let mut fresh = header(Status::Planning, 1);
    let source = identity("s-4");
    for (generation, taken_over) in [(2, true), (1, true), (0, false)] {
        fresh.account = account(generation);
        let intent = intend(Some(header(Status::Open, 7)), fresh.clone(), Some(&source), false);
        assert_eq!(matches!(intent, Intent::GoOn(_)), taken_over, "{generation}");
    }
    let intent = intend(Some(header(Status::Parked, 7)), fresh.clone(), Some(&source), false);
    assert!(matches!(intent, Intent::Parked(_)));
    let intent = intend(Some(header(Status::Parked, 7)), fresh, Some(&source), true);
    assert!(matches!(intent, Intent::Plan(_)), "named by hand, it is tried again");
}

fn part(number: u16, crc: u64) -> Part {
    let checksum =
        crate::checksum::Checksum { algorithm: crate::checksum::Algorithm::Crc64Nvme, value: crc };
    Part {
        number: PartNumber::new(number).unwrap(),
        size: 5 * MIB,
        etag: ETag::new(&format!("e{number}")),
        checksums: vec![checksum],
    }
}

#[test]
fn only_a_whole_and_unchanged_upload_is_admitted() {
    let header = header(Status::Completing, 1);
    let number = |n| PartNumber::new(n).unwrap();
    let all: Vec<Part> = (1..=4).map(|n| part(n, u64::from(n))).collect();
    let group = |parts: &[Part]| vec![PartGroup { parts: parts.to_vec() }];
    assert_eq!(admit(&header, &group(&all), &all).unwrap().len(), 4);
    assert_eq!(admit(&header, &group(&all[..3]), &all), Err(NotAdmitted::Missing(number(4))));
    assert_eq!(admit(&header, &group(&all), &all[..3]), Err(NotAdmitted::Differs(number(4))));
    let mut other = all.clone();
    other[1] = part(2, 99);
    assert_eq!(admit(&header, &group(&all), &other), Err(NotAdmitted::Differs(number(2))));
    other[1].checksums.clear();
    assert!(admit(&header, &group(&all), &other).is_ok(), "by size where no checksum is listed");
    other[1].size -= 1;
    assert_eq!(admit(&header, &group(&all), &other), Err(NotAdmitted::Differs(number(2))));
    let mut wrong = header;
    wrong.checksum = all[0].checksums.first().copied();
    assert!(matches!(admit(&wrong, &group(&all), &all), Err(NotAdmitted::Corrupt(_))));
}

#[test]
fn a_completion_is_claimed_once_per_lease() {
    let mut full = header(Status::Open, 2);
    assert!(claim(full.clone(), 2, Millis(0)).is_none(), "not all groups are full");
    full.full_groups.insert(0);
    assert!(claim(full.clone(), 1, Millis(0)).is_none(), "an older epoch");
    let claimed = claim(full, 2, Millis(0)).unwrap();
    assert_eq!((claimed.status, claimed.attempt, claimed.revision), (Status::Completing, 1, 4));
    assert!(claim(claimed.clone(), 2, Millis(1)).is_none(), "the lease holds");
    assert!(claim(claimed, 2, Millis(COMPLETION_LEASE_MS)).is_some(), "the lease lapsed");
}

#[test]
fn a_header_that_moved_is_ended_only_for_what_is_still_true() {
    let held = header(Status::Completing, 2);
    let moved = |generation, epoch, status| {
        let (revision, account) = (held.revision + 1, account(generation));
        Some(Header { revision, account, ..header(status, epoch) })
    };
    let now = Millis(50);
    // What landed has landed for the run that took over, too.
    let theirs = moved(2, 2, Status::Completing);
    let lost = after_losing(&held, theirs.clone(), Status::Done, now);
    assert_eq!(lost, Lost::Close(Box::new(theirs.clone().unwrap())));
    // That the source was gone was seen before that run listed it.
    let Lost::LookAgain(released) = after_losing(&held, theirs, Status::Gone, now) else {
        panic!("it must be looked at again");
    };
    assert_eq!((released.status, released.lease_until), (Status::Completing, None));
    assert_eq!((released.due, released.revision), (Some(now), held.revision + 2));
    // Another attempt of the same run: what ended it still says so.
    let ours = moved(1, 2, Status::Completing);
    let lost = after_losing(&held, ours.clone(), Status::Gone, now);
    assert_eq!(lost, Lost::Close(Box::new(ours.unwrap())));
    for moved in [None, moved(2, 3, Status::Completing), moved(1, 2, Status::Done)] {
        assert_eq!(after_losing(&held, moved, Status::Done, now), Lost::Over);
    }
}
