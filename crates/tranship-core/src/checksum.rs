//! Checksums of parts, combined into those of whole objects.
//!
//! A part's CRCs are computed while its bytes pass. CRCs are linear, so the whole object's follow
//! from the parts' alone, wherever each was copied; an `ETag` of the composite kind follows from the
//! parts' MD5 `ETag`s, which the destination computed. Nothing here reads an object twice.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::{CrcAlgorithm, Digest, checksum_combine};
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

use crate::object::ETag;

/// The CRCs that are computed over passing bytes. Two cost about as much as a memory copy each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    Crc64Nvme,
    Crc32C,
    Crc32,
    /// ECMA-182, as Chinese vendors keep it; Amazon S3 takes none.
    Crc64Xz,
}

impl Algorithm {
    pub const ALL: [Self; 4] = [Self::Crc64Nvme, Self::Crc32C, Self::Crc32, Self::Crc64Xz];

    fn crc(self) -> CrcAlgorithm {
        match self {
            Self::Crc64Nvme => CrcAlgorithm::Crc64Nvme,
            Self::Crc32C => CrcAlgorithm::Crc32Iscsi,
            Self::Crc32 => CrcAlgorithm::Crc32IsoHdlc,
            Self::Crc64Xz => CrcAlgorithm::Crc64Xz,
        }
    }

    fn width_bytes(self) -> usize {
        match self {
            Self::Crc64Nvme | Self::Crc64Xz => 8,
            Self::Crc32C | Self::Crc32 => 4,
        }
    }

    /// As the store's header has it: base64 of the big-endian value.
    pub fn encode(self, value: u64) -> String {
        let bytes = value.to_be_bytes();
        BASE64.encode(bytes.get(8 - self.width_bytes()..).unwrap_or(&bytes))
    }

    /// `None` for anything but a full-object value of this algorithm (a composite one has a dash).
    pub fn decode(self, text: &str) -> Option<u64> {
        let bytes = BASE64.decode(text).ok()?;
        if bytes.len() != self.width_bytes() {
            return None;
        }
        Some(bytes.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
    }
}

/// A checksum over all bytes of an object or a part, as a store keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    pub algorithm: Algorithm,
    pub value: u64,
}

/// The running CRCs of one body.
pub struct Crcs {
    digests: Vec<(Algorithm, Digest)>,
}

impl std::fmt::Debug for Crcs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.digests.iter().map(|(algorithm, _)| algorithm)).finish()
    }
}

impl Crcs {
    pub fn new(algorithms: &[Algorithm]) -> Self {
        Self { digests: algorithms.iter().map(|a| (*a, Digest::new(a.crc()))).collect() }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        for (_, digest) in &mut self.digests {
            digest.update(bytes);
        }
    }

    pub fn finish(&self) -> Vec<Checksum> {
        self.digests
            .iter()
            .map(|(algorithm, digest)| Checksum { algorithm: *algorithm, value: digest.finalize() })
            .collect()
    }
}

/// The whole's CRC from its parts' in order, each with its length in bytes.
pub fn combine(algorithm: Algorithm, parts: impl IntoIterator<Item = (u64, u64)>) -> u64 {
    let crc = algorithm.crc();
    let empty = Digest::new(crc).finalize();
    parts.into_iter().fold(empty, |whole, (value, size)| checksum_combine(crc, whole, value, size))
}

