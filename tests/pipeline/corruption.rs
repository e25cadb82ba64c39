//! Bytes that are damaged on their way from the source to the destination, in every way that one can
//! think of, a hundred thousand times: nothing of it is ever visible.
#![expect(clippy::indexing_slicing, reason = "tests fail by panicking, in their helpers too")]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body::Frame;
use http_body_util::StreamBody;
use tranship_adapters::clock::{Chance, SystemClock};
use tranship_adapters::stores::memory::MemoryStore;
use tranship_core::body::{Body, BodyError, Expectation, Measured, full, measure};
use tranship_core::checksum::{Algorithm, Checksum, combine};
use tranship_core::layout::Layout;
use tranship_core::object::{Millis, ObjectKey, PartNumber};
use tranship_core::progress::Progress;
use tranship_core::protocol::admit;
use tranship_core::rows::{AccountRef, Bits, Header, PartGroup, Status, TaskId};
use tranship_core::store::{Condition, ObjectStore, Part, Put, Write};
use tranship_tests::rig::noise;

/// Objects in one request.
const CASES: u64 = 75_000;
/// Fewer, since what a composed checksum costs is most of a case.
const CASES_OF_PARTS: u64 = 30_000;
const SIZE_MAX: u64 = 600;
const FIRST_PART_BYTES: u64 = 5 << 20;

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap()
}

/// Where something begins in so many bytes.
fn place(chance: &mut Chance, bytes: &[u8]) -> usize {
    usize::try_from(chance.below(size(bytes))).unwrap()
}

/// Other bytes than these.
fn damaged(chance: &mut Chance, good: &[u8]) -> Vec<u8> {
    let mut bad = good.to_vec();
    let (a, b) = (place(chance, good), place(chance, good));
    match chance.below(7) {
        0 => bad.truncate(a),
        1 => bad.extend_from_slice(&good[a..]),
        // Two ranges change places.
        2 => bad.rotate_left(a),
        // A range comes in the place of another one: of the right length, and not what was asked for.
        3 => bad.copy_within(a.min(b)..a.max(b), good.len() - (a.max(b) - a.min(b))),
        4 => bad[a.min(b)..=a.max(b)].fill(0),
        5 => {
            bad.remove(a);
            bad.push(good[b]);
        }
        _ => {
            for _ in 0..=chance.below(3) {
                let at = place(chance, good);
                bad[at] ^= 1 << chance.below(8);
            }
        }
    }
    if bad == good {
        bad[a] ^= 0x80;
    }
    bad
}

/// A body that comes in frames of any size, and may end in an error.
fn in_frames(chance: &mut Chance, bytes: &[u8], breaks_off: bool) -> Body {
    let mut frames: Vec<Result<Frame<Bytes>, BodyError>> = Vec::new();
    let mut left = bytes;
    while !left.is_empty() {
        let (frame, rest) = left.split_at(1 + place(chance, left));
        frames.push(Ok(Frame::data(Bytes::copy_from_slice(frame))));
        left = rest;
    }
    if breaks_off {
        frames.push(Err("the connection broke off".into()));
    }
    Box::pin(StreamBody::new(futures_util::stream::iter(frames)))
}

/// What the body-measuring code says of bytes that are right.
fn checksum_of(bytes: &[u8]) -> Checksum {
    let algorithms = vec![Algorithm::Crc64Nvme];
    let expectation = Expectation { size: size(bytes), checksum: None, qetag: None, algorithms };
    let body = full(Bytes::copy_from_slice(bytes));
    let (body, meter) = measure(body, expectation, Arc::new(Progress::default()));
    let all = http_body_util::BodyExt::collect(body).now_or_never().unwrap().unwrap().to_bytes();
    assert_eq!(all, bytes);
    meter.read().checksums[0]
}

fn store() -> MemoryStore {
    MemoryStore::new("destination", Arc::new(SystemClock::default()))
}

#[test]
fn damaged_bytes_never_become_an_object() {
    let (store, key) = (store(), ObjectKey::new("k"));
    let mut chance = Chance::new(1);
    for case in 0..CASES {
        let good = noise(case + 1, usize::try_from(1 + chance.below(SIZE_MAX)).unwrap());
        let checksum = Some(checksum_of(&good));
        let mut stated = size(&good);
        let (bytes, breaks_off) = match chance.below(8) {
            0 => (good.clone(), true),
            1 => {
                // The bytes are right, and their length is not.
                stated = chance.below(2 * SIZE_MAX).max(1);
                stated += u64::from(stated == size(&good));
                (good.clone(), false)
            }
            _ => (damaged(&mut chance, &good), false),
        };
        let expectation =
            Expectation { size: stated, checksum, qetag: None, algorithms: Vec::new() };
        let body = in_frames(&mut chance, &bytes, breaks_off);
        let (body, meter) = measure(body, expectation, Arc::new(Progress::default()));
        let put = Put {
            key: &key,
            size: stated,
            write: Write::default(),
            condition: Some(&Condition::Absent),
            checksum: None,
            md5: None,
        };
        let written = store.put(put, body).now_or_never().unwrap();
        assert!(written.is_err(), "case {case}: {bytes:?} for {good:?}, {stated} bytes stated");
        assert!(meter.read().fault.is_some(), "case {case}: nobody says why");
        assert!(store.object(&key).is_none(), "case {case} is visible");
    }
}

