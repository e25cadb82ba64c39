//! A checksum: what Amazon S3 keeps beside an object or a part, besides its `ETag`.

use crate::qetag::Blocks;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use md5::{Digest, Md5};
use s3s::crypto::Checksum as _;
use s3s::dto::ChecksumType;

/// The algorithms of `x-amz-checksum-*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub const ALL: [Self; 5] =
        [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The name in XML and in `x-amz-checksum-algorithm`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The header and trailer that carries the value.
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The type of a multipart object's checksum if the upload does not ask for one.
    pub(crate) fn default_type(self) -> &'static str {
        match self {
            Self::Crc64Nvme => ChecksumType::FULL_OBJECT,
            _ => ChecksumType::COMPOSITE,
        }
    }

    /// Whether Amazon S3 offers this pair of algorithm and type.
    pub(crate) fn allows(self, kind: &str) -> bool {
        match self {
            Self::Crc64Nvme => kind == ChecksumType::FULL_OBJECT,
            Self::Crc32 | Self::Crc32c => true,
            Self::Sha1 | Self::Sha256 => kind == ChecksumType::COMPOSITE,
        }
    }

    fn crc(self) -> Option<(CrcAlgorithm, usize)> {
        match self {
            Self::Crc32 => Some((CrcAlgorithm::Crc32IsoHdlc, 4)),
            Self::Crc32c => Some((CrcAlgorithm::Crc32Iscsi, 4)),
            Self::Crc64Nvme => Some((CrcAlgorithm::Crc64Nvme, 8)),
            Self::Sha1 | Self::Sha256 => None,
        }
    }
}

/// The checksums of one object or part, as base64 (with `-N` behind a composite one).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums(Vec<(Algorithm, String)>);