/// The `ETag` that S3 gives to parts with these plain `ETag`s; `None` if one of them is not MD5.
pub fn composite_etag<'a>(parts: impl IntoIterator<Item = &'a ETag>) -> Option<ETag> {
    let mut md5 = Md5::new();
    let mut count = 0_u32;
    for part in parts {
        md5.update(part.md5()?);
        count += 1;
    }
    (count > 0).then(|| ETag::new(&format!("{}-{count}", hex::encode(md5.finalize()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn crc(algorithm: Algorithm, bytes: &[u8]) -> u64 {
        let mut crcs = Crcs::new(&[algorithm]);
        crcs.update(bytes);
        crcs.finish()[0].value
    }

    #[test]
    fn the_published_check_values_hold() {
        for (algorithm, value) in [
            (Algorithm::Crc64Nvme, 0xae8b_1486_0a79_9888),
            (Algorithm::Crc32C, 0xe306_9283),
            (Algorithm::Crc32, 0xcbf4_3926),
            (Algorithm::Crc64Xz, 0x995d_c9bb_df19_39fa),
        ] {
            assert_eq!(crc(algorithm, b"123456789"), value, "{algorithm:?}");
            assert_eq!(algorithm.decode(&algorithm.encode(value)), Some(value));
        }
        assert_eq!(Algorithm::Crc32.decode("AAAAAA==-3"), None);
    }

    #[test]
    fn a_composite_etag_is_the_md5_of_the_parts_md5() {
        let part = ETag::new("d41d8cd98f00b204e9800998ecf8427e");
        let composite = composite_etag([&part]).unwrap();
        assert_eq!(composite.as_str(), "59adb24ef3cdbe0297f05b395827453f-1");
        assert_eq!(composite_etag([&part, &ETag::new("opaque")]), None);
        assert_eq!(composite_etag([]), None);
    }

    proptest! {
        #[test]
        fn combining_parts_equals_hashing_the_whole(
            bytes in proptest::collection::vec(any::<u8>(), 0..4_096),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|i| i.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            for algorithm in Algorithm::ALL {
                let parts = cuts.windows(2).map(|w| {
                    let part = &bytes[w[0]..w[1]];
                    (crc(algorithm, part), u64::try_from(part.len()).unwrap())
                });
                prop_assert_eq!(combine(algorithm, parts), crc(algorithm, &bytes));
            }
        }

        /// Of parts as large as they may be, which nobody could hash in a test: it is no matter how
        /// they are put together, and an empty one adds nothing.
        #[test]
        fn combining_is_the_same_in_whatever_groups(
            parts in proptest::collection::vec((any::<u64>(), 0..=5_u64 << 30), 2..20),
            cut in any::<proptest::sample::Index>(),
        ) {
            for algorithm in Algorithm::ALL {
                let fits = |value: u64| if algorithm.width_bytes() == 4 { value >> 32 } else { value };
                let empty = crc(algorithm, &[]);
                let parts: Vec<_> = parts
                    .iter()
                    .map(|(value, size)| (if *size == 0 { empty } else { fits(*value) }, *size))
                    .collect();
                let (left, right) = parts.split_at(cut.index(parts.len()));
                let whole = |parts: &[(u64, u64)]| {
                    let size = parts.iter().map(|(_, size)| size).sum::<u64>();
                    (combine(algorithm, parts.iter().copied()), size)
                };
                prop_assert_eq!(combine(algorithm, [whole(left), whole(right)]), whole(&parts).0);
                let with_empty = left.iter().copied().chain([(empty, 0)]).chain(right.iter().copied());
                prop_assert_eq!(combine(algorithm, with_empty), whole(&parts).0);
            }
        }

        #[test]
        fn a_checksum_is_read_as_it_was_written(value: u64, text in "[A-Za-z0-9+/]{4,12}={0,2}(-[0-9])?") {
            for algorithm in Algorithm::ALL {
                let value = if algorithm.width_bytes() == 4 { value >> 32 } else { value };
                prop_assert_eq!(algorithm.decode(&algorithm.encode(value)), Some(value));
                if let Some(read) = algorithm.decode(&text) {
                    prop_assert_eq!(algorithm.encode(read), text.clone());
                }
            }
        }

        #[test]
        fn a_composite_etag_follows_from_any_parts(
            parts in proptest::collection::vec(any::<[u8; 16]>(), 1..40),
            opaque in any::<proptest::sample::Index>(),
            upper: bool,
        ) {
            let text = |md5: &[u8; 16]| {
                if upper { hex::encode_upper(md5) } else { hex::encode(md5) }
            };
            let mut etags: Vec<_> = parts.iter().map(|md5| ETag::new(&text(md5))).collect();
            let whole = composite_etag(&etags).unwrap();
            let expected = format!("{}-{}", hex::encode(Md5::digest(parts.concat())), parts.len());
            prop_assert_eq!(whole.as_str(), expected);
            let count = u32::try_from(parts.len()).unwrap();
            prop_assert_eq!(whole.form(), crate::object::ETagForm::Composite { parts: count });
            // A composite has no MD5 of its own, and parts with one of them no composite.
            prop_assert_eq!(whole.md5(), None);
            let at = opaque.index(etags.len());
            etags[at] = whole;
            prop_assert_eq!(composite_etag(&etags), None);
        }
    }
}
