//! What a bucket in memory holds: objects and the parts of uploads, by shared bytes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use md5::{Digest as _, Md5};
use tranship_core::body::Body;
use tranship_core::checksum::{Algorithm, Checksum, Crcs, combine, composite_etag};
use tranship_core::object::{ByteRange, ETag, Identity, Millis};
use tranship_core::store::{Attributes, Head, Write};

/// Shorter bytes are hashed each time: remembering them would cost more.
const REMEMBERED_FROM_BYTES: usize = 64 << 10;

/// One generation of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// In pieces as they came; joined only by who reads across them.
    pub pieces: Vec<Bytes>,
    pub etag: ETag,
    pub modified: Millis,
    pub attributes: Attributes,
    pub tags: Vec<(String, String)>,
    /// CRC-64/NVME over all bytes.
    pub crc64: u64,
    /// Sizes of the parts; empty unless it came by multipart upload.
    pub part_sizes: Vec<u64>,
    /// The `ETag` says nothing about the bytes.
    pub etag_is_opaque: bool,
    /// Grants of its ACL besides its owner's.
    pub grants: usize,
}

impl Object {
    pub fn size(&self) -> u64 {
        size_of(&self.pieces)
    }

    /// All bytes in one.
    pub fn bytes(&self) -> Bytes {
        join(self.pieces.clone())
    }

    /// Whether both hold the same bytes, however they are cut.
    pub fn has_bytes_of(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.pieces.iter().cloned(), other.pieces.iter().cloned());
        let (mut a, mut b) = (Bytes::new(), Bytes::new());
        loop {
            a = if a.is_empty() {
                ours.find(|piece| !piece.is_empty()).unwrap_or_default()
            } else {
                a
            };
            b = if b.is_empty() {
                theirs.find(|piece| !piece.is_empty()).unwrap_or_default()
            } else {
                b
            };
            let both = a.len().min(b.len());
            if both == 0 {
                return a.is_empty() && b.is_empty();
            }
            let (here, there) = (a.split_to(both), b.split_to(both));
            // Shared bytes need no look.
            if here.as_ptr() != there.as_ptr() && here != there {
                return false;
            }
        }
    }

    pub(super) fn slice(&self, range: ByteRange) -> Bytes {
        let mut at = 0;
        let mut out = Vec::new();
        for piece in &self.pieces {
            let end = at + length(piece);
            let from = range.start().clamp(at, end) - at;
            let to = range.end().clamp(at, end) - at;
            if from < to {
                out.push(piece.slice(index(from)..index(to)));
            }
            at = end;
        }
        join(out)
    }

    pub(super) fn is_archived(&self) -> bool {
        matches!(self.attributes.storage_class.as_deref(), Some("GLACIER" | "DEEP_ARCHIVE"))
    }

    pub(super) fn head(&self) -> Head {
        let size = self.size();
        Head {
            identity: Identity {
                etag: self.etag.clone(),
                version: None,
                size,
                modified: self.modified,
            },
            attributes: self.attributes.clone(),
            tag_count: u32::try_from(self.tags.len()).unwrap_or(u32::MAX),
            checksum: Some(Checksum { algorithm: Algorithm::Crc64Nvme, value: self.crc64 }),
            qetag: None,
            etag_is_opaque: self.etag_is_opaque,
            losses: tranship_core::loss::Losses::new(),
            is_archived: self.is_archived(),
            part_count: None,
            content_size: size,
        }
    }
}

/// What was received of a part.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    pub(super) md5: ETag,
    pub(super) crc64: u64,
    /// What the store answered with; the same as `md5` unless that is hidden.
    pub(super) etag: ETag,
}

/// An upload that is neither completed nor aborted.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    pub(super) write: Write,
    pub(super) initiated: Millis,
    pub(super) parts: std::collections::BTreeMap<tranship_core::object::PartNumber, Piece>,
}

/// Puts parts together, as a completion does: content, composite `ETag` and checksum of the whole.
pub(super) fn assemble(parts: &[&Piece], write: &Write, modified: Millis) -> Object {
    let sums = parts.iter().map(|part| (part.crc64, length(&part.bytes)));
    Object {
        pieces: parts.iter().map(|part| part.bytes.clone()).collect(),
        etag: composite_etag(parts.iter().map(|part| &part.md5)).unwrap_or(ETag::new("")),
        modified,
        attributes: write.attributes.clone(),
        tags: write.tags.clone(),
        crc64: combine(Algorithm::Crc64Nvme, sums),
        part_sizes: parts.iter().map(|part| length(&part.bytes)).collect(),
        etag_is_opaque: false,
        grants: 0,
    }
}

/// MD5 and CRC of shared bytes, computed once for each place in memory: a simulation moves the
/// same mebibytes thousands of times.
#[derive(Debug, Default)]
pub struct Digests(Mutex<HashMap<(usize, usize), Remembered>>);

#[derive(Debug, Clone)]
struct Remembered {
    md5: ETag,
    crc64: u64,
    /// Keeps the place from being given to other bytes.
    _bytes: Bytes,
}

impl Digests {
    /// The MD5 as an `ETag`, and the CRC-64/NVME.
    pub(super) fn of(&self, bytes: &Bytes) -> (ETag, u64) {
        let place = (bytes.as_ptr().addr(), bytes.len());
        let is_remembered = bytes.len() >= REMEMBERED_FROM_BYTES;
        if is_remembered && let Some(known) = self.map().get(&place) {
            return (known.md5.clone(), known.crc64);
        }
        let md5 = ETag::new(&hex::encode(Md5::digest(bytes)));
        let mut crcs = Crcs::new(&[Algorithm::Crc64Nvme]);
        crcs.update(bytes);
        let crc64 = crcs.finish().first().map_or(0, |checksum| checksum.value);
        if is_remembered {
            let known = Remembered { md5: md5.clone(), crc64, _bytes: bytes.clone() };
            self.map().insert(place, known);
        }
        (md5, crc64)
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<(usize, usize), Remembered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a body to its end; it must have exactly this size.
pub(super) async fn receive(mut body: Body, size: u64) -> Result<Bytes, String> {
    let mut pieces = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| format!("the body broke off: {error}"))?;
        pieces.extend(frame.into_data().ok().filter(|bytes| !bytes.is_empty()));
    }
    let received = size_of(&pieces);
    if received != size {
        return Err(format!("the body has {received} bytes instead of {size}"));
    }
    Ok(join(pieces))
}

pub(super) fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn index(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

fn size_of(pieces: &[Bytes]) -> u64 {
    pieces.iter().map(length).sum()
}

/// One piece stays the bytes that it is; several are copied together.
fn join(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() <= 1 {
        return pieces.pop().unwrap_or_default();
    }
    Bytes::from(pieces.concat())
}
