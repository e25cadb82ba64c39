//! How rows and parts are written into items, and read again.
//!
//! A row is one binary value with its revision. A part group is an item with an attribute per part,
//! named by the part's number, so that a part is set without reading the others.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob as Bytes;
use aws_sdk_dynamodb::types::AttributeValue;
use tranship_core::checksum::{Algorithm, Checksum};
use tranship_core::error::LedgerError;
use tranship_core::object::{ETag, Millis, PartNumber};
use tranship_core::ports::Row;
use tranship_core::rows::{PartGroup, RowKey};
use tranship_core::store::Part;

use super::keys::{self, Place};
use crate::ledgers::encode_group;

pub(super) const PK: &str = "pk";
pub(super) const SK: &str = "sk";
pub(super) const VALUE: &str = "value";
pub(super) const REVISION: &str = "revision";
pub(super) const DUE: &str = "due";
pub(super) const LANE: &str = "lane";
pub(super) const EXPIRES: &str = "expires";
/// Chance of the write that made the item what it is: by it a writer whose answer was lost
/// recognises its own work.
pub(super) const STAMP: &str = "stamp";

pub(super) type Item = HashMap<String, AttributeValue>;

pub(super) fn number(n: u64) -> AttributeValue {
    AttributeValue::N(n.to_string())
}

pub(super) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(super) fn bytes(bytes: Vec<u8>) -> AttributeValue {
    AttributeValue::B(Bytes::new(bytes))
}

pub(super) fn primary(place: Place) -> Item {
    Item::from([(PK.to_owned(), text(place.pk)), (SK.to_owned(), text(place.sk))])
}

pub(super) fn row_item(key: &RowKey, row: Row, stamp: u64, now: Millis) -> Item {
    let mut item = primary(Place::of(key));
    if let Some(expires) = keys::expires(key, &row, now) {
        item.insert(EXPIRES.to_owned(), number(expires));
    }
    if let Some(due) = row.due {
        item.insert(DUE.to_owned(), number(due.0));
        item.insert(LANE.to_owned(), text(keys::lane(key)));
    }
    item.insert(REVISION.to_owned(), number(row.revision));
    item.insert(STAMP.to_owned(), number(stamp));
    item.insert(VALUE.to_owned(), bytes(row.value));
    item
}

pub(super) fn key_of(item: &Item) -> Result<RowKey, LedgerError> {
    match (item.get(PK), item.get(SK)) {
        (Some(AttributeValue::S(pk)), Some(AttributeValue::S(sk))) => {
            Ok(Place { pk: pk.clone(), sk: sk.clone() }.key())
        }
        _ => Err(LedgerError::Unreadable("an item of the table has no pk and sk".to_owned())),
    }
}

/// A whole row; of a part group, what another ledger would have stored.
pub(super) fn row_of(item: &Item) -> Result<(RowKey, Row), LedgerError> {
    let key = key_of(item)?;
    let revision = number_of(&key, item, REVISION)?;
    let revision = revision.ok_or_else(|| unreadable(&key, REVISION, "is missing"))?;
    let row = match item.get(VALUE) {
        Some(AttributeValue::B(value)) => {
            Row { revision, due: due_of(&key, item)?, value: value.as_ref().to_vec() }
        }
        Some(_) => return Err(unreadable(&key, VALUE, "is not binary")),
        None => encode_group(&key, revision, &group_of(&key, item)?)?,
    };
    Ok((key, row))
}

pub(super) fn due_of(key: &RowKey, item: &Item) -> Result<Option<Millis>, LedgerError> {
    Ok(number_of(key, item, DUE)?.map(Millis))
}

/// An entry of the index that says no time.
pub(super) fn not_due(key: &RowKey) -> LedgerError {
    unreadable(key, DUE, "is missing")
}

fn number_of(key: &RowKey, item: &Item, name: &str) -> Result<Option<u64>, LedgerError> {
    match item.get(name) {
        None => Ok(None),
        Some(AttributeValue::N(n)) => match n.parse() {
            Ok(n) => Ok(Some(n)),
            Err(_) => Err(unreadable(key, name, "is no whole number")),
        },
        Some(_) => Err(unreadable(key, name, "is not a number")),
    }
}

