//! Whole: the checksums that vendors give for all bytes of an object, computed over what is stored.

use crate::store::Object;
use crc_fast::{CrcAlgorithm, Digest};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The largest object whose bytes are worth going through for a test; larger ones exist by formula alone.
const LIMIT: u64 = 16 << 30;

/// What was computed so far, by `ETag`, number among all writes, and whether it is the CRC-32C.
#[derive(Debug, Default)]
pub(super) struct Sums(Mutex<HashMap<(String, u64, bool), u64>>);

impl Sums {
    /// CRC-64/XZ, which OSS and COS call `crc64ecma`.
    pub(super) fn crc64xz(&self, object: &Object) -> Option<u64> {
        self.get(object, CrcAlgorithm::Crc64Xz, false)
    }

    pub(super) fn crc32c(&self, object: &Object) -> Option<u64> {
        self.get(object, CrcAlgorithm::Crc32Iscsi, true)
    }

    fn get(&self, object: &Object, algorithm: CrcAlgorithm, narrow: bool) -> Option<u64> {
        if !object.has_vendor_checksum || object.size() > LIMIT {
            return None;
        }
        let row = (object.etag.clone(), object.generation, narrow);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&row).copied();
        if known.is_some() {
            return known;
        }
        let mut digest = Digest::new(algorithm);
        for slice in object.content.slices(0..object.size())? {
            digest.update(&slice);
        }
        let sum = digest.finalize();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(row, sum);
        Some(sum)
    }
}