impl Sums {
    pub fn get(&self, algorithm: Algorithm) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == algorithm).map(|(_, value)| value.as_str())
    }

    pub fn iter(&self) -> impl Iterator<Item = (Algorithm, &str)> {
        self.0.iter().map(|(algorithm, value)| (*algorithm, value.as_str()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn set(&mut self, algorithm: Algorithm, value: Option<String>) {
        self.0.retain(|(known, _)| *known != algorithm);
        if let Some(value) = value {
            self.0.push((algorithm, value));
        }
    }

    pub(crate) fn value(&self, algorithm: Algorithm) -> Option<String> {
        self.get(algorithm).map(str::to_owned)
    }
}

/// The five checksum fields that many shapes of the API share, taken out of one.
macro_rules! sums_of {
    ($shape:expr) => {{
        let mut sums = $crate::checksum::Sums::default();
        sums.set($crate::checksum::Algorithm::Crc32, $shape.checksum_crc32.clone());
        sums.set($crate::checksum::Algorithm::Crc32c, $shape.checksum_crc32c.clone());
        sums.set($crate::checksum::Algorithm::Crc64Nvme, $shape.checksum_crc64nvme.clone());
        sums.set($crate::checksum::Algorithm::Sha1, $shape.checksum_sha1.clone());
        sums.set($crate::checksum::Algorithm::Sha256, $shape.checksum_sha256.clone());
        sums
    }};
}

/// The same five fields, filled in.
macro_rules! put_sums {
    ($shape:expr, $sums:expr) => {{
        let sums: &$crate::checksum::Sums = $sums;
        $shape.checksum_crc32 = sums.value($crate::checksum::Algorithm::Crc32);
        $shape.checksum_crc32c = sums.value($crate::checksum::Algorithm::Crc32c);
        $shape.checksum_crc64nvme = sums.value($crate::checksum::Algorithm::Crc64Nvme);
        $shape.checksum_sha1 = sums.value($crate::checksum::Algorithm::Sha1);
        $shape.checksum_sha256 = sums.value($crate::checksum::Algorithm::Sha256);
    }};
}

pub(crate) use {put_sums, sums_of};

enum State {
    Crc(Box<crc_fast::Digest>, usize),
    Sha1(Box<s3s::crypto::Sha1>),
    Sha256(Box<sha2::Sha256>),
}

/// Hashes a body while it arrives.
pub(crate) struct Hasher {
    md5: Option<Md5>,
    blocks: Option<Blocks>,
    states: Vec<(Algorithm, State)>,
    length: u64,
}

/// What a body hashed to.
pub(crate) struct Hashed {
    pub(crate) md5: Option<[u8; 16]>,
    pub(crate) qetag: Option<String>,
    pub(crate) sums: Sums,
    pub(crate) length: u64,
}

impl Hasher {
    pub(crate) fn new(md5: bool, algorithms: &[Algorithm]) -> Self {
        let mut states: Vec<(Algorithm, State)> = Vec::with_capacity(algorithms.len());
        for &algorithm in algorithms {
            if states.iter().any(|(known, _)| *known == algorithm) {
                continue;
            }
            let state = match (algorithm.crc(), algorithm) {
                (Some((crc, width)), _) => State::Crc(Box::new(crc_fast::Digest::new(crc)), width),
                (None, Algorithm::Sha1) => State::Sha1(Box::new(s3s::crypto::Sha1::new())),
                (None, _) => State::Sha256(Box::default()),
            };
            states.push((algorithm, state));
        }
        Self { md5: md5.then(Md5::new), blocks: None, states, length: 0 }
    }

    /// Computes a qetag, too.
    pub(crate) fn with_qetag(self) -> Self {
        Self { blocks: Some(Blocks::default()), ..self }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.length += size(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        if let Some(blocks) = &mut self.blocks {
            blocks.update(bytes);
        }
        for (_, state) in &mut self.states {
            match state {
                State::Crc(digest, _) => digest.update(bytes),
                State::Sha1(digest) => digest.update(bytes),
                State::Sha256(digest) => digest.update(bytes),
            }
        }
    }

    pub(crate) fn finish(self) -> Hashed {
        let mut sums = Sums::default();
        for (algorithm, state) in self.states {
            let value = match state {
                State::Crc(digest, width) => encode_crc(digest.finalize(), width),
                State::Sha1(digest) => STANDARD.encode(digest.finalize()),
                State::Sha256(digest) => STANDARD.encode(digest.finalize()),
            };
            sums.set(algorithm, Some(value));
        }
        let md5 = self.md5.map(|md5| md5.finalize().into());
        Hashed { md5, qetag: self.blocks.map(Blocks::finish), sums, length: self.length }
    }
}

fn encode_crc(value: u64, width: usize) -> String {
    let bytes = value.to_be_bytes();
    STANDARD.encode(bytes.get(8 - width..).unwrap_or_default())
}

fn decode_crc(value: &str) -> Option<u64> {
    let bytes = STANDARD.decode(value).ok()?;
    (bytes.len() <= 8).then(|| bytes.iter().fold(0, |crc, byte| (crc << 8) | u64::from(*byte)))
}

/// The full-object CRC of bytes whose consecutive parts have these CRCs and lengths.
pub(crate) fn combine<'a>(
    algorithm: Algorithm,
    parts: impl IntoIterator<Item = (Option<&'a str>, u64)>,
) -> Option<String> {
    let (crc, width) = algorithm.crc()?;
    let mut whole = None;
    for (value, length) in parts {
        let value = decode_crc(value?)?;
        whole = Some(match whole {
            None => value,
            Some(before) => crc_fast::checksum_combine(crc, before, value, length),
        });
    }
    whole.map(|value| encode_crc(value, width))
}

/// The composite checksum: the algorithm over the parts' raw checksums, with their number behind it.
pub(crate) fn compose<'a>(
    algorithm: Algorithm,
    parts: impl IntoIterator<Item = Option<&'a str>>,
) -> Option<String> {
    let mut hasher = Hasher::new(false, &[algorithm]);
    let mut count = 0_u32;
    for value in parts {
        hasher.update(&STANDARD.decode(value?).ok()?);
        count += 1;
    }
    let value = hasher.finish().sums.value(algorithm)?;
    Some(format!("{value}-{count}"))
}

/// The `ETag` of a multipart object: MD5 over the parts' MD5s, with their number behind it.
pub(crate) fn compose_etag<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut md5 = Md5::new();
    let mut count = 0_u32;
    for part in parts {
        md5.update(hex::decode(part).unwrap_or_else(|_| part.as_bytes().to_vec()));
        count += 1;
    }
    format!("{}-{count}", hex::encode(md5.finalize()))
}

/// A length as `u64`.
pub(crate) fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(algorithm: Algorithm, bytes: &[u8]) -> String {
        let mut hasher = Hasher::new(false, &[algorithm]);
        hasher.update(bytes);
        hasher.finish().sums.value(algorithm).unwrap()
    }

    #[test]
    fn crcs_of_parts_combine_to_the_crc_of_the_whole() {
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let (left, right) = (b"hello ".as_slice(), b"transhipped world".as_slice());
            let whole = sum(algorithm, &[left, right].concat());
            let parts = [(sum(algorithm, left), size(left)), (sum(algorithm, right), size(right))];
            let combined = combine(
                algorithm,
                parts.iter().map(|(value, length)| (Some(value.as_str()), *length)),
            );
            assert_eq!(combined.as_deref(), Some(whole.as_str()));
        }
    }

    #[test]
    fn known_values() {
        assert_eq!(sum(Algorithm::Crc32, b"123456789"), "y/Q5Jg==");
        assert_eq!(sum(Algorithm::Crc32c, b"123456789"), "4waSgw==");
        assert_eq!(sum(Algorithm::Crc64Nvme, b"123456789"), "rosUhgp5mIg=");
    }
}