fn unreadable(key: &RowKey, name: &str, fault: &str) -> LedgerError {
    LedgerError::Unreadable(format!("row {}: {name} {fault}", key.0))
}

pub(super) fn part_name(part: PartNumber) -> String {
    format!("p{}", part.get())
}

fn part_number(name: &str) -> Option<PartNumber> {
    PartNumber::new(name.strip_prefix('p')?.parse().ok()?)
}

/// The parts of a group. The ledger's own attributes are known by name; another is damage.
pub(super) fn group_of(key: &RowKey, item: &Item) -> Result<PartGroup, LedgerError> {
    let mut group = PartGroup::default();
    for (name, value) in item {
        if [PK, SK, REVISION, EXPIRES].contains(&name.as_str()) {
            continue;
        }
        let part = match (part_number(name), value) {
            (Some(number), AttributeValue::B(value)) => decode_part(number, value.as_ref()),
            _ => None,
        };
        group.set(part.ok_or_else(|| unreadable(key, name, "is no part of this version"))?);
    }
    Ok(group)
}

/// The format of a part that this version writes.
const PART_FORMAT: u8 = 1;
/// How an `ETag` is written: as it is, or as the 16 bytes of its hexadecimal digits.
const ETAG_TEXT: u8 = 0;
const ETAG_MD5: u8 = 1;
const ALGORITHMS: [(u8, Algorithm); 4] = [
    (1, Algorithm::Crc64Nvme),
    (2, Algorithm::Crc32C),
    (3, Algorithm::Crc32),
    (4, Algorithm::Crc64Xz),
];

/// Format, size, number of checksums, checksums, kind of `ETag`, `ETag`: a full group of sixteen
/// stays below the 1 KiB that one write unit pays for.
pub(super) fn encode_part(part: &Part) -> Vec<u8> {
    let mut out = vec![PART_FORMAT];
    out.extend(part.size.to_be_bytes());
    out.push(u8::try_from(part.checksums.len()).unwrap_or(u8::MAX));
    for checksum in part.checksums.iter().take(usize::from(u8::MAX)) {
        let code = ALGORITHMS.iter().find(|(_, algorithm)| *algorithm == checksum.algorithm);
        out.push(code.map_or(0, |(code, _)| *code));
        out.extend(checksum.value.to_be_bytes());
    }
    let etag = part.etag.as_str();
    match hex::decode(etag) {
        Ok(md5) if md5.len() == 16 && hex::encode(&md5) == etag => {
            out.push(ETAG_MD5);
            out.extend(md5);
        }
        _ => {
            out.push(ETAG_TEXT);
            out.extend(etag.as_bytes());
        }
    }
    out
}

fn decode_part(number: PartNumber, mut bytes: &[u8]) -> Option<Part> {
    if take_byte(&mut bytes)? != PART_FORMAT {
        return None;
    }
    let size = take_u64(&mut bytes)?;
    let count = take_byte(&mut bytes)?;
    let mut checksums = Vec::new();
    for _ in 0..count {
        let code = take_byte(&mut bytes)?;
        let (_, algorithm) = ALGORITHMS.iter().find(|(known, _)| *known == code)?;
        checksums.push(Checksum { algorithm: *algorithm, value: take_u64(&mut bytes)? });
    }
    let etag = match take_byte(&mut bytes)? {
        ETAG_TEXT => ETag::written(std::str::from_utf8(bytes).ok()?),
        ETAG_MD5 if bytes.len() == 16 => ETag::new(&hex::encode(bytes)),
        _ => return None,
    };
    Some(Part { number, size, etag, checksums })
}

