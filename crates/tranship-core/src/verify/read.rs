//! Reads both sides of a pair again and compares their hashes, piece by piece.
//!
//! Every piece is read with the `ETag` that was listed, so all of them are of one generation. A piece
//! that fails is read again alone. Pieces that differ are read once more before it is said: bytes can
//! be damaged on their way, too. What a store gives and its own qetag speaks against counts as not read.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};

use super::walk::Verification;
use crate::body::{Expectation, measure};
use crate::error::{ErrorKind, StoreError};
use crate::location::rename;
use crate::object::{ByteRange, ObjectKey};
use crate::qetag::Claim;
use crate::store::{Listed, ObjectStore, Pin};

/// Bytes of one piece: what is lost when a connection breaks, against the price of a request.
const PIECE_BYTES: u64 = 64 << 20;
/// Pieces of one object that are read side by side.
const PIECES_AT_ONCE: usize = 8;
/// Readings of a piece that differs.
const READINGS: u32 = 2;

/// A SHA-256.
type Hash = [u8; 32];

/// Whether the bytes of both are the same; they are of equal size.
pub(super) async fn are_equal(
    verification: &Verification,
    source: &Listed,
    destination: &Listed,
) -> Result<bool, StoreError> {
    let pieces = stream::iter((0..source.size.div_ceil(PIECE_BYTES)).map(|index| {
        let start = index * PIECE_BYTES;
        let range = ByteRange::new(start, (start + PIECE_BYTES).min(source.size));
        Box::pin(piece_is_equal(verification, source, destination, range))
    }));
    let mut pieces = pieces.buffer_unordered(PIECES_AT_ONCE);
    while let Some(equal) = pieces.next().await {
        if !equal? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn piece_is_equal(
    verification: &Verification,
    source: &Listed,
    destination: &Listed,
    range: Option<ByteRange>,
) -> Result<bool, StoreError> {
    let _stream = verification.streams.acquire().await;
    let transfer = &verification.transfer;
    let there = rename(&transfer.source.prefix, &transfer.destination.prefix, &destination.key);
    let there = there.unwrap_or_else(|| destination.key.clone());
    for _ in 0..READINGS {
        let (here, there) = futures_util::join!(
            hash(verification, &*verification.source, &source.key, source, range),
            hash(verification, &*verification.destination, &there, destination, range),
        );
        if here? == there? {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn hash(
    verification: &Verification,
    store: &dyn ObjectStore,
    key: &ObjectKey,
    listed: &Listed,
    range: Option<ByteRange>,
) -> Result<Hash, StoreError> {
    // A range that is the whole is no range: it needs no second form of answer.
    let range = range.filter(|range| range.size() < listed.size);
    let pin = Pin { etag: listed.etag.clone(), version: None };
    let size = range.map_or(listed.size, ByteRange::size);
    let patience = verification.patience();
    patience.retried(|| hash_once(verification, store, key, &pin, range, size)).await
}

async fn hash_once(
    verification: &Verification,
    store: &dyn ObjectStore,
    key: &ObjectKey,
    pin: &Pin,
    range: Option<ByteRange>,
    size: u64,
) -> Result<Hash, StoreError> {
    let failed = |kind, text: String| StoreError::new(kind, format!("GetObject {key}"), text);
    let read = store.get(key, range, Some(pin)).await?;
    if read.size != size {
        let text = format!("{size} bytes were listed, {} are there", read.size);
        return Err(failed(ErrorKind::PreconditionFailed, text));
    }
    // A difference that proves nothing could change nothing here, where the bytes of both sides are compared.
    // Of one block is the whole of an object, never a piece.
    let own = read.head.qetag.filter(|own| own.proves_a_difference());
    let qetag = own.map(|own| Claim { own, seen: None });
    let expectation = Expectation { size, checksum: None, qetag, algorithms: Vec::new() };
    let (mut body, _) = measure(read.body, expectation, Arc::clone(&verification.progress));
    let mut hash = Sha256::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(|error| failed(ErrorKind::Unavailable, error.to_string()))?;
        if let Ok(bytes) = frame.into_data() {
            hash.update(&bytes);
        }
    }
    Ok(hash.finalize().into())
}