/// A header of two parts, whose source has a checksum of its own.
fn header(layout: Layout, checksum: Checksum) -> Header {
    let task = TaskId { generation: 1, scan: 1, window: 0, attempt: 1, index: 0 };
    Header {
        revision: 1,
        source_key: ObjectKey::new("k"),
        destination_key: ObjectKey::new("k"),
        epoch: 1,
        first_epoch: 1,
        status: Status::Completing,
        random: 1,
        planned_at: Millis(0),
        source: None,
        upload: None,
        old_uploads: Vec::new(),
        layout: Some(layout),
        condition: None,
        full_groups: Bits::default(),
        lease_until: None,
        attempt: 1,
        due: None,
        account: AccountRef { task, object: 0, of: 1, listed_size: layout.size() },
        tries: 1,
        server_side: false,
        checksum: Some(checksum),
        reason: None,
        losses: std::collections::BTreeSet::new(),
        orphans_since: None,
    }
}

#[test]
fn damaged_parts_are_never_completed() {
    let (store, key) = (store(), ObjectKey::new("k"));
    let first = checksum_of(&noise(7, usize::try_from(FIRST_PART_BYTES).unwrap()));
    let mut chance = Chance::new(2);
    let mut uploaded = 0;
    for case in 0..CASES_OF_PARTS {
        let good = noise(case + 1, usize::try_from(1 + chance.below(SIZE_MAX)).unwrap());
        let layout = Layout::new(FIRST_PART_BYTES + size(&good), FIRST_PART_BYTES).unwrap();
        let parts = [(first.value, FIRST_PART_BYTES), (checksum_of(&good).value, size(&good))];
        let whole = combine(Algorithm::Crc64Nvme, parts);
        let header = header(layout, Checksum { algorithm: Algorithm::Crc64Nvme, value: whole });
        let bad = damaged(&mut chance, &good);
        let upload = store.create_upload(&key, &Write::default()).now_or_never().unwrap().unwrap();
        let number = PartNumber::new(2).unwrap();
        let expectation = Expectation {
            size: size(&good),
            checksum: None,
            qetag: None,
            algorithms: vec![Algorithm::Crc64Nvme],
        };
        let body = in_frames(&mut chance, &bad, false);
        let (body, meter) = measure(body, expectation, Arc::new(Progress::default()));
        let sent = store.upload_part(&key, &upload, number, size(&good), body);
        let sent = sent.now_or_never().unwrap();
        let Measured { checksums, fault, .. } = meter.read();
        if let Ok(etag) = sent {
            // Of the right length: the upload holds it, and the composed checksum tells.
            uploaded += 1;
            assert_eq!((bad.len(), fault), (good.len(), None), "case {case}");
            let part =
                |number, size, checksums| Part { number, size, etag: etag.clone(), checksums };
            let parts = vec![
                part(PartNumber::FIRST, FIRST_PART_BYTES, vec![first]),
                part(number, size(&good), checksums),
            ];
            let listed: Vec<Part> =
                parts.iter().map(|part| Part { checksums: Vec::new(), ..part.clone() }).collect();
            let admitted = admit(&header, &[PartGroup { parts }], &listed);
            assert!(admitted.is_err(), "case {case}: {bad:?} for {good:?}");
        } else {
            assert!(fault.is_some(), "case {case}: nobody says why");
        }
        store.abort_upload(&key, &upload).now_or_never().unwrap().unwrap();
    }
    assert!(uploaded > CASES_OF_PARTS / 4, "only {uploaded} parts had the right length");
}

/// That damage is found proves something only if what is whole passes.
#[test]
fn whole_bytes_become_an_object() {
    let (store, mut chance) = (store(), Chance::new(3));
    let mut held = BTreeMap::new();
    for case in 0..1_000 {
        let key = ObjectKey::new(format!("{case}"));
        let good = noise(case + 1, usize::try_from(1 + chance.below(SIZE_MAX)).unwrap());
        let checksum = Some(checksum_of(&good));
        let algorithms = Vec::new();
        let expectation = Expectation { size: size(&good), checksum, qetag: None, algorithms };
        let body = in_frames(&mut chance, &good, false);
        let (body, _) = measure(body, expectation, Arc::new(Progress::default()));
        let put = Put {
            key: &key,
            size: size(&good),
            write: Write::default(),
            condition: Some(&Condition::Absent),
            checksum: None,
            md5: None,
        };
        store.put(put, body).now_or_never().unwrap().unwrap();
        held.insert(key, good);
    }
    for (key, good) in held {
        assert_eq!(store.object(&key).unwrap().bytes(), good, "{key}");
    }
}