fn take_byte(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(etag: &str, checksums: &[(Algorithm, u64)]) -> Part {
        let checksums = checksums.iter();
        let checksums =
            checksums.map(|(algorithm, value)| Checksum { algorithm: *algorithm, value: *value });
        let number = PartNumber::new(10_000).unwrap();
        Part { number, size: 5 << 30, etag: ETag::new(etag), checksums: checksums.collect() }
    }

    #[test]
    fn a_part_comes_back_as_it_was() {
        let all = Algorithm::ALL.map(|algorithm| (algorithm, u64::MAX - 1));
        for etag in [
            "",
            "d41d8cd98f00b204e9800998ecf8427e",
            "D41D8CD98F00B204E9800998ECF8427E",
            "d41d8cd98f00b204e9800998ecf8427e-7",
            "d41d8cd98f00b204",
            "é of a vendor's own",
            "\"W/strange\"",
        ] {
            for checksums in [&all[..], &all[..1], &[]] {
                let part = part(etag, checksums);
                assert_eq!(decode_part(part.number, &encode_part(&part)), Some(part));
            }
        }
    }

    #[test]
    fn a_damaged_part_is_none() {
        let good = encode_part(&part("d41d8cd98f00b204e9800998ecf8427e", &[(Algorithm::Crc32, 1)]));
        let number = PartNumber::new(1).unwrap();
        for length in 0..good.len() {
            assert_eq!(decode_part(number, &good[..length]), None, "{length}");
        }
        for (at, value) in [(0, 2), (10, 9), (19, 7)] {
            let mut bad = good.clone();
            bad[at] = value;
            assert_eq!(decode_part(number, &bad), None, "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn any_part_comes_back(
            size: u64,
            etag in prop_oneof![any::<String>(), "[0-9a-fA-F]{32}(-[0-9]{1,5})?"],
            checksums in prop::collection::vec((prop::sample::select(&Algorithm::ALL[..]), any::<u64>()), 0..4),
        ) {
            let part = Part { size, ..part(&etag, &checksums) };
            prop_assert_eq!(decode_part(part.number, &encode_part(&part)), Some(part));
        }

        #[test]
        fn any_bytes_are_a_part_or_none(mut bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(first) = bytes.first_mut() {
                *first = PART_FORMAT;
            }
            if let Some(part) = decode_part(PartNumber::FIRST, &bytes) {
                prop_assert_eq!(decode_part(part.number, &encode_part(&part)), Some(part));
            }
        }
    }

    /// As the service reckons: names and values in bytes, numbers by their digits.
    fn size_bytes(item: &Item) -> usize {
        let value = |value: &AttributeValue| match value {
            AttributeValue::S(text) => text.len(),
            AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
            AttributeValue::B(bytes) => bytes.as_ref().len(),
            _ => panic!("no such attribute"),
        };
        item.iter().map(|(name, v)| name.len() + value(v)).sum()
    }

    #[test]
    fn a_full_group_is_one_write_unit() {
        let header = tranship_core::rows::HeaderId("f".repeat(64));
        let key = header.group_key(u64::MAX, 624);
        let mut item = primary(Place::of(&key));
        item.insert(REVISION.to_owned(), number(1_000));
        item.insert(EXPIRES.to_owned(), number(u64::from(u32::MAX)));
        let sums = [(Algorithm::Crc64Nvme, u64::MAX), (Algorithm::Crc32C, u64::MAX)];
        for n in 9_985..=10_000 {
            let part = part("d41d8cd98f00b204e9800998ecf8427e", &sums);
            item.insert(part_name(PartNumber::new(n).unwrap()), bytes(encode_part(&part)));
        }
        assert_eq!(group_of(&key, &item).unwrap().parts.len(), 16);
        assert!(size_bytes(&item) <= 1_024, "{}", size_bytes(&item));
    }

    #[test]
    fn what_is_no_row_is_unreadable_and_named() {
        let key = RowKey("scan/1/2".to_owned());
        let row = Row { revision: 3, due: Some(Millis(9)), value: vec![0, 255] };
        let good = row_item(&key, row.clone(), 7, Millis(0));
        assert_eq!(row_of(&good).unwrap(), (key, row));
        for (name, value) in [
            (REVISION, text("3")),
            (REVISION, AttributeValue::N("-3".to_owned())),
            (DUE, AttributeValue::N("1.5".to_owned())),
            (VALUE, text("{}")),
            ("sk", number(1)),
        ] {
            let mut bad = good.clone();
            bad.insert(name.to_owned(), value);
            let Err(LedgerError::Unreadable(_)) = row_of(&bad) else { panic!("{name}") };
        }
        for name in [REVISION, VALUE, "pk"] {
            let mut bad = good.clone();
            bad.remove(name);
            let Err(LedgerError::Unreadable(_)) = row_of(&bad) else { panic!("{name}") };
        }
    }
}
